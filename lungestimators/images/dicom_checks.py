"""Check the header of a DICOM file: whether it is that of an image that can be decoded."""

import os

from . import dicom_colour, dicom_elements

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_NEEDED = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated")
_ZERO_OR_ONE = "PixelRepresentation"
_NEEDED_OF_WHOLE_NUMBERS = ("BitsStored", _ZERO_OR_ONE)
GREY = ("MONOCHROME1", "MONOCHROME2")
# The length of elements that end with a delimiter.
_UNDEFINED = 0xFFFFFFFF
# Two pixels side by side share their colour.
_HALVED = ("YBR_FULL_422", "YBR_PARTIAL_422")


def check_dicom_dataset(dataset, path, max_pixels):
    """Raise unless a data set holds an image that can be decoded and is complete."""
    if not any(name in dataset for name in PIXELS):
        raise ValueError(
            f"DICOM without an image (modality {dataset.get('Modality') or 'unknown'})"
        )
    needed = _NEEDED + _NEEDED_OF_WHOLE_NUMBERS * ("PixelData" in dataset)
    lacking = [
        name
        for name in needed
        if dataset.get(name) in (None, "") or (not dataset[name].value and name != _ZERO_OR_ONE)
    ]
    if lacking:
        raise ValueError(f"DICOM without {', '.join(lacking)}")
    for name in (*needed, "HighBit"):
        value = dataset.get(name)
        if name == "PhotometricInterpretation":
            expected, what = str, "one name"
        else:
            expected, what = int, "one whole number"
        if value and not isinstance(value, expected):
            raise ValueError(f"its {name} is {value!r}, which is not {what}")
    n_pixels = dataset.Rows * dataset.Columns
    if max_pixels and n_pixels > max_pixels:
        raise ValueError(
            f"it claims {n_pixels} pixels, above PIL.Image.MAX_IMAGE_PIXELS = {max_pixels}"
        )
    _check_dicom_colour_space(dataset)
    if "PixelData" in dataset:
        _check_dicom_bit_depth(dataset)
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_transfer_syntax:
        raise ValueError(f"DICOM in the transfer syntax {str(syntax)!r}, which is not known")
    if syntax.is_compressed:
        _check_dicom_decoder(syntax)
    elif "PixelData" in dataset:
        _check_dicom_pixels_length(dataset, path)


def _check_dicom_pixels_length(dataset, path):
    """Raise where the pixels have another length in bytes than the header describes."""
    colour = dataset.PhotometricInterpretation
    n_frames = dicom_elements.element_number_of_frames(dataset)
    n_samples = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * n_frames
    n_all = n_bytes = -(-n_samples * dataset.BitsAllocated // 8)
    if colour in _HALVED:
        n_bytes = n_all * 2 // 3
    length = dataset.get_item("PixelData", keep_deferred=True).length
    if length == _UNDEFINED:
        raise ValueError("its pixels are encoded, and its transfer syntax is not an encoded one")
    deflated = dataset.file_meta.TransferSyntaxUID.is_deflated
    if length < n_bytes or (not deflated and os.path.getsize(path) < n_bytes):
        raise ValueError(f"the file is truncated: {n_bytes} bytes of pixels are to be in it")
    twice = n_frames == 1 and length >= 2 * n_bytes > 2
    if twice or (colour in _HALVED and length >= n_all):
        raise ValueError(
            f"it has {length} bytes of pixels, and its header describes {n_bytes} ({dataset.Rows} "
            f"rows, {dataset.Columns} columns, {dataset.SamplesPerPixel} samples of "
            f"{dataset.BitsAllocated} bits, {colour})"
        )


def _check_dicom_colour_space(dataset):
    """Raise for a colour space, or samples a pixel, that are not decoded."""
    n_samples, colour = dataset.SamplesPerPixel, dataset.PhotometricInterpretation
    if n_samples not in (1, 3):
        raise ValueError(f"DICOM of {n_samples} samples a pixel: 1 or 3 are images")
    if "PixelData" not in dataset and n_samples == 3:
        raise ValueError("DICOM of floats with 3 samples a pixel: 1 can be read")
    known = (*GREY, "PALETTE COLOR") if n_samples == 1 else dicom_colour.SPACES
    if "PixelData" not in dataset:
        known = GREY
    if colour not in known:
        raise ValueError(
            f"DICOM of {n_samples} samples a pixel in the colour space {colour!r}: "
            f"{', '.join(known)} can be read"
        )
    syntax = dataset.file_meta.TransferSyntaxUID
    if n_samples == 3 and not syntax.is_encapsulated:
        if colour in ("YBR_ICT", "YBR_RCT"):
            raise ValueError(f"DICOM in the colour space {colour}, which is one of JPEG 2000")
        if dataset.get("PlanarConfiguration") not in (0, 1):
            raise ValueError("DICOM of 3 samples a pixel without PlanarConfiguration")
        if colour in _HALVED and (dataset.Columns % 2 or dataset.PlanarConfiguration):
            raise ValueError(
                f"DICOM in the colour space {colour}, in which two pixels share a colour, "
                f"with {dataset.Columns} columns and the PlanarConfiguration "
                f"{dataset.PlanarConfiguration}: columns must be even, and PlanarConfiguration 0"
            )


def _check_dicom_bit_depth(dataset):
    """Raise where BitsAllocated, BitsStored, HighBit or PixelRepresentation is impossible."""
    allocated, stored = dataset.BitsAllocated, dataset.BitsStored
    if allocated not in (1, 8, 16, 32, 64):
        raise ValueError(f"BitsAllocated is {allocated}: 1, 8, 16, 32 and 64 can be read")
    element = dataset.get_item("PixelData", keep_deferred=True)
    if (
        allocated == 1
        and element.VR == "OW"
        and not dataset.file_meta.TransferSyntaxUID.is_little_endian
    ):
        raise ValueError("its pixels are single bits in words of big-endian order")
    high_bit = dicom_elements.element_high_bit(dataset)
    if not 1 <= stored <= high_bit + 1 <= allocated:
        raise ValueError(
            f"BitsAllocated is {allocated}, BitsStored {stored} and HighBit {high_bit}: "
            "so many bits do not lie there"
        )
    if dataset.PixelRepresentation not in (0, 1):
        raise ValueError(f"PixelRepresentation is {dataset.PixelRepresentation}, neither 0 nor 1")


def _check_dicom_decoder(syntax):
    """Raise where no decoder for a transfer syntax is installed."""
    from pydicom.pixels import get_decoder

    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise ValueError(f"DICOM in {syntax.name} ({syntax}), which is not supported") from error
    if not decoder.is_available:
        raise ValueError(
            f"DICOM in {syntax.name} ({syntax}), for which no decoder is installed: "
            "pip install 'lungestimators[dicom]'"
        )
