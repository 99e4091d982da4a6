"""One look at every image, and all that the audit keeps of it."""

import functools
import os
from typing import NamedTuple

import numpy as np
import xxhash
from PIL import Image

from ..images import pixel_ranges
from ..images.decoding import format_and_mode
from ..images.errors import ImageReadError
from ..images.reading import read_image
from ..images.threads import map_in_threads

SIDE = 64  # of a thumbnail, in pixels

# Grey values that nearly all pixels of an image share, in 0..1, when there is nothing on it.
_CONSTANT = 0.02

EMPTY_RULE = (
    "An image is empty where 96 % of the pixels of its thumbnail lie within "
    f"{100 * _CONSTANT:g} % of the range from black to white."
)


class Look(NamedTuple):
    """What is kept of one image."""

    thumbnail: np.ndarray  # (SIDE, SIDE), float16, in 0..1
    digest: bytes  # of the decoded pixels
    side: int  # the shorter one of the image, in pixels
    brightness: tuple  # mean and standard deviation of all pixels
    properties: dict  # of the file; empty for an array

    @property
    def is_constant(self):
        """Whether nothing can be seen: a few bright pixels do not make an image."""
        low, high = np.quantile(self.thumbnail.astype(np.float32), (0.02, 0.98))
        return bool(high - low < _CONSTANT)


def look_at(X, progress):
    """Read every image once.

    Parameters
    ----------
    X : list of str or ndarray of shape (n, height, width, channels)
    progress : callable
        Called with the number of images read so far.

    Returns
    -------
    list of (Look or str)
        A sentence in the place of an image that cannot be read.
    """
    if isinstance(X, list):
        look_at_one = _look_at_file
    else:
        low, high = pixel_ranges.pixel_range(X)
        look_at_one = functools.partial(_look_at_pixels, low=low, high=high)
    looks = []
    for look in map_in_threads(look_at_one, X):
        looks.append(look)
        progress(len(looks))
    return looks


def _look_at_file(path):
    try:
        pixels = read_image(path, 1)
        return _look(pixels, _properties(path, pixels.shape))
    except ImageReadError as error:
        return error.reasons[path]


def _look_at_pixels(image, low, high):
    if pixel_ranges.needs_float64(image.dtype, low, high):
        return _look(pixel_ranges.to_unit(image, low, high), {})
    image = (image.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    return _look(image, {})


def _look(pixels, properties):
    pixels = pixels.mean(axis=2, dtype=np.float32)
    thumbnail = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    shape = str(pixels.shape).encode()
    return Look(
        np.asarray(thumbnail).astype(np.float16),
        xxhash.xxh3_128_digest(shape + np.ascontiguousarray(pixels).tobytes()),
        min(pixels.shape),
        (float(pixels.mean()), float(pixels.std())),
        properties,
    )


def _properties(path, shape):
    """What a file says about itself before anyone looks at the picture."""
    height, width, _ = shape
    kind, mode = format_and_mode(path)
    return {
        "bytes": os.path.getsize(path),
        "format": kind,
        "mode": mode,
        "height": height,
        "width": width,
        "aspect": width / height,
    }
