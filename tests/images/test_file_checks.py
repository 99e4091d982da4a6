"""Files that cannot be read are named before anything is read."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageFile

from lungestimators import ImageReadError
from lungestimators.images import file_checks, prepared, reading

from .image_files import GRADIENT, save, tiff_with_the_directory_first


def test_a_file_that_was_refused_is_looked_at_again(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    with pytest.raises(ImageReadError, match="MAX_IMAGE_PIXELS = 2000"):
        file_checks.check_files([path])
    monkeypatch.undo()
    file_checks.check_files([path])


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ImageReadError, match=r"no regular file.*is a folder"):
        file_checks.check_files([str(tmp_path / "pipe"), str(tmp_path / "folder")])


def test_all_bad_files_are_named_at_once_before_training(tmp_path, cnn):
    paths = [save(tmp_path / f"{number}.png") for number in range(6)]
    for number in (1, 4):
        (tmp_path / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(ImageReadError, match=r"2 of the image files.*1\.png.*4\.png") as error:
        cnn.fit(paths, [0, 1] * 3)
    assert list(error.value.reasons) == [paths[1], paths[4]]
    assert not hasattr(cnn, "classes_")


def test_a_switch_that_fills_truncated_files_with_grey_is_not_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.warns(UserWarning, match="LOAD_TRUNCATED_IMAGES"):
        file_checks.check_files([save(tmp_path / "a.png")])


def test_of_several_pages_the_first_is_read_and_one_warning_counts_them(tmp_path):
    second = Image.fromarray(255 - GRADIENT)
    paths = [
        save(tmp_path / f"{number}.tif", save_all=True, append_images=[second])
        for number in range(3)
    ]
    with pytest.warns(UserWarning, match="3 image files hold several pages") as record:
        file_checks.check_files(paths)
    assert len(record) == 1
    np.testing.assert_array_equal(reading.read_image(paths[0], 1)[..., 0] * 255, GRADIENT)


def test_real_broken_files_are_named_in_a_second_and_500_megabytes(real_data):
    program = """
import sys, time
from lungestimators import ImageReadError
from lungestimators.images import file_checks, reading
import numpy, PIL.Image, pydicom.pixels
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))
for path in sys.argv[1:]:
    start, before = time.perf_counter(), peak()
    try:
        file_checks.check_files([path])
        reading.read_image(path, 3)
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


def png_with_damage():
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)).save(
        buffer, "PNG"
    )
    content = bytearray(buffer.getvalue())
    content[2000] ^= 255
    return bytes(content)


def cut(suffix, **options):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    Image.fromarray(noise).convert(options.pop("mode", "L")).save(buffer, suffix, **options)
    return buffer.getvalue()[: buffer.tell() // 2]


DAMAGED = {
    "damaged.png": png_with_damage(),
    "cut.jpg": cut("JPEG"),
    "cut.png": cut("PNG"),
    "cut.gif": cut("GIF"),
    "cut.webp": cut("WEBP", lossless=True, mode="RGB"),
    "cut.bmp": cut("BMP"),
    "cut.jp2": cut("JPEG2000"),
    "cut.pgm": cut("PPM"),
    "cut.tif": tiff_with_the_directory_first(),
}


def test_damaged_files_are_named_before_any_is_decoded_for_a_prediction(tmp_path, cnn, monkeypatch):
    paths = []
    for number in range(6):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(GRADIENT).save(paths[-1])
    cnn.fit(paths, [0, 1] * 3)
    for name, content in DAMAGED.items():
        (tmp_path / name).write_bytes(content)
    damaged = [str(tmp_path / name) for name in DAMAGED]
    decoded = []
    monkeypatch.setattr(
        prepared, "read_unscaled_image", lambda *arguments: decoded.append(arguments)
    )
    with pytest.raises(ImageReadError, match="Leave these files out") as error:
        cnn.predict(paths + damaged)
    assert list(error.value.reasons) == damaged
    assert not decoded
