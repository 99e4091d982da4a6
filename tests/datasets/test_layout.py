"""Layouts of folders: which names are splits, which are classes, and which are neither."""

import pytest

from lungestimators import load_image_folder
from tests.datasets.folders import rows, save

pytestmark = pytest.mark.usefixtures("no_unexpected_warning")


# Splits


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "val", "test"), ("train", "val", "test")),
        (("Train", "Val", "Test"), ("train", "val", "test")),
        (("TRAINING", "valid", "TESTING"), ("train", "val", "test")),
        (("training", "Validation", "testing"), ("train", "val", "test")),
        (("Train", "Test"), ("train", "test")),
        (("training", "validation"), ("train", "val")),
        (("train",), ("train",)),
        (("training_set", "validation-set", "test set"), ("train", "val", "test")),
        (("1-train", "2-val", "3-test"), ("train", "val", "test")),
        (("train_images", "test_images"), ("train", "test")),
    ],
    ids=", ".join,
)
def test_split_folders_are_known_by_their_usual_names(tmp_path, names, splits):
    save(tmp_path, *(f"{name}/{label}/{name}.png" for name in names for label in "ab"))
    lungs = load_image_folder(tmp_path)
    assert lungs.target_names == ["a", "b"]
    assert rows(lungs, tmp_path) == {
        (f"{name}/{label}/{name}.png", label, split)
        for name, split in zip(names, splits, strict=True)
        for label in "ab"
    }
    assert list(dict.fromkeys(lungs.split.tolist())) == list(splits)


def test_patients_are_found_below_split_folders_of_any_name(tmp_path):
    save(tmp_path, "Training/a/patient1.png", "Training/b/patient2.png")
    save(tmp_path, "Testing/a/patient3.png", "Testing/b/patient4.png")
    assert load_image_folder(tmp_path).groups.tolist() == [f"patient{n}" for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("extra", ["train", "training", "TRAIN"])
def test_two_folders_for_one_split_are_an_error(tmp_path, extra):
    save(tmp_path, "Train/a/1.png", "Train/b/1.png", f"{extra}/a/2.png", f"{extra}/b/2.png")
    with pytest.raises(ValueError, match="both for 'train'"):
        load_image_folder(tmp_path)


@pytest.mark.parametrize("names", ["Test", "test val", "valid"])
def test_splits_without_train_are_an_error(tmp_path, names):
    save(tmp_path, *(f"{name}/{label}/1.png" for name in names.split() for label in "ab"))
    with pytest.raises(ValueError, match=r"but no train/$"):
        load_image_folder(tmp_path)


@pytest.mark.parametrize("name", ["test", "Valid", "TESTING"])
def test_a_class_that_is_called_like_a_split_is_an_error_that_says_so(tmp_path, name):
    save(tmp_path / "one", "a/1.png", "b/1.png", f"{name}/1.png")
    with pytest.raises(ValueError, match=rf"holds {name}/ but no train/, and a/, b/ beside it"):
        load_image_folder(tmp_path / "one")
    save(tmp_path / "two", "train/a/1.png", f"train/{name}/1.png")
    with pytest.raises(ValueError, match=f"{name}/: a folder of this name is a split, not a class"):
        load_image_folder(tmp_path / "two")


def test_a_name_that_only_begins_like_a_split_is_a_class(tmp_path):
    save(tmp_path, "tested/1.png", "trained/1.png", "validity/1.png", "attest/1.png")
    lungs = load_image_folder(tmp_path)
    assert lungs.target_names == ["attest", "tested", "trained", "validity"]
    assert lungs.split is None


def test_images_in_another_folder_beside_train_are_said(tmp_path):
    """As in the archive of Kermany's images, which holds itself."""
    save(tmp_path, "train/a/1.png", "train/b/1.png", "xrays/train/a/1.png", "xrays/train/b/1.png")
    (tmp_path / "csv").mkdir()
    with pytest.warns(UserWarning, match=r"2 images beside the folders.*xrays/train/a/1\.png"):
        lungs = load_image_folder(tmp_path)
    assert rows(lungs, tmp_path) == {
        ("train/a/1.png", "a", "train"),
        ("train/b/1.png", "b", "train"),
    }
    assert "Left out: 2 images beside" in lungs.DESCR


def test_an_unlabelled_test_folder_is_an_error_that_names_load_images(tmp_path):
    save(tmp_path, "train/a/1.png", "train/b/1.png", "test/1.png", "test/2.png")
    with pytest.raises(ValueError, match=r"no folder and 2 images: load_images lists"):
        load_image_folder(tmp_path)


def test_splits_below_the_classes_are_splits(tmp_path):
    save(tmp_path, "a/Train/1.png", "a/Test/2.png", "b/Train/images/3.png", "b/Test/4.png")
    lungs = load_image_folder(tmp_path)
    assert rows(lungs, tmp_path) == {
        ("a/Train/1.png", "a", "train"),
        ("a/Test/2.png", "a", "test"),
        ("b/Train/images/3.png", "b", "train"),
        ("b/Test/4.png", "b", "test"),
    }


@pytest.mark.parametrize(
    "names",
    [
        ["Infection/Train/a/1.png", "Infection/Train/b/1.png", "Lung/Train/a/2.png"],
        ["a/1.png", "b/test/1.png"],
        ["a/more/train/1.png", "b/1.png"],
    ],
    ids=["splits and classes below", "some images only", "deeper"],
)
def test_labels_are_never_taken_from_the_wrong_level(tmp_path, names):
    save(tmp_path, *names, "Infection/1.png" if "a/1.png" in names[:1] else names[0])
    with pytest.raises(ValueError, match="which folders are the classes is not clear"):
        load_image_folder(tmp_path)


# Classes


@pytest.mark.parametrize("other", ["normal", "NORMAL", "Normal "])
def test_classes_that_differ_in_case_or_spaces_only_are_an_error(tmp_path, other):
    save(tmp_path, "Normal/1.png", f"{other}/2.png", "ill/1.png")
    with pytest.raises(ValueError, match="may be one class"):
        load_image_folder(tmp_path)


def test_val_with_other_classes_is_an_error_that_shows_both(tmp_path):
    save(tmp_path, "train/a/1.png", "train/b/1.png", "Valid/A/1.png", "Valid/b/1.png")
    with pytest.raises(ValueError, match=r"train/ has \['a', 'b'\], Valid/ has \['A', 'b'\]"):
        load_image_folder(tmp_path)


def test_folders_below_a_class_are_of_that_class(tmp_path):
    save(tmp_path, "ill/bacteria/1.png", "ill/virus/deep/1.png", "well/1.png")
    assert load_image_folder(tmp_path).target.tolist() == ["ill", "ill", "well"]


def test_one_class_with_images_beside_it_names_load_images(tmp_path):
    save(tmp_path, "a/1.png", "1.png")
    with pytest.raises(ValueError, match=r"holds \['a'\] and 1 image: load_images lists"):
        load_image_folder(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ("stage1_train", "stage1_test"),
        ("chest-train", "chest-val"),
        ("train_a", "test_a"),
        ("trainA", "trainB", "testA", "testB"),
    ],
    ids=", ".join,
)
def test_folders_named_like_splits_and_more_are_no_classes(tmp_path, names):
    save(tmp_path, *(f"{name}/{label}/1.png" for name in names for label in ("ill", "well")))
    with pytest.raises(ValueError, match=f"{names[0]}/.* may be splits or classes: rename them"):
        load_image_folder(tmp_path)


def test_a_class_may_be_called_after_a_test(tmp_path):
    save(tmp_path, "pcr_test_negative/1.png", "pcr_test_positive/2.png")
    lungs = load_image_folder(tmp_path)
    assert lungs.target_names == ["pcr_test_negative", "pcr_test_positive"]


def test_images_and_masks_are_no_classes(tmp_path):
    save(tmp_path, "images/1.png", "masks/1.png")
    with pytest.raises(ValueError, match="images/ and masks/, which are no classes"):
        load_image_folder(tmp_path)


def test_a_class_may_be_called_mask(tmp_path):
    save(tmp_path, "with mask/1.png", "without mask/1.png")
    assert load_image_folder(tmp_path).target.tolist() == ["with mask", "without mask"]
