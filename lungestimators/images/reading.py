"""Read image files as float32 in 0..1: one file, resized or not, or many of them in threads."""

import numpy as np
from PIL import Image

from . import pixel_ranges
from .decoding import decode
from .errors import ImageReadError
from .file_checks import check_files_after_error
from .threads import map_in_threads


def read_image(path, channels, size=None):
    """Read one file at its full depth.

    Parameters
    ----------
    path : str
    channels : {1, 3}
        Grey or RGB is wanted; a file of the other kind is converted.
    size : int, optional
        Side in pixels of the square to which the image is resized.

    Returns
    -------
    ndarray of shape (height, width, channels), float32, in 0..1

    Raises
    ------
    ImageReadError
    """
    pixels, low, high = read_unscaled_image(path, channels)
    if size is not None:
        pixels = resize_image(pixels, size)
    pixels = (pixels - np.float32(low)) / np.float32(high - low)
    return np.repeat(pixels, channels // pixels.shape[2], axis=2)


def read_unscaled_image(path, channels):
    """Read one file as float32, in the values of the file, to be scaled to 0..1 later.

    Parameters
    ----------
    path : str
    channels : {1, 3}
        Grey or RGB is wanted.

    Returns
    -------
    pixels : ndarray of shape (height, width, 1 or 3), float32
        Where RGB is wanted, a grey image has one channel: it is repeated when there are fewer
        pixels.
    low, high : float
        The pixel values that are black and white.

    Raises
    ------
    ImageReadError
    """
    pixels, limits = decode(path, channels)
    # Most radiographs in RGB are grey: one channel of three takes a third of the time.
    if pixels.shape[2] == 3 and (pixels[..., :1] == pixels[..., 1:]).all():
        pixels = pixels[..., :1]
    low, high = limits
    if not high > low:  # a constant image is black
        high = low + 1
    # float32 has fewer digits than these types.
    wide = pixels.dtype.name in ("int32", "uint32", "float64")
    if wide or pixel_ranges.range_needs_float64(pixels.dtype, low, high):
        return pixel_ranges.scale_to_unit_range(pixels, low, high), 0.0, 1.0
    return pixels.astype(np.float32), low, high


def resize_image(image, size):
    """Bring one image to a square, bilinear and antialiased.

    Pillow takes a third of the time of Keras' operation, whose results Pillow has to 1e-5, and
    releases Python's lock.

    Parameters
    ----------
    image : ndarray of shape (height, width, channels), float32
    size : int
        Side of the square in pixels.

    Returns
    -------
    ndarray of shape (size, size, channels), float32
    """
    if image.shape[:2] == (size, size):
        return image
    resized = np.empty((size, size, image.shape[2]), np.float32)
    for number in range(image.shape[2]):  # Pillow's images of floats have one channel
        channel = Image.fromarray(np.ascontiguousarray(image[..., number]))
        resized[..., number] = channel.resize((size, size), Image.Resampling.BILINEAR)
    return resized


def read_files_in_threads(function, items, paths, advice=""):
    """Yield ``function(item)`` in order, where the function reads image files, in threads.

    Where one file turns out to be damaged, all the others are checked as well, so that one error
    names every bad file.

    Parameters
    ----------
    function : callable
        Called with one item, in a thread.
    items : iterable
    paths : list of str
        All files that are read; they are checked when one of them is damaged.
    advice : str
        What the error says to do, besides leaving the files out.

    Raises
    ------
    ImageReadError
        It names all the files that cannot be read.
    """
    try:
        yield from map_in_threads(function, items)
    except ImageReadError as error:
        raise check_files_after_error(error, paths, advice) from error


def read_images(paths, channels, size=None):
    """Yield what :func:`read_image` returns for each file, in order, read in threads.

    Raises
    ------
    ImageReadError
        It names all the files that cannot be read.
    """
    return read_files_in_threads(lambda path: read_image(path, channels, size), paths, paths)
