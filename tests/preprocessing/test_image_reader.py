"""Files are read into one array, or the error says which cannot be."""

import numpy as np
import pytest
from PIL import Image

from lungestimators import ImageReader, ImageReadError

from .grey_ramps import radiographs


def test_files_are_read_at_their_full_depth(tmp_path):
    pixels = radiographs("uint16")
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    found = ImageReader().fit_transform(np.array([str(tmp_path / f"{n}.png") for n in range(3)]))
    assert found.shape == (3, 40, 48, 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[..., 0], pixels / 65535, rtol=0, atol=1e-7)


def test_grey_files_become_rgb_and_colours_become_grey(tmp_path):
    colours = radiographs("uint8", channels=3)
    Image.fromarray(colours[0]).save(tmp_path / "colour.png")
    Image.fromarray(colours[0, :, :, 0]).save(tmp_path / "grey.png")
    paths = [tmp_path / "colour.png", tmp_path / "grey.png"]
    rgb = ImageReader(channels=3).transform(paths)
    np.testing.assert_allclose(rgb[0], colours[0] / 255, rtol=0, atol=1e-7)
    assert (rgb[1] == rgb[1, :, :, :1]).all()
    assert ImageReader(channels=1).transform(paths).shape == (2, 40, 48, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_files_are_resized_as_keras_does(tmp_path, channels):
    import keras

    pixels = radiographs("uint8", channels=3)
    paths = []
    for number, image in enumerate(pixels):
        cut = image if channels == 3 else image[:, :, 0]
        Image.fromarray(cut[: 40 - 4 * number]).save(tmp_path / f"{number}.png")
        paths.append(tmp_path / f"{number}.png")
    found = ImageReader(image_size=16, channels=channels).transform(paths)
    for number in range(3):
        image = (pixels[number, : 40 - 4 * number, :, :channels] / 255).astype(np.float32)
        expected = keras.ops.image.resize(
            image, (16, 16), antialias=True, data_format="channels_last"
        )
        np.testing.assert_allclose(found[number], np.asarray(expected), rtol=0, atol=1e-6)


def test_files_of_two_sizes_are_named_where_none_is_asked_for(tmp_path):
    Image.new("L", (8, 6)).save(tmp_path / "a.png")
    Image.new("L", (9, 6)).save(tmp_path / "b.png")
    paths = [tmp_path / "a.png", tmp_path / "a.png", tmp_path / "b.png"]
    with pytest.raises(ValueError, match=r"a\.png' has 6x8 and .*b\.png' has 6x9 .*image_size"):
        ImageReader().transform(paths)


def test_a_bad_file_is_named_before_anything_is_read(paths, tmp_path, monkeypatch):
    from lungestimators.images import reading

    (tmp_path / "broken.png").write_bytes(b"not a picture")
    monkeypatch.setattr(reading, "read_image", lambda *_: pytest.fail("something was read"))
    with pytest.raises(ImageReadError, match=r"broken\.png"):
        ImageReader().transform([*paths, str(tmp_path / "broken.png")])
    with pytest.raises(FileNotFoundError, match=r"missing\.png"):
        ImageReader().transform([*paths, str(tmp_path / "missing.png")])


@pytest.mark.parametrize("X", [np.zeros((2, 8, 8)), [1, 2]], ids=["pixels", "numbers"])
def test_the_reader_takes_paths_only(X):
    with pytest.raises(TypeError, match="takes a list or column of paths"):
        ImageReader().fit(X)
