"""Synthetic chest radiographs as a data set: classes, and planted faults."""

from __future__ import annotations

import io
import math

import numpy as np
from joblib import Parallel, delayed
from PIL import Image, ImageEnhance, ImageOps
from sklearn.utils import check_random_state

from ..validation import ArrayLike, check_real_number, check_whole_number
from .radiographs import draw_radiographs

_N_PATIENTS_AT_ONCE = 50  # so that their arrays stay in the cache of the processor


def make_chest_xrays(
    n_samples: int = 100,
    *,
    weights: ArrayLike | None = None,
    difficulty: float = 0.5,
    image_size: int = 128,
    leak: float = 0,
    marker: float = 0,
    return_masks: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, ...]:
    """Generate synthetic frontal chest radiographs of three classes.

    A thorax (soft tissue, lungs with vessels, heart and great vessels, spine, ribs, clavicles,
    diaphragm, stomach) is projected by the exponential law of attenuation. Anatomy, sex, age,
    exposure, position, rotation, collimation and noise vary, and do not depend on the class:

    - 0, healthy;
    - 1, type 1: bilateral, peripheral opacities of the lower zones, like ground glass, as in
      COVID-19;
    - 2, type 2: perihilar interstitial and patchy opacities, as in viral pneumonia.

    The images are a test problem with a known answer, not a model of any disease: the score of a
    classifier on them says nothing about patients.

    Parameters
    ----------
    n_samples : int, default=100
        Number of images.
    weights : array-like of shape (3,), default=None
        Proportions of the classes; ``None`` for equal ones. The counts are rounded, not drawn.
    difficulty : float, default=0.5
        How faint the opacities are, from 0 (all can be seen) to 1 (there are none).
    image_size : int, default=128
        Height and width in pixels, at least 32.
    leak : float, default=0
        Share of images that are altered copies, from 0 to below 1: a fault that
        :func:`lungestimators.audit_images` finds. The last ``round(leak * n_samples)`` rows become
        copies of the first rows, in order, with their labels. In turn the copies are rescaled (to
        half the size and back), compressed (JPEG, quality 50), mirrored (left and right) and
        stretched in contrast (by 1.3 around the mean). The other rows do not change.
    marker : float, default=0
        Share of the images of class 1 that show a bright letter, from 0 to 1: a fault as well. The
        letter is near the upper right corner and 7 % of the side high and wide, like the lead
        letter of a hospital. No image of another class shows it.
    return_masks : bool, default=False
        Whether to return where the lungs are, too.
    random_state : int, RandomState instance or None, default=None
        The same int gives the same images, equal to the bit on one machine.

    Returns
    -------
    X : ndarray of shape (n_samples, image_size, image_size), uint8
        Grey images; bright is dense.
    y : ndarray of shape (n_samples,), int
        The class of each image, in random order.
    masks : ndarray of shape (n_samples, image_size, image_size), bool
        Only with ``return_masks=True``: the lungs as radiologists outline them, hila included, and
        without what lies behind the heart or the diaphragm.

    Raises
    ------
    ValueError, TypeError
        A parameter has a wrong type or is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from lungestimators.datasets import make_chest_xrays
    >>> X, y = make_chest_xrays(12, image_size=64, random_state=0)
    >>> X.shape, X.dtype.name, np.bincount(y)
    ((12, 64, 64), 'uint8', array([4, 4, 4]))
    >>> X, y, masks = make_chest_xrays(12, image_size=64, return_masks=True, random_state=0)
    >>> masks.shape, masks.dtype.name
    ((12, 64, 64), 'bool')
    """
    check_whole_number("n_samples", n_samples, 1)
    counts = _count_synthetic_classes(n_samples, weights)
    check_real_number("difficulty", difficulty, lambda x: 0 <= x <= 1, "be between 0 and 1")
    check_whole_number("image_size", image_size, 32)
    check_real_number("leak", leak, lambda x: 0 <= x < 1, "be at least 0 and below 1")
    check_real_number("marker", marker, lambda x: 0 <= x <= 1, "be between 0 and 1")
    n_copies = round(leak * n_samples)
    if n_copies == n_samples:
        raise ValueError(f"leak={leak!r} leaves no image of {n_samples} to copy")
    random = np.random.default_rng(check_random_state(random_state).randint(2**31))
    y = random.permutation(np.repeat(np.arange(3), counts))
    chunks = np.array_split(y, -(-n_samples // _N_PATIENTS_AT_ONCE))
    # Each chunk has a generator of its own, so that the images do not depend on the threads.
    drawn = Parallel(n_jobs=-1, prefer="threads")(
        delayed(draw_radiographs)(chunk, difficulty, image_size, generator)
        for chunk, generator in zip(chunks, random.spawn(len(chunks)), strict=True)
    )
    X, masks = map(np.concatenate, zip(*drawn, strict=True))
    if marker:
        _plant_marker(X, y, marker, random.spawn(1)[0])
    if n_copies:
        _plant_copies(X, y, masks, n_copies)
    return (X, y, masks) if return_masks else (X, y)


def _count_synthetic_classes(n_samples, weights):
    """Return the number of images of each class; the largest remainders are rounded up."""
    weights = np.ones(3) if weights is None else np.asarray(weights, float)
    if weights.shape != (3,) or (weights < 0).any() or not weights.sum() > 0:
        raise ValueError(
            f"weights={weights.tolist()} must hold three proportions, none negative, not all zero"
        )
    share = weights / weights.sum() * n_samples
    counts = np.floor(share).astype(int)
    counts[np.argsort(counts - share, kind="stable")[: n_samples - counts.sum()]] += 1
    return counts


def _plant_marker(X, y, share, random):
    """Draw the letter L on a share of the images of class 1, in place."""
    image_size = X.shape[1]
    side = max(2, round(0.07 * image_size))
    stroke = math.ceil(side / 3)
    letter = np.zeros((side, side), np.uint8)
    letter[:, :stroke] = letter[side - stroke :] = 242
    rows = random.permutation(np.flatnonzero(y == 1))
    rows = rows[: round(share * len(rows))]
    tops = np.rint(random.uniform(0.03, 0.06, len(rows)) * image_size).astype(int)
    lefts = np.rint(random.uniform(0.87, 0.90, len(rows)) * image_size).astype(int)
    for row, top, left in zip(rows, tops, lefts, strict=True):
        place = X[row, top : top + side, left : left + side]
        np.maximum(place, letter, out=place)


def _plant_copies(X, y, masks, n_copies):
    """Replace the last images by altered copies of the first ones, in place."""
    n_originals = len(X) - n_copies
    for copy in range(n_copies):
        original = copy % n_originals
        alter = _ALTERATIONS[copy % len(_ALTERATIONS)]
        X[n_originals + copy] = alter(Image.fromarray(X[original]))
        y[n_originals + copy] = y[original]
        mask = masks[original]
        masks[n_originals + copy] = mask[:, ::-1] if alter is ImageOps.mirror else mask


def _rescale_planted_copy(image):
    """Shrink an image to half its size, and enlarge it again."""
    width, height = image.size
    half = image.resize((width // 2, height // 2), Image.Resampling.BILINEAR)
    return half.resize((width, height), Image.Resampling.BILINEAR)


def _compress_planted_copy(image):
    """Compress an image as JPEG of quality 50."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=50)
    return Image.open(file)


def _stretch_contrast_of_planted_copy(image):
    """Increase the contrast of an image by 1.3."""
    return ImageEnhance.Contrast(image).enhance(1.3)


_ALTERATIONS = (
    _rescale_planted_copy,
    _compress_planted_copy,
    ImageOps.mirror,
    _stretch_contrast_of_planted_copy,
)
