"""Turn the values of a grey DICOM file into what a workstation shows: slope, tables, windows."""

import warnings

import numpy as np

from . import dicom_elements

# Without a window, the whole range of the stored bits is shown, unless the pixels fill less than
# this share of the range, which would be a black image.
_SMALLEST_SHARE = 1 / 16

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def display_grey(stored, dataset):
    """Apply modality and value-of-interest transformations to a StoredFrame of one sample.

    Returns
    -------
    pixels : ndarray of shape (height, width)
    limits : tuple of (float, float)
        The values that are black and white.
    """
    pixels, limits = _display_modality(stored, dataset)
    seen = None if stored.padded is None else ~stored.padded
    shown, shown_limits = _display_values_of_interest(stored, pixels, limits, dataset, seen)
    if shown is None:
        shown, shown_limits = spread_display_limits(pixels, limits, seen)
    if stored.colour == "MONOCHROME1":
        shown = shown_limits[0] + shown_limits[1] - shown
    if stored.padded is not None:
        shown = np.where(stored.padded, shown_limits[0], shown)
    return shown, shown_limits


def spread_display_limits(pixels, limits, seen=None):
    """Return pixels and limits; where pixels fill little of the limits, their extremes instead.

    Parameters
    ----------
    pixels : ndarray
    limits : tuple of (float, float)
    seen : ndarray of bool, optional
        Where there is a picture; everywhere by default.
    """
    some = pixels if seen is None or not seen.any() else pixels[seen]
    if _display_fills_limits(pixels, limits, seen) or some.min() == some.max():
        return pixels, limits
    _warn_of_display(
        "the pixels fill little of what their bits can hold", "their extremes are black and white"
    )
    return pixels, (float(some.min()), float(some.max()))


def _display_fills_limits(pixels, limits, seen=None):
    """Whether pixels fill more than little of the limits; a few, such as letters, do not count."""
    steps = (
        slice(None, None, max(1, pixels.shape[0] // 256)),
        slice(None, None, max(1, pixels.shape[1] // 256)),
    )
    some = pixels[steps]
    if seen is not None and seen[steps].any():
        some = some[seen[steps]]
    low, high = np.quantile(some, (0.005, 0.995))
    # The limits of a window far beyond all pixels may be one number.
    return limits[1] > limits[0] and high - low >= _SMALLEST_SHARE * (limits[1] - limits[0])


def _display_modality(stored, dataset):
    """Apply the modality table, or slope and intercept; return pixels and their limits."""
    pixels, limits = stored.values, stored.limits
    holders = dicom_elements.datasets_that_may_hold_element(
        dataset, "PixelValueTransformationSequence"
    )
    for holder in holders:
        for item in holder.get("ModalityLUTSequence") or ():
            shown = _display_by_table(pixels, limits, item, "ModalityLUTSequence", stored, dataset)
            if shown is not None:
                return shown
        slope, intercept = (
            dicom_elements.element_number(holder, f"Rescale{name}")
            for name in ("Slope", "Intercept")
        )
        if slope is not None or intercept is not None:
            slope, intercept = 1.0 if slope is None else slope, intercept or 0.0
            limits = tuple(sorted(limit * slope + intercept for limit in limits))
            if not np.isfinite(limits[1] - limits[0]):
                raise ValueError(f"its RescaleSlope is {slope:g}, which is too large")
            return pixels * slope + intercept, limits
    return pixels, limits


def _display_values_of_interest(stored, pixels, limits, dataset, seen):
    """Apply the first value-of-interest table or window that shows something.

    Returns
    -------
    pixels : ndarray or None
    limits : tuple of (float, float) or None
        Both are None where no table and no window shows anything.
    """
    some = stored.values if seen is None or not seen.any() else stored.values[seen]
    is_constant = some.min() == some.max()
    for holder in dicom_elements.datasets_that_may_hold_element(dataset, "FrameVOILUTSequence"):
        for item in holder.get("VOILUTSequence") or ():
            shown = _display_by_table(pixels, limits, item, "VOILUTSequence", stored, dataset)
            if shown is not None:
                if _display_fills_limits(*shown, seen) or is_constant:
                    return shown
                _warn_of_display(
                    "the table of values of interest shows next to nothing", "it is passed over"
                )
        for window in _display_windows(holder):
            shown = _display_by_window(pixels, *window)
            if _display_fills_limits(*shown, seen) or is_constant:
                _check_display_window(stored, limits, window)
                return shown
            _warn_of_display("the window shows next to nothing", "it is passed over")
    return None, None


def _display_by_table(pixels, limits, item, name, stored, dataset):
    """Look pixels up in a table; return pixels and limits, or None for an item without a table."""
    little_endian = dataset.file_meta.TransferSyntaxUID.is_little_endian
    descriptor, data = (
        dicom_elements.element_words(item, element, little_endian)
        for element in ("LUTDescriptor", "LUTData")
    )
    if not len(descriptor) and not len(data):
        return None
    entries, first, bits = dicom_elements.element_lookup_table(
        descriptor, data, f"the table in its {name}"
    )
    # The sign of the first value is that of the pixels, although its VR may say another.
    first = dicom_elements.signed_element_word(first) if limits[0] < 0 else first
    last = first + len(entries) - 1
    if first > limits[1] or last < limits[0]:
        raise ValueError(
            f"the table in its {name} is for values of {first} to {last}, and pixels lie in "
            f"{limits[0]:g} to {limits[1]:g}"
        )
    if stored.deeper or (stored.doubt and last > limits[1]):
        raise ValueError(f"{stored.doubt}: which of them its {name} is for cannot be told")
    positions = np.clip(np.rint(pixels) - first, 0, len(entries) - 1)
    return entries[positions.astype(np.int64)], (0.0, 2.0**bits - 1)


def _display_windows(holder):
    """Yield the windows that can show something, as (center, width, function)."""
    function = str(holder.get("VOILUTFunction") or "LINEAR").strip().upper()
    centers, widths = (
        dicom_elements.element_numbers(holder, f"Window{n}") for n in ("Center", "Width")
    )
    for center, width in zip(centers, widths, strict=False):
        if center is not None and width is not None and width > (function == "LINEAR"):
            if function not in _FUNCTIONS:
                raise ValueError(f"its VOILUTFunction is {function!r}, none of {_FUNCTIONS}")
            yield center, width, function


def _check_display_window(stored, limits, window):
    """Raise where a window may be for the bits of the stream, or for BitsStored, which differ."""
    center, width, _ = window
    if stored.doubt and (
        stored.deeper or not limits[0] <= center <= limits[1] or width > 2 * (limits[1] - limits[0])
    ):
        raise ValueError(f"{stored.doubt}: which of them its window is for cannot be told")


def _display_by_window(pixels, center, width, function):
    """Apply a window (PS3.3 C.11.2.1.2); return pixels and limits."""
    if function == "SIGMOID":
        scaled = np.clip(-4 * (pixels - center) / width, -700, 700)  # exp would overflow beyond
        return 1 / (1 + np.exp(scaled)), (0.0, 1.0)
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    low, high = center - width / 2, center + width / 2
    return np.clip(pixels, low, high), (low, high)


def _warn_of_display(found, done):
    """Warn of what was found in DICOM files, and say what was done about it."""
    # The same words for every file, so that Python shows them once.
    warnings.warn(f"DICOM files in which {found}: {done}.", UserWarning, stacklevel=5)
