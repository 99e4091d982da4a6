"""Convert the colours of DICOM files to RGB, from the standard's colour spaces and palettes."""

import numpy as np

from . import dicom_elements

# From luminance and two colour differences to RGB (PS3.3 C.7.6.3.1.2): a row for each of the three,
# how much a step of it adds to red, green and blue. _FULL is for values that use all their bits,
# _PARTIAL for luminance of 16..235 (of 8 bits).
_FULL = np.array(
    [[1, 1, 1], [0, -0.114 * 1.772 / 0.587, 1.772], [1.402, -0.299 * 1.402 / 0.587, 0]]
)
_PARTIAL = _FULL * np.array([[255 / 219], [255 / 224], [255 / 224]])

SPACES = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_ICT", "YBR_RCT")


def rgb_of_dicom_samples(stored):
    """Convert the pixels of a StoredFrame with three samples to RGB.

    Returns
    -------
    pixels : ndarray of shape (height, width, 3)
    limits : tuple of (float, float)
        The values that are black and white.
    """
    values, high = stored.values, stored.limits[1]
    if stored.signed and values.min() < 0:
        raise ValueError("its colours are signed, and some are below zero")
    if stored.colour == "RGB":
        return values, (0.0, high)
    if stored.bits > 8 and values[..., 0].max() < high / 16:
        # In grey, the colour differences are half of the largest value of the bits: the values of
        # another depth would become colours.
        raise ValueError(
            f"it is {stored.colour} and its pixels fill little of what their bits can hold: "
            "its colours cannot be told"
        )
    if stored.colour == "YBR_PARTIAL_422":
        return _rgb_of_dicom_ybr(values, 16 * (high + 1) / 256, high, _PARTIAL), (0.0, high)
    if values.dtype == np.uint8 and stored.bits == 8:
        from pydicom.pixels import convert_color_space

        return convert_color_space(values, "YBR_FULL", "RGB"), (0.0, high)
    return _rgb_of_dicom_ybr(values, 0, high, _FULL), (0.0, high)


def _rgb_of_dicom_ybr(values, black, high, matrix):
    """Convert luminance and two colour differences to RGB by a matrix."""
    grey = (high + 1) / 2
    return np.clip((values - np.array([black, grey, grey])) @ matrix, 0, high)


def rgb_of_dicom_palette(stored, dataset):
    """Look the pixels of a StoredFrame up in the palette of its data set.

    Returns
    -------
    pixels : ndarray of shape (height, width, 3)
    limits : tuple of (float, float)
        The values that are black and white.
    """
    if stored.deeper:
        raise ValueError(f"{stored.doubt}: it has no place in its palette")
    channels, needed, declared = [], 0, 0
    for colour in ("Red", "Green", "Blue"):
        entries, first, bits, said = _dicom_palette_of_colour(dataset, colour)
        first = dicom_elements.signed_element_word(first) if stored.signed else first
        positions = np.clip(stored.values.astype(np.int64) - first, 0, len(entries) - 1)
        channels.append(entries[positions])
        needed, declared = max(needed, bits), max(declared, said)
    # A palette need not hold white. Below a sixteenth of white, the image would be black.
    bits = max(needed, declared) if needed > declared - 4 else needed
    return np.stack(channels, axis=-1), (0.0, 2.0**bits - 1)


def _dicom_palette_of_colour(dataset, colour):
    """Return one colour's palette, its first value, its bits, and the bits that it declares."""
    name = f"{colour}PaletteColorLookupTable"
    little_endian = dataset.file_meta.TransferSyntaxUID.is_little_endian
    descriptor, data, segments = (
        dicom_elements.element_words(dataset, element, little_endian)
        for element in (f"{name}Descriptor", f"{name}Data", f"Segmented{name}Data")
    )
    if not len(descriptor) or not (len(data) or len(segments)):
        raise ValueError(f"PALETTE COLOR without {name}")
    if not len(data):
        data = dicom_elements.expand_element_segments(descriptor, segments, f"its {name}")
    return *dicom_elements.element_lookup_table(descriptor, data, f"its {name}"), int(descriptor[2])
