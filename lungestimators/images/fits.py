"""Decode the first image of FITS files with its scale, which Pillow ignores."""

import math
import re

import numpy as np

from . import pixel_ranges

_CARD = 80
_RECORD = 2880
_MOST_CARDS = 36 * 1000
_DTYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


def read_fits_header(file):
    """Read the first header of an open FITS file, up to where the pixels begin.

    Returns
    -------
    dict of {str: int, float or str}
        Values by keyword.

    Raises
    ------
    ValueError
        There is no image of two dimensions.
    """
    file.seek(0)
    header = {}
    for number in range(_MOST_CARDS):
        card = file.read(_CARD)
        keyword = card[:8].rstrip()
        if len(card) < _CARD:
            break
        if keyword == b"END":
            file.seek(math.ceil((number + 1) * _CARD / _RECORD) * _RECORD)
            _check_fits_header(header)
            return header
        if card[8:10] == b"= ":
            header.setdefault(keyword.decode("latin-1"), _fits_card_value(card[10:]))
    raise ValueError("it is FITS that ends too early: its header has no end")


def size_in_fits_header(header):
    """Return width and height as a FITS header says them."""
    return header["NAXIS1"], header["NAXIS2"]


def decode_fits(file, header):
    """Return the pixels that follow the header of an open FITS file, top row first.

    Returns
    -------
    ndarray of shape (height, width)
    """
    width, height = size_in_fits_header(header)
    dtype = np.dtype(_DTYPES[header["BITPIX"]])
    content = file.read(width * height * dtype.itemsize)
    if len(content) < width * height * dtype.itemsize:
        raise ValueError("it is FITS that ends too early: pixels are missing")
    pixels = np.frombuffer(content, dtype).reshape(height, width)[::-1]
    pixels = pixels.astype(dtype.newbyteorder("="))
    if dtype.kind != "f" and (pixels == header.get("BLANK")).any():
        raise ValueError("it is FITS with pixels that are blank")
    scale, zero = header.get("BSCALE", 1), header.get("BZERO", 0)
    if (scale, zero) == (1, 0):
        return pixels
    # FITS writes unsigned numbers (8 bits: signed ones) with the first bit turned over.
    turned = (2 if dtype.kind == "i" else -2) * 2.0 ** (8 * dtype.itemsize - 2)
    if scale == 1 and dtype.kind != "f" and zero == turned:
        bits = pixels.view(f"u{dtype.itemsize}")
        bits = bits ^ bits.dtype.type(abs(zero))
        return bits if zero > 0 else bits.view(f"i{dtype.itemsize}")
    return zero + scale * pixel_ranges.in_range_of_float64(pixels).astype(np.float64)


def _fits_card_value(text):
    """Return the value of a card of a FITS header: an int, a float, or text."""
    text = re.split(r"/", text.decode("latin-1"))[0].strip()
    try:
        return int(text)
    except ValueError:
        try:
            return float(text.replace("D", "E"))
        except ValueError:
            return text


def _check_fits_header(header):
    """Raise for a FITS header that is not that of an image of two dimensions."""
    axes = header.get("NAXIS")
    sides = [header.get(f"NAXIS{number + 1}") for number in range(axes if axes in range(9) else 0)]
    if not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError("it is FITS whose axes have no length")
    if len(sides) < 2 or any(side > 1 for side in sides[2:]):
        raise ValueError(f"it is FITS whose first part has the axes {sides}: an image has two")
    if header.get("BITPIX") not in _DTYPES:
        raise ValueError(f"it is FITS with BITPIX = {header.get('BITPIX')!r}, which does not exist")
    numbers = [header.get("BSCALE", 1), header.get("BZERO", 0)]
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise ValueError(f"it is FITS with BSCALE and BZERO of {numbers}: these are no numbers")
    if not numbers[0]:
        raise ValueError("it is FITS with BSCALE = 0")
