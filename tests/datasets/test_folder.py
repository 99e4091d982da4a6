"""Folders of images become data sets, and folders of new images lists of paths."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lungestimators import CNNClassifier, ImageReadError, load_image_folder, load_images
from tests.datasets.folders import link, make, save

pytestmark = pytest.mark.usefixtures("no_unexpected_warning")


def test_a_folder_a_class(tmp_path):
    make(tmp_path, "Healthy", "Ill")
    lungs = load_image_folder(tmp_path)
    assert lungs.target_names == ["Healthy", "Ill"]
    assert lungs.target.tolist() == ["Healthy", "Ill", "Ill"]
    assert [path.rsplit("/", 2)[1] for path in lungs.data] == ["Healthy", "Ill", "Ill"]
    assert lungs.split is None
    assert lungs.groups is None


def test_pixels_and_the_tuple(tmp_path):
    make(tmp_path, "a", "b")
    X, y = load_image_folder(tmp_path, as_array=True, return_X_y=True)
    assert X.shape == (3, 8, 8, 3)
    assert X.dtype == np.uint8
    assert X[:, 0, 0, 0].tolist() == [0, 50, 50]
    assert y.tolist() == ["a", "b", "b"]


def test_train_and_test_are_matched_by_name(tmp_path):
    make(tmp_path / "train", "a", "b")
    make(tmp_path / "test", "b", "a")
    lungs = load_image_folder(tmp_path)
    assert lungs.split.tolist() == ["train"] * 3 + ["test"] * 3
    assert lungs.target[lungs.split == "test"].tolist() == ["a", "a", "b"]


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
    with pytest.raises(ValueError, match=r"no image file in \['b'\].*DICOM.*Pillow"):
        load_image_folder(tmp_path / "one")
    make(tmp_path / "sizes", "a")
    make(tmp_path / "sizes", "b", size=(9, 9))
    with pytest.raises(ValueError, match="one size"):
        load_image_folder(tmp_path / "sizes", as_array=True)


def test_the_description_says_images_patients_labels_and_licence(tmp_path):
    save(tmp_path, "set/a/patient1.png", "set/a/patient1-2.png", "set/b/patient2.png")
    description = load_image_folder(tmp_path / "set").DESCR
    for part in (
        "3 images of 2 patients",
        "folder set",
        "a: 2, b: 1",
        "Labels are",
        "Licence: not",
    ):
        assert part in description


def test_the_real_folder(real_data):
    lungs = load_image_folder(real_data / "lung-disease" / "train")
    names, counts = np.unique(lungs.target, return_counts=True)
    assert names.tolist() == lungs.target_names == ["Healthy", "Type 1 disease", "Type 2 disease"]
    assert counts.tolist() == [70, 111, 70]
    assert lungs.groups is None


# Flat folders


def test_new_images_are_listed_in_natural_order(tmp_path):
    save(tmp_path, "10.png", "2.png", "a10/1.png", "a9/1.png", "B.jpg", "c.jpg", "IM0001")
    paths = load_images(tmp_path)
    assert [Path(path).relative_to(tmp_path).as_posix() for path in paths] == [
        "2.png",
        "10.png",
        "a9/1.png",
        "a10/1.png",
        "B.jpg",
        "c.jpg",
        "IM0001",
    ]
    assert paths.dtype.kind == "U"


def test_dicom_is_listed_with_and_without_suffix(tmp_path, real_data):
    file = sorted((real_data / "dicom" / "chest").glob("*.dcm"))[0]
    for name in ("2.dcm", "10", "1.2.840.113"):
        (tmp_path / name).write_bytes(file.read_bytes())
    assert [Path(path).name for path in load_images(tmp_path)] == ["1.2.840.113", "2.dcm", "10"]


def test_what_is_not_listed_is_said(tmp_path):
    save(tmp_path, "1.png", ".2.png", "masks/1.png", "Thumbs.db")
    (tmp_path / "labels.csv").write_text("...")
    link(tmp_path, "3.png", "missing")
    with pytest.warns(UserWarning) as said:
        assert [Path(path).name for path in load_images(tmp_path)] == ["1.png"]
    (text,) = [str(warning.message) for warning in said]
    for part in (
        "1 mask ('masks/1.png')",
        "('3.png')",
        "1 file that is no image ('labels.csv')",
    ):
        assert part in text
    assert "Thumbs" not in text


def test_a_folder_without_images_or_none_at_all_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="There is no image in"):
        load_images(tmp_path)
    (tmp_path / "notes.txt").write_text("...")
    with pytest.raises(ValueError, match=r"no image in .*Left out: 1 file that is no image"):
        load_images(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is none"):
        load_images(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match="is a file, not a folder"):
        load_images(tmp_path / "notes.txt")


def test_a_broken_file_is_listed_and_named_where_it_is_read(tmp_path):
    (tmp_path / "1.png").write_bytes(b"not a picture")
    paths = load_images(tmp_path)
    with pytest.raises(ImageReadError, match=r"1\.png"):
        CNNClassifier().fit(paths, ["a"])


def test_the_classes_of_a_folder_come_back_from_predict(cnn, squares, tmp_path):
    X, y = squares
    for number, (pixels, label) in enumerate(zip(X, y, strict=True)):
        (tmp_path / "lungs" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "lungs" / label / f"{number}.png")
    lungs = load_image_folder(tmp_path / "lungs")
    warnings.simplefilter("default")  # Keras' own are none of ours
    cnn.fit(lungs.data, lungs.target)
    assert cnn.classes_.tolist() == lungs.target_names
    (tmp_path / "new").mkdir()
    for number in range(12):
        Image.fromarray(X[number]).save(tmp_path / "new" / f"{number}.png")
    predicted = cnn.predict(load_images(tmp_path / "new"))
    assert (predicted == y[:12]).mean() > 0.9
    with pytest.raises(TypeError, match=r"lungestimators\.load_images lists"):
        cnn.predict(tmp_path / "new")
    np.testing.assert_array_equal(cnn.predict(lungs.data), cnn.predict(list(lungs.data)))
