"""Decode one image file, of any format: its pixels at full depth, and its black and white."""

import os
import stat

import numpy as np
from PIL import Image, UnidentifiedImageError

from . import dicom, fits, pillow, pixel_ranges, signatures, tiff
from .errors import ImageReadError, image_read_error, reason_of_read_error

# Red, green and blue in grey, as Pillow weighs them (ITU-R 601-2).
LUMINANCE = np.array([0.299, 0.587, 0.114])


def decode(path, channels):
    """Decode one image file of any format at full depth; its pixels keep their values and type.

    Parameters
    ----------
    path : str
    channels : {1, 3}
        Grey or RGB is wanted.

    Returns
    -------
    pixels : ndarray of shape (height, width, 1 or 3)
        A grey file has one channel also where RGB is wanted; with ``channels=1`` every file has.
    limits : tuple of (float, float)
        The values that are black and white. All pixels lie between them, but for rounding.

    Raises
    ------
    ImageReadError, ImportError
    """
    try:
        check_file_to_decode(path)
        # Pillow is given the open file: by name it would map an uncompressed TIFF into memory, and
        # Pillow 13.0 gets the rows of such a one wrong where it is to be turned.
        with open(path, "rb") as file:
            pixels, limits = _decode_by_format(path, file, channels)
        if limits is None:
            pixels = pixel_ranges.in_range_of_float64(pixels)
            limits = pixel_ranges.range_of_file(pixels)
        if pixels.ndim == 3 and channels == 1:
            if pixel_ranges.range_needs_float64(pixels.dtype, *limits):
                pixels, limits = pixel_ranges.scale_to_unit_range(pixels, *limits), (0.0, 1.0)
            pixels = pixels @ LUMINANCE
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        _check_decoded_pixels(pixels, limits, channels)
    except (ImageReadError, ImportError):
        raise
    except Exception as cause:  # decoders raise anything over a damaged file
        raise image_read_error({path: reason_of_read_error(cause, path)}) from cause
    return pixels, limits


def _decode_by_format(path, file, channels):
    """Decode an open file by the decoder of its format.

    Returns
    -------
    pixels : ndarray of shape (height, width) or (height, width, 3)
    limits : tuple of (float, float) or None
        The values that are black and white; None where the file does not say.
    """
    start = signatures.first_bytes(file)
    if signatures.starts_as_dicom(start):
        return dicom.decode_dicom(path, Image.MAX_IMAGE_PIXELS)
    if signatures.starts_as_fits(start):
        header = fits.read_fits_header(file)
        pillow.check_pillow_limit(*fits.size_in_fits_header(header))
        return fits.decode_fits(file, header), None
    if not signatures.starts_as_tiff(start):
        image = Image.open(file)
        pillow.check_opened_by_pillow(image)
        return pillow.decode_with_pillow(image, channels)
    layout = tiff.read_tiff_layout(file)
    pillow.check_pillow_limit(layout.width, layout.height)
    if layout.is_plain:
        file.seek(0)
        try:
            image = Image.open(file)
        except UnidentifiedImageError:
            pass  # our own decoder reads TIFF files that Pillow does not know, too
        else:
            try:
                return pillow.decode_with_pillow(image, channels)
            except OSError as cause:
                if name := tiff.OPTIONAL_COMPRESSIONS.get(layout.compression):
                    raise ValueError(
                        f"its pixels are compressed by {name}: they are damaged, or this Pillow "
                        "cannot decode them"
                    ) from cause
                raise
    pixels, limits = tiff.decode_tiff(file, layout)
    return pillow.turn_by_exif_orientation(pixels, layout.orientation), limits


def _check_decoded_pixels(pixels, limits, channels):
    """Raise unless pixels and limits are what every decoder promises: the last line of defence."""
    if pixels.ndim != 3 or not pixels.size or pixels.shape[2] not in (1, channels):
        raise ValueError(f"its decoder returned pixels of shape {pixels.shape}")
    if pixels.dtype.kind not in "biuf":
        raise ValueError(f"its decoder returned {pixels.dtype.name}")
    if not np.isfinite(limits).all():
        if not np.isfinite(pixels).all():
            raise ValueError(pixel_ranges.NOT_FINITE)
        raise ValueError(f"its decoder returned {pixels.dtype.name} between {limits}")
    low, high = map(float, limits)
    if low > high:
        raise ValueError(f"its decoder returned {low:g} as black and {high:g} as white")
    if pixels.dtype.kind in "biu" and pixels.dtype.itemsize <= 2:
        held = np.iinfo(np.uint8 if pixels.dtype.kind == "b" else pixels.dtype)
        if low <= held.min and held.max <= high:
            return  # no pixel of this type can lie outside the limits
    lowest, highest = float(pixels.min()), float(pixels.max())
    if not np.isfinite([lowest, highest]).all():
        raise ValueError(pixel_ranges.NOT_FINITE)
    slack = pixel_ranges.ROUNDING * (high - low)
    if lowest < low - slack or highest > high + slack:
        raise ValueError(
            f"its pixels lie in {lowest:g}..{highest:g}, where {low:g} is black and {high:g} white"
        )


def check_file_to_decode(path):
    """Raise unless the path is that of a regular file with content, and return its ``os.stat``."""
    state = os.stat(path)
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError("it is a folder: lungestimators.load_images lists the images in it")
    if not stat.S_ISREG(state.st_mode):
        raise ValueError("it is no regular file")
    if state.st_size == 0:
        raise ValueError("the file is empty")
    return state


def is_decodable(path):
    """Whether the content of a file, not its name, is that of an image in a known format."""
    try:
        with open(path, "rb") as file:
            start = signatures.first_bytes(file)
            if signatures.starts_as_dicom(start) or signatures.starts_as_fits(start):
                return True
            if signatures.starts_as_tiff(start):
                return bool(tiff.read_tiff_layout(file))
            return Image.open(file).format not in pillow.NO_IMAGES
    except Exception:  # decoders raise anything over a file that is no image
        return False


def decoded_format_and_mode(path):
    """Return the format of a file that can be read, and Pillow's mode of its pixels.

    Returns
    -------
    tuple of (str, str)
        Such as ``("PNG", "RGB")``; the mode is "unknown" where Pillow does not read the file.
    """
    with open(path, "rb") as file:
        start = signatures.first_bytes(file)
        if signatures.starts_as_dicom(start):
            return "DICOM", "unknown"
        if signatures.starts_as_fits(start):
            return "FITS", "unknown"
        try:
            image = Image.open(file)
        except Exception:  # the file can be read, so it is a TIFF that Pillow does not know
            return "TIFF", "unknown"
        return image.format, image.mode
