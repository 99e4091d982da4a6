"""How well outlines are found in synthetic radiographs, and how fast."""

import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from lungestimators import LungFields, make_chest_xrays

# The weights were learnt from other random states, above a million.
SEED = 4000
FIELD = 356  # mm, side of an image on average: a detector of 400 mm, and a zoom of 0.89
SIDE_OF_TIMED = 512


def score_outlines(n_images, image_size=256):
    """Return how the masks of LungFields agree with those that were drawn.

    Returns
    -------
    dict of str to float
        Intersection over union (``iou``) and mean distance of the outlines in mm (``distance``):
        median and worst twentieth of the images.
    """
    X, _, wanted = make_chest_xrays(
        n_images, image_size=image_size, return_masks=True, random_state=SEED
    )
    found = LungFields("masks", on_missing="warn", feature_cache=None).fit_transform(X)
    iou = (found & wanted).sum((1, 2)) / (found | wanted).sum((1, 2))
    pixel = FIELD / image_size
    distance = [pixel * _distance(a, b) for a, b in zip(found, wanted, strict=True)]
    return dict(
        iou=float(np.median(iou)),
        iou_of_worst=float(np.percentile(iou, 5)),
        distance=float(np.median(distance)),
        distance_of_worst=float(np.percentile(distance, 95)),
    )


def _distance(found, wanted):
    """Return the mean distance of the outlines of two masks, both ways, in pixels."""
    edges = [mask ^ ndimage.binary_erosion(mask) for mask in (found, wanted)]
    if not all(edge.any() for edge in edges):
        return float("inf")
    to_first, to_second = (ndimage.distance_transform_edt(~edge) for edge in edges)
    return (to_first[edges[1]].mean() + to_second[edges[0]].mean()) / 2


def time_files(n_images):
    """Return the seconds that LungFields takes for files that it has not seen."""
    X, _ = make_chest_xrays(min(n_images, 100), image_size=SIDE_OF_TIMED, random_state=SEED + 1)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.jpg") for number in range(n_images)]
        for number, path in enumerate(paths):
            Image.fromarray(X[number % len(X)]).save(path, quality=90)
        lungs = LungFields(feature_cache=None)
        lungs.fit_transform(paths[:16])  # the network is built
        began = time.perf_counter()
        lungs.fit_transform(paths)
        return time.perf_counter() - began
