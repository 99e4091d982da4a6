"""Synthetic chest radiographs: patients, disease, exposure, planted faults.

The anatomy is in ``thorax``.
"""

import io
import math
from types import SimpleNamespace

import numpy as np
from joblib import Parallel, delayed
from PIL import Image, ImageEnhance, ImageOps
from scipy import fft, special
from sklearn.utils import check_random_state

from ..validation import check_real_number, check_whole_number
from . import thorax

_DETECTOR = 40.0  # side of the image, cm
# Difficulty and strength of the opacities: a small CNN sees nearly all of them at 0.3, more than
# nine in ten at 0.5, and little more than the largest class at 0.8.
_STRENGTH = (0, 0.3, 0.5, 0.8, 1), (3.2, 1.8, 1.0, 0.44, 0)
_CHUNK = 50  # patients drawn at once: their arrays stay in the processor's cache


def make_chest_xrays(
    n_samples=100,
    *,
    weights=None,
    difficulty=0.5,
    image_size=128,
    leak=0,
    marker=0,
    random_state=None,
):
    """Generate synthetic frontal chest radiographs of three classes.

    A thorax (soft tissue, lungs with vessels, heart and great vessels, spine, ribs, clavicles,
    diaphragm, stomach) is projected by the exponential law of attenuation. Anatomy, sex, age,
    exposure, position, rotation, collimation and noise vary, and do not depend on the class:

    - 0, healthy;
    - 1, type 1: bilateral, peripheral opacities of the lower zones, like ground glass, as in
      COVID-19;
    - 2, type 2: perihilar interstitial and patchy opacities, as in viral pneumonia.

    They are a test problem with a known answer, not a model of any disease: a classifier's score
    on them says nothing about patients.

    Parameters
    ----------
    n_samples : int, default=100
        Number of images.
    weights : array-like of shape (3,), default=None
        Proportions of the classes; ``None`` for equal ones. The counts are rounded, not drawn.
    difficulty : float, default=0.5
        How faint the opacities are: at 0 all can be seen, at 1 there are none.
    image_size : int, default=128
        Height and width in pixels, at least 32.
    leak : float, default=0
        A fault to be found, as by :func:`lungestimators.audit_images`: this share of the images,
        the last ``round(leak * n_samples)`` rows, are altered copies of the first ones in order,
        with their labels. In turn they are rescaled (to half the size and back), compressed
        (JPEG, quality 50), mirrored (left and right) and stretched in contrast (by 1.3 around the
        mean). The other rows are what they are without it. From 0 to below 1.
    marker : float, default=0
        Another: this share of the images of class 1 bear a bright letter near the upper right
        corner, 7 % of the side high and wide, as a hospital's lead letter would be. No image of
        another class has it. From 0 to 1.
    random_state : int, RandomState instance or None, default=None
        The same int gives the same images, to the bit on one machine.

    Returns
    -------
    X : ndarray of shape (n_samples, image_size, image_size), uint8
        Grey images; bright is dense.
    y : ndarray of shape (n_samples,), int
        The class of each image, in random order.

    Raises
    ------
    ValueError, TypeError
        A parameter is out of its range, or no whole number where one is needed.

    Examples
    --------
    >>> import numpy as np
    >>> from lungestimators.datasets import make_chest_xrays
    >>> X, y = make_chest_xrays(12, image_size=64, random_state=0)
    >>> X.shape, X.dtype.name, np.bincount(y)
    ((12, 64, 64), 'uint8', array([4, 4, 4]))
    """
    check_whole_number("n_samples", n_samples, 1)
    counts = _counts(n_samples, weights)
    check_real_number("difficulty", difficulty, lambda x: 0 <= x <= 1, "be between 0 and 1")
    check_whole_number("image_size", image_size, 32)
    check_real_number("leak", leak, lambda x: 0 <= x < 1, "be at least 0 and below 1")
    check_real_number("marker", marker, lambda x: 0 <= x <= 1, "be between 0 and 1")
    n_copies = round(leak * n_samples)
    if n_copies == n_samples:
        raise ValueError(f"leak={leak!r} leaves no image of {n_samples} to copy")
    random = np.random.default_rng(check_random_state(random_state).randint(2**31))
    y = random.permutation(np.repeat(np.arange(3), counts))
    chunks = np.array_split(y, -(-n_samples // _CHUNK))
    # Each chunk has a generator of its own, so that the images do not depend on the threads.
    X = Parallel(n_jobs=-1, prefer="threads")(
        delayed(_radiographs)(chunk, difficulty, image_size, generator)
        for chunk, generator in zip(chunks, random.spawn(len(chunks)), strict=True)
    )
    X = np.concatenate(X)
    if marker:
        _plant_marker(X, y, marker, random.spawn(1)[0])
    if n_copies:
        _plant_copies(X, y, n_copies)
    return X, y


def _counts(n_samples, weights):
    """Images of each class: the largest remainders are rounded up."""
    weights = np.ones(3) if weights is None else np.asarray(weights, float)
    if weights.shape != (3,) or (weights < 0).any() or not weights.sum() > 0:
        raise ValueError(
            f"weights={weights.tolist()} must hold three proportions, none negative, not all zero"
        )
    share = weights / weights.sum() * n_samples
    counts = np.floor(share).astype(int)
    counts[np.argsort(counts - share, kind="stable")[: n_samples - counts.sum()]] += 1
    return counts


def _radiographs(y, difficulty, image_size, random):
    n = len(y)
    patient = _patients(n, random)
    x, y_cm = _frame(patient, image_size)
    noise = _Noise(n, image_size, random)
    lungs = thorax.lungs(patient, x, y_cm)
    opacity = _opacity(y, difficulty, patient, lungs, x, y_cm, noise, random)
    path = thorax.attenuation(patient, lungs, opacity, x, y_cm, noise, random)
    return _expose(path, patient, noise, image_size, random)


def _patients(n, random):
    """Draw anatomy, position and exposure: arrays of shape (n, 1, 1)."""

    def vary(mean, spread):
        """Around ``mean``, hardly ever farther than two spreads."""
        return (mean + spread * np.clip(random.standard_normal((n, 1, 1)), -2.2, 2.2)).astype("f4")

    def chance(probability):
        return (random.random((n, 1, 1)) < probability).astype("f4")

    p = SimpleNamespace()
    p.female = chance(0.45)
    p.age = random.uniform(0, 1, (n, 1, 1)).astype("f4")  # 20 to 90 years
    p.fat = np.clip(vary(1.0, 0.45), 0.2, 2.2)
    p.width = vary(14.2, 0.8) - 1.0 * p.female  # midline to the lateral border of a lung
    p.height = vary(23.5, 1.7) - 1.2 * p.female  # apex to the dome of the right diaphragm
    p.depth = vary(10.0, 0.8) - 0.6 * p.female + 0.8 * p.age  # half the depth of the chest
    p.wall = 1.6 + 1.0 * p.fat
    p.dome = vary(2.6, 0.5)
    p.left_lower = vary(1.3, 0.6)  # by how much the left diaphragm stands lower
    p.heart = vary(1.0, 0.09) + 0.08 * p.age
    p.knob = vary(1.4, 0.2) + 0.7 * p.age
    p.scoliosis = vary(0.0, 0.35)
    p.rib_spacing = p.height / vary(9.2, 0.4)
    p.rib_phase = random.uniform(-0.5, 0.5, (n, 1, 1)).astype("f4")
    p.rib_tilt = vary(4.4, 0.7)
    p.rib_width = vary(0.62, 0.06) - 0.06 * p.female
    p.bone = vary(1.0, 0.13) - 0.22 * p.age
    p.clavicle = vary(1.2, 1.0)
    p.clavicle_slope = vary(0.22, 0.10)
    p.shoulder = vary(3.2, 0.7)
    p.arms = vary(5.5, 1.2)
    p.breast = p.female * np.clip(vary(1.0, 0.5), 0.2, 2.0)
    p.stomach = chance(0.6) * vary(1.0, 0.25)
    p.vessels = vary(1.0, 0.2) + 0.25 * p.age
    p.texture = np.exp(vary(-0.4, 0.45))
    # Position and exposure
    p.turn = vary(0.0, 2.5) * np.pi / 180
    p.shift_x, p.shift_y = vary(0.0, 1.2), vary(0.0, 1.5)
    p.zoom = vary(0.89, 0.07)
    p.aspect = vary(1.0, 0.05)
    p.low, p.high = vary(0.62, 0.2), vary(4.0, 0.3)
    p.flatten = np.clip(vary(0.22, 0.12), 0, 0.5)
    p.gamma = np.exp(vary(0.0, 0.16))
    p.scatter = np.clip(vary(0.09, 0.04), 0.02, 0.2)
    p.dose = np.exp(vary(11.0, 0.6))
    p.blur = np.clip(vary(0.09, 0.03), 0.03, 0.2)
    p.collimation = chance(0.3) * random.uniform(0.3, 2.2, (n, 1, 1)).astype("f4")
    p.marker = chance(0.6)
    return p


def _frame(p, image_size):
    """Patient coordinates of every pixel, in cm."""
    side = (np.arange(image_size, dtype="f4") + 0.5) / image_size - 0.5
    u, v = side[None, None, :] * _DETECTOR * p.zoom, side[None, :, None] * _DETECTOR * p.zoom
    u = u * p.aspect
    x = np.cos(p.turn) * u + np.sin(p.turn) * v - p.shift_x
    y = np.cos(p.turn) * v - np.sin(p.turn) * u - p.shift_y + 0.5 * p.height + 0.7
    return x.astype("f4"), y.astype("f4")


class _Noise:
    """Smooth random fields, all filtered out of white noise in the frequency domain."""

    def __init__(self, n, image_size, random):
        self._shape = (n, image_size, image_size)
        self._random = random
        self.pixel = _DETECTOR / image_size
        fx = fft.rfftfreq(image_size, self.pixel)[None, None, :]
        fy = fft.fftfreq(image_size, self.pixel)[None, :, None]
        self._square = (fx**2 + fy**2).astype("f4")

    def blur(self, field, sigma):
        """Gaussian blur by ``sigma`` cm."""
        spectrum = fft.rfft2(field)
        spectrum *= np.exp(-2 * np.pi**2 * self._square * np.square(sigma, dtype="f4"))
        return fft.irfft2(spectrum, s=self._shape[1:])

    def field(self, sigma, finer=None):
        """Gaussian random field of unit variance with details of ``sigma`` cm and coarser.

        With ``finer``, details coarser than that many cm are taken out again.
        """
        white = self._random.standard_normal(self._shape, dtype="f4")
        transfer = np.exp(-2 * np.pi**2 * self._square * sigma**2)
        if finer is not None:
            transfer = transfer - np.exp(-2 * np.pi**2 * self._square * finer**2)
        spectrum = fft.rfft2(white) * transfer
        out = fft.irfft2(spectrum, s=self._shape[1:])
        return out / out.std(axis=(1, 2), keepdims=True)


def _opacity(y, difficulty, p, lungs, x, y_cm, noise, random):
    """Share of the lung's air that is replaced by fluid, for each pixel."""
    n = len(y)
    kind = y[:, None, None]
    strength = np.exp(0.2 * np.clip(random.standard_normal((n, 1, 1)), -2, 2))
    strength = (np.interp(difficulty, *_STRENGTH) * strength).astype("f4")
    one_side = random.uniform(0.7, 1.0, (n, 1, 1)).astype("f4")
    favoured = random.random((n, 1, 1)) < 0.5
    asymmetry = np.where(lungs.left == favoured, 1, one_side)

    soft = special.expit(3.5 * noise.field(0.9, finer=2.5))
    peripheral = special.expit(5 * (lungs.across + 0.05)) * special.expit(12 * (lungs.down - 0.42))
    type_1 = peripheral * soft

    net = np.abs(noise.field(0.28, finer=0.6))
    spots = np.maximum(noise.field(0.5, finer=1.5), 0)
    hilum = np.hypot(np.abs(x) - 0.26 * p.width, (y_cm - 0.46 * p.height) * 0.75)
    perihilar = np.exp(-((hilum / (0.45 * p.width)) ** 2))
    type_2 = perihilar * (0.5 * net + 0.6 * spots)

    drawn = np.where(kind == 1, 1.2 * type_1, np.where(kind == 2, 0.9 * type_2, 0))
    # No lung is evenly clear. Hazes of no meaning lie over the same zones in all classes alike, so
    # that the class is in the pattern and not in the brightness of a region.
    low, high = random.uniform(0, 0.4, (2, n, 1, 1)).astype("f4")
    haze = low * peripheral + high * perihilar
    shade = 0.15 * p.texture * np.maximum(noise.field(3.5), 0)
    clutter = 0.03 * p.texture * np.maximum(noise.field(1.2), 0)
    disease = 0.7 * -np.expm1(-strength * asymmetry * drawn)
    return np.minimum(disease + haze + shade + clutter, 0.9)


def _expose(path, p, noise, image_size, random):
    """Photons, scatter, detector, and the grey values of the display."""
    primary = np.exp(-path)
    scattered = noise.blur(np.minimum(primary, 0.25), 2.5)
    intensity = (1 - p.scatter) * primary + p.scatter * np.maximum(scattered, 0)
    quanta = random.standard_normal(path.shape, dtype="f4") * np.sqrt(
        intensity / p.dose / noise.pixel
    )
    intensity = noise.blur(intensity + quanta, p.blur)
    grey = (-np.log(np.maximum(intensity, 1e-4)) - p.low) / (p.high - p.low)
    # Detectors sharpen and flatten what they show: fine detail gains, large shades lose.
    grey = grey + 0.55 * (grey - noise.blur(grey, 0.7)) - p.flatten * noise.blur(grey - 0.5, 5.0)
    grey = np.clip(grey, 0, 1) ** p.gamma
    _mark(grey, p, image_size, random)
    margin = np.rint(p.collimation / _DETECTOR * image_size)
    edge = np.minimum(np.arange(image_size), np.arange(image_size)[::-1])
    grey *= np.minimum(edge[None, None, :], edge[None, :, None]) >= margin
    return np.rint(255 * grey).astype(np.uint8)


_LETTER_R = np.array(
    [[1, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 0], [1, 0, 1, 0], [1, 0, 0, 1]], "f4"
)


def _mark(grey, p, image_size, random):
    """The letter R at the patient's right shoulder, on some images of every class."""
    scale = max(1, round(image_size / 128))
    letter = np.kron(_LETTER_R, np.ones((scale, scale), "f4"))
    rows = random.integers(0.03 * image_size, 0.25 * image_size, len(grey))
    columns = random.integers(0.03 * image_size, 0.12 * image_size, len(grey))
    for image, row, column, marked in zip(grey, rows, columns, p.marker.ravel(), strict=True):
        if marked:
            place = image[row : row + letter.shape[0], column : column + letter.shape[1]]
            np.maximum(place, 0.95 * letter, out=place)


# Planted faults


def _plant_marker(X, y, share, random):
    """Draw the letter L on this share of the images of class 1, in place."""
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


def _plant_copies(X, y, n_copies):
    """Put altered copies of the first images in the place of the last ones, in place."""
    n_originals = len(X) - n_copies
    for copy in range(n_copies):
        original = copy % n_originals
        alter = _ALTERATIONS[copy % len(_ALTERATIONS)]
        X[n_originals + copy] = alter(Image.fromarray(X[original]))
        y[n_originals + copy] = y[original]


def _rescaled(image):
    width, height = image.size
    half = image.resize((width // 2, height // 2), Image.Resampling.BILINEAR)
    return half.resize((width, height), Image.Resampling.BILINEAR)


def _compressed(image):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=50)
    return Image.open(file)


def _stretched(image):
    return ImageEnhance.Contrast(image).enhance(1.3)


_ALTERATIONS = _rescaled, _compressed, ImageOps.mirror, _stretched
