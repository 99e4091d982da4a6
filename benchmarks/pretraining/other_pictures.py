"""Drawings that are no frontal radiographs of a chest."""

import numpy as np
from scipy import ndimage


def draw_other_pictures(n, side, seed):
    """Draw pictures that are no frontal radiographs of a chest, of all ``KINDS`` in turn.

    Returns
    -------
    ndarray of shape (n, side, side), uint8
    """
    random = np.random.default_rng(seed)
    draw = list(KINDS.values())
    pictures = np.empty((n, side, side), np.uint8)
    for number in range(n):
        grey = draw[number % len(draw)](side, random)
        grey = grey + random.normal(0, random.uniform(0, 0.03), grey.shape)
        low, high = np.percentile(grey, (1, 99))
        grey = (grey - low) / (high - low + 1e-6)
        pictures[number] = np.rint(255 * np.clip(grey, 0, 1) ** np.exp(random.uniform(-0.5, 0.5)))
    return pictures


def _grid(side, random):
    """Return coordinates from -1 to 1 of every pixel, turned by any angle up to 30 degrees."""
    line = np.linspace(-1, 1, side)
    angle = np.deg2rad(random.uniform(-30, 30))
    x, y = np.meshgrid(line, line)
    return np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x


def _ellipsoid(x, y):
    """Return the path through an ellipsoid, whose coordinates are in half axes."""
    return np.sqrt(np.maximum(1 - x**2 - y**2, 0))


def _bone(x, y, start, end, width):
    """Return the path through the wall of a bone between two points, with thicker ends."""
    start, end = np.asarray(start), np.asarray(end)
    axis = end - start
    length = np.hypot(*axis)
    along = ((x - start[0]) * axis[0] + (y - start[1]) * axis[1]) / length**2
    off = ((x - start[0]) * axis[1] - (y - start[1]) * axis[0]) / length
    width = width * (1 + 0.5 * np.abs(2 * np.clip(along, 0, 1) - 1) ** 3)
    inside = (along > 0) & (along < 1)
    outer = np.sqrt(np.maximum(1 - (off / width) ** 2, 0))
    marrow = 0.7 * np.sqrt(np.maximum(0.6 - (off / width) ** 2, 0))
    return (outer - marrow) * inside


def _bones(side, random):
    """Draw the fingers of a hand, or the bones of a limb, in soft tissue."""
    x, y = _grid(side, random)
    picture = np.zeros_like(x)
    if random.random() < 0.5:  # a hand: fingers that fan out from a wrist
        picture += 0.8 * _ellipsoid(x / 0.55, (y - 0.45) / 0.6)
        for finger in range(5):
            angle = np.deg2rad(-40 + 20 * finger + random.uniform(-5, 5))
            reach = 0.35
            for length in (0.45, 0.3, 0.2, 0.14):
                ends = [
                    (r * np.sin(angle), 0.75 - r * np.cos(angle)) for r in (reach, reach + length)
                ]
                picture += 1.2 * _bone(x, y, *ends, 0.05)
                picture += 0.5 * _bone(x, y, *ends, 0.11) > 0.1
                reach += length + 0.03
        return picture
    half = random.uniform(0.25, 0.6)
    picture += 1.5 * np.sqrt(np.maximum(1 - (x / half) ** 2, 0))
    joint = random.uniform(-0.4, 0.4)
    for position in random.uniform(-0.4, 0.4, random.integers(1, 3)) * half * 2:
        for start, end in ((-1.3, joint - 0.03), (joint + 0.03, 1.3)):
            picture += 1.6 * _bone(x, y, (position, start), (position, end), 0.25 * half)
    return picture


def _lateral_view(side, random):
    """Draw a trunk seen from the side: spine behind, breast bone and heart in front, one lung."""
    x, y = _grid(side, random)
    x = x * random.choice([-1, 1])
    wide, high = random.uniform(0.55, 0.85), random.uniform(0.75, 1.1)
    body = 2.0 * np.sqrt(np.maximum(1 - (x / wide) ** 2, 0)) * (0.6 + 0.4 * (y + 1) / 2)
    lung = _ellipsoid((x + 0.05) / (0.75 * wide), (y + 0.1) / (0.8 * high))
    lung = lung * (y < 0.45 + 0.5 * x + random.uniform(-0.1, 0.1))
    heart = _ellipsoid((x - 0.35 * wide) / (0.4 * wide), (y - 0.25) / 0.4)
    spine = np.abs(x + 0.6 * wide + 0.12 * np.cos(2 * y)) < 0.12
    discs = 0.7 + 0.3 * np.sign(np.cos(y * random.uniform(25, 35)))
    arm = _ellipsoid((x - 0.1) / 0.35, (y + 1.0) / 0.5)
    ribs = 0.15 * np.maximum(np.cos(25 * (y - 0.35 * x) + random.uniform(0, 6)), 0.6) * (lung > 0)
    return body - 1.5 * lung + 1.2 * heart * (lung > 0) + 0.8 * spine * discs + 0.6 * arm + ribs


def _head(side, random):
    """Draw something like a skull or a pelvis: shells and holes, mirrored."""
    x, y = _grid(side, random)
    x = np.abs(x)
    wide, high = random.uniform(0.5, 0.9, 2)
    shell = _ellipsoid(x / wide, y / high) - 0.85 * _ellipsoid(x / wide / 0.92, y / high / 0.92)
    picture = 2 * shell + 0.8 * _ellipsoid(x / wide, y / high)
    for _ in range(random.integers(2, 6)):
        px, py = random.uniform(0, 0.6) * wide, random.uniform(-0.7, 0.7) * high
        radii = random.uniform(0.05, 0.25, 2)
        picture += random.uniform(-0.8, 0.8) * _ellipsoid((x - px) / radii[0], (y - py) / radii[1])
    return picture


def _smooth_field(side, random):
    """Draw a smooth random field, like an out-of-focus photograph."""
    sigma = np.exp(random.uniform(np.log(2), np.log(side / 4)))
    return ndimage.gaussian_filter(random.standard_normal((side, side)), sigma)


def _noise(side, random):
    """Draw noise with grains of one to eight pixels."""
    grain = int(random.integers(1, 9))
    coarse = random.standard_normal((-(-side // grain),) * 2)
    return np.kron(coarse, np.ones((grain, grain)))[:side, :side]


def _shapes(side, random):
    """Draw rectangles and ellipses that cover each other, like a photograph of things."""
    x, y = _grid(side, random)
    picture = random.uniform(-0.3, 0.3) * x + random.uniform(-0.3, 0.3) * y
    for _ in range(random.integers(3, 25)):
        cx, cy = random.uniform(-1, 1, 2)
        wide, high = np.exp(random.uniform(np.log(0.05), np.log(0.8), 2))
        u, v = (x - cx) / wide, (y - cy) / high
        inside = u**2 + v**2 < 1 if random.random() < 0.5 else (np.abs(u) < 1) & (np.abs(v) < 1)
        picture = np.where(inside, random.uniform(-1, 1) + 0.2 * u, picture)
    return ndimage.gaussian_filter(picture, random.uniform(0, 2))


def _stripes(side, random):
    """Draw a plain surface, a slope or stripes."""
    x, y = _grid(side, random)
    wave = random.choice([0, 1]) * np.cos(x * random.uniform(3, 60) + random.uniform(0, 6))
    return wave + random.uniform(-1, 1) * x + random.uniform(-1, 1) * y


KINDS = {
    "bones of hands and limbs": _bones,
    "lateral views": _lateral_view,
    "heads and pelvises": _head,
    "smooth fields": _smooth_field,
    "noise": _noise,
    "shapes": _shapes,
    "stripes and plain surfaces": _stripes,
}
