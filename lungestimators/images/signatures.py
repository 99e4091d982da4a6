"""Tell the format of a file by its first bytes: DICOM, FITS, TIFF, or one that is not read."""

from PIL import TiffImagePlugin

_JPEG = b"\xff\xd8\xff"

# Frames of JPEG by their marker; those that Pillow decodes, of 8 bits a sample, come first.
_DECODED = {0xC0, 0xC1, 0xC2}
_FRAMES = {
    0xC0: "baseline",
    0xC1: "extended",
    0xC2: "progressive",
    0xC3: "lossless",
    0xC5: "hierarchical",
    0xC6: "hierarchical",
    0xC7: "hierarchical lossless",
    0xC9: "arithmetic coding",
    0xCA: "arithmetic coding",
    0xCB: "lossless with arithmetic coding",
    0xCD: "hierarchical",
    0xCE: "hierarchical",
    0xCF: "hierarchical lossless",
}
_JPEG_LS = 0xF7

# Formats that Pillow decodes.
_KNOWN = {
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "64-bit TIFF (BigTIFF)",
}

# Formats that Pillow does not decode.
_UNKNOWN = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"v/1\x01": "OpenEXR",
    b"%PDF": "PDF",
    b"PK\x03\x04": "a ZIP archive (.zip, .npz, .docx)",
    b"\x1f\x8b": "compressed by gzip (.gz)",
    b"\x93NUMPY": "a NumPy array (.npy)",
    b"\x89HDF": "HDF5",
    b"NRRD": "NRRD",
    b"ObjectType": "MetaImage",
    b"NDims": "MetaImage",
}
_NIFTI = {b"n+1\0", b"ni1\0"}  # at byte 344

_READ = 2**16  # bytes of an unreadable file that are looked at

# First bytes of a file that tell its format; DICOM needs the most.
_START = 132

# The first element of a DICOM file has no more bytes than this.
_LONG_ELEMENT = 4096


def first_bytes(file):
    """Return the first bytes of an open file, which tell its format, and go back to its start."""
    start = file.read(_START)
    file.seek(0)
    return start


def starts_as_dicom(start):
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
        start[0] == 8 and start[3] == 0 and int.from_bytes(start[4:8], order) <= _LONG_ELEMENT
    )


def starts_as_fits(start):
    """Whether the first bytes of a file are those of FITS."""
    return start.startswith(b"SIMPLE  =")


def starts_as_tiff(start):
    """Whether the first bytes of a file are those of a TIFF."""
    return start[:4] in TiffImagePlugin.PREFIXES


def describe_signature(path):
    """Say what a file is that Pillow did not open.

    Parameters
    ----------
    path : str

    Returns
    -------
    str or None
        A sentence; None where the first bytes say nothing.
    """
    start = _bytes_with_signature(path)
    if start.startswith(_JPEG):
        return describe_jpeg_signature(path) or _signature_of_damaged("JPEG")
    for signature, name in _KNOWN.items():
        if start.startswith(signature):
            return _signature_of_damaged(name)
    if start[344:348] in _NIFTI:
        return _signature_of_undecoded("NIfTI")
    if start[4:8] == b"ftyp":
        return _signature_of_undecoded(f"HEIF or AVIF ({start[8:12].decode('latin-1').strip()})")
    found = (name for signature, name in _UNKNOWN.items() if start.startswith(signature))
    name = next(found, None)
    return name and _signature_of_undecoded(name)


def describe_jpeg_signature(path):
    """Say which kind of JPEG a file is, where Pillow does not decode that kind.

    Returns
    -------
    str or None
        A sentence; None for other files, and for the kinds of JPEG that Pillow decodes.
    """
    start = _bytes_with_signature(path)
    marker, bits = _kind_of_jpeg_by_signature(start) if start.startswith(_JPEG) else (None, None)
    if marker is None or (marker in _DECODED and bits == 8):
        return None
    if marker == _JPEG_LS:
        return _signature_of_undecoded(f"JPEG-LS of {bits} bits")
    return _signature_of_undecoded(f"JPEG ({_FRAMES[marker]}, {bits} bits a sample)")


def _bytes_with_signature(path):
    """Return the first 64 KiB of a file."""
    with open(path, "rb") as file:
        return file.read(_READ)


def _signature_of_undecoded(name):
    """Say that a file is of a format that Pillow does not decode."""
    return f"it is {name}, which Pillow does not decode"


def _signature_of_damaged(name):
    """Say that a file is of a format that Pillow decodes, and damaged."""
    return f"it begins as {name}, and is damaged"


def _kind_of_jpeg_by_signature(start):
    """Return the marker of a JPEG's first frame and its bits a sample, or (None, None)."""
    position = 2
    while position + 5 <= len(start) and start[position] == 0xFF:
        marker = start[position + 1]
        if marker in _FRAMES or marker == _JPEG_LS:
            return marker, start[position + 4]
        position += 1 if marker == 0xFF else 2 + int.from_bytes(start[position + 2 : position + 4])
    return None, None
