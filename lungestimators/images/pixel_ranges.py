"""Which pixel values are black and white, and how pixels are brought from there to 0..1."""

import warnings

import numpy as np

# What rounding may add on either side of black and white, as a share of the range between them.
ROUNDING = 1e-6

NOT_FINITE = "it holds NaN or infinity"

# Whole numbers beyond it, float64 does not tell from their neighbours.
_LARGEST_WHOLE = 2**53

# Black or white so far from zero, in ranges, that float32 has too few digits for the steps between.
_FAR = 4


def pixel_range(pixels):
    """Return the values of an array that mean black and white; warn where they are in doubt.

    Whole numbers of 8 or 16 bits and floats in 0..1 or 0..255 leave no doubt.

    Parameters
    ----------
    pixels : ndarray

    Returns
    -------
    tuple of (float, float)
    """
    low, high, doubt = _assumed_pixel_range(pixels)
    if doubt:
        _warn_of_pixel_range(f"{pixels.dtype} pixels {doubt}", low, high)
    return low, high


def range_like_fit(pixels, fitted_range, fitted_dtype):
    """Return black and white of the pixels to predict, on the scale of the pixels of the fit.

    Pixels of the same kind have the range of the fit, so that a prediction does not depend on the
    other images of X. Pixels of another kind (8 bits after a fit on floats, say) have a range of
    their own.

    Parameters
    ----------
    pixels : ndarray
    fitted_range : tuple of (float, float)
        Black and white of the fit.
    fitted_dtype : numpy.dtype or None
        None where the fit was on files.

    Returns
    -------
    tuple of (float, float)
    """
    if fitted_dtype is None or _kind_of_pixel_range(pixels.dtype) != _kind_of_pixel_range(
        fitted_dtype
    ):
        return pixel_range(pixels)
    low, high = fitted_range
    if _kind_of_pixel_range(pixels.dtype) == "other":
        smallest, largest = float(pixels.min()), float(pixels.max())
        span = high - low
        too_wide = smallest < low - span or largest > high + span
        too_narrow = fitted_range == (0.0, 255.0) and largest <= 1
        if too_wide or too_narrow:
            _warn_of_pixel_range(
                f"fit saw pixels in {low:g}..{high:g}, these lie in {smallest:g}..{largest:g}",
                low,
                high,
            )
    return fitted_range


def range_of_file(pixels):
    """Return black and white of a file that does not say them; warn where they are in doubt.

    Parameters
    ----------
    pixels : ndarray

    Returns
    -------
    tuple of (float, float)

    Raises
    ------
    ValueError
        A pixel is NaN or infinite.
    """
    low, high, doubt = _assumed_pixel_range(pixels)
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


def _assumed_pixel_range(pixels):
    """Return black, white, and in words what is in doubt about them, or None."""
    name = _kind_of_pixel_range(pixels.dtype)
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


def _kind_of_pixel_range(dtype):
    """Return the kind of a pixel type; pixels of one kind share a range, in any order of bytes."""
    return dtype.name if dtype.name in ("uint8", "uint16") else "other"


def _warn_of_pixel_range(found, low, high):
    """Warn which values of an array are taken as black and white, after what was found."""
    warnings.warn(
        f"{found}: {low:g} is taken as black and {high:g} as white. Pass uint8, uint16 or floats "
        "in 0..1 to leave no doubt.",
        UserWarning,
        stacklevel=5,
    )


def range_needs_float64(dtype, low, high):
    """Whether pixels must be scaled in float64: float32 is too coarse, or its maximum too small."""
    digits = dtype.itemsize > 4 or (dtype.kind in "iu" and dtype.itemsize == 4)
    far = max(abs(low), abs(high)) > _FAR * (high - low)
    return (digits and far) or high - low > np.finfo(np.float32).max


def scale_to_unit_range(pixels, low, high):
    """Scale pixels to 0..1 in float64 and return them as float32."""
    if not np.isfinite(high - low):
        pixels, low, high = pixels / 4, low / 4, high / 4
    return ((pixels.astype(np.float64) - low) / (high - low)).astype(np.float32)


def in_range_of_float64(pixels):
    """Return whole numbers of 64 bits as float64, and other pixels as they are."""
    if pixels.dtype.name not in ("int64", "uint64"):
        return pixels
    if pixels.max() > _LARGEST_WHOLE or pixels.min() < -_LARGEST_WHOLE:
        raise ValueError("it holds whole numbers beyond 2**53, which float64 does not tell apart")
    return pixels.astype(np.float64)
