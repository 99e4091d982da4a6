"""Find the encoded stream of the first frame in a DICOM file, and read the stream's header."""

import io
import os
from typing import NamedTuple

_DAMAGED = "its encoded pixels are damaged"
_TOO_SHORT = "its encoded pixels end too early"

_ITEM = b"\xfe\xff\x00\xe0"

# Start of frame: JPEG, and JPEG-LS.
_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


class StreamHeader(NamedTuple):
    """What the header of a JPEG, JPEG-LS or JPEG 2000 stream says of its pixels."""

    bits: int
    signed: bool
    rows: int
    columns: int
    samples: int
    colour: str | None  # "RGB" or "YBR_FULL"; None where the stream does not say
    named: bool  # its samples are called R, G and B
    transformed: bool  # by JPEG 2000, whose decoders return RGB
    plugin: str = ""  # the one of pydicom's decoders to be used; "" leaves it to pydicom


def first_frame_as_stream(dataset, path, n_frames):
    """Return the bytes of the first encoded frame, from the data set or from its file."""
    offsets = None
    if dataset.get("ExtendedOffsetTable") and dataset.get("ExtendedOffsetTableLengths"):
        offsets = dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths
    element = dataset.get_item("PixelData", keep_deferred=True)
    if element.value is not None:
        return _first_stream(io.BytesIO(element.value), n_frames, offsets)
    with open(path, "rb") as file:
        file.seek(element.value_tell)
        return _first_stream(file, n_frames, offsets)


def _first_stream(file, n_frames, extended_offsets):
    """Return the encoded stream of the first frame of encapsulated pixels.

    Parameters
    ----------
    file : file object
        At the place where the encapsulated pixels begin.
    n_frames : int
    extended_offsets : tuple of (bytes, bytes) or None
        The values of ExtendedOffsetTable and ExtendedOffsetTableLengths.

    Returns
    -------
    bytes
    """
    from pydicom.encaps import get_frame

    start = file.tell()
    _check_items_of_streams(file)
    file.seek(start)
    return get_frame(file, 0, number_of_frames=n_frames, extended_offsets=extended_offsets)


def _check_items_of_streams(file):
    """Raise unless all items of encapsulated pixels are complete; their end mark may be missing."""
    n_items = 0
    place = file.tell()
    end = file.seek(0, os.SEEK_END)
    while True:
        file.seek(place)
        start = file.read(8)
        if start[:4] != _ITEM:
            break
        place += 8 + int.from_bytes(start[4:], "little")
        n_items += 1
    if n_items == 0:
        raise ValueError("its transfer syntax is an encoded one, and its pixels are not encoded")
    if n_items == 1 or place > end:
        raise ValueError(_TOO_SHORT)


def read_jpeg_stream_header(frame):
    """Return the StreamHeader of a JPEG or JPEG-LS stream."""
    colour, plugin = None, ""
    place = 2 if frame.startswith(b"\xff\xd8") else len(frame)
    while place + 4 <= len(frame) and frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker == 0xFF:  # filled up
            place += 1
            continue
        length = int.from_bytes(frame[place + 2 : place + 4], "big")
        segment = frame[place + 4 : place + 2 + length]
        if marker == 0xE0 and segment.startswith(b"JFIF"):
            colour = colour or "YBR_FULL"
        elif marker == 0xEE and segment.startswith(b"Adobe") and len(segment) >= 12:
            colour = {0: "RGB", 1: "YBR_FULL"}.get(segment[11], colour)
            plugin = "pylibjpeg"  # Pillow would turn it into RGB, or not
        elif marker in _FRAME_HEADERS and len(segment) >= 6:
            _check_end_of_stream(frame)
            samples = segment[5]
            named = segment[6 : 6 + 3 * samples : 3] in (b"RGB", b"rgb")
            colour = "RGB" if named else colour
            rows, columns = (int.from_bytes(segment[at : at + 2], "big") for at in (1, 3))
            return StreamHeader(
                segment[0], False, rows, columns, samples, colour, named, False, plugin
            )
        place += 2 + max(length, 2)
    raise ValueError(_DAMAGED)


def read_jpeg_2000_stream_header(frame):
    """Return the StreamHeader of a JPEG 2000 stream, bare or in the boxes of a JPEG 2000 file."""
    start = _codestream_start(frame)
    size = frame[start + 4 : start + 4 + int.from_bytes(frame[start + 4 : start + 6], "big")]
    if frame[start : start + 4] != b"\xff\x4f\xff\x51" or len(size) < 41:
        raise ValueError(_DAMAGED)
    right, bottom, left, top = (int.from_bytes(size[at : at + 4], "big") for at in (4, 8, 12, 16))
    samples = int.from_bytes(size[36:38], "big")
    if any(size[38 : 38 + 3 * samples : 3][n] != size[38] for n in range(1, samples)):
        raise ValueError("the samples of its JPEG 2000 stream differ in depth")
    _check_end_of_stream(frame)
    return StreamHeader(
        (size[38] & 0x7F) + 1,
        bool(size[38] & 0x80),
        bottom - top,
        right - left,
        samples,
        None,
        False,
        _is_colour_transformed_stream(frame, start + 4 + len(size)),
    )


def _codestream_start(frame):
    """Return where the JPEG 2000 codestream begins, or raise for damaged boxes.

    pydicom would follow damaged boxes for ever.
    """
    if not frame.startswith(b"\x00\x00\x00\x0cjP  "):
        return 0
    place = 12
    while frame[place + 4 : place + 8] != b"jp2c":
        length = int.from_bytes(frame[place : place + 4], "big")
        place += length
        if length < 8 or place >= len(frame):
            raise ValueError("its JPEG 2000 boxes are damaged")
    return place + 8


def _is_colour_transformed_stream(frame, place):
    """Whether the segment COD of a JPEG 2000 stream says that its colours are transformed."""
    while frame[place : place + 1] == b"\xff" and frame[place + 1 : place + 2] != b"\x90":
        if frame[place + 1] == 0x52:
            return frame[place + 8 : place + 9] == b"\x01"
        place += 2 + max(2, int.from_bytes(frame[place + 2 : place + 4], "big"))
    raise ValueError(_DAMAGED)


def _check_end_of_stream(frame):
    """Raise for a stream without an end mark: decoders would fill missing pixels with grey."""
    if b"\xff\xd9" not in frame[-64:]:
        raise ValueError(_TOO_SHORT)


def check_stream_header(header, dataset):
    """Raise where a stream has another size, or number of samples, than the data set says."""
    said = dataset.Rows, dataset.Columns, dataset.SamplesPerPixel
    found = header.rows, header.columns, header.samples
    if said != found:
        raise ValueError(
            "its encoded pixels have {} rows, {} columns and {} samples a pixel, ".format(*found)
            + "its header says {}, {} and {}".format(*said)
        )
    if not 1 <= header.bits <= 32:
        raise ValueError(f"its encoded pixels have {header.bits} bits: 1 to 32 are possible")


def colour_of_stream(header, said):
    """Return the photometric interpretation of the decoded pixels of a stream."""
    if header.samples == 1:
        return said
    if said in ("YBR_ICT", "YBR_RCT"):
        if not header.transformed:
            raise ValueError(f"it is {said}, and its stream is not transformed so")
        return "RGB"
    if header.transformed and said != "RGB":
        raise ValueError(f"it is {said}, and its stream is transformed from RGB as YBR_RCT is")
    if header.colour == "YBR_FULL" and said == "YBR_PARTIAL_422":
        raise ValueError(f"it is {said}, and its stream says that it is {header.colour}")
    if header.colour == "RGB" and said != "RGB" and not header.named:
        raise ValueError(f"it is {said}, and its stream says that it is RGB")
    return header.colour or said


def is_cosine_transformed_stream(dataset):
    """Whether the pixels are encoded by a discrete cosine transform."""
    from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit

    return dataset.file_meta.TransferSyntaxUID in (JPEGBaseline8Bit, JPEGExtended12Bit)


def is_lossy_stream(dataset):
    """Whether the pixels may be encoded with loss."""
    from pydicom.uid import HTJ2K, JPEG2000, JPEGLSNearLossless

    lossy = (HTJ2K, JPEG2000, JPEGLSNearLossless)
    return is_cosine_transformed_stream(dataset) or dataset.file_meta.TransferSyntaxUID in lossy
