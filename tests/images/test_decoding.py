"""Files become pixels at their full depth, and those that cannot are named."""

import io
import os
import pickle
import subprocess
import sys
import warnings
import zlib
from types import TracebackType

import numpy as np
import pytest
from PIL import Image, ImageFile
from sklearn.dummy import DummyClassifier
from tblib import pickling_support

from lungestimators import (
    BackboneFeatures,
    CNNClassifier,
    ImageReader,
    ImageReadError,
    audit_images,
)
from lungestimators.images import checking, decoding, pillow

GRADIENT = np.linspace(0, 255, 48 * 64).astype(np.uint8).reshape(48, 64)


def save(path, array=GRADIENT, **options):
    """Save an array as an image and return the path as a str."""
    Image.fromarray(array).save(path, **options)
    return str(path)


def read(path, channels=1):
    """Check and read a file as a classifier does."""
    decoding.check([str(path)])
    return checking.read_image(str(path), channels)


# What there is to read


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "YCbCr"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_8_bit_mode_becomes_grey_or_rgb(tmp_path, mode, channels):
    image = Image.fromarray(GRADIENT)
    if mode == "LAB":
        image = Image.merge("LAB", [image] + 2 * [Image.new("L", image.size, 128)])
    else:
        image = image.convert("RGB").convert(mode)
    suffix = {"CMYK": "jpg", "LAB": "tif", "YCbCr": "jpg"}.get(mode, "png")
    path = tmp_path / f"a.{suffix}"
    image.save(path)
    pixels = read(path, channels)
    assert pixels.shape == (48, 64, channels)
    if mode == "1":  # dithered
        assert set(np.unique(pixels)) == {0, 1}
    else:
        assert np.corrcoef(pixels[..., 0].ravel(), GRADIENT.ravel())[0, 1] > 0.96


def test_a_16_bit_png_keeps_its_depth(tmp_path):
    pixels = np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)
    np.testing.assert_allclose(
        read(save(tmp_path / "deep.png", pixels))[..., 0] * 65535, pixels, atol=0.01
    )


def test_twelve_bits_in_sixteen_are_not_crushed_and_a_warning_says_so(tmp_path):
    pixels = np.linspace(0, 4095, 4096).astype(np.uint16).reshape(64, 64)
    with pytest.warns(UserWarning, match="4095 or less"):
        deep = read(save(tmp_path / "deep.png", pixels))
    np.testing.assert_allclose(deep[..., 0] * 4095, pixels, atol=0.01)
    assert len(np.unique(deep)) == 4096


def test_floats_are_taken_as_they_are(tmp_path):
    pixels = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    np.testing.assert_array_equal(read(save(tmp_path / "float.tif", pixels))[..., 0], pixels)


def test_floats_of_no_usual_range_are_stretched_with_a_warning(tmp_path):
    hounsfield = np.linspace(-1000, 400, 64, dtype=np.float32).reshape(8, 8)
    with pytest.warns(UserWarning, match="extremes are its limits"):
        pixels = read(save(tmp_path / "ct.tif", hounsfield))
    np.testing.assert_allclose(pixels[..., 0], (hounsfield + 1000) / 1400, atol=1e-6)


def test_whole_numbers_of_32_bits_are_read(tmp_path):
    pixels = np.linspace(0, 2e9, 64).astype(np.int32).reshape(8, 8)
    with pytest.warns(UserWarning, match="extremes are its limits"):
        read_back = read(save(tmp_path / "wide.tif", pixels))
    np.testing.assert_allclose(read_back[..., 0], pixels / 2e9, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_whose_white_is_zero_is_inverted(tmp_path, dtype):
    pixels = np.linspace(0, np.iinfo(dtype).max, 64).astype(dtype).reshape(8, 8)
    path = tmp_path / "a.tif"
    save(path, pixels)
    black_is_zero = bytes.fromhex("0601 0300 01000000 0100")  # photometric interpretation 1
    assert black_is_zero in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(black_is_zero, black_is_zero[:-2] + b"\0\0"))
    np.testing.assert_allclose(read(path)[..., 0], 1 - pixels / np.iinfo(dtype).max, atol=1e-6)


@pytest.mark.parametrize("name", ["turned.jpg", "turned.tif", "deflated.tif"])
def test_an_image_is_turned_once_as_its_exif_says(tmp_path, name):
    exif = Image.Exif()
    exif[0x0112] = 6
    compression = {"compression": "tiff_adobe_deflate"} if name == "deflated.tif" else {}
    path = save(tmp_path / name, exif=exif, **compression)
    expected = np.rot90(GRADIENT, -1) / 255
    assert read(path).shape == (64, 48, 1)
    np.testing.assert_allclose(read(path)[..., 0], expected, atol=0.05)


@pytest.mark.parametrize("name", ["a", "a.txt", "a.dcm", "a.jpg"])
def test_the_content_decides_and_not_the_name(tmp_path, name):
    path = tmp_path / name
    save(path, format="PNG")
    np.testing.assert_array_equal(read(path)[..., 0] * 255, GRADIENT)
    assert decoding.holds_image(path)


def test_of_several_pages_the_first_is_read_and_one_warning_counts_them(tmp_path):
    second = Image.fromarray(255 - GRADIENT)
    paths = [
        save(tmp_path / f"{number}.tif", save_all=True, append_images=[second])
        for number in range(3)
    ]
    with pytest.warns(UserWarning, match="3 image files hold several pages") as record:
        decoding.check(paths)
    assert len(record) == 1
    np.testing.assert_array_equal(checking.read_image(paths[0], 1)[..., 0] * 255, GRADIENT)


def test_the_odd_but_valid_files_have_the_pixels_of_the_radiograph(real_data):
    folder = real_data / "odd-images" / "valid"
    radiograph = read(folder / "xray_noextension")
    expected = {
        "xray.webp": 0.06,  # lossy
        "xray_16bit.png": 1e-4,
        "xray_16bit.tif": 1e-4,
        "xray_2pages.tif": 0,
        "xray_RGBA.png": 0,
        "xray_cmyk.jpg": 0.02,
        "xray_float01.tif": 1e-6,
        "xray_palette.png": 0.01,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, tolerance in expected.items():
            np.testing.assert_allclose(
                read(folder / name), radiograph, atol=tolerance, err_msg=name
            )
        turned = read(folder / "xray_exif_rot6.jpg")
        np.testing.assert_allclose(turned, np.rot90(radiograph, -1), atol=0.1)
        assert set(np.unique(read(folder / "xray_1bit.png"))) == {0, 1}
        assert read(folder / "xray_1x1.png").shape == (1, 1, 1)
        for path in folder.iterdir():
            assert 0 <= read(path, 3).min() <= read(path, 3).max() <= 1


def test_real_radiographs_are_read(real_data):
    paths = sorted((real_data / "lung-disease" / "train" / "Type 1 disease").iterdir())[:12]
    for path in checking.check_paths(paths):
        pixels = checking.read_image(path, 3)
        assert pixels.shape == (640, 640, 3)
        assert 0 <= pixels.min() < 0.2 < 0.6 < pixels.max() <= 1


# What cannot be read


def truncated(suffix, **options):
    """The first two thirds of an image."""
    buffer = io.BytesIO()
    Image.fromarray(GRADIENT).save(buffer, suffix, **options)
    return buffer.getvalue()[: buffer.tell() * 2 // 3]


def bomb():
    """A PNG that claims more pixels than memory can hold."""
    png = io.BytesIO()
    Image.new("L", (8, 8)).save(png, "PNG")
    header = b"IHDR" + (2**17).to_bytes(4) * 2 + png.getvalue()[24:29]
    checksum = zlib.crc32(header).to_bytes(4)
    return png.getvalue()[:12] + header + checksum + png.getvalue()[33:]


BROKEN = {
    "empty": (b"", "the file is empty"),
    "text": (b"<!DOCTYPE html><html></html>", "not an image"),
    "jpeg": (truncated("JPEG"), "truncated"),
    "png": (truncated("PNG"), "truncated|broken"),
    "tiff": (truncated("TIFF"), ""),
    "bomb": (bomb(), "pixels"),
    "postscript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        "EPS, which Pillow does not decode",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path, name):
    content, reason = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match=f"{name}' cannot be read: .*({reason})") as error:
        read(path)
    assert list(error.value.reasons) == [str(path)]


def test_the_order_of_bytes_in_a_tiff_changes_nothing(tmp_path):
    pixels = np.linspace(0, 4000, 64).astype(np.uint16).reshape(8, 8)
    little = save(tmp_path / "little.tif", pixels)
    big = save(tmp_path / "big.tif", pixels.astype(">u2"))
    with open(big, "rb") as file:
        assert file.read(2) == b"MM"
    for path in (little, big):
        with pytest.warns(UserWarning, match="4095 or less"):
            np.testing.assert_allclose(read(path)[..., 0], pixels / 4095, atol=1e-6)


def test_a_portable_map_of_16_bits_says_what_white_is(tmp_path):
    pixels = np.linspace(0, 300, 64).astype(np.uint16).reshape(8, 8)
    (tmp_path / "a.pgm").write_bytes(b"P5 8 8 1000\n" + pixels.astype(">u2").tobytes())
    np.testing.assert_allclose(read(tmp_path / "a.pgm")[..., 0], pixels / 1000, atol=1e-4)


def test_a_file_that_was_refused_is_looked_at_again(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    with pytest.raises(ImageReadError, match="MAX_IMAGE_PIXELS = 2000"):
        decoding.check([path])
    monkeypatch.undo()
    decoding.check([path])


def test_files_that_hold_nan_are_skipped_like_other_bad_ones(tmp_path, cnn):
    paths = [save(tmp_path / f"{number}.tif", np.ones((8, 8), np.float32)) for number in range(6)]
    for number in (1, 4):
        save(tmp_path / f"{number}.tif", np.full((8, 8), np.nan, np.float32))
    with pytest.raises(ImageReadError, match=r"1\.tif' \(it holds NaN.*4\.tif"):
        cnn.fit(paths, [0, 1] * 3)
    cnn.set_params(on_error="skip")
    with pytest.warns(UserWarning, match="Left out"):
        assert list(cnn.fit(paths, [0, 1] * 3).skipped_) == [paths[1], paths[4]]


BEYOND = {
    "above white": (
        np.full((4, 4), 1.1),
        (0.0, 1.0),
        "lie in 1.1..1.1, where 0 is black and 1 white",
    ),
    "below black": (np.full((4, 4), -1, np.int16), (0.0, 9.0), "lie in -1..-1"),
    "more than 12 bits": (np.full((4, 4), 4096, np.uint16), (0.0, 4095.0), "lie in 4096"),
    "an alpha channel": (np.zeros((4, 4, 4), np.uint8), (0.0, 255.0), r"shape \(4, 4, 4\)"),
    "no pixel": (np.zeros((0, 4), np.uint8), (0.0, 255.0), r"shape \(0, 4, -?\d+\)|reshape"),
    "NaN": (np.full((4, 4), np.nan, np.float32), (0.0, 1.0), "NaN"),
    "infinity": (np.full((4, 4), np.inf), None, "infinity"),
    "limits of NaN": (np.zeros((4, 4), np.uint8), (0.0, np.nan), "between"),
    "limits the wrong way round": (np.zeros((4, 4), np.uint8), (255.0, 0.0), "255 as black"),
    "complex numbers": (np.zeros((4, 4), complex), (0.0, 1.0), "complex"),
}


@pytest.fixture
def decoder_returns(monkeypatch):
    """Let the decoder of PNG files return what it should not."""

    def set_to(*result):
        monkeypatch.setattr(pillow, "decode", lambda image, channels: result)

    return set_to


@pytest.mark.parametrize("kind", BEYOND)
@pytest.mark.parametrize("channels", [1, 3])
def test_whatever_the_decoder_no_pixel_lies_beyond_black_and_white(
    tmp_path, decoder_returns, kind, channels
):
    pixels, limits, reason = BEYOND[kind]
    path = save(tmp_path / "a.png")
    decoder_returns(pixels, limits)
    if channels == 1 and kind == "an alpha channel":
        reason = ""  # what is wrong comes up before
    with pytest.raises(ImageReadError, match=f"a.png' cannot be read: .*({reason})"):
        checking.read_image(path, channels)
    assert list(decoding.unreadable([path])) == [path]


def test_rounding_beyond_black_and_white_is_no_error(tmp_path, decoder_returns):
    decoder_returns(np.array([[-5e-7, 1 + 5e-7]]), (0.0, 1.0))
    pixels = checking.read_image(save(tmp_path / "a.png"), 1)
    np.testing.assert_allclose(pixels, [[[0], [1]]], atol=1e-6)


def test_pixels_beyond_white_are_named_wherever_files_are_read(tmp_path, cnn):
    paths = [save(tmp_path / f"{number}.png") for number in range(8)]
    bad = [save(tmp_path / f"{number}.tif") for number in range(2)]
    decode = pillow.decode

    def one_too_bright(image, channels):
        pixels, limits = decode(image, channels)
        return (pixels * 2.0 if image.format == "TIFF" else pixels), limits

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pillow, "decode", one_too_bright)
        y = [0, 1] * 5
        with pytest.raises(ImageReadError, match=r"0\.tif.*1\.tif"):
            cnn.fit(paths + bad, y)
        cnn.set_params(on_error="skip")
        with pytest.warns(UserWarning, match="Left out"):
            assert list(cnn.fit(paths + bad, y).skipped_) == bad
        with pytest.raises(ImageReadError, match=r"0\.tif.*1\.tif"):
            cnn.predict(paths + bad)
        with pytest.raises(ImageReadError, match=r"0\.tif.*1\.tif"):
            ImageReader().fit_transform(paths + bad)
        features = BackboneFeatures("MobileNet", image_size=32, weights=None, random_state=0)
        with pytest.raises(ImageReadError, match=r"0\.tif.*1\.tif"):
            features.fit(paths).transform(paths + bad)
        report = audit_images(paths + bad, y, estimator=DummyClassifier(), cv=2, random_state=0)
        assert [row["file"] for row in report.checks["readability"].rows] == bad


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ImageReadError, match=r"no regular file.*is a folder"):
        decoding.check([str(tmp_path / "pipe"), str(tmp_path / "folder")])


def test_all_bad_files_are_named_at_once_before_training(tmp_path, cnn):
    paths = [save(tmp_path / f"{number}.png") for number in range(6)]
    for number in (1, 4):
        (tmp_path / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(ImageReadError, match=r"2 of the image files.*1\.png.*4\.png") as error:
        cnn.fit(paths, [0, 1] * 3)
    assert list(error.value.reasons) == [paths[1], paths[4]]
    assert not hasattr(cnn, "classes_")


def test_of_many_bad_files_ten_are_named_and_the_others_counted(tmp_path):
    paths = [str(tmp_path / f"{number}.png") for number in range(15)]
    with pytest.raises(FileNotFoundError, match=r"15 of the image files.* and 5 others"):
        decoding.check(paths)


def test_a_missing_file_is_both_errors_and_survives_pickling(tmp_path):
    with pytest.raises(ImageReadError) as error:
        decoding.check([str(tmp_path / "nowhere.png")])
    copy = pickle.loads(pickle.dumps(error.value))
    assert isinstance(copy, FileNotFoundError)
    assert str(copy) == str(error.value)
    assert "there is no such file" in str(copy)


def test_an_error_survives_the_pickling_of_dask(tmp_path):
    with pytest.raises(ImageReadError) as error:
        decoding.check([str(tmp_path / "nowhere.png")])
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream)
    pickler.dispatch_table = {
        type(error.value): pickling_support.pickle_exception,
        TracebackType: pickling_support.pickle_traceback,
    }
    pickler.dump(error.value)
    assert str(pickle.loads(stream.getvalue())) == str(error.value)


def damage(path):
    """Damage the pixels of a TIFF and leave its header and its end alone."""
    content = bytearray(path.read_bytes())
    content[40:400] = bytes(360)
    path.write_bytes(content)


@pytest.mark.parametrize("trainable", ["head", "all"])
def test_damage_that_no_header_shows_is_named_for_all_files_at_once(tmp_path, cnn, trainable):
    for number in range(8):
        save(tmp_path / f"{number}.tif", compression="tiff_adobe_deflate")
    for number in (2, 5):
        damage(tmp_path / f"{number}.tif")
    paths = [str(tmp_path / f"{number}.tif") for number in range(8)]
    decoding.check(paths)
    with pytest.raises(ImageReadError, match=r"2\.tif.*5\.tif"):
        cnn.set_params(trainable=trainable).fit(paths, [0, 1] * 4)


def test_with_skip_bad_files_are_left_out_and_recorded(tmp_path, cnn):
    paths = [
        save(tmp_path / f"{number}.tif", compression="tiff_adobe_deflate") for number in range(8)
    ]
    y, weight = np.array(list("abababab")), np.arange(1.0, 9.0)
    good = [0, 1, 3, 4, 6, 7]
    expected = cnn.fit([paths[i] for i in good], y[good], weight[good]).predict_proba(paths)
    damage(tmp_path / "2.tif")
    (tmp_path / "5.tif").unlink()
    cnn.set_params(on_error="skip")
    with pytest.warns(UserWarning, match=r"Left out: 2 of the image files") as record:
        cnn.fit(paths, y, weight, groups=list("11223344"))
    assert sum(str(w.message).startswith("Left out") for w in record) == 1
    assert list(cnn.skipped_) == [paths[2], paths[5]]
    assert cnn.skipped_[paths[5]] == "there is no such file"
    np.testing.assert_array_equal(cnn.predict_proba([paths[i] for i in good]), expected[good])
    with pytest.raises(ImageReadError, match=r"5\.tif.*no such file"):
        cnn.predict(paths)


def test_with_skip_partial_fit_leaves_out_as_well(tmp_path, cnn):
    paths = [save(tmp_path / f"{number}.png") for number in range(4)]
    (tmp_path / "3.png").write_bytes(b"")
    cnn.set_params(on_error="skip")
    for _ in range(2):
        with pytest.warns(UserWarning, match="Left out"):
            cnn.partial_fit(paths, [0, 1, 0, 1], classes=[0, 1])
    assert cnn.skipped_ == {paths[3]: "the file is empty"}


def test_where_every_file_is_bad_skip_raises(tmp_path, cnn):
    with pytest.raises(ImageReadError, match="2 of the image files"):
        cnn.set_params(on_error="skip").fit([tmp_path / "1.png", tmp_path / "2.png"], [0, 1])


def test_nothing_was_skipped_where_nothing_was_wrong(cnn, squares):
    assert cnn.fit(*squares).skipped_ == {}


def test_a_switch_that_fills_truncated_files_with_grey_is_not_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.warns(UserWarning, match="LOAD_TRUNCATED_IMAGES"):
        decoding.check([save(tmp_path / "a.png")])


def test_unknown_ways_to_treat_errors_are_refused(squares):
    with pytest.raises(ValueError, match="on_error='ignore' must be 'raise' or 'skip'"):
        CNNClassifier(on_error="ignore").fit(*squares)


def test_real_broken_files_are_named_in_a_second_and_500_megabytes(real_data):
    program = """
import sys, time
from lungestimators import ImageReadError, files, images
import numpy, PIL.Image, pydicom.pixels
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))
for path in sys.argv[1:]:
    start, before = time.perf_counter(), peak()
    try:
        files.check([path])
        images.read_image(path, 3)
    except ImageReadError as error:
        assert path in str(error), error
        assert len(str(error).splitlines()) == 1, error
    else:
        raise AssertionError(f"{path} was read")
    assert time.perf_counter() - start < 1, path
    assert peak() - before < 500, path
"""
    folders = ["odd-images/broken", "dicom/broken"]
    broken = [str(path) for name in folders for path in sorted((real_data / name).iterdir())]
    assert len(broken) >= 13
    done = subprocess.run([sys.executable, "-c", program, *broken], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
