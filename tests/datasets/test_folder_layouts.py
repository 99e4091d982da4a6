"""Folders as people have them: which names are splits, which are classes, what is left out."""

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lungestimators import CNNClassifier, ImageReadError, load_image_folder, load_images


@pytest.fixture(autouse=True)
def no_unexpected_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def save(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(folder / name, "PNG")


def link(folder, name, to):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).symlink_to(to)


def rows(lungs, folder):
    """(path below the folder, class, split) of each image, as a set."""
    below = [Path(path).relative_to(folder).as_posix() for path in lungs.data]
    split = [None] * len(below) if lungs.split is None else lungs.split.tolist()
    return set(zip(below, lungs.target.tolist(), split, strict=True))


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


# Masks


def radiography_database(folder):
    """As the COVID-19 Radiography Database has it."""
    for label in ("COVID", "Normal"):
        for part in ("images", "masks"):
            save(folder, f"{label}/{part}/{label}-1.png", f"{label}/{part}/{label}-2.png")
        (folder / f"{label}.metadata.xlsx").write_bytes(b"PK")
    (folder / "README.md.txt").write_text("...")


def test_masks_beside_images_are_left_out_and_that_is_said(tmp_path):
    radiography_database(tmp_path)
    with pytest.warns(UserWarning, match=r"Left out of .*: 4 masks \('COVID/masks/COVID-1\.png'"):
        lungs = load_image_folder(tmp_path)
    assert rows(lungs, tmp_path) == {
        (f"{label}/images/{label}-{n}.png", label, None)
        for label in ("COVID", "Normal")
        for n in (1, 2)
    }
    assert "4 masks ('COVID/masks/COVID-1.png'" in lungs.DESCR
    assert "3 files that are no images ('COVID.metadata.xlsx'" in lungs.DESCR


@pytest.mark.parametrize(
    "name", ["Masks", "lung masks", "infection_mask", "lungmasks", "mask/left"]
)
def test_folders_of_masks_have_many_names(tmp_path, name):
    save(tmp_path, "a/1.png", f"a/{name}/1.png", "b/1.png")
    with pytest.warns(UserWarning, match=r": 1 mask \("):
        lungs = load_image_folder(tmp_path)
    assert rows(lungs, tmp_path) == {("a/1.png", "a", None), ("b/1.png", "b", None)}


@pytest.mark.parametrize("name", ["masked", "Maskell", "unmasking"])
def test_folders_that_only_sound_like_masks_are_read(tmp_path, name):
    save(tmp_path, f"a/{name}/1.png", "b/1.png")
    expected = {(f"a/{name}/1.png", "a", None), ("b/1.png", "b", None)}
    assert rows(load_image_folder(tmp_path), tmp_path) == expected


def test_masks_beside_their_images_are_left_out(tmp_path):
    """As the breast ultrasound images of Al-Dhabyani et al. have them."""
    save(tmp_path, "a/a (1).png", "a/a (1)_mask.png", "a/a (1)_mask_1.png", "b/1.png")
    save(tmp_path, "b/no other_mask.png")
    with pytest.warns(UserWarning, match=": 2 masks"):
        lungs = load_image_folder(tmp_path)
    assert rows(lungs, tmp_path) == {
        ("a/a (1).png", "a", None),
        ("b/1.png", "b", None),
        ("b/no other_mask.png", "b", None),
    }


def test_images_and_masks_are_no_classes(tmp_path):
    save(tmp_path, "images/1.png", "masks/1.png")
    with pytest.raises(ValueError, match="images/ and masks/, which are no classes"):
        load_image_folder(tmp_path)


def test_a_class_may_be_called_mask(tmp_path):
    save(tmp_path, "with mask/1.png", "without mask/1.png")
    assert load_image_folder(tmp_path).target.tolist() == ["with mask", "without mask"]


def test_a_class_of_masks_alone_is_an_error_that_says_so(tmp_path):
    save(tmp_path, "a/1.png", "b/masks/1.png")
    with pytest.raises(ValueError, match=r"no image file in \['b'\].*Left out: 1 mask \("):
        load_image_folder(tmp_path)


# What systems leave behind


def test_what_systems_leave_behind_is_passed_over_and_counted(tmp_path):
    save(tmp_path, "a/1.png", "b/1.png", "__MACOSX/a/._1.png", "__MACOSX/b/2.png", "a/._1.png")
    save(tmp_path, ".cache/1.png", "@eaDir/1.png", "a/@eaDir/1.png", "b/Thumbs.db", "b/desktop.ini")
    (tmp_path / ".DS_Store").write_bytes(b"Bud1")
    (tmp_path / "a" / "notes.txt").write_text("...")
    (tmp_path / "all.zip").write_bytes(b"PK")
    lungs = load_image_folder(tmp_path)
    assert rows(lungs, tmp_path) == {("a/1.png", "a", None), ("b/1.png", "b", None)}
    # __MACOSX, .cache, @eaDir, .DS_Store; a/._1.png, a/@eaDir; b/Thumbs.db, b/desktop.ini
    assert "8 hidden files and those of operating systems" in lungs.DESCR
    assert "2 files that are no images ('a/notes.txt', 'all.zip')" in lungs.DESCR


def test_nothing_left_out_is_not_spoken_of(tmp_path):
    save(tmp_path, "a/1.png", "b/1.png")
    assert "Left out" not in load_image_folder(tmp_path).DESCR


def test_images_beside_the_class_folders_are_said(tmp_path):
    save(tmp_path, "a/1.png", "b/1.png", "overview.png", "IM0001")
    with pytest.warns(UserWarning, match=r"2 images beside the folders.*'IM0001', 'overview\.png'"):
        lungs = load_image_folder(tmp_path)
    assert "2 images beside the folders that are read ('IM0001', 'overview.png')" in lungs.DESCR


# Links


def test_linked_folders_and_files_are_followed(tmp_path):
    save(tmp_path, "elsewhere/ill/1.png", "elsewhere/3.png", "lungs/well/2.png")
    link(tmp_path, "lungs/ill", tmp_path / "elsewhere" / "ill")
    link(tmp_path, "lungs/well/more", Path("..", "..", "elsewhere", "well"))
    link(tmp_path, "lungs/well/3.png", tmp_path / "elsewhere" / "3.png")
    save(tmp_path, "elsewhere/well/4.png")
    assert rows(load_image_folder(tmp_path / "lungs"), tmp_path / "lungs") == {
        ("ill/1.png", "ill", None),
        ("well/2.png", "well", None),
        ("well/3.png", "well", None),
        ("well/more/4.png", "well", None),
    }


def test_a_pool_of_images_that_splits_link_to_is_not_read_twice(tmp_path):
    save(tmp_path, "all/1.png", "all/2.png", "all/3.png")
    link(tmp_path, "train/a/1.png", tmp_path / "all" / "1.png")
    link(tmp_path, "train/b/2.png", tmp_path / "all" / "2.png")
    with pytest.warns(UserWarning, match=r"1 image beside .*'all/3\.png'"):
        lungs = load_image_folder(tmp_path)
    assert len(lungs.data) == 2


@pytest.mark.parametrize("to", [".", "..", "../..", "../../../a", "../../.."])
def test_a_loop_of_links_ends(tmp_path, to):
    save(tmp_path, "train/a/deep/1.png", "train/b/1.png")
    link(tmp_path, "train/a/deep/loop", to)
    if to == "../../../a":
        (tmp_path / "a").symlink_to(tmp_path / "train" / "a")
    lungs = load_image_folder(tmp_path / "train" if to == "../../../a" else tmp_path)
    assert len(lungs.data) == 2
    assert lungs.target.tolist() == ["a", "b"]
    assert "1 link to a folder that it lies in (" in lungs.DESCR


def test_a_link_to_an_image_of_the_same_class_is_left_out_and_said(tmp_path):
    save(tmp_path, "a/2024/1.png", "b/1.png")
    link(tmp_path, "a/latest", "2024")
    with pytest.warns(UserWarning, match="1 link to an image that is there already"):
        lungs = load_image_folder(tmp_path)
    assert rows(lungs, tmp_path) == {("a/2024/1.png", "a", None), ("b/1.png", "b", None)}


@pytest.mark.parametrize("other", ["train/b/2.png", "test/a/2.png"])
def test_a_link_into_another_class_or_split_is_an_error(tmp_path, other):
    save(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png")
    link(tmp_path, other, tmp_path / "train" / "a" / "1.png")
    with pytest.raises(ValueError, match=r"'train/a/1\.png' are one file, through a link"):
        load_image_folder(tmp_path)


def test_links_that_lead_nowhere_are_said(tmp_path):
    save(tmp_path, "a/1.png", "b/1.png")
    link(tmp_path, "a/2.png", "missing.png")
    link(tmp_path, "b/self", "self")
    link(tmp_path, "c", "missing")
    with pytest.warns(
        UserWarning, match=r"3 links that lead nowhere \('a/2\.png', 'b/self', 'c'\)"
    ):
        lungs = load_image_folder(tmp_path)
    assert rows(lungs, tmp_path) == {("a/1.png", "a", None), ("b/1.png", "b", None)}


# Permissions


@pytest.fixture
def closed(tmp_path, monkeypatch):
    """A folder that must not be read, for root as well."""
    save(tmp_path, "a/1.png", "a/closed/2.png", "b/1.png")
    scandir = os.scandir

    def refuse(path="."):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return tmp_path


def test_a_folder_without_permission_is_an_error_that_names_it(closed):
    for load in (load_image_folder, load_images):
        with pytest.raises(PermissionError, match=r"1 folder must not be read \('.*a/closed'\)"):
            load(closed)
    with pytest.raises(PermissionError, match="must not be read"):
        load_images(closed / "a" / "closed")


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has permissions of another kind")
def test_the_systems_own_refusal_is_the_same_error():
    """Root reads everything: a process that gives its rights up has to ask."""
    program = (
        "import os, sys; from PIL import Image\n"
        "from lungestimators.datasets import load_images\n"
        "Image.init()\n"
        "if not os.getuid(): os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: print(len(load_images(sys.argv[1])))\n"
        "except Exception as error: print(repr(error))"
    )

    def listed(folder):
        command = [sys.executable, "-c", program, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # every user may go there
        save(Path(folder), "1.png", "shut/2.png")
        for path in (Path(folder), Path(folder, "shut")):
            path.chmod(0o755)
        assert listed(folder).strip() == "2"
        Path(folder, "shut").chmod(0)
        assert "PermissionError" in listed(folder)
        assert "1 folder must not be read" in listed(folder)
        Path(folder, "shut").chmod(0o755)


def test_the_description_of_names_that_are_not_utf_8_can_be_printed(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    ill = os.fsdecode(b"mal\xe9")
    save(folder, f"{ill}/1.png", "well/1.png")
    lungs = load_image_folder(folder)
    assert lungs.target_names == [ill, "well"]
    assert lungs.DESCR.startswith(r"2 images from the folder caf\udce9 (mal\udce9: 1, well: 1).")


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
