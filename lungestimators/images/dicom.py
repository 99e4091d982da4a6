"""Read DICOM files by pydicom, and decode the first frame as a workstation shows it."""

import io
import warnings
import zlib

from . import dicom_checks, dicom_colour, dicom_display, dicom_elements, dicom_pixels

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

# The element that ends encoded pixels.
_DELIMITER = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"


def read_and_check_dicom(path, max_pixels):
    """Raise unless the header of a DICOM file is that of an image; return its number of frames."""
    dataset = _read_dicom(path, defer_size=_LONG)
    dicom_checks.check_dicom_dataset(dataset, path, max_pixels)
    return dicom_elements.element_number_of_frames(dataset)


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
    dataset = _read_dicom(path, defer_size=_LONG)
    dicom_checks.check_dicom_dataset(dataset, path, max_pixels)
    n_frames = dicom_elements.element_number_of_frames(dataset)
    stored = dicom_pixels.read_stored_values(dataset, path, n_frames)
    if stored.colour in dicom_checks.GREY:
        return dicom_display.display_grey(stored, dataset)
    if stored.colour == "PALETTE COLOR":
        return dicom_colour.rgb_of_dicom_palette(stored, dataset)
    pixels, limits = dicom_colour.rgb_of_dicom_samples(stored)
    # Colours of 8 bits are shown as they are.
    return (
        (pixels, limits)
        if stored.bits <= 8
        else dicom_display.spread_display_limits(pixels, limits)
    )


def _read_dicom(path, **options):
    """Read a DICOM file as a pydicom data set, also one without preamble or end of its pixels."""
    try:
        import pydicom
    except ImportError as error:
        raise ImportError(
            f"{path!r} is a DICOM file; reading it needs pydicom: "
            "pip install 'lungestimators[dicom]'"
        ) from error
    _check_inflated_dicom_size(path, pydicom)
    # Without force, files without a preamble would be refused.
    dataset = pydicom.dcmread(path, force=True, **options)
    if not any(name in dataset for name in dicom_checks.PIXELS):
        dataset = _read_dicom_without_end(path, pydicom) or dataset
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = _SYNTAXES[dataset.original_encoding]
    return dataset


def _read_dicom_without_end(path, pydicom):
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


def _check_inflated_dicom_size(path, pydicom):
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
