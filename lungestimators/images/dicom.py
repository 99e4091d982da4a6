"""Decode the first frame of DICOM files as a workstation shows it, at full depth, by pydicom."""

import io
import os
import warnings
import zlib

from . import dicom_colour, dicom_display, dicom_elements, dicom_pixels

# Transfer syntax of a file without a header: (implicit types, little endian) -> its identifier.
_SYNTAXES = {
    (True, True): "1.2.840.10008.1.2",
    (False, True): "1.2.840.10008.1.2.1",
    (False, False): "1.2.840.10008.1.2.2",
}
_DEFLATED = "1.2.840.10008.1.2.1.99"

# Values of more bytes than this are read only when they are asked for.
_LONG = 4096

# Bytes that a deflated file may inflate to: more than any radiograph, and little memory.
_MOST_INFLATED = 256 * 2**20

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_NEEDED = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated")
_ZERO_OR_ONE = "PixelRepresentation"
_NEEDED_OF_WHOLE_NUMBERS = ("BitsStored", _ZERO_OR_ONE)
_GREY = ("MONOCHROME1", "MONOCHROME2")
# The length of elements that end with a delimiter.
_UNDEFINED = 0xFFFFFFFF
# Two pixels side by side share their colour.
_HALVED = ("YBR_FULL_422", "YBR_PARTIAL_422")
# The element that ends encoded pixels.
_DELIMITER = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"


def is_dicom(start):
    """Whether the first 132 bytes of a file are those of a DICOM file.

    Files older than the preamble of DICOM begin with an element of group 2 or 8.
    """
    if start[128:132] == b"DICM":
        return True
    order = {b"\x02\x00": "little", b"\x08\x00": "little", b"\x00\x08": "big"}.get(start[:2])
    if order is None or len(start) < 132:
        return False
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    return explicit or (
        start[0] == 8 and start[3] == 0 and int.from_bytes(start[4:8], order) <= _LONG
    )


def check_dicom(path, max_pixels):
    """Raise unless the header of a DICOM file is that of an image; return its number of frames."""
    dataset = _read_dataset(path, defer_size=_LONG)
    _check_dataset(dataset, path, max_pixels)
    return _n_frames(dataset)


def decode_dicom(path, max_pixels):
    """Return the first frame of a DICOM file as a workstation shows it.

    Modality and value-of-interest transformations (a table, or the first window that shows
    something) are applied where there are any, those of the frame before those of the file.
    MONOCHROME1 is inverted, padding is black, and colours become RGB.

    Parameters
    ----------
    path : str
    max_pixels : int or None
        More pixels are an error.

    Returns
    -------
    pixels : ndarray of shape (height, width), or (height, width, 3) in RGB
    limits : tuple of (float, float)
        The values that are black and white.
    """
    dataset = _read_dataset(path, defer_size=_LONG)
    _check_dataset(dataset, path, max_pixels)
    stored = dicom_pixels.read_first_frame(dataset, path, _n_frames(dataset))
    if stored.colour in _GREY:
        return dicom_display.display_grey(stored, dataset)
    if stored.colour == "PALETTE COLOR":
        return dicom_colour.rgb_of_palette(stored, dataset)
    pixels, limits = dicom_colour.rgb_of_samples(stored)
    # Colours of 8 bits are shown as they are.
    return (pixels, limits) if stored.bits <= 8 else dicom_display.spread_limits(pixels, limits)


def _read_dataset(path, **options):
    """Read a DICOM file as a pydicom data set, also one without preamble or end of its pixels."""
    try:
        import pydicom
    except ImportError as error:
        raise ImportError(
            f"{path!r} is a DICOM file; reading it needs pydicom: "
            "pip install 'lungestimators[dicom]'"
        ) from error
    _check_inflated_size(path, pydicom)
    # Without force, files without a preamble would be refused.
    dataset = pydicom.dcmread(path, force=True, **options)
    if not any(name in dataset for name in _PIXELS):
        dataset = _read_dataset_without_end(path, pydicom) or dataset
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = _SYNTAXES[dataset.original_encoding]
    return dataset


def _read_dataset_without_end(path, pydicom):
    """Read a file whose encoded pixels have no end but that of the file; return None for others.

    pydicom drops the pixels of such a file.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    if not header.get("Rows"):
        return None
    with open(path, "rb") as file:
        dataset = pydicom.dcmread(io.BytesIO(file.read() + _DELIMITER), force=True)
    return dataset if "PixelData" in dataset else None


def _check_inflated_size(path, pydicom):
    """Raise for a deflated file that would inflate to more than the limit."""
    try:
        meta = pydicom.filereader.read_file_meta_info(path)
    except pydicom.errors.InvalidDicomError:
        return  # without a preamble there is no transfer syntax either
    if meta.get("TransferSyntaxUID") != _DEFLATED:
        return
    with open(path, "rb") as file:
        file.seek(128 + 4 + 12 + meta.FileMetaInformationGroupLength)
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        inflating.decompress(file.read(), _MOST_INFLATED)
    if inflating.unconsumed_tail:
        raise ValueError(f"it inflates to more than {_MOST_INFLATED} bytes")


def _check_dataset(dataset, path, max_pixels):
    """Raise unless a data set holds an image that can be decoded and is complete."""
    if not any(name in dataset for name in _PIXELS):
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
    _check_colour_space(dataset)
    if "PixelData" in dataset:
        _check_bit_depth(dataset)
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_transfer_syntax:
        raise ValueError(f"DICOM in the transfer syntax {str(syntax)!r}, which is not known")
    if syntax.is_compressed:
        _check_decoder(syntax)
    elif "PixelData" in dataset:
        _check_pixels_length(dataset, path)


def _check_pixels_length(dataset, path):
    """Raise where the pixels have another length in bytes than the header describes."""
    colour, n_frames = dataset.PhotometricInterpretation, _n_frames(dataset)
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


def _check_colour_space(dataset):
    """Raise for a colour space, or samples a pixel, that are not decoded."""
    n_samples, colour = dataset.SamplesPerPixel, dataset.PhotometricInterpretation
    if n_samples not in (1, 3):
        raise ValueError(f"DICOM of {n_samples} samples a pixel: 1 or 3 are images")
    if "PixelData" not in dataset and n_samples == 3:
        raise ValueError("DICOM of floats with 3 samples a pixel: 1 can be read")
    known = (*_GREY, "PALETTE COLOR") if n_samples == 1 else dicom_colour.SPACES
    if "PixelData" not in dataset:
        known = _GREY
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


def _check_bit_depth(dataset):
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
    high_bit = dicom_pixels.high_bit(dataset)
    if not 1 <= stored <= high_bit + 1 <= allocated:
        raise ValueError(
            f"BitsAllocated is {allocated}, BitsStored {stored} and HighBit {high_bit}: "
            "so many bits do not lie there"
        )
    if dataset.PixelRepresentation not in (0, 1):
        raise ValueError(f"PixelRepresentation is {dataset.PixelRepresentation}, neither 0 nor 1")


def _check_decoder(syntax):
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


def _n_frames(dataset):
    """Return the number of frames, 1 where the data set does not say it."""
    return max(1, int(dicom_elements.element_number(dataset, "NumberOfFrames") or 1))
