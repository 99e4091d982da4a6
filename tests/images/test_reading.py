"""A file that turns out to be damaged while it is read is named with all the others."""

import os

import numpy as np
import pytest
from PIL import Image
from sklearn.dummy import DummyClassifier

from lungestimators import BackboneFeatures, ImageReader, ImageReadError, audit_images
from lungestimators.images import file_checks, pillow, prepared

from .image_files import damage, save


@pytest.mark.parametrize("trainable", ["head", "all"])
def test_damage_that_no_header_shows_is_named_for_all_files_at_once(tmp_path, cnn, trainable):
    for number in range(8):
        save(tmp_path / f"{number}.tif", compression="tiff_adobe_deflate")
    for number in (2, 5):
        damage(tmp_path / f"{number}.tif")
    paths = [str(tmp_path / f"{number}.tif") for number in range(8)]
    file_checks.check_files(paths)
    with pytest.raises(ImageReadError, match=r"2\.tif.*5\.tif"):
        cnn.set_params(trainable=trainable).fit(paths, [0, 1] * 4)


def test_pixels_beyond_white_are_named_wherever_files_are_read(tmp_path, cnn):
    paths = [save(tmp_path / f"{number}.png") for number in range(8)]
    bad = [save(tmp_path / f"{number}.tif") for number in range(2)]
    decode = pillow.decode_with_pillow

    def one_too_bright(image, channels):
        pixels, limits = decode(image, channels)
        return (pixels * 2.0 if image.format == "TIFF" else pixels), limits

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pillow, "decode_with_pillow", one_too_bright)
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


def test_after_damage_that_only_decoding_shows_a_second_call_goes_on(tmp_path, cnn, monkeypatch):
    paths = [str(tmp_path / f"{number}.tif") for number in range(120)]
    rng = np.random.default_rng(0)
    for path in paths:
        noise = rng.integers(0, 255, (20, 20)).astype(np.uint8)
        Image.fromarray(noise).save(path, compression="tiff_adobe_deflate")
        os.utime(path, (1, 1))
    content = bytearray((tmp_path / "110.tif").read_bytes())
    content[40:300] = bytes(260)
    (tmp_path / "110.tif").write_bytes(content)
    cnn.set_params(trainable="head", epochs=1).fit(paths[:4], [0, 1, 0, 1])
    decoded, decode = [], prepared.read_unscaled_image
    monkeypatch.setattr(
        prepared,
        "read_unscaled_image",
        lambda path, channels: decoded.append(path) or decode(path, channels),
    )
    with pytest.raises(ImageReadError, match=r"110\.tif.*Features computed so far are kept"):
        cnn.predict(paths)
    decoded.clear()
    cnn.predict([path for path in paths if path != paths[110]])
    assert len(decoded) < 60
