"""Which pictures without lungs LungFields refuses, and which radiographs."""

import warnings

import numpy as np
from pretraining.other_pictures import KINDS, draw_other_pictures

from lungestimators import LungFields

SEED = 77  # the network was learnt with pictures of another seed
SIDE = 256
_PHOTOGRAPHS = ("astronaut", "brick", "camera", "cat", "coffee", "coins", "grass", "gravel")


def refused(X):
    """Return which of some images LungFields refuses, as an array of bool."""
    lungs = LungFields("masks", on_missing="warn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        masks = lungs.fit_transform(X)
    return np.array([not mask.any() for mask in masks])


def refusals_of_pictures(radiographs, n_images):
    """Count the pictures of each kind that are refused.

    Parameters
    ----------
    radiographs : ndarray of shape (n, side, side), uint8
        To be turned.
    n_images : int
        Of each kind that can be drawn.

    Returns
    -------
    list of (str, int, int)
        Kind, number of pictures, and how many of them were refused.
    """
    drawn = draw_other_pictures(len(KINDS) * n_images, SIDE, SEED)
    found = [(f"drawn: {kind}", drawn[k :: len(KINDS)]) for k, kind in enumerate(KINDS)]
    some = radiographs[:n_images]
    found.append(("synthetic radiographs upside down", some[:, ::-1]))
    found.append(("synthetic radiographs on their side", np.rot90(some, axes=(1, 2))))
    photographs = load_photographs()
    if photographs is not None:
        found.append(("photographs, and parts of them", photographs))
    return [(kind, len(X), int(refused(X).sum())) for kind, X in found]


def load_photographs():
    """Return photographs that scikit-image brings, and squares cut from them; None without it."""
    try:
        from skimage import color, data, transform
    except ImportError:
        return None
    squares = []
    for name in _PHOTOGRAPHS:
        image = getattr(data, name)()
        grey = color.rgb2gray(image) if image.ndim == 3 else image / 255
        side = min(grey.shape)
        half = side // 2
        parts = [grey[:side, :side]]
        parts += [grey[y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
        squares += [transform.resize(part, (SIDE, SIDE), anti_aliasing=True) for part in parts]
    return np.rint(255 * np.stack(squares)).astype(np.uint8)
