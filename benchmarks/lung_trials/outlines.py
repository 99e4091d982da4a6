"""How well the lungs are found, against synthetic outlines and masks by persons; how fast."""

import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage
from sklearn.base import clone

from lungestimators import LungFields, make_chest_xrays

# The weights were learnt from other random states, above a million.
SEED = 4000
FIELD = 356  # mm, side of an image on average: a detector of 400 mm, and a zoom of 0.89
SIDE_OF_TIMED = 512
# Masks of persons: radiographs that are held in memory together, and files that may be masks.
_AT_ONCE = 50
_SUFFIXES = (".png", ".bmp", ".gif", ".tif", ".tiff", ".jpg", ".jpeg")


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


def score_against_masks(paths, folders):
    """Return how the masks of LungFields agree with those that persons drew.

    Parameters
    ----------
    paths : list of str
        Radiographs.
    folders : list of Path
        Folders of masks, in which lung is bright. A mask is named as its image is, with or without
        ``_mask`` or ``-mask`` behind it. With a folder for each lung, both together are the mask.

    Returns
    -------
    ndarray of shape (n_images, 3)
        For each image the intersection over union, and what is missing and what is added, as shares
        of the mask. Of a refused image all is missing.

    Raises
    ------
    ValueError
        An image has no mask, or several, in a folder; its masks are empty, or have other
        proportions than the image.
    """
    files = [[_file_of_mask(Path(path), folder) for folder in folders] for path in paths]
    lungs = LungFields("masks", on_missing="warn")
    scores = []
    for start in range(0, len(paths), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            masks = lungs.fit_transform(paths[part])
        for found, of_image in zip(masks, files[part], strict=True):
            expected = _read_mask(of_image, found.shape)
            both, area = (found & expected).sum(), expected.sum()
            iou = both / (found | expected).sum()
            scores.append((iou, 1 - both / area, (found.sum() - both) / area))
    return np.array(scores)


def _file_of_mask(path, folder):
    """Return the file that holds the mask of an image."""
    names = {path.stem, f"{path.stem}_mask", f"{path.stem}-mask"}
    files = [
        file
        for file in sorted(folder.iterdir())
        if file.stem in names and file.suffix.lower() in _SUFFIXES and not file.samefile(path)
    ]
    if len(files) != 1:
        raise ValueError(f"{folder} has {len(files)} masks of {path.name}, and needs one")
    return files[0]


def _read_mask(files, shape):
    """Return the mask that files hold together, in the size of the image."""
    masks = []
    for file in files:
        with Image.open(file) as image:
            masks.append(np.array(image.convert("L")) > 127)
    if len({mask.shape for mask in masks}) > 1:
        raise ValueError(f"{' and '.join(map(str, files))} differ in size")
    mask = np.logical_or.reduce(masks)
    if not mask.any():
        raise ValueError(f"{files[0]} shows no lung: no pixel is brighter than 127")
    if abs(np.log(mask.shape[0] / mask.shape[1] * shape[1] / shape[0])) > 0.02:
        raise ValueError(
            f"{files[0]} has {mask.shape[1]} x {mask.shape[0]} pixels, its image has {shape[1]} x "
            f"{shape[0]}: the proportions must be the same"
        )
    return np.array(Image.fromarray(mask).resize(shape[::-1], Image.Resampling.NEAREST))


def _distance(found, wanted):
    """Return the mean distance of the outlines of two masks, both ways, in pixels."""
    edges = [mask ^ ndimage.binary_erosion(mask) for mask in (found, wanted)]
    if not all(edge.any() for edge in edges):
        return float("inf")
    to_first, to_second = (ndimage.distance_transform_edt(~edge) for edge in edges)
    return (to_first[edges[1]].mean() + to_second[edges[0]].mean()) / 2


def time_files(n_images, ways):
    """Return the seconds that each of several LungFields takes for files that it has not seen."""
    seconds = []
    X, _ = make_chest_xrays(min(n_images, 100), image_size=SIDE_OF_TIMED, random_state=SEED + 1)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.jpg") for number in range(n_images)]
        for number, path in enumerate(paths):
            Image.fromarray(X[number % len(X)]).save(path, quality=90)
        for way in ways:
            lungs = clone(way).set_params(feature_cache=None)
            lungs.fit_transform(paths[:16])  # the network is built
            began = time.perf_counter()
            lungs.fit_transform(paths)
            seconds.append(time.perf_counter() - began)
    return seconds
