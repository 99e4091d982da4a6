"""Which pictures without lungs LungFields refuses, and which radiographs."""

import warnings

import numpy as np
from pretraining.lung_negatives import draw_other_pictures

from lungestimators import LungFields

SEED = 77  # the network was learnt with pictures of another seed
SIDE = 256
_PHOTOGRAPHS = ("astronaut", "brick", "camera", "cat", "coffee", "coins", "grass", "gravel")


def refused(X):
    """Return which of some images LungFields refuses, as an array of bool."""
    lungs = LungFields("boxes", on_missing="warn", feature_cache=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        lungs.fit(X)
    return lungs.scores_ < 0.5


def refusals_of_pictures(radiographs, n_images):
    """Return what share of each kind of picture is refused.

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
    found = []
    drawn = draw_other_pictures(7 * n_images, SIDE, SEED)
    kinds = ("bones of hands and limbs", "lateral views", "heads", "smooth fields", "noise")
    kinds += ("shapes", "stripes and plain surfaces")
    for number, kind in enumerate(kinds):
        found.append((f"drawn: {kind}", drawn[number::7]))
    some = radiographs[:n_images]
    found.append(("radiographs upside down", some[:, ::-1]))
    found.append(("radiographs on their side", np.rot90(some, axes=(1, 2))))
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
        parts = [grey[:side, :side]]
        half = side // 2
        parts += [grey[y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
        squares += [transform.resize(part, (SIDE, SIDE), anti_aliasing=True) for part in parts]
    return np.rint(255 * np.stack(squares)).astype(np.uint8)
