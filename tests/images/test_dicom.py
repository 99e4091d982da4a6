"""DICOM files become what a workstation shows."""

import sys
import warnings

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from lungestimators import CNNClassifier, ImageReadError
from lungestimators.images import decoding, file_checks, reading

from .dicom_files import PIXELS, radiograph, read, save


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
        JPEGLSLossless,
    ],
    ids=lambda syntax: syntax.name,
)
def test_every_lossless_syntax_gives_all_twelve_bits(tmp_path, syntax):
    pixels = read(save(tmp_path / "a.dcm", radiograph(), syntax))
    np.testing.assert_allclose(pixels, PIXELS / 4095, atol=1e-7)


@pytest.mark.parametrize(
    "name", ["SC_rgb_jpeg_dcmtk.dcm", "JPGExtended.dcm", "JPEGLSNearLossless_16.dcm"]
)
def test_lossy_syntaxes_are_decoded(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.ptp(read(get_testdata_file(name, download=False))) > 0.05


def test_of_several_frames_the_first_is_read_with_a_warning(tmp_path):
    path = save(tmp_path / "a.dcm", radiograph(np.stack([PIXELS, PIXELS[::-1], PIXELS])))
    with pytest.warns(UserWarning, match="1 image file holds several pages or frames"):
        np.testing.assert_allclose(read(path), PIXELS / 4095, atol=1e-7)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_a_file_without_preamble_and_header_is_read(tmp_path, syntax):
    path = tmp_path / "IM0001"
    save(path, radiograph(), syntax)
    content = path.read_bytes()
    group_8 = b"\x00\x08\x00\x16" if syntax == ExplicitVRBigEndian else b"\x08\x00\x16\x00"
    path.write_bytes(content[content.index(group_8) :])
    assert decoding.is_decodable(path)
    np.testing.assert_allclose(read(path), PIXELS / 4095, atol=1e-7)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "name", ["examples_rgb_color.dcm", "examples_ybr_color.dcm", "examples_palette.dcm"]
)
def test_colours_become_grey_or_rgb(name, channels):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels = reading.read_image(get_testdata_file(name, download=False), channels)
    assert pixels.shape[2] == channels
    assert 0 <= pixels.min() < pixels.max() <= 1


BROKEN = {
    "no image": (dict(PixelData=None), "DICOM without an image"),
    "no rows": (dict(Rows=None), "without Rows"),
    "four samples": (dict(SamplesPerPixel=4), "4 samples"),
    "more rows than pixels": (dict(Rows=4000), "truncated"),
    "a bomb": (dict(Rows=65535, Columns=65535), "claims 4294836225 pixels"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_header_is_named_before_pixels_are_read(tmp_path, name):
    elements, reason = BROKEN[name]
    dataset = radiograph()
    for element, value in elements.items():
        if value is None:
            del dataset[element]
        else:
            setattr(dataset, element, value)
    path = save(tmp_path / "a.dcm", dataset)
    with pytest.raises(ImageReadError, match=reason):
        file_checks.check_files([path])


def test_a_deflated_bomb_is_not_inflated(tmp_path):
    path = save(
        tmp_path / "a.dcm",
        radiograph(np.zeros((20_000, 8_000), np.uint16)),
        DeflatedExplicitVRLittleEndian,
    )
    with pytest.raises(ImageReadError, match="inflates to more"):
        file_checks.check_files([path])


def test_boxes_of_jpeg_2000_that_lead_nowhere_are_not_followed(tmp_path):
    from pydicom.encaps import encapsulate

    dataset = radiograph()
    dataset.compress(JPEG2000Lossless)
    dataset.PixelData = encapsulate([b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(64)])
    path = tmp_path / "a.dcm"
    dataset.save_as(path, enforce_file_format=True)
    with pytest.raises(ImageReadError, match="boxes are damaged"):
        read(path)


def test_without_pydicom_the_extra_is_named_and_nothing_is_skipped(tmp_path, monkeypatch):
    paths = [save(tmp_path / f"{number}.dcm", radiograph()) for number in range(4)]
    monkeypatch.setitem(sys.modules, "pydicom", None)
    for on_error in ("raise", "skip"):
        with pytest.raises(ImportError, match=r"pip install 'lungestimators\[dicom\]'"):
            CNNClassifier(on_error=on_error).fit(paths, [0, 1, 0, 1])


def test_a_syntax_without_a_decoder_is_named_with_the_extra_that_has_it(tmp_path, monkeypatch):
    from pydicom.pixels.decoders import JPEG2000LosslessDecoder

    path = save(tmp_path / "a.dcm", radiograph(), JPEG2000Lossless)
    monkeypatch.setattr(JPEG2000LosslessDecoder, "_available", {})
    with pytest.raises(ImageReadError, match=r"no decoder is installed: .*\[dicom\]"):
        file_checks.check_files([path])


def test_a_classifier_takes_dicom_and_png_together(tmp_path, cnn, squares):
    from PIL import Image

    X, y = squares
    paths = []
    for number, image in enumerate(X):
        path = tmp_path / f"{number}.dcm"
        if number % 2:
            Image.fromarray(image).save(path, format="PNG")
        else:
            save(path, radiograph(image, bits_stored=8))
        paths.append(str(path))
    colour = np.repeat(X[..., None], 3, axis=3)
    expected = cnn.fit(colour, y).predict_proba(colour)
    np.testing.assert_array_equal(cnn.fit(paths, y).predict_proba(paths), expected)


def test_real_twins_are_each_others_inverse(real_data):
    folder = real_data / "dicom" / "chest"
    negative, positive = (
        read(next(folder.glob(f"rsna_cr_{kind}*"))) for kind in ("FAKEmono1", "mono2")
    )
    np.testing.assert_allclose(1 - negative, positive, atol=1e-7)


def test_real_chest_files_show_a_bright_spine_and_dark_lungs(real_data):
    paths = sorted((real_data / "dicom" / "chest").iterdir())
    same_chest = [read(path) for path in paths if "barre" in path.name]
    assert len(same_chest) == 3
    for other in same_chest[1:]:
        assert np.corrcoef(same_chest[0].ravel(), other.ravel())[0, 1] > 0.99
    for path in paths:
        if "FAKE" not in path.name:
            pixels = read(path)
            height, width = pixels.shape
            middle = slice(height // 3, height // 2)
            spine = np.median(pixels[middle, int(0.48 * width) : int(0.56 * width)])
            lungs = np.median(pixels[middle, int(0.2 * width) : int(0.35 * width)])
            assert spine > lungs, path.name
