"""Which pixel values are black and white, where the pixels alone must say it."""

import warnings

import numpy as np

# What rounding may add on either side of black and white, as a share of the range between them.
ROUNDING = 1e-6

NOT_FINITE = "it holds NaN or infinity"

# Whole numbers beyond it, float64 does not tell from their neighbours.
_LARGEST_WHOLE = 2**53

# Black or white so far from zero, in ranges, that float32 has too few digits for the steps between.
_FAR = 4


def kind(dtype):
    """Pixels of one kind share a range. The order of bytes makes no other kind."""
    return dtype.name if dtype.name in ("uint8", "uint16") else "other"


def native(pixels):
    """Return an array in the processor's order of bytes; most are, and are returned as they are."""
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def assumed_range(pixels):
    """Return black, white, and in what the pixels leave doubt, or None."""
    name = kind(pixels.dtype)
    if name == "uint8":
        return 0.0, 255.0, None
    low, high = float(pixels.min()), float(pixels.max())
    if name == "uint16":
        if high > 4095:
            return 0.0, 65535.0, None
        return 0.0, 255.0 if high <= 255 else 4095.0, f"reach only {high:g}"
    if low >= 0 and high <= 1:
        return 0.0, 1.0, None
    if low >= 0 and high <= 255:
        return 0.0, 255.0, None
    doubt = f"lie in {low:g}..{high:g}"
    if high - low < np.finfo(np.float32).tiny:
        high = low + max(1.0, 1e-6 * abs(low))
    return low, high, doubt


def range_of_file(pixels):
    """Return black and white of a file that does not say them, with a warning where in doubt."""
    low, high, doubt = assumed_range(pixels)
    if not np.isfinite([low, high]).all():
        raise ValueError(NOT_FINITE)
    if doubt:
        # The same words for many files: Python shows them once.
        if high in (255, 4095):
            found = f"Image files of {pixels.dtype.name} reach only {high:g} or less: this is "
            found += "taken as white"
        else:
            found = f"Image files of {pixels.dtype.name} have no usual range: each one's extremes "
            found += "are its limits"
        warnings.warn(f"{found}.", UserWarning, stacklevel=3)
    return low, high


def needs_float64(dtype, low, high):
    """Whether float32 is too coarse, or its largest number too small, to be brought to 0..1 in."""
    digits = dtype.itemsize > 4 or (dtype.kind in "iu" and dtype.itemsize == 4)
    far = max(abs(low), abs(high)) > _FAR * (high - low)
    return (digits and far) or high - low > np.finfo(np.float32).max


def to_unit(pixels, low, high):
    """Bring pixels to 0..1 in float64 and return them as float32."""
    if not np.isfinite(high - low):
        pixels, low, high = pixels / 4, low / 4, high / 4
    return ((pixels.astype(np.float64) - low) / (high - low)).astype(np.float32)


def without_64_bits(pixels):
    """Return whole numbers of 64 bits as float64, and other pixels as they are."""
    if pixels.dtype.name not in ("int64", "uint64"):
        return pixels
    if pixels.max() > _LARGEST_WHOLE or pixels.min() < -_LARGEST_WHOLE:
        raise ValueError("it holds whole numbers beyond 2**53, which float64 does not tell apart")
    return pixels.astype(np.float64)
