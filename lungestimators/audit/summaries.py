"""Summarise every image of an audit: thumbnail, digest, brightness, properties of its file."""

import functools
import os
from typing import NamedTuple

import numpy as np
import xxhash
from PIL import Image

from ..images import pixel_ranges
from ..images.decoding import decoded_format_and_mode
from ..images.errors import ImageReadError
from ..images.reading import read_image
from ..images.threads import map_in_threads

SIDE = 64  # of a thumbnail, in pixels

# An image shows nothing where nearly all its pixels lie in so small a part of the range 0..1.
_CONSTANT = 0.02

EMPTY_RULE = (
    "An image is empty where 96 % of the pixels of its thumbnail lie within "
    f"{100 * _CONSTANT:g} % of the range from black to white."
)


class ImageSummary(NamedTuple):
    """What the audit keeps of one image, which is read only once."""

    thumbnail: np.ndarray  # (SIDE, SIDE), float16, in 0..1
    digest: bytes  # of the decoded pixels
    side: int  # the shorter one of the image, in pixels
    brightness: tuple  # mean and standard deviation of all pixels
    properties: dict  # of the file; empty for an array

    @property
    def is_empty(self):
        """Whether the image shows nothing: a few bright pixels do not make an image."""
        low, high = np.quantile(self.thumbnail.astype(np.float32), (0.02, 0.98))
        return bool(high - low < _CONSTANT)


def summarise_images(X, after_image):
    """Read every image once, and return its summary.

    Parameters
    ----------
    X : list of str or ndarray of shape (n, height, width, channels)
        Paths of files, or pixels.
    after_image : callable
        Called with the number of images read so far.

    Returns
    -------
    list of (ImageSummary or str)
        For an image that cannot be read a sentence that says why.
    """
    if isinstance(X, list):
        summarise_one = _summarise_file
    else:
        low, high = pixel_ranges.pixel_range(X)
        summarise_one = functools.partial(_summarise_pixels, low=low, high=high)
    summaries = []
    for summary in map_in_threads(summarise_one, X):
        summaries.append(summary)
        after_image(len(summaries))
    return summaries


def _summarise_file(path):
    """Summarise the image of a file, or say why it cannot be read."""
    try:
        pixels = read_image(path, 1)
        return _summarise_to_thumbnail(pixels, _summarise_file_properties(path, pixels.shape))
    except ImageReadError as error:
        return error.reasons[path]


def _summarise_pixels(image, low, high):
    """Summarise an image of an array; ``low`` is black and ``high`` is white."""
    if pixel_ranges.range_needs_float64(image.dtype, low, high):
        return _summarise_to_thumbnail(pixel_ranges.scale_to_unit_range(image, low, high), {})
    image = (image.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    return _summarise_to_thumbnail(image, {})


def _summarise_to_thumbnail(pixels, properties):
    """Summarise pixels in 0..1, of shape (height, width, channels)."""
    pixels = pixels.mean(axis=2, dtype=np.float32)
    thumbnail = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    shape = str(pixels.shape).encode()
    return ImageSummary(
        np.asarray(thumbnail).astype(np.float16),
        xxhash.xxh3_128_digest(shape + np.ascontiguousarray(pixels).tobytes()),
        min(pixels.shape),
        (float(pixels.mean()), float(pixels.std())),
        properties,
    )


def _summarise_file_properties(path, shape):
    """Return what a file tells of itself before its picture is looked at."""
    height, width, _ = shape
    kind, mode = decoded_format_and_mode(path)
    return {
        "bytes": os.path.getsize(path),
        "format": kind,
        "mode": mode,
        "height": height,
        "width": width,
        "aspect": width / height,
    }
