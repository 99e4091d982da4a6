"""Synthetic sets in which something else than the lung tells the classes apart."""

import numpy as np

from lungestimators import make_chest_xrays

IMAGE_SIZE = 224
CLASSES = ("healthy", "type 1", "type 2")


def planted_set(fault, n_images, seed):
    """Draw a set without any visible disease, in which a fault tells class 1 from the others.

    Whatever is above chance on it is the fault.

    Parameters
    ----------
    fault : {"marker", "border", "collimation", "exposure", "none"}
    n_images : int
    seed : int

    Returns
    -------
    X : ndarray of shape (n_images, IMAGE_SIZE, IMAGE_SIZE), uint8
    y : ndarray of shape (n_images,), int
    """
    X, y = make_chest_xrays(
        n_images,
        difficulty=1,
        image_size=IMAGE_SIZE,
        marker=float(fault == "marker"),
        random_state=seed,
    )
    if fault in _ALTERATIONS:
        random = np.random.default_rng(seed)
        for row in np.flatnonzero(y == 1):
            X[row] = _ALTERATIONS[fault](X[row], random)
    return X, y


def bright_border(image, random):
    """Return an image with a grey frame, of 2 to 5 % of its side."""
    return _frame(image, random.uniform(0.02, 0.05), 90)


def narrow_collimation(image, random):
    """Return an image whose outer 4 to 8 % on each side are black."""
    return _frame(image, random.uniform(0.04, 0.08), 0)


def harder_exposure(image, random):
    """Return an image that is darker, as of another tube voltage."""
    return np.rint(255 * (image / 255) ** random.uniform(1.4, 1.7)).astype(np.uint8)


def _frame(image, share, value):
    """Return a copy of an image with a frame of one value."""
    width = round(share * len(image))
    framed = np.full_like(image, value)
    framed[width:-width, width:-width] = image[width:-width, width:-width]
    return framed


_ALTERATIONS = dict(border=bright_border, collimation=narrow_collimation, exposure=harder_exposure)
