"""CSV files: tables of images and their labels, lists of patients."""

import io
import os
import re
from csv import Error as CSVError
from csv import reader
from decimal import Decimal
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..text_tables import counted, printable

_DELIMITERS = ",;\t"
# The first line of a file that Excel shall read with this delimiter.
_STATED_DELIMITER = re.compile(r'\s*"?sep=(.)"?[ \t,;]*(?=\r?\n|\r|$)', re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
# How cells say that there is no value, in lower case. "None" may be a class.
_MISSING = {"nan", "-nan", "na", "n/a", "#n/a", "#na", "<na>", "nat", "null"}
# Lines or files named in one error; the others are counted.
_NAMED = 3


def load_image_table(csv, *, path, target, group=None, root=None, return_X_y=False):
    """Load the images that a CSV file or a DataFrame lists, one in a row, with their labels.

    A CSV file is UTF-8, with a header; comma, semicolon or tab is recognised, or another delimiter
    by Excel's line ``sep=``. Spaces around a cell are dropped, and so are empty rows.

    Parameters
    ----------
    csv : path, or DataFrame of pandas or polars, or table of pyarrow
        The file or the table.
    path : str
        Column of the image files.
    target : str
        Column of the labels.
    group : str, default=None
        Column of the patients. ``None``: which images show the same patient is not known.
    root : path, default=None
        Where relative image files are looked for. ``None``: in the folder of the CSV file; for a
        DataFrame, in the working directory.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch
        - data : ndarray of shape (n_images,) of str, paths
        - target : ndarray of shape (n_images,), the labels: int where all are whole numbers (``2``
          and ``2.0`` are one class), str elsewhere
        - target_names : list of str, the classes in the order of their values
        - filenames : ndarray of shape (n_images,) of str
        - groups : ndarray of shape (n_images,) of str, the patients; None without ``group``
        - DESCR : str

    Raises
    ------
    FileNotFoundError
        The CSV file or an image file does not exist.
    TypeError
        ``csv`` is neither a path nor a table.
    ValueError
        A column is missing, a row is too short or too long, a cell is empty or holds NaN, a file
        is listed twice (through a link or ``..``, too), or there are fewer than two classes.

    See Also
    --------
    load_image_folder : One folder a class, and no table.
    load_images : A folder without classes, such as new images to predict.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from lungestimators.datasets import load_image_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("1.png", "2.png"):
    ...         Image.fromarray(np.zeros((8, 8), np.uint8)).save(Path(folder, name))
    ...     csv = Path(folder, "labels.csv")
    ...     _ = csv.write_text("image,finding,patient\\n1.png,ill,A\\n2.png,healthy,B\\n")
    ...     lungs = load_image_table(csv, path="image", target="finding", group="patient")
    >>> lungs.target_names, lungs.target.tolist(), lungs.groups.tolist()
    (['healthy', 'ill'], ['ill', 'healthy'], ['A', 'B'])
    """
    wanted = [path, target] + ([] if group is None else [group])
    columns = _columns_of_frame if _is_frame(csv) else _columns_of_file
    source, folder, columns, rows = columns(csv, wanted)
    folder = folder if root is None else Path(root).expanduser()
    filenames = _files(source, folder, columns[path], rows)
    y = _labels(columns[target])
    target_names = np.unique(y).astype(str).tolist()
    if len(target_names) < 2:
        raise ValueError(
            f"{source}: the column {target!r} must hold two classes or more; it holds "
            f"{target_names}"
        )
    if return_X_y:
        return filenames, y
    groups = None if group is None else np.array(columns[group])
    return Bunch(
        data=filenames,
        target=y,
        target_names=target_names,
        filenames=filenames,
        groups=groups,
        DESCR=describe(
            f"listed in {source}",
            y,
            groups,
            labels=f"its column {target!r}",
            patients=f"its column {group!r}",
        ),
    )


def describe(source, target, groups, *, labels, patients, left_out=""):
    """Say of a data set what can be known: images, classes, labels, patients, licence.

    Parameters
    ----------
    source : str
        Where the images are.
    target : ndarray of shape (n_images,), the labels
    groups : ndarray of shape (n_images,) of str, or None
    labels, patients : str
        Where they come from; ``patients`` is not said without ``groups``.
    left_out : str, optional
        Files that are no part of it, and why.

    Returns
    -------
    str
    """
    counts = zip(*np.unique(target, return_counts=True), strict=True)
    counts = ", ".join(f"{name}: {n}" for name, n in counts)
    of_patients, known = "", "Which images show the same patient is not known."
    if groups is not None:
        of_patients = f" of {counted(len(np.unique(groups)), 'patient')}"
        known = f"Patients are {patients}."
    return printable(
        f"{len(target)} images{of_patients} {source} ({counts}). Labels are {labels}. {known} "
        "Licence: not stated." + f" Left out: {left_out}." * bool(left_out)
    )


def read_table(csv):
    """Read a CSV file with a header.

    Parameters
    ----------
    csv : Path

    Returns
    -------
    header : list of str
    rows : list of (int, list of str)
        The line of the file in which a row ends, and its cells, as many as the header has.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is not UTF-8, not CSV, has no row, or a row has more or fewer cells than the header.
    """
    source = printable(csv.name)
    if not csv.is_file():
        raise FileNotFoundError(f"There is no CSV file {str(csv)!r}")
    try:
        text = csv.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{source} is not UTF-8 ({error}): save it as CSV with that encoding"
        ) from None
    stated = _STATED_DELIMITER.match(text)
    if stated:  # its line is left, empty, for the numbers of the lines below
        delimiter, text = stated[1], text[stated.end() :]
    else:
        # The delimiter is the one that cuts the header into most cells.
        header = _QUOTED.sub("", text).lstrip().partition("\n")[0]
        delimiter = max(_DELIMITERS, key=header.count)
    try:
        lines = list(_lines(text, delimiter))
    except CSVError as error:
        raise ValueError(f"{source} cannot be read as CSV: {error}") from error
    if len(lines) < 2:
        raise ValueError(f"{source} must hold a header and at least one row below it")
    (_, header), *rows = lines
    for number, (line, cells) in enumerate(rows):
        if len(cells) < len(header) or any(cells[len(header) :]):
            raise ValueError(
                f"{source}, line {line}: {counted(len(cells), 'cell')}, "
                f"but the header has {len(header)}: "
                f"{header}"
            )
        rows[number] = line, cells[: len(header)]
    return header, rows


def _lines(text, delimiter):
    """The rows that hold anything, with the number of the line where each ends."""
    file = io.StringIO(text)
    table = reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
    for cells in table:
        cells = [cell.strip() for cell in cells]
        if any(cells):
            yield table.line_num, cells


def _columns_of_file(csv, names):
    """Return what the table is called, its folder, {name: cells} and (what a row is, numbers)."""
    csv = Path(csv).expanduser()
    source = printable(csv.name)
    header, rows = read_table(csv)
    lines = [line for line, _ in rows]
    columns = {}
    for name in names:
        _check_once(source, header, name)
        cells = [cells[header.index(name)] for _, cells in rows]
        columns[name] = _check_cells(source, name, cells, ("line", lines))
    return source, csv.parent, columns, ("line", lines)


def _columns_of_frame(frame, names):
    """Return as :func:`_columns_of_file` does; rows are counted from 0."""
    # The columns of a table of pyarrow are no names.
    header = list(getattr(frame, "column_names", frame.columns))
    source = "the DataFrame"
    rows = ("row", range(len(frame)))
    if not len(frame):
        raise ValueError(f"{source} has no row")
    columns = {}
    for name in names:
        _check_once(source, header, name)
        cells = np.asarray(frame[name], dtype=object).tolist()
        cells = ["" if _is_missing(cell) else str(cell).strip() for cell in cells]
        columns[name] = _check_cells(source, name, cells, rows)
    return source, Path(), columns, rows


def _is_frame(table):
    if isinstance(table, str | os.PathLike):
        return False
    if hasattr(table, "columns") and hasattr(table, "__len__"):
        return True
    raise TypeError(
        f"csv is of the type {type(table).__name__}: pass the path of a CSV file, or a DataFrame"
    )


def _is_missing(cell):
    try:
        return cell is None or bool(cell != cell)
    except TypeError:  # pandas.NA is neither true nor false
        return True


def _check_once(source, header, name):
    if header.count(name) != 1:
        found = "more than one column" if name in header else "no column"
        raise ValueError(f"{source} has {found} {name!r}; its columns are {header}")


def _check_cells(source, name, cells, rows):
    """Return the cells of a column, or raise where some are empty."""
    word, numbers = rows
    for kind, is_bad in (("is empty", "".__eq__), ("holds NaN", _is_nan)):
        bad = [number for number, cell in zip(numbers, cells, strict=True) if is_bad(cell)]
        if bad:
            raise ValueError(
                f"{source}: the column {name!r} {kind} in {counted(len(bad), 'row')} "
                f"({word} {listed(bad)})"
            )
    return cells


def _is_nan(cell):
    return cell.lower() in _MISSING


def _labels(cells):
    """Return labels as whole numbers where all are, and as str elsewhere; equal numbers agree."""
    if not all(_NUMBER.fullmatch(cell) for cell in cells):
        return np.array(cells)
    values = [Decimal(cell) for cell in cells]
    if all(value == value.to_integral_value() and abs(value) < 2**63 for value in values):
        return np.array([int(value) for value in values])
    return np.array([_plain(value) for value in values])


def _plain(value):
    """A number without exponent and without zeros at its end."""
    text = format(value if value else abs(value), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _files(source, folder, names, rows):
    """The paths of files that are all there, each once."""
    word, numbers = rows
    paths = [folder / name for name in names]
    numbers_of = {}
    for path, number in zip(paths, numbers, strict=True):
        numbers_of.setdefault(os.path.realpath(path), []).append((path, number))
    repeated = [found for found in numbers_of.values() if len(found) > 1]
    if repeated:
        path = repeated[0][0][0]
        raise ValueError(
            f"{source} lists {counted(len(repeated), 'file')} more than once, such as "
            f"{path.name!r} in "
            f"{word}s {listed([number for _, number in repeated[0]])}: an image must have one row, "
            "or it could be in the training and in the test part"
        )
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of the {len(paths)} files in {source} do not exist: {listed(missing)}"
            + f" (relative ones are looked for in {str(folder.resolve())!r}: root= names another "
            "folder)" * any(not Path(name).is_absolute() for name in names)
        )
    return np.array([str(path) for path in paths])


def listed(items):
    """The first few, and how many others there are."""
    others = len(items) - _NAMED
    named = ", ".join(repr(item) for item in items[:_NAMED])
    return named + f" and {others} others" * (others > 0)
