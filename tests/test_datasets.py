"""Folders of images become data sets."""

import numpy as np
import pytest
from PIL import Image

from lungestimators.datasets import load_image_folder


def make(folder, *classes, size=(8, 8)):
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(number + 1):
            Image.new("L", size, 50 * number).save(folder / name / f"{i}.png")


def test_a_folder_a_class(tmp_path):
    make(tmp_path, "Healthy", "Ill")
    lungs = load_image_folder(tmp_path)
    assert lungs.target_names == ["Healthy", "Ill"]
    assert lungs.target.tolist() == [0, 1, 1]
    assert [path.rsplit("/", 2)[1] for path in lungs.data] == ["Healthy", "Ill", "Ill"]
    assert lungs.split is None
    assert "3 images" in lungs.DESCR


def test_pixels_and_the_tuple(tmp_path):
    make(tmp_path, "a", "b")
    X, y = load_image_folder(tmp_path, as_array=True, return_X_y=True)
    assert X.shape == (3, 8, 8, 3)
    assert X.dtype == np.uint8
    assert X[:, 0, 0, 0].tolist() == [0, 50, 50]
    assert y.tolist() == [0, 1, 1]


def test_train_and_test_are_matched_by_name(tmp_path):
    make(tmp_path / "train", "a", "b")
    make(tmp_path / "test", "b", "a")
    lungs = load_image_folder(tmp_path)
    assert lungs.split.tolist() == ["train"] * 3 + ["test"] * 3
    assert lungs.target[lungs.split == "test"].tolist() == [0, 0, 1]


def test_splits_with_other_classes_are_an_error_that_shows_both(tmp_path):
    make(tmp_path / "train", "a", "b")
    make(tmp_path / "test", "a", "c")
    with pytest.raises(ValueError, match=r"\['a', 'b'\].*\['a', 'c'\]"):
        load_image_folder(tmp_path)


def test_bad_folders_are_clear_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        load_image_folder(tmp_path / "missing")
    with pytest.raises(ValueError, match="no folder"):
        load_image_folder(tmp_path)
    make(tmp_path / "one", "a")
    with pytest.raises(ValueError, match="two or more"):
        load_image_folder(tmp_path / "one")
    (tmp_path / "one" / "b").mkdir()
    with pytest.raises(ValueError, match=r"no PNG or JPEG file in \['b'\]"):
        load_image_folder(tmp_path / "one")
    make(tmp_path / "sizes", "a")
    make(tmp_path / "sizes", "b", size=(9, 9))
    with pytest.raises(ValueError, match="one size"):
        load_image_folder(tmp_path / "sizes", as_array=True)


def test_the_real_folder(real_data):
    lungs = load_image_folder(real_data / "lung-disease" / "train")
    assert np.bincount(lungs.target).tolist() == [70, 111, 70]
