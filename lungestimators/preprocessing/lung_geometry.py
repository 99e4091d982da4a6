"""Geometry of the lungs in an image: from the logits of the lung network to masks and boxes.

A logit is positive where its pixel shows lung. The logits of an image are a square, whatever the
shape of the image: they are stretched to the image as the image was squeezed for the network.
"""

import math

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage

# A part of the mask that is smaller than this share of the largest part is a speck, and no lung.
_SMALLEST_PART = 0.1

# What a mask of both lungs covers at least and at most, as shares of the image.
_SMALLEST_SHARE, _LARGEST_SHARE = 0.02, 0.8

# On either side of the middle is at least this share of the area on the other side.
_SMALLER_SIDE = 0.15

# Between two lungs, some column has less lung than this share of the highest column of either.
_BETWEEN = 0.8

# Logits are kept as float16, in which smaller ones could lose their sign and larger ones overflow.
_SMALLEST_LOGIT, _LARGEST_LOGIT = 1e-3, 1e3

# Boxes are found on logits that are interpolated to this many points for each of their own, so that
# a box does not depend on how many pixels an image has.
_POINTS = 4

# Standard deviation of the soft edge, as a share of the longer side of the image.
_EDGE = 0.01


def clean_up_lung_logits(logits):
    """Keep the large parts of a mask, without holes. Disease may cut a lung in two.

    Parameters
    ----------
    logits : ndarray of shape (side, side)

    Returns
    -------
    ndarray of shape (side, side), float16
        The same logits, of which the sign is turned where the mask has changed.
    """
    parts, n_parts = ndimage.label(logits > 0)
    sizes = np.bincount(parts.ravel(), minlength=n_parts + 1)[1:]
    lungs = np.zeros(logits.shape, bool)
    for part, size in enumerate(sizes, start=1):
        if size >= _SMALLEST_PART * sizes.max():
            # Each by itself: what lies between two lungs is no hole.
            lungs |= ndimage.binary_fill_holes(parts == part)
    size = np.clip(np.abs(logits), _SMALLEST_LOGIT, _LARGEST_LOGIT)
    return np.where(lungs, size, -size).astype(np.float16)


def can_be_both_lungs(logits):
    """Whether a cleaned mask has a plausible size, and a lung on either side with a gap between.

    Nothing here depends on how much an image was squeezed to become a square.

    Parameters
    ----------
    logits : ndarray of shape (side, side)

    Returns
    -------
    bool
    """
    lungs = logits > 0
    if not _SMALLEST_SHARE <= lungs.mean() <= _LARGEST_SHARE:
        return False
    _, left, _, right = _box_of_mask(lungs)
    heights = lungs[:, left:right].sum(axis=0)
    half = len(heights) // 2
    if half == 0:
        return False
    sides = heights[:half], heights[-half:]
    areas = [side.sum() for side in sides]
    if min(areas) < _SMALLER_SIDE * max(areas):
        return False
    first, second = sides[0].argmax(), len(heights) - half + sides[1].argmax()
    between = heights[first : second + 1].min()
    return bool(between < _BETWEEN * min(heights[first], heights[second]))


def lung_mask(logits, height, width):
    """Return the mask of the lungs in an image.

    Parameters
    ----------
    logits : ndarray of shape (side, side)
        Cleaned.
    height, width : int
        Of the image, in pixels.

    Returns
    -------
    ndarray of shape (height, width), bool
    """
    return _interpolate_lung_logits(logits, height, width) > 0


def soft_lung_mask(logits, height, width):
    """Return a weight of each pixel: 0 outside, and rising smoothly to 1 behind the outline.

    Returns
    -------
    ndarray of shape (height, width), float32, in 0..1
    """
    inside = lung_mask(logits, height, width)
    mask = Image.fromarray(np.where(inside, np.uint8(255), np.uint8(0)))
    soft = mask.filter(ImageFilter.GaussianBlur(_EDGE * max(height, width)))
    # Blurred, the outline is about at one half: what lies beside the lung must not shine through.
    return inside * np.clip(np.asarray(soft, np.float32) / 127.5 - 1, 0, 1)


def square_around_lungs(logits, height, width, margin):
    """Return the square box around both lungs, in pixels of the image.

    The square is moved into the image where it sticks out. Where the image is too narrow or too
    low for it, the square has the same excess on both sides.

    Parameters
    ----------
    logits : ndarray of shape (side, side)
        Cleaned; both lungs are in it.
    height, width : int
        Of the image, in pixels.
    margin : float
        What is added on each side, as a share of the longer side of the lungs' own box.

    Returns
    -------
    tuple of (int, int, int, int)
        Top, left, bottom and right; the last two are behind the box.
    """
    n_points = _POINTS * len(logits)
    top, left, bottom, right = _box_of_mask(lung_mask(logits, n_points, n_points))
    scale = np.array([height, width]) / n_points
    first, last = np.array([top, left]) * scale, np.array([bottom, right]) * scale
    side = math.ceil(round((last - first).max() * (1 + 2 * margin), 6))
    side = min(side, max(height, width))
    start = [
        _start_of_square_side(centre, side, length)
        for centre, length in zip((first + last) / 2, (height, width), strict=True)
    ]
    return start[0], start[1], start[0] + side, start[1] + side


def cut_out_box(image, box):
    """Return the part of an image that is in a box; what is beyond the image is black, 0.

    Parameters
    ----------
    image : ndarray of shape (height, width, channels)
    box : tuple of (int, int, int, int)

    Returns
    -------
    ndarray of shape (bottom - top, right - left, channels)
    """
    top, left, bottom, right = box
    height, width, _ = image.shape
    inside = image[max(top, 0) : bottom, max(left, 0) : right]
    before, after = (max(-top, 0), max(-left, 0)), (max(bottom - height, 0), max(right - width, 0))
    if not any(before + after):
        return inside
    pads = [*zip(before, after, strict=True), (0, 0)]
    return np.pad(inside, pads)


def _interpolate_lung_logits(logits, height, width):
    """Interpolate logits to the size of an image, bilinear; antialiased where it is smaller."""
    image = Image.fromarray(logits.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def _box_of_mask(mask):
    """Return the top, left, bottom and right of the pixels that are True."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


def _start_of_square_side(centre, side, length):
    """Return where one side of a square starts, moved into an image of that length."""
    if side > length:
        return -((side - length) // 2)
    return int(np.clip(round(centre - side / 2), 0, length - side))
