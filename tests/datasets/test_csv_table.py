"""Tables of images as people have them: files of every tool, and DataFrames."""

import os
from pathlib import Path

import numpy as np
import pandas
import polars
import pyarrow
import pytest
from PIL import Image

from lungestimators import load_image_table
from tests.datasets.folders import save


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for number in range(1, 4):
        Image.new("L", (8, 8)).save(tmp_path / "images" / f"{number}.png")
    return tmp_path


def load(folder, text, encoding="utf-8", **options):
    (folder / "lungs.csv").write_bytes(text.encode(encoding))
    return load_image_table(folder / "lungs.csv", path="image", target="label", **options)


def table(*labels, delimiter=","):
    rows = [f"images/{n}.png{delimiter}{label}" for n, label in enumerate(labels, 1)]
    return "\n".join([f"image{delimiter}label", *rows, ""])


# Labels


@pytest.mark.parametrize(
    ("labels", "target", "names"),
    [
        (("-1", "1", "-1"), [-1, 1, -1], ["-1", "1"]),
        (("2.0", "10.0", "1.0"), [2, 10, 1], ["1", "2", "10"]),
        (("10", "9.0", "+9"), [10, 9, 9], ["9", "10"]),
        (("0", "-0", "1e1"), [0, 0, 10], ["0", "10"]),
        (("007", "8", "7."), [7, 8, 7], ["7", "8"]),
        (("0.5", "0.50", "1"), ["0.5", "0.5", "1"], ["0.5", "1"]),
        (("1", "x", "10"), ["1", "x", "10"], ["1", "10", "x"]),
        (("1_0", "10", "1_0"), ["1_0", "10", "1_0"], ["10", "1_0"]),
        (("None", "mild", "None"), ["None", "mild", "None"], ["None", "mild"]),
        (("9" * 30, "9" * 29 + "8", "1"), ["9" * 30, "9" * 29 + "8", "1"], None),
    ],
)
def test_labels_that_are_numbers_go_by_their_value(folder, labels, target, names):
    lungs = load(folder, table(*labels))
    assert lungs.target.tolist() == target
    if names is not None:
        assert lungs.target_names == names
    # In the order of classes_, which is that of numpy.unique.
    assert lungs.target_names == [str(label) for label in np.unique(lungs.target)]


@pytest.mark.parametrize("cell", ["nan", "NaN", "NA", "N/A", "<NA>", "null", "NULL"])
def test_nan_among_the_labels_is_an_error_that_names_the_rows(folder, cell):
    with pytest.raises(ValueError, match=r"'label' holds NaN in 2 rows \(line 3, 4\)"):
        load(folder, table("ill", cell, cell))


# Files


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nimage;label\nimages/1.png;a\nimages/2.png;b\n",
        "sep=,\r\nimage,label\r\nimages/1.png,a\r\nimages/2.png,b\r\n",
        '"sep=|"\nimage|label\nimages/1.png|a\nimages/2.png|b\n',
        "SEP=\t\nimage\tlabel\nimages/1.png\ta\nimages/2.png\tb\n",
        '"image";"label"\n"images/1.png";"a"\n"images/2.png";"b"\n',
        'image;label;"age, sex, and view"\nimages/1.png;a;x\nimages/2.png;b;y\n',
        'image,label,"age; sex; view; hospital"\nimages/1.png,a,x\nimages/2.png,b,y\n',
        '"note, ""quoted"", too"\timage\tlabel\nx\timages/1.png\ta\ny\timages/2.png\tb\n',
        '\n\nimage;label;"two\nlines, of, text"\nimages/1.png;a;x\nimages/2.png;b;y\n',
    ],
    ids=[
        "sep=;",
        "sep=, Windows",
        "quoted sep",
        "sep=tab",
        "quoted",
        "commas in quotes",
        "semicolons in quotes",
        "quotes in quotes",
        "two lines",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_delimiter_is_the_one_of_the_header(folder, text, encoding):
    assert load(folder, text, encoding).target.tolist() == ["a", "b"]


def test_lines_are_counted_with_the_line_of_excel(folder):
    with pytest.raises(ValueError, match=r"'label' is empty in 1 row \(line 4\)"):
        load(folder, "sep=;\nimage;label\nimages/1.png;a\nimages/2.png;\n")


@pytest.mark.parametrize(
    "name", ["images/../images/1.png", "./images//1.png", "images/link.png", "linked/1.png"]
)
def test_the_same_file_by_another_name_is_an_error(folder, name):
    (folder / "images" / "link.png").symlink_to("1.png")
    (folder / "linked").symlink_to("images")
    text = f"image,label\nimages/1.png,a\nimages/2.png,b\n{name},a\n"
    with pytest.raises(ValueError, match=r"more than once, such as '1\.png' in lines 2, 4"):
        load(folder, text)


def test_paths_may_be_relative_to_another_folder(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    text = table("a", "b", "a")
    with pytest.raises(FileNotFoundError, match=r"looked for in .*elsewhere.*root= names another"):
        load(elsewhere, text)
    lungs = load(elsewhere, text, root=folder)
    assert lungs.data.tolist() == [str(folder / "images" / f"{n}.png") for n in (1, 2, 3)]


# DataFrames

COLUMNS = {
    "image": ["images/1.png", "images/2.png", "images/3.png"],
    "label": ["ill", "well", "ill"],
    "patient": ["P1", "P2", "P1"],
}


@pytest.mark.parametrize("make", [pandas.DataFrame, polars.DataFrame, pyarrow.table])
def test_a_data_frame_is_a_table(folder, make, monkeypatch):
    monkeypatch.chdir(folder)
    frame = make(COLUMNS)
    lungs = load_image_table(frame, path="image", target="label", group="patient")
    assert lungs.data.tolist() == COLUMNS["image"]
    assert lungs.target.tolist() == COLUMNS["label"]
    assert lungs.target_names == ["ill", "well"]
    assert lungs.groups.tolist() == COLUMNS["patient"]
    assert "3 images of 2 patients listed in the DataFrame (ill: 2, well: 1)" in lungs.DESCR
    monkeypatch.chdir("/")
    paths, _ = load_image_table(frame, path="image", target="label", root=folder, return_X_y=True)
    assert paths.tolist() == [str(folder / name) for name in COLUMNS["image"]]


@pytest.mark.parametrize("make", [pandas.DataFrame, polars.DataFrame, pyarrow.table])
@pytest.mark.parametrize(
    ("labels", "target"),
    [([2.0, 10.0, 2.0], [2, 10, 2]), ([True, False, True], ["True", "False", "True"])],
)
def test_numbers_of_a_data_frame_are_labels(folder, make, labels, target):
    frame = make({**COLUMNS, "label": labels})
    lungs = load_image_table(frame, path="image", target="label", root=folder)
    assert lungs.target.tolist() == target


@pytest.mark.parametrize("make", [pandas.DataFrame, polars.DataFrame, pyarrow.table])
@pytest.mark.parametrize("column", ["image", "label", "patient"])
def test_a_missing_cell_of_a_data_frame_is_an_error_that_names_the_row(folder, make, column):
    frame = make({**COLUMNS, column: ["x", None, None]})
    with pytest.raises(ValueError, match=rf"'{column}' is empty in 2 rows \(row 1, 2\)"):
        load_image_table(frame, path="image", target="label", group="patient", root=folder)


@pytest.mark.parametrize("missing", [np.nan, pandas.NA, pandas.NaT])
def test_every_missing_value_of_pandas_is_missing(folder, missing):
    frame = pandas.DataFrame({**COLUMNS, "label": pandas.Series([1, missing, 2], dtype=object)})
    with pytest.raises(ValueError, match=r"'label' is empty in 1 row \(row 1\)"):
        load_image_table(frame, path="image", target="label", root=folder)


def test_categories_and_other_rows_of_pandas_are_read(folder):
    frame = pandas.DataFrame({**COLUMNS, "image": [Path(p) for p in COLUMNS["image"]]})
    frame["label"] = frame["label"].astype("category")
    frame = frame.iloc[[2, 1]]
    lungs = load_image_table(frame, path="image", target="label", root=folder)
    assert lungs.data.tolist() == [str(folder / "images" / name) for name in ("3.png", "2.png")]
    assert lungs.target.tolist() == ["ill", "well"]


def test_what_is_no_table_is_an_error(folder):
    with pytest.raises(ValueError, match=r"the DataFrame has no column 'x'; its columns are"):
        load_image_table(pandas.DataFrame(COLUMNS), path="x", target="label")
    twice = pandas.DataFrame(COLUMNS).set_axis(["image", "label", "label"], axis=1)
    with pytest.raises(ValueError, match="more than one column 'label'"):
        load_image_table(twice, path="image", target="label")
    with pytest.raises(ValueError, match="the DataFrame has no row"):
        load_image_table(pandas.DataFrame(COLUMNS).iloc[:0], path="image", target="label")
    with pytest.raises(ValueError, match=r"the DataFrame lists 1 file more than once.*rows 0, 1"):
        frame = pandas.DataFrame({**COLUMNS, "image": ["images/1.png"] * 2 + ["images/2.png"]})
        load_image_table(frame, path="image", target="label", root=folder)
    for other in (COLUMNS, list(COLUMNS), polars.LazyFrame(COLUMNS)):
        with pytest.raises(TypeError, match="pass the path of a CSV file, or a DataFrame"):
            load_image_table(other, path="image", target="label")


def test_messages_on_a_table_whose_name_is_not_utf_8_can_be_printed(tmp_path):
    csv = tmp_path / os.fsdecode(b"caf\xe9.csv")
    csv.write_text("image,label\n1.png,ill\n2.png\n")
    with pytest.raises(ValueError, match=r"^caf\\udce9\.csv, line 3: 1 cell, but the header has 2"):
        load_image_table(csv, path="image", target="label")
    csv.write_text("image,label\n1.png,ill\n2.png,well\n")
    with pytest.raises(FileNotFoundError, match=r"files in caf\\udce9\.csv do not exist"):
        load_image_table(csv, path="image", target="label")


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
