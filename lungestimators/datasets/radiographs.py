"""Synthetic radiographs: patients, their opacities, and the exposure of their thorax.

The anatomy is in ``thorax``.
"""

from types import SimpleNamespace

import numpy as np
from scipy import fft, special

from . import thorax

_DETECTOR = 40.0  # side of the image, cm
# Difficulty and strength of the opacities: a small CNN sees nearly all of them at 0.3, more than
# nine in ten at 0.5, and little more than the largest class at 0.8.
_STRENGTH = (0, 0.3, 0.5, 0.8, 1), (3.2, 1.8, 1.0, 0.44, 0)


def draw_radiographs(y, difficulty, image_size, random, spread=1.0, vary_shape=False):
    """Draw a radiograph of a new patient for each class label, and the outlines of its lungs.

    Parameters
    ----------
    y : ndarray of shape (n,), int
        0 healthy, 1 type 1, 2 type 2.
    difficulty : float
        From 0 (all opacities can be seen) to 1 (there are none).
    image_size : int
        Height and width in pixels.
    random : numpy.random.Generator
    spread : float, default=1.0
        Factor by which anatomy, position and exposure vary more than among adults whose image is
        taken upright and with care.
    vary_shape : bool, default=False
        Whether the shape of the lungs varies, too: the apex, the thickness towards the edges, the
        dome, and how much lung is seen through the diaphragm.

    Returns
    -------
    images : ndarray of shape (n, image_size, image_size), uint8
    masks : ndarray of shape (n, image_size, image_size), bool
        Where the lungs are, as ``thorax.outline_lungs`` has them, within the collimation.
    """
    n = len(y)
    p = _draw_patients_of_radiographs(n, random, spread)
    if vary_shape:
        _draw_shape_of_lungs(p, n, random)
    x, y_cm = _radiograph_coordinates(p, image_size)
    fields = RandomFields(n, image_size, random)
    lungs = thorax.trace_lungs(p, x, y_cm)
    opacity = _draw_opacity_of_radiograph(y, difficulty, p, lungs, x, y_cm, fields, random)
    mediastinum = thorax.trace_mediastinum(p, x, y_cm)
    path = thorax.attenuate_by_thorax(p, lungs, mediastinum, opacity, x, y_cm, fields, random)
    images = _expose_radiograph(path, p, fields, image_size, random)
    within = _within_collimation(p, image_size)
    images *= within
    return images, thorax.outline_lungs(lungs, mediastinum) & within


def _draw_patients_of_radiographs(n, random, spread_of_all):
    """Draw anatomy, position and exposure of n patients: arrays of shape (n, 1, 1) in cm.

    The shape of the lungs is the same for all: numbers, in :func:`_draw_shape_of_lungs` arrays.
    """

    def vary(mean, spread):
        """Draw normal numbers around ``mean``, at most 2.2 spreads away."""
        drawn = np.clip(random.standard_normal((n, 1, 1)), -2.2, 2.2)
        return (mean + spread_of_all * spread * drawn).astype("f4")

    def chance(probability):
        """Draw 1 with a probability, else 0."""
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
    p.round_apex = np.float32(0)  # by how many cm the apex lies further to the side
    p.roundness = np.float32(3.5)  # exponent of a cross-section of a lung: 2 for an ellipse
    p.medial_fall = np.float32(1)  # how far the dome falls off towards the midline; a factor
    p.at_dome = np.float32(0.45)  # thickness of a lung at the dome, as a share of its largest
    p.recess = p.recess_depth = None  # no lung is seen through the diaphragm
    return p


def _draw_shape_of_lungs(p, n, random):
    """Draw the shape of the lungs of n patients, in place: arrays of shape (n, 1, 1)."""

    def between(low, high):
        return random.uniform(low, high, (n, 1, 1)).astype("f4")

    p.round_apex = between(0, 3)
    p.medial_fall = between(0, 1)
    p.roundness = between(1.8, 3.5)
    p.at_dome = between(0.45, 1)
    # Lung behind the dome: a factor on the thickness at the dome, and how deep it reaches in cm.
    p.recess = p.at_dome * between(0, 0.7)
    p.recess_depth = between(1, 6)


def _radiograph_coordinates(p, image_size):
    """Return the coordinates x and y of every pixel in the frame of its patient, in cm."""
    side = (np.arange(image_size, dtype="f4") + 0.5) / image_size - 0.5
    u, v = side[None, None, :] * _DETECTOR * p.zoom, side[None, :, None] * _DETECTOR * p.zoom
    u = u * p.aspect
    x = np.cos(p.turn) * u + np.sin(p.turn) * v - p.shift_x
    y = np.cos(p.turn) * v - np.sin(p.turn) * u - p.shift_y + 0.5 * p.height + 0.7
    return x.astype("f4"), y.astype("f4")


class RandomFields:
    """Smooth random fields and blur, by filters in the frequency domain.

    Parameters
    ----------
    n : int
        Number of images.
    image_size : int
        Height and width in pixels.
    random : numpy.random.Generator

    Attributes
    ----------
    pixel : float
        Side of a pixel in cm.
    """

    def __init__(self, n, image_size, random):
        self._shape = (n, image_size, image_size)
        self._random = random
        self.pixel = _DETECTOR / image_size
        fx = fft.rfftfreq(image_size, self.pixel)[None, None, :]
        fy = fft.fftfreq(image_size, self.pixel)[None, :, None]
        self._square = (fx**2 + fy**2).astype("f4")

    def blur(self, field, sigma):
        """Blur images by a Gaussian of ``sigma`` cm."""
        spectrum = fft.rfft2(field)
        spectrum *= np.exp(-2 * np.pi**2 * self._square * np.square(sigma, dtype="f4"))
        return fft.irfft2(spectrum, s=self._shape[1:])

    def field(self, sigma, finer=None):
        """Draw Gaussian random fields of unit variance with details of ``sigma`` cm or more.

        With ``finer``, without details of more than ``finer`` cm.
        """
        white = self._random.standard_normal(self._shape, dtype="f4")
        transfer = np.exp(-2 * np.pi**2 * self._square * sigma**2)
        if finer is not None:
            transfer = transfer - np.exp(-2 * np.pi**2 * self._square * finer**2)
        spectrum = fft.rfft2(white) * transfer
        out = fft.irfft2(spectrum, s=self._shape[1:])
        return out / out.std(axis=(1, 2), keepdims=True)


def _draw_opacity_of_radiograph(y, difficulty, p, lungs, x, y_cm, fields, random):
    """Draw the share of the lung's air that fluid replaces, for each pixel."""
    n = len(y)
    kind = y[:, None, None]
    strength = np.exp(0.2 * np.clip(random.standard_normal((n, 1, 1)), -2, 2))
    strength = (np.interp(difficulty, *_STRENGTH) * strength).astype("f4")
    one_side = random.uniform(0.7, 1.0, (n, 1, 1)).astype("f4")
    favoured = random.random((n, 1, 1)) < 0.5
    asymmetry = np.where(lungs.left == favoured, 1, one_side)

    soft = special.expit(3.5 * fields.field(0.9, finer=2.5))
    peripheral = special.expit(5 * (lungs.across + 0.05)) * special.expit(12 * (lungs.down - 0.42))
    type_1 = peripheral * soft

    net = np.abs(fields.field(0.28, finer=0.6))
    spots = np.maximum(fields.field(0.5, finer=1.5), 0)
    hilum = np.hypot(np.abs(x) - 0.26 * p.width, (y_cm - 0.46 * p.height) * 0.75)
    perihilar = np.exp(-((hilum / (0.45 * p.width)) ** 2))
    type_2 = perihilar * (0.5 * net + 0.6 * spots)

    drawn = np.where(kind == 1, 1.2 * type_1, np.where(kind == 2, 0.9 * type_2, 0))
    # No lung is evenly clear. Hazes lie over the same zones in all classes, so that the class shows
    # in the pattern and not in the brightness of a region.
    low, high = random.uniform(0, 0.4, (2, n, 1, 1)).astype("f4")
    haze = low * peripheral + high * perihilar
    shade = 0.15 * p.texture * np.maximum(fields.field(3.5), 0)
    clutter = 0.03 * p.texture * np.maximum(fields.field(1.2), 0)
    disease = 0.7 * -np.expm1(-strength * asymmetry * drawn)
    return np.minimum(disease + haze + shade + clutter, 0.9)


def _expose_radiograph(path, p, fields, image_size, random):
    """Turn attenuation into grey values: photons, scatter, detector and display."""
    primary = np.exp(-path)
    scattered = fields.blur(np.minimum(primary, 0.25), 2.5)
    intensity = (1 - p.scatter) * primary + p.scatter * np.maximum(scattered, 0)
    quanta = random.standard_normal(path.shape, dtype="f4") * np.sqrt(
        intensity / p.dose / fields.pixel
    )
    intensity = fields.blur(intensity + quanta, p.blur)
    grey = (-np.log(np.maximum(intensity, 1e-4)) - p.low) / (p.high - p.low)
    # Detectors sharpen and flatten images: fine detail gains contrast, large shades lose it.
    grey = grey + 0.55 * (grey - fields.blur(grey, 0.7)) - p.flatten * fields.blur(grey - 0.5, 5.0)
    grey = np.clip(grey, 0, 1) ** p.gamma
    _draw_letter_r_on_radiograph(grey, p, image_size, random)
    return np.rint(255 * grey).astype(np.uint8)


def _within_collimation(p, image_size):
    """Return which pixels the collimators leave free."""
    margin = np.rint(p.collimation / _DETECTOR * image_size)
    edge = np.minimum(np.arange(image_size), np.arange(image_size)[::-1])
    return np.minimum(edge[None, None, :], edge[None, :, None]) >= margin


_LETTER_R = np.array(
    [[1, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 0], [1, 0, 1, 0], [1, 0, 0, 1]], "f4"
)


def _draw_letter_r_on_radiograph(grey, p, image_size, random):
    """Draw the letter R at the right shoulder of some patients of every class, in place."""
    scale = max(1, round(image_size / 128))
    letter = np.kron(_LETTER_R, np.ones((scale, scale), "f4"))
    rows = random.integers(0.03 * image_size, 0.25 * image_size, len(grey))
    columns = random.integers(0.03 * image_size, 0.12 * image_size, len(grey))
    for image, row, column, marked in zip(grey, rows, columns, p.marker.ravel(), strict=True):
        if marked:
            place = image[row : row + letter.shape[0], column : column + letter.shape[1]]
            np.maximum(place, 0.95 * letter, out=place)
