"""Folders of images and CSV files become data sets."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lungestimators import ImageReadError
from lungestimators.datasets import load_image_folder, load_image_table


def make(folder, *classes, size=(8, 8)):
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(number + 1):
            Image.new("L", size, 50 * number).save(folder / name / f"{i}.png")


def save(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(folder / name, "PNG")


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


# Which files are images


def test_every_image_is_found_whatever_it_is_called(tmp_path):
    grey = Image.new("L", (8, 8))
    (tmp_path / "a").mkdir()
    for suffix in ("png", "jpg", "JPEG", "tif", "bmp", "webp", "jp2", "pgm"):
        grey.save(tmp_path / "a" / f"1.{suffix}")
    save(tmp_path / "a", "IM0001", "1.2.840.113.7", "series/2.unknown")
    save(tmp_path, "b/1.png")
    lungs = load_image_folder(tmp_path)
    assert lungs.target.tolist() == ["a"] * 11 + ["b"]


def test_what_is_no_image_is_passed_over(tmp_path):
    save(tmp_path, "a/1.png", "b/1.png", "a/.2.png", "a/.ipynb_checkpoints/1.png", "a/Thumbs.db")
    (tmp_path / "a" / "folder.png").mkdir()
    for name in ("notes.txt", "labels.csv", "README", "empty", "weights.h5", "report.pdf"):
        (tmp_path / "a" / name).write_text("patient,finding\n" * (name != "empty"))
    # Pillow knows this one by its content too, and cannot decode it.
    (tmp_path / "a" / "features.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    lungs = load_image_folder(tmp_path)
    assert lungs.target.tolist() == ["a", "b"]


def test_a_broken_file_with_an_images_suffix_is_an_error_where_it_is_read(tmp_path):
    save(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "b" / "2.png").write_bytes(b"not a picture")
    assert len(load_image_folder(tmp_path).data) == 3
    with pytest.raises(ImageReadError, match=r"2\.png"):
        load_image_folder(tmp_path, as_array=True)


def test_dicom_files_are_found_without_a_suffix_as_well(tmp_path, real_data):
    for number, file in enumerate(sorted((real_data / "dicom" / "chest").glob("*.dcm"))):
        name = f"{number % 2}/{file.name if number < 3 else f'1.2.840.{number}'}"
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(file, tmp_path / name)
    shutil.copy(file, tmp_path / "0" / "DICOMDIR")
    assert load_image_folder(tmp_path).target.tolist() == ["0"] * 3 + ["1"] * 2


# Patients


@pytest.mark.parametrize(
    ("names", "patients"),
    [
        (
            ["ill/patient00001/study1/view1.jpg", "well/patient00002/study1/view1.jpg"],
            ["patient00001", "patient00002"],
        ),
        (
            ["bacteria/person12_bacteria_3.png", "virus/person12_virus_4.png"],
            ["person12", "person12"],
        ),
        (["ill/Subject-7/1.png", "well/pat_8.png"], ["Subject-7", "pat_8"]),
        (["ill/p10000032/s5/1.png", "well/p10000764/s6/1.png"], ["p10000032", "p10000764"]),
    ],
    ids=["CheXpert", "Kermany", "words", "MIMIC"],
)
@pytest.mark.parametrize("split", ["", "train/"])
def test_patients_that_names_say_are_recognised(tmp_path, names, patients, split):
    save(tmp_path, *(split + name for name in names))
    lungs = load_image_folder(tmp_path)
    assert lungs.groups.tolist() == patients
    assert patients[0] in lungs.DESCR


@pytest.mark.parametrize(
    "names",
    [
        ["a/patient1.png", "b/2.png"],
        ["patient1/1.png", "patient2/1.png"],  # these are the classes
        ["a/outpatient1.png", "b/outpatient2.png"],
        ["a/patient.png", "b/patient.png"],
        ["a/p1/1.png", "b/p2/1.png"],
    ],
    ids=["not all", "class folder", "part of a word", "no number", "short number"],
)
def test_names_that_say_no_patient_give_no_groups(tmp_path, names):
    save(tmp_path, *names)
    lungs = load_image_folder(tmp_path)
    assert lungs.groups is None
    assert "the same patient is not known" in lungs.DESCR


@pytest.mark.parametrize("expression", [r"(\w+)-\d\.png", r"[XYZ](?=-)"])
def test_a_regular_expression_finds_the_patient(tmp_path, expression):
    save(tmp_path, "a/X-1.png", "a/X-2.png", "b/Y-1.png", "b/more/Z-1.png")
    assert load_image_folder(tmp_path, group=expression).groups.tolist() == ["X", "X", "Y", "Z"]


def test_a_regular_expression_sees_folders_and_wins_over_what_names_say(tmp_path):
    save(tmp_path, "train/a/X/patient1.png", "train/b/Y/patient2.png")
    lungs = load_image_folder(tmp_path, group=r"train/\w/(\w)/")
    assert lungs.groups.tolist() == ["X", "Y"]


def test_files_in_which_no_patient_is_found_are_named(tmp_path):
    save(tmp_path, "a/X-1.png", "a/other.png", "b/Y-1.png", "b/-1.png")
    with pytest.raises(ValueError, match=r"2 of 4 files: 'a/other\.png', 'b/-1\.png'"):
        load_image_folder(tmp_path, group=r"([A-Z]?)-1")


@pytest.mark.parametrize(
    ("group", "error", "message"),
    [("(", ValueError, "not a regular expression"), (3, TypeError, "must be a regular expression")],
)
def test_what_is_no_regular_expression_is_named(tmp_path, group, error, message):
    make(tmp_path, "a", "b")
    with pytest.raises(error, match=message):
        load_image_folder(tmp_path, group=group)


def test_a_list_of_patients_takes_paths_and_names(tmp_path):
    save(tmp_path, "lungs/a/1.png", "lungs/a/2.png", "lungs/b/1.png")
    (tmp_path / "patients.csv").write_text(
        "file,patient,age\na/1.png,P1,3\n./b/1.png,P2,4\n2.png,P1,3\nunused.png,P9,5\n"
    )
    lungs = load_image_folder(tmp_path / "lungs", group_csv=tmp_path / "patients.csv")
    assert lungs.groups.tolist() == ["P1", "P1", "P2"]
    assert "3 images of 2 patients" in lungs.DESCR
    assert "patients.csv" in lungs.DESCR


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a/1.png,P1", r"no patient of 1 of 2 files: 'b/1\.png'"),
        ("1.png,P1", r"names '1\.png', but several folders"),
        ("a/1.png,P1\na/1.png,P2", r"line 3: 'a/1\.png' has the patient 'P2', and another"),
        ("a/1.png,", "line 2: the file or the patient is empty"),
    ],
    ids=["file missing", "ambiguous", "two patients", "empty"],
)
def test_a_list_of_patients_that_does_not_fit_is_a_clear_error(tmp_path, rows, message):
    save(tmp_path, "lungs/a/1.png", "lungs/b/1.png")
    (tmp_path / "patients.csv").write_text(f"file,patient\n{rows}\n")
    with pytest.raises(ValueError, match=message):
        load_image_folder(tmp_path / "lungs", group_csv=tmp_path / "patients.csv")


def test_there_is_one_way_to_name_patients(tmp_path):
    make(tmp_path, "a", "b")
    with pytest.raises(ValueError, match="give one of them"):
        load_image_folder(tmp_path, group="x", group_csv="y.csv")
    (tmp_path / "one.csv").write_text("file\n1.png\n")
    with pytest.raises(ValueError, match="must have two columns"):
        load_image_folder(tmp_path, group_csv=tmp_path / "one.csv")
    with pytest.raises(FileNotFoundError, match=r"no CSV file .*none\.csv"):
        load_image_folder(tmp_path, group_csv=tmp_path / "none.csv")


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


# Tables


def write(folder, text, encoding="utf-8"):
    save(folder, "images/1.png", "images/2.png", "images/3.png")
    (folder / "lungs.csv").write_bytes(text.encode(encoding))
    return folder / "lungs.csv"


TABLE = "image,finding,patient\nimages/1.png,ill,P1\nimages/2.png,healthy,P2\nimages/3.png,ill,P1\n"


def test_a_table_of_images(tmp_path):
    csv = write(tmp_path, TABLE)
    lungs = load_image_table(csv, path="image", target="finding", group="patient")
    assert [Path(path).name for path in lungs.data] == ["1.png", "2.png", "3.png"]
    assert all(Path(path).is_file() for path in lungs.filenames)
    assert lungs.target_names == ["healthy", "ill"]
    assert lungs.target.tolist() == ["ill", "healthy", "ill"]
    assert lungs.groups.tolist() == ["P1", "P2", "P1"]
    for part in (
        "3 images of 2 patients",
        "healthy: 1, ill: 2",
        "'finding'",
        "'patient'",
        "Licence",
    ):
        assert part in lungs.DESCR
    X, y = load_image_table(csv, path="image", target="finding", return_X_y=True)
    assert X.tolist() == lungs.data.tolist()
    assert y.tolist() == ["ill", "healthy", "ill"]


def test_a_table_without_patients_says_so(tmp_path):
    lungs = load_image_table(write(tmp_path, TABLE), path="image", target="finding")
    assert lungs.groups is None
    assert "the same patient is not known" in lungs.DESCR


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (TABLE.replace(",", ";"), "utf-8"),
        (TABLE.replace(",", "\t"), "utf-8-sig"),
        (TABLE.replace("\n", "\r\n") + ",,\r\n\r\n", "utf-8-sig"),
        (TABLE.replace("finding", '"finding"').replace(",ill", ', "ill"'), "utf-8"),
        (TABLE.replace(",ill,", ",ill ,").replace("image,", " image ,"), "utf-8"),
    ],
    ids=["semicolons", "tabs and BOM", "Windows, empty rows", "quotes", "spaces"],
)
def test_every_usual_kind_of_csv_is_read(tmp_path, text, encoding):
    csv = write(tmp_path, text, encoding)
    lungs = load_image_table(csv, path="image", target="finding", group="patient")
    assert lungs.target.tolist() == ["ill", "healthy", "ill"]
    assert lungs.groups.tolist() == ["P1", "P2", "P1"]


def test_whole_numbers_are_ordered_by_their_value(tmp_path):
    text = "image,label\nimages/1.png,10\nimages/2.png,9\nimages/3.png,2\n"
    lungs = load_image_table(write(tmp_path, text), path="image", target="label")
    assert lungs.target_names == ["2", "9", "10"]
    assert lungs.target.tolist() == [10, 9, 2]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (TABLE.replace("finding", "label"), ValueError, r"no column 'finding'; .*'image', 'label'"),
        (TABLE.replace("patient", "finding"), ValueError, "more than one column 'finding'"),
        (TABLE.replace("ill,P1", ",P1"), ValueError, r"'finding' is empty in 2 rows \(line 2, 4\)"),
        (TABLE.replace("3.png", "4.png"), FileNotFoundError, r"1 of the 3 files.*4\.png"),
        (TABLE.replace("ill", "healthy"), ValueError, r"two classes or more; it holds \['healthy'"),
        (TABLE.replace("2.png,healthy,P2", "2.png"), ValueError, "line 3: 1 cell,.* has 3"),
        (TABLE.replace("ill,P1", "ill, mild,P1"), ValueError, "line 2: 4 cells.* has 3"),
        (TABLE.replace("3.png", "1.png"), ValueError, r"more than once, .*'1\.png' in lines 2, 4"),
        (TABLE.splitlines()[0], ValueError, "a header and at least one row"),
        ("", ValueError, "a header and at least one row"),
        (TABLE + '"', ValueError, "cannot be read as CSV"),
    ],
    ids=[
        "no such column",
        "column twice",
        "empty cells",
        "missing file",
        "one class",
        "short row",
        "long row",
        "repeated file",
        "header only",
        "empty file",
        "open quote",
    ],
)
def test_a_bad_table_is_a_clear_error(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        load_image_table(write(tmp_path, text), path="image", target="finding")


def test_a_table_that_is_not_there_or_not_utf_8_is_a_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no CSV file"):
        load_image_table(tmp_path / "no.csv", path="image", target="finding")
    csv = write(tmp_path, TABLE.replace("ill", "pneumonía"), "latin-1")
    with pytest.raises(ValueError, match="not UTF-8"):
        load_image_table(csv, path="image", target="finding")


def test_the_real_folder(real_data):
    lungs = load_image_folder(real_data / "lung-disease" / "train")
    names, counts = np.unique(lungs.target, return_counts=True)
    assert names.tolist() == lungs.target_names == ["Healthy", "Type 1 disease", "Type 2 disease"]
    assert counts.tolist() == [70, 111, 70]
    assert lungs.groups is None
