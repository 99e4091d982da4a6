"""Patients of the images in a folder: named by files, found by an expression, or listed."""

import pytest

from lungestimators.datasets import load_image_folder
from tests.datasets.folders import make, save


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
