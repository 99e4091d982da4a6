"""DICOM files, through pydicom: what a workstation shows of the first frame, at its full depth."""

import os
import warnings
import zlib

import numpy as np

# What a file without a header is written in: (implicit types, little endian) -> transfer syntax.
_SYNTAXES = {
    (True, True): "1.2.840.10008.1.2",
    (False, True): "1.2.840.10008.1.2.1",
    (False, False): "1.2.840.10008.1.2.2",
}
_DEFLATED = "1.2.840.10008.1.2.1.99"

# Longer values are not read where only the header is looked at.
_LONG = 4096

# Without a window, all that the stored bits can hold is shown; unless the pixels fill less than
# this share of it, which would be a black image.
_SMALLEST_SHARE = 1 / 16

# What a deflated file may become: more than any radiograph, and no danger.
_MOST_INFLATED = 256 * 2**20

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_NEEDED = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated")


def is_dicom(start):
    """Whether the first 132 bytes of a file are those of a DICOM file.

    Files of before the preamble begin with an element of group 2 or 8.
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


def check(path, max_pixels):
    """Raise unless a file's header is that of an image, and return how many frames it has."""
    dataset = _read(path, defer_size=_LONG)
    _check(dataset, path, max_pixels)
    return _n_frames(dataset)


def decode(path, max_pixels):
    """Return the first frame as it is to be shown.

    Modality and value-of-interest transformations (a table, or the first window) are applied where
    there are any, and MONOCHROME1 is inverted.

    Returns
    -------
    pixels : ndarray of shape (height, width), or (height, width, 3) in RGB
    limits : tuple of (float, float)
        The values that are black and white.
    """
    dataset = _read(path, defer_size=_LONG)
    _check(dataset, path, max_pixels)
    from pydicom.pixels import apply_color_lut, pixel_array

    _check_boxes(dataset)
    # From the file, pydicom reads the one frame of many; a file without a header it would refuse.
    one_of_many = _n_frames(dataset) > 1 and dataset.preamble
    pixels = pixel_array(path if one_of_many else dataset, index=0)
    photometric = dataset.PhotometricInterpretation
    if photometric == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
        return pixels, (0.0, 2.0 ** (8 * pixels.itemsize) - 1)
    if pixels.ndim == 3:
        return pixels, (0.0, 2.0**dataset.BitsStored - 1)
    pixels, limits = _grey(pixels, dataset)
    if photometric == "MONOCHROME1":
        pixels = limits[0] + limits[1] - pixels
    return pixels, limits


def _read(path, **options):
    try:
        import pydicom
    except ImportError as error:
        raise ImportError(
            f"{path!r} is a DICOM file; reading it needs pydicom: "
            "pip install 'lungestimators[dicom]'"
        ) from error
    _check_inflation(path, pydicom)
    # Without force, files of before the preamble would be refused.
    dataset = pydicom.dcmread(path, force=True, **options)
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = _SYNTAXES[dataset.original_encoding]
    return dataset


def _check_inflation(path, pydicom):
    """Raise for a deflated file that would fill the memory."""
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


def _check(dataset, path, max_pixels):
    """Raise for what is no image, more than can be held, or shorter than it says."""
    if not any(name in dataset for name in _PIXELS):
        raise ValueError(
            f"DICOM without an image (modality {dataset.get('Modality') or 'unknown'})"
        )
    lacking = [name for name in _NEEDED if not dataset.get(name)]
    if lacking:
        raise ValueError(f"DICOM without {', '.join(lacking)}")
    n_pixels = dataset.Rows * dataset.Columns
    if max_pixels and n_pixels > max_pixels:
        raise ValueError(
            f"it claims {n_pixels} pixels, above PIL.Image.MAX_IMAGE_PIXELS = {max_pixels}"
        )
    if dataset.SamplesPerPixel not in (1, 3):
        raise ValueError(f"DICOM of {dataset.SamplesPerPixel} samples a pixel: 1 or 3 are images")
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed:
        _check_decoder(syntax)
    elif not syntax.is_deflated:
        n_bits = n_pixels * dataset.SamplesPerPixel * dataset.BitsAllocated * _n_frames(dataset)
        if dataset.PhotometricInterpretation == "YBR_FULL_422":
            n_bits = n_bits * 2 // 3
        if os.path.getsize(path) < n_bits // 8:
            raise ValueError(
                f"the file is truncated: {n_bits // 8} bytes of pixels are to be in it"
            )


def _check_boxes(dataset):
    """Raise for a JPEG 2000 file whose boxes lead nowhere: pydicom would follow them for ever."""
    from pydicom.encaps import get_frame
    from pydicom.uid import JPEG2000TransferSyntaxes

    if dataset.file_meta.TransferSyntaxUID not in JPEG2000TransferSyntaxes:
        return
    frame = get_frame(dataset.PixelData, 0, number_of_frames=_n_frames(dataset))
    if not frame.startswith(b"\x00\x00\x00\x0cjP  "):
        return  # a bare codestream
    place = 12
    while frame[place + 4 : place + 8] != b"jp2c":
        length = int.from_bytes(frame[place : place + 4], "big")
        place += length
        if length < 8 or place >= len(frame):
            raise ValueError("its JPEG 2000 boxes are damaged")


def _check_decoder(syntax):
    from pydicom.pixels import get_decoder

    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise ValueError(f"DICOM in {syntax.name}, which holds no image") from error
    if not decoder.is_available:
        raise ValueError(
            f"DICOM in {syntax.name}, for which no decoder is installed: "
            "pip install 'lungestimators[dicom]'"
        )


def _n_frames(dataset):
    return max(1, int(dataset.get("NumberOfFrames") or 1))


def _grey(pixels, dataset):
    """Apply the transformations of one channel; return pixels and limits."""
    stored = pixels
    little_endian = dataset.file_meta.TransferSyntaxUID.is_little_endian
    if pixels.dtype.kind == "f":
        limits = _extremes(pixels)
    else:
        n_values = 2.0**dataset.BitsStored
        low = -n_values / 2 if pixels.dtype.kind == "i" else 0.0
        limits = (low, low + n_values - 1)
    if dataset.get("ModalityLUTSequence"):
        pixels, limits = _through_table(pixels, dataset.ModalityLUTSequence[0], little_endian)
    elif "RescaleSlope" in dataset and "RescaleIntercept" in dataset:
        slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
        pixels = pixels * slope + intercept
        limits = tuple(sorted(limit * slope + intercept for limit in limits))
    if dataset.get("VOILUTSequence"):
        shown, window = _through_table(pixels, dataset.VOILUTSequence[0], little_endian)
    else:
        shown, window = _through_window(pixels, dataset)
    if window is not None:
        if _fills(shown, window) or stored.min() == stored.max():
            return shown, window
        _warn("the window shows next to nothing", "it is passed over")
    if _fills(pixels, limits) or pixels.min() == pixels.max():
        return pixels, limits
    _warn(
        "the pixels fill little of what their bits can hold", "their extremes are black and white"
    )
    return pixels, _extremes(pixels)


def _fills(pixels, limits):
    """Whether pixels, but for a few such as burnt-in letters, are not nearly of one grey."""
    some = pixels[:: max(1, pixels.shape[0] // 256), :: max(1, pixels.shape[1] // 256)]
    low, high = np.quantile(some, (0.005, 0.995))
    return high - low >= _SMALLEST_SHARE * (limits[1] - limits[0])


def _extremes(pixels):
    return float(pixels.min()), float(pixels.max())


def _through_table(pixels, table, little_endian):
    """Look pixels up in a modality or value-of-interest table."""
    n_entries, first, bits = table.LUTDescriptor
    entries = table.LUTData
    if isinstance(entries, bytes):
        wide = len(entries) >= 2 * (n_entries or 2**16)
        entries = np.frombuffer(entries, ("<u2" if little_endian else ">u2") if wide else "u1")
    entries = np.asarray(entries)[: n_entries or 2**16]
    positions = np.clip(np.rint(pixels) - first, 0, len(entries) - 1)
    return entries[positions.astype(np.int64)], (0.0, 2.0**bits - 1)


def _through_window(pixels, dataset):
    """Apply the first window (PS3.3 C.11.2.1.2); without a usable one the limits are None."""
    center, width = (_first(dataset.get(name)) for name in ("WindowCenter", "WindowWidth"))
    function = dataset.get("VOILUTFunction") or "LINEAR"
    if center is None or width is None or not width > (1 if function == "LINEAR" else 0):
        return pixels, None
    if function == "SIGMOID":
        scaled = np.clip(-4 * (pixels - center) / width, -700, 700)  # exp would overflow beyond
        return 1 / (1 + np.exp(scaled)), (0.0, 1.0)
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    low, high = center - width / 2, center + width / 2
    return np.clip(pixels, low, high), (low, high)


def _first(value):
    """The first number of an element of one or several, or None."""
    if value is None or value == "":
        return None
    try:
        return float(value)
    except TypeError:
        return float(value[0]) if len(value) else None


def _warn(found, done):
    # The same words for every file, so that Python shows them once.
    warnings.warn(f"DICOM files in which {found}: {done}.", UserWarning, stacklevel=4)
