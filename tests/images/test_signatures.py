"""A file that is not read says what it is."""

import struct

import numpy as np
import pytest

from lungestimators import ImageReadError
from lungestimators.images import file_checks, reading

from .tiff_writer import tiff


def jpeg_frame(marker, bits):
    """The start of a JPEG, up to its frame."""
    table = b"\xff\xdb" + struct.pack(">H", 67) + b"\0" + bytes([1] * 64)
    frame = struct.pack(">BBHBHHB", 0xFF, marker, 11, bits, 8, 8, 1) + b"\1\x11\0"
    return b"\xff\xd8" + table + frame + b"\xff\xda\0\x08\1\1\0\0?\0" + bytes(40) + b"\xff\xd9"


GREY = np.arange(300, dtype=np.uint64).reshape(15, 20, 1)


UNREAD = {
    "extended JPEG": (jpeg_frame(0xC1, 12), r"JPEG \(extended, 12 bits"),
    "lossless JPEG": (jpeg_frame(0xC3, 16), r"JPEG \(lossless, 16 bits"),
    "JPEG-LS": (jpeg_frame(0xF7, 12), "JPEG-LS of 12 bits"),
    "JPEG XL": (b"\xff\x0a" + bytes(200), "JPEG XL"),
    "HEIF": (b"\0\0\0\x18ftypheic" + bytes(200), r"HEIF or AVIF \(heic\)"),
    "NIfTI": (bytes(344) + b"n+1\0" + bytes(100), "NIfTI"),
    "gzip": (b"\x1f\x8b\x08" + bytes(200), "gzip"),
    "PDF": (b"%PDF-1.7" + bytes(200), "PDF"),
    "NumPy": (b"\x93NUMPY" + bytes(200), "NumPy"),
    "64-bit TIFF": (b"MM\0+\0\x08\0\0" + bytes(200), "64-bit TIFF"),
    "cut TIFF": (tiff(GREY, bits=16, photometric=1)[:40], "without an image|ends too early"),
    "YCbCr": (tiff(np.zeros((4, 4, 3), np.uint64), bits=16, photometric=6), "YCbCr"),
    "Lab": (tiff(np.zeros((4, 4, 3), np.uint64), bits=16, photometric=8), r"L\*a\*b"),
    "channels": (
        tiff(np.zeros((4, 4, 5), np.uint64), bits=16, photometric=1),
        "5 samples a pixel",
    ),
    "24 bits": (tiff(GREY, bits=24, photometric=1), "24-bit unsigned samples"),
    "predictor": (tiff(GREY, bits=16, photometric=1, predictor=2), "predictor 2"),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_a_file_that_is_not_read_says_what_it_is(tmp_path, kind):
    content, reason = UNREAD[kind]
    path = tmp_path / "a"
    path.write_bytes(content)
    for function in (file_checks.check_files, lambda paths: reading.read_image(paths[0], 3)):
        with pytest.raises(ImageReadError, match=f"a' cannot be read: .*({reason})"):
            function([str(path)])
    assert list(file_checks.unreadable_files([str(path)])) == [str(path)]
