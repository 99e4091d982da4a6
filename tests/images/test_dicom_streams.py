"""DICOM files are told by their content: syntaxes, whole streams, other formats' beginnings."""

import warnings

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
)

from lungestimators import ImageReadError
from lungestimators.audit import summaries
from lungestimators.images import file_checks, reading

from .dicom_files import BYTES, PIXELS, encode, radiograph, read, save, write

FULL = PIXELS / 4095


def stored(tmp_path):
    """A JPEG-LS file, and where the last item of its pixels begins and ends."""
    stream = encode(PIXELS, JPEGLSLossless, 12)
    path = write(tmp_path / "a.dcm", radiograph(), JPEGLSLossless, stream)
    with open(path, "rb") as file:
        content = file.read()
    start = content.index(stream)
    return path, content, start, start + len(stream) + len(stream) % 2


def test_encoded_pixels_without_a_delimiter_are_read(tmp_path):
    path, content, _, end = stored(tmp_path)
    with open(path, "wb") as file:
        file.write(content[:end])
    np.testing.assert_allclose(read(path), FULL, atol=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_encoded_pixels_that_end_too_early_are_named(tmp_path, share):
    path, content, start, end = stored(tmp_path)
    with open(path, "wb") as file:
        file.write(content[: start + int(share * (end - start))])
    with pytest.raises(ImageReadError, match="its encoded pixels end too early"):
        read(path)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, JPEGBaseline8Bit])
def test_a_stream_that_ends_too_early_in_a_whole_file_is_named(tmp_path, syntax):
    depth = 8 if syntax == JPEGBaseline8Bit else 12
    stream = encode(BYTES if depth == 8 else PIXELS, syntax, depth)
    dataset = radiograph(BYTES if depth == 8 else PIXELS, bits_stored=depth)
    path = write(tmp_path / "a.dcm", dataset, syntax, stream[: len(stream) // 2])
    with pytest.raises(ImageReadError, match="its encoded pixels end too early"):
        read(path)


@pytest.mark.parametrize(
    "said, reason",
    [
        (ExplicitVRLittleEndian, "its transfer syntax is not an encoded one"),
        ("1.2.840.113619.5.2", "transfer syntax '1.2.840.113619.5.2', which is not known"),
        ("1.2.840.10008.1.2.4.99", "'1.2.840.10008.1.2.4.99', which is not known"),
    ],
)
def test_a_transfer_syntax_that_is_not_that_of_the_pixels_is_named(tmp_path, said, reason):
    path, content, *_ = stored(tmp_path)
    uid = JPEGLSLossless.encode()
    with open(path, "wb") as file:
        file.write(content.replace(uid, said.encode().ljust(len(uid), b"\x00"), 1))
    with pytest.raises(ImageReadError, match=reason):
        file_checks.check_files([path])


def test_pixels_that_are_not_encoded_are_named_where_they_are_to_be(tmp_path):
    path = save(tmp_path / "a.dcm", radiograph())
    with open(path, "rb") as file:
        content = file.read()
    uid = b"1.2.840.10008.1.2.1\x00"
    with open(path, "wb") as file:
        file.write(content.replace(uid, b"1.2.840.10008.1.2.5\x00", 1))
    with pytest.raises(ImageReadError, match="its pixels are not encoded"):
        read(path)


def test_jpeg_of_twelve_bits_without_its_decoder_is_named(monkeypatch):
    from pydicom.pixels.decoders import JPEGExtended12BitDecoder

    path = get_testdata_file("JPEG-lossy.dcm", download=False)
    only = {name: f for name, f in JPEGExtended12BitDecoder._available.items() if name == "pillow"}
    monkeypatch.setattr(JPEGExtended12BitDecoder, "_available", only)
    with pytest.raises(ImageReadError, match=r"12-bit pixels in JPEG Extended .*\[dicom\]"):
        read(path)


PREAMBLES = {
    "TIFF": b"II*\x00\x08\x00\x00\x00" + b"\x01\x00" * 20,
    "PNG": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "JPEG": b"\xff\xd8\xff\xe0",
    "a bomb": b"P5 60000 60000 255 ",
}


@pytest.mark.parametrize("name", PREAMBLES)
def test_dicom_that_begins_as_another_format_is_dicom(tmp_path, name):
    path = save(tmp_path / "a.dcm", radiograph())
    with open(path, "r+b") as file:
        file.write(PREAMBLES[name])
    np.testing.assert_allclose(read(path), FULL, atol=1e-6)
    (summary,) = summaries.summarise_images([path], lambda n_done: None)
    assert summary.properties["format"] == "DICOM"


def test_made_files_are_read_as_they_were_made_or_refused_by_name(real_data):
    folder = real_data / "odd-images" / "made"
    expected = np.load(folder / "expected.npz")
    paths = sorted(folder.glob("*.dcm"))
    assert len(paths) == 17
    for path in paths:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                seen = reading.read_image(str(path), 1)[..., 0]
        except ImageReadError as error:
            assert path.name in ("syntax_unknown.dcm", "ybr_partial_422.dcm")
            assert path.name in str(error)
            continue
        assert 0 <= seen.min() < 0.05 and 0.95 < seen.max() <= 1, path.name
        if path.name in expected:
            # JPEG and palettes of 8 bits, and files with the bits of the high byte alone
            np.testing.assert_allclose(seen, expected[path.name], atol=0.008, err_msg=path.name)
