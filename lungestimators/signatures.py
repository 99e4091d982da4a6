"""What a file that cannot be read is, by its first bytes."""

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

_SIGNATURES = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"II+\0": "64-bit TIFF (BigTIFF)",
    b"MM\0+": "64-bit TIFF (BigTIFF)",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"SIMPLE  =": "FITS",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
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

_READ = 2**16  # bytes that are looked at


def name_of(path):
    """Return what a file is that Pillow does not decode, or None where its first bytes say nothing.

    Returns
    -------
    str or None
    """
    with open(path, "rb") as file:
        start = file.read(_READ)
    if start.startswith(_JPEG):
        return _jpeg(start)
    if start[344:348] in _NIFTI:
        return "NIfTI"
    if start[4:8] == b"ftyp":
        return f"HEIF or AVIF ({start[8:12].decode('latin-1').strip()})"
    found = (name for bytes_, name in _SIGNATURES.items() if start.startswith(bytes_))
    return next(found, None)


def undecoded_jpeg(path):
    """Return what sort of JPEG a file is if it is one that Pillow does not decode, or None."""
    with open(path, "rb") as file:
        start = file.read(_READ)
    marker, bits = _frame(start) if start.startswith(_JPEG) else (None, None)
    return None if marker is None or (marker in _DECODED and bits == 8) else _jpeg(start)


def _jpeg(start):
    marker, bits = _frame(start)
    if marker == _JPEG_LS:
        return f"JPEG-LS of {bits} bits"
    return "JPEG" if marker is None else f"JPEG ({_FRAMES[marker]}, {bits} bits a sample)"


def _frame(start):
    """The marker of the first frame and its bits a sample, or None twice."""
    position = 2
    while position + 5 <= len(start) and start[position] == 0xFF:
        marker = start[position + 1]
        if marker in _FRAMES or marker == _JPEG_LS:
            return marker, start[position + 4]
        position += 1 if marker == 0xFF else 2 + int.from_bytes(start[position + 2 : position + 4])
    return None, None
