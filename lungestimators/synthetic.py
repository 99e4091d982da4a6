"""Synthetic chest radiographs: a thorax of simple solids, projected as X-rays attenuate.

Lengths are centimetres in the patient's frame: ``x`` to the right of the image (the patient's
left), ``y`` downwards from the apex of the lungs. Every anatomical length is an array of shape
(n, 1, 1), so that one expression draws n patients.
"""

from types import SimpleNamespace

import numpy as np
from scipy import fft, special
from sklearn.utils import check_random_state

# Attenuation of soft tissue, aerated lung and bone at about 70 keV, per centimetre.
_SOFT, _LUNG, _BONE = 0.19, 0.045, 0.62
_DETECTOR = 40.0  # side of the image, cm
_CHUNK = 50  # patients drawn at once: their arrays stay in the processor's cache


def make_chest_xrays(
    n_samples=100, *, weights=None, difficulty=0.5, image_size=128, random_state=None
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
    random_state : int, RandomState instance or None, default=None
        The same int gives the same images, to the bit.

    Returns
    -------
    X : ndarray of shape (n_samples, image_size, image_size), uint8
        Grey images; bright is dense.
    y : ndarray of shape (n_samples,), int
        The class of each image, in random order.

    Raises
    ------
    ValueError
        A parameter is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from lungestimators.datasets import make_chest_xrays
    >>> X, y = make_chest_xrays(12, image_size=64, random_state=0)
    >>> X.shape, X.dtype.name, np.bincount(y)
    ((12, 64, 64), 'uint8', array([4, 4, 4]))
    """
    counts = _counts(n_samples, weights)
    if not 0 <= difficulty <= 1:
        raise ValueError(f"difficulty={difficulty!r} must be between 0 and 1")
    if image_size < 32:
        raise ValueError(f"image_size={image_size!r} must be at least 32 pixels")
    random = np.random.default_rng(check_random_state(random_state).randint(2**31))
    y = random.permutation(np.repeat(np.arange(3), counts))
    X = np.empty((n_samples, image_size, image_size), np.uint8)
    for start in range(0, n_samples, _CHUNK):
        rows = slice(start, start + _CHUNK)
        X[rows] = _radiographs(y[rows], difficulty, image_size, random)
    return X, y


def _counts(n_samples, weights):
    """Images of each class: the largest remainders are rounded up."""
    if n_samples < 1:
        raise ValueError(f"n_samples={n_samples!r} must be at least 1")
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
    lungs = _lungs(patient, x, y_cm)
    opacity = _opacity(y, difficulty, patient, lungs, x, y_cm, noise, random)
    path = _attenuation(patient, lungs, opacity, x, y_cm, noise, random)
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
        out = fft.irfft2(fft.rfft2(white) * transfer, s=self._shape[1:])
        return out / out.std(axis=(1, 2), keepdims=True)


def _edge(distance, softness):
    """1 inside (positive distance in cm), 0 outside, with a soft edge."""
    return np.clip(distance / softness + 0.5, 0, 1)


def _solid(*normalised):
    """Path through an ellipsoid of unit half depth, given coordinates in units of its half axes."""
    square = normalised[0] ** 2
    for coordinate in normalised[1:]:
        square = square + coordinate**2
    return np.sqrt(np.maximum(1 - square, 0))


def _lungs(p, x, y):
    """Path through aerated lung, and where in the lung a pixel is."""
    left = x > 0
    side = np.abs(x)
    floor = p.height + left * p.left_lower
    middle = 0.56 * p.width
    # A dome; towards the side it falls off into the costophrenic angle.
    reach = (side - middle) / p.width
    floor = floor + p.dome * (4.2 * reach**2 + np.where(reach > 0, 9.0, 2.0) * np.abs(reach) ** 3)
    down = np.clip(y / p.height, 0, 1.4)
    lateral = p.width * np.sqrt(np.maximum(1 - np.maximum(1 - down / 0.92, 0) ** 1.9, 0))
    medial = 1.7 + 1.0 * np.exp(-(((down - 0.45) / 0.2) ** 2)) + 1.2 * np.maximum(0.25 - down, 0)
    half = np.maximum((lateral - medial) / 2, 0.05)
    across = (side - medial - half) / half  # -1 at the mediastinum, 1 at the ribs
    inside = np.minimum(1 - np.abs(across), 1) * half
    mask = _edge(inside, 0.25) * _edge(floor - y, 0.35) * (y > 0)
    thickness = np.sqrt(np.maximum(1 - np.minimum(np.abs(across), 1) ** 3.5, 0))
    # The lung thins towards the apex and ends behind the dome in a wedge.
    thickness *= np.sqrt(np.clip(y / (0.30 * p.height), 0, 1)) * 0.35 + 0.65
    thickness *= 0.45 + 0.55 * np.clip((floor - y) / 3.0, 0, 1)
    return SimpleNamespace(
        path=1.62 * p.depth * thickness * mask,
        mask=mask,
        across=across,
        down=down,
        floor=floor,
        left=left,
    )


def _opacity(y, difficulty, p, lungs, x, y_cm, noise, random):
    """Share of the lung's air that is replaced by fluid, for each pixel."""
    n = len(y)
    kind = y[:, None, None]
    strength = np.exp(0.2 * np.clip(random.standard_normal((n, 1, 1)), -2, 2))
    strength = (3.0 * (1 - difficulty) * strength).astype("f4")
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
    low, high = random.uniform(0, 0.4, (2, n, 1, 1))
    haze = low * peripheral + high * perihilar
    shade = 0.15 * p.texture * np.maximum(noise.field(3.5), 0)
    clutter = 0.03 * p.texture * np.maximum(noise.field(1.2), 0)
    disease = 0.7 * -np.expm1(-strength * asymmetry * drawn)
    return np.minimum(disease + haze + shade + clutter, 0.9)


def _attenuation(p, lungs, opacity, x, y, noise, random):
    """Line integral of attenuation for each pixel."""
    side = np.abs(x)
    body = _body(p, side, y)
    mediastinum = _heart_and_great_vessels(p, x, y)
    air = np.maximum(lungs.path - mediastinum, 0.10 * lungs.path)
    air = air * (1 - opacity)
    path = _SOFT * body - (_SOFT - _LUNG) * np.minimum(air, body)
    path += _SOFT * _vessels(p, noise, random, x, y) * lungs.mask
    trachea = _edge(0.85 - np.abs(x - 0.25 * p.scoliosis), 0.5) * _edge(0.24 * p.height - y, 0.8)
    path -= _SOFT * 1.5 * trachea * (body > 0)
    gas = _solid((x - 0.42 * p.width) / 3.4, (y - lungs.floor - 2.4) / 1.9)
    path -= _SOFT * 6.0 * p.stomach * gas * _edge(y - lungs.floor, 0.4)
    bowel = np.maximum(noise.field(0.9), 0) * _edge(y - lungs.floor - 2, 2.0)
    path -= _SOFT * 0.8 * bowel * (body > 0)
    path += _BONE * p.bone * _bones(p, lungs, x, y)
    return np.maximum(path, 0)


def _body(p, side, y):
    """Path through the soft tissue of trunk, neck, shoulders, arms and breasts."""
    half_width = p.width + p.wall + 0.03 * (y - 0.5 * p.height)
    trunk = np.sqrt(_solid(side / half_width)) * (1 + 0.12 * np.clip((y - p.height) / 6, 0, 1))
    # The trapezius falls from the neck to the shoulder; what lies under it thickens slowly.
    roof = 0.30 * (side - 4.5) - p.shoulder - 2.5 * np.exp(-np.square(side / 6.5))
    under = np.maximum(y - roof, 0)
    trunk = 1.85 * p.depth * trunk * (1 - 0.62 * np.exp(-under / 4.5)) * _edge(y - roof, 0.6)
    neck = 2 * 4.6 * _solid(side / (5.2 + 0.05 * np.clip(-y, 0, 9) ** 1.2)) * _edge(3 - y, 6)
    axis = p.width + p.wall + 2.6 + 0.085 * p.arms * np.maximum(y, 0)
    upper_arm = 7.5 * _solid((side - axis) / 4.0) * _edge(y - 0.5, 3.0)
    shoulder = 7.0 * _solid((side - p.width - 1.0) / 6.5, (y - 3.5) / 6.0) * _edge(y - roof, 0.6)
    breast = 2.6 * p.breast * _solid((side - 7.6) / 6.0, (y - 0.75 * p.height) / 5.0)
    return np.maximum(np.maximum(trunk, neck), np.maximum(shoulder, upper_arm)) + breast


def _heart_and_great_vessels(p, x, y):
    """Path through heart, aorta, vena cava and hila, which displace lung."""
    h = p.heart
    base = 0.97 * p.height
    dx, dy = x - 2.7 * h, y - (base - 2.6 * h)
    along, across = 0.82 * dx + 0.57 * dy, -0.57 * dx + 0.82 * dy
    ventricles = 14.0 * _solid(along / (6.4 * h), across / (4.4 * h))
    atrium = 10.0 * _solid((x + 0.6 * h) / (3.5 * h), (y - (base - 4.6 * h)) / (5.2 * h))
    upper = 9.0 * _solid((x - 0.5) / (2.9 * h), (y - 0.44 * p.height) / (0.34 * p.height))
    knob = 9.0 * _solid((x - 1.9) / (p.knob + 0.5), (y - 0.27 * p.height) / (p.knob + 0.6))
    aorta = 4.0 * _solid((x - 1.9) / 1.35) * _edge(y - 0.27 * p.height, 1.0)
    cava = 6.0 * _solid((x + 1.9) / 1.2) * _edge(0.5 * p.height - y, 2.0) * _edge(y - 2.0, 2.0)
    hila = 5.0 * (
        _solid((x - 3.7) / 1.7, (y - 0.42 * p.height) / 2.3)
        + _solid((x + 3.6) / 1.7, (y - 0.46 * p.height) / 2.5)
    )
    return np.maximum.reduce([ventricles, atrium, upper, knob, cava]) + aorta + hila


def _vessels(p, noise, random, x, y):
    """Path through the branching vessels of the lungs: drawn points, then blurred to a width."""
    n, size = len(x), x.shape[-1]
    trunks, twigs, steps = 9, 4, 48
    s = np.linspace(0, 1, steps, dtype="f4")
    shape = (n, 2, trunks, twigs, 1)
    fan = np.linspace(-1.25, 1.35, trunks)[None, None, :, None, None]
    heading = fan + random.normal(0, 0.12, (n, 2, trunks, 1, 1))
    fork = random.uniform(0.1, 0.7, shape)
    turn = random.normal(0, 0.55, shape) * np.maximum(s - fork, 0)
    turn = turn + random.normal(0, 0.35, (n, 2, trunks, 1, 1)) * s
    angle = heading + turn
    length = 0.92 * p.width[..., None, None] * random.uniform(0.65, 1.0, shape) / steps
    sign = np.array([-1, 1])[None, :, None, None, None]
    px = sign * (2.6 + np.cumsum(length * np.cos(angle), axis=-1))
    py = 0.45 * p.height[..., None, None] + np.cumsum(1.15 * length * np.sin(angle), axis=-1)
    # Twigs of a trunk lie on each other until they fork, and share its cross-section.
    area = 0.8 * (1 - 0.9 * s) ** 1.5 / twigs + 0.012 + 0 * angle
    area = area * p.vessels[..., None, None] * (length * steps / 12)
    # From centimetres back to pixels: the inverse of _frame.
    dx, dy = (
        px + p.shift_x[..., None, None],
        py + (p.shift_y - 0.5 * p.height - 0.7)[..., None, None],
    )
    turn_back = p.turn[..., None, None]
    u = np.cos(turn_back) * dx - np.sin(turn_back) * dy
    v = np.sin(turn_back) * dx + np.cos(turn_back) * dy
    field = _DETECTOR * p.zoom[..., None, None]
    column = (u / (field * p.aspect[..., None, None]) + 0.5) * size
    row = (v / field + 0.5) * size
    seen = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    image = np.broadcast_to(np.arange(n)[:, None, None, None, None], seen.shape)[seen]
    flat = (image * size + row[seen].astype(int)) * size + column[seen].astype(int)
    thick = np.broadcast_to(s < 0.33, seen.shape)[seen]
    weight = area[seen] * (12 / steps) / noise.pixel**2
    drawn = 0
    for part, sigma in ((thick, 0.20), (~thick, 0.11)):
        points = np.bincount(flat[part], weight[part], n * size * size)
        points = points.reshape(n, size, size).astype("f4")
        drawn = drawn + noise.blur(points, sigma)
    return np.minimum(drawn, 2.5)


def _bones(p, lungs, x, y):
    """Path through spine, ribs, clavicles and shoulder blades."""
    return _spine(p, x, y) + _ribs(p, x, y) + _shoulder_girdle(p, x, y)


def _spine(p, x, y):
    middle = x - p.scoliosis * np.sin(y / 6.0)
    level = y / (0.098 * p.height)
    disc = np.cos(2 * np.pi * level)
    body = (
        1.25
        * np.sqrt(_solid(middle / (1.45 + 0.025 * y)))
        * (0.82 + 0.18 * np.clip(3 * disc, -1, 1))
    )
    offset = (level - np.floor(level) - 0.5) * 0.098 * p.height
    pedicles = 0.6 * _solid((np.abs(middle) - 1.0) / 0.4, offset / 0.6)
    process = 0.5 * _solid(middle / 0.4, (offset - 0.5) / 0.8)
    arms = 0.35 * _solid((np.abs(middle) - 1.9) / 1.2, offset / 0.5)
    return body + pedicles + process + arms


def _ribs(p, x, y):
    side = np.abs(x)
    reach = (
        1.02 * p.width * np.sqrt(1 - np.maximum(1 - np.clip(y + 2.2, 0, None) / p.height, 0) ** 2.0)
    )
    reach = np.maximum(reach + 0.7, 1.0)
    sine = np.minimum(side / reach, 1)
    cosine = np.sqrt(1 - sine**2)
    within = side < reach + 0.3
    drawn = 0
    # A rib is a tilted ring: from the spine it falls slowly, then steeply, then runs on in front.
    for sign, calcium, last in ((1, 1.0, 10), (-1, 0.62, 6)):
        height = (
            y
            - p.rib_tilt * (1 - sign * cosine)
            + 0.9 * np.exp(-(((side - 4.5) / 3.5) ** 2)) * (sign > 0)
        )
        level = height / p.rib_spacing + p.rib_phase
        number = np.rint(level)
        steep = np.sqrt(1 + (0.35 * p.rib_tilt / reach * sine / np.maximum(cosine, 0.25)) ** 2)
        off = (level - number) * p.rib_spacing / steep / p.rib_width
        tube = np.sqrt(np.maximum(1 - off**2, 0)) - 0.72 * np.sqrt(np.maximum(0.66 - off**2, 0))
        tube *= (number > -1.5) & (number < last)
        if sign < 0:  # towards the breast bone a rib is cartilage, which hardly shows
            tube *= _edge(side - 0.45 * p.width, 3.5)
        drawn = drawn + calcium * 1.25 * p.rib_width / 0.6 * tube * (1 + 0.7 * sine**6) * within
    return drawn * _edge(side - 1.8, 0.8)


def _shoulder_girdle(p, x, y):
    side = np.abs(x)
    axis = p.clavicle - p.clavicle_slope * (side - 2.0) + 0.5 * np.sin(side / 2.6) + 0.02 * x
    off = (y - axis) / (0.62 + 0.25 * np.exp(-(((side - 2.2) / 1.5) ** 2)))
    tube = np.sqrt(np.maximum(1 - off**2, 0)) - 0.55 * np.sqrt(np.maximum(0.55 - off**2, 0))
    clavicles = 1.9 * tube * _edge(side - 1.6, 0.6) * _edge(p.width + 2 - side, 2.0)
    blade = np.abs(side - (p.width - 0.5) - 0.12 * (y - 8)) < 0.35
    blades = 0.5 * blade * _edge(y - 2.0, 2.0) * _edge(14.0 - y, 2.0)
    head = 1.0 * _solid((side - p.width - 4.5) / 2.6, (y - 0.5) / 2.6)
    return clavicles + blades + head


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
