"""Images to learn from: radiographs under open licences, and synthetic ones."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from lungestimators.datasets import make_chest_xrays

# Side of the squares that are kept, as a multiple of the largest that a network sees: an augmented
# view loses no detail.
SIDE_OF_KEPT = 1.375
# The teachers see larger images than the smallest network does.
SMALLEST_SIDE = 176

SOURCES = ("kermany_train", "nih_chestxray14", "rsna_nih_normal", "hannover_covid")

# The random state of the first synthetic images. No reported figure is of images made with this
# number or one above it.
FIRST_RANDOM_STATE = 1_000_000
N_SYNTHETIC = 6000
# Images of one difficulty, made at once.
N_AT_ONCE = 200


class Radiographs(NamedTuple):
    """Grey square images, and a row of the index for each.

    Attributes
    ----------
    pixels : ndarray of shape (n_images, side, side), uint8
    rows : list of dict of str to str
        The rows of index.csv; ``source`` is the name of the folder. Synthetic images have the
        source ``"synthetic"`` and a class, ``labels``.
    """

    pixels: np.ndarray
    rows: list


def list_radiographs(folder):
    """Return the rows of the index files of all sources.

    Images whose patient may also be in Kermany's test set are left out.
    """
    rows = []
    for source in SOURCES:
        with open(Path(folder, source, "index.csv"), encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("number_also_in_test") != "1":
                    path = str(Path(folder, source, row["file"]))
                    rows.append(row | dict(source=source, path=path))
    return rows


def read_grey_squares(paths, side):
    """Read images as grey squares; return an array of shape (n_images, side, side), uint8."""
    pixels = np.empty((len(paths), side, side), np.uint8)
    for number, path in enumerate(paths):
        with Image.open(path) as image:
            pixels[number] = image.convert("L").resize((side, side), Image.Resampling.BILINEAR)
    return pixels


def shrink(pixels, side):
    """Return square images of shape (n_images, side, side), or ``pixels`` if they are not larger.

    A view of a much larger image would skip pixels, which no resized image does.
    """
    if pixels.shape[1] <= side:
        return pixels
    shape = (side, side)
    return np.stack(
        [
            np.asarray(Image.fromarray(image).resize(shape, Image.Resampling.BILINEAR))
            for image in pixels
        ]
    )


def draw_synthetic_radiographs(side):
    """Draw synthetic radiographs of all difficulties between 0.2 and 0.8, as squares.

    Returns
    -------
    Radiographs
    """
    parts, rows = [], []
    n_parts = N_SYNTHETIC // N_AT_ONCE
    for number in range(n_parts):
        X, y = make_chest_xrays(
            N_AT_ONCE,
            difficulty=0.2 + 0.6 * number / (n_parts - 1),
            image_size=side,
            random_state=FIRST_RANDOM_STATE + number,
        )
        parts.append(X)
        rows += [dict(source="synthetic", labels=str(label)) for label in y]
    return Radiographs(np.concatenate(parts), rows)
