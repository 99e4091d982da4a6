"""Tables of images and their labels, as CSV files or DataFrames, become data sets."""

from __future__ import annotations

import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from ..text_tables import counted, name_first, printable
from ..validation import PathLike
from .csv_reader import read_csv
from .description import describe_data_set

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
# Cells that mean "no value", in lower case. "None" is not one of them: it may be a class.
_MISSING = {"nan", "-nan", "na", "n/a", "#n/a", "#na", "<na>", "nat", "null"}


def load_image_table(
    csv: PathLike | Any,
    *,
    path: str,
    target: str,
    group: str | None = None,
    root: PathLike | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load a data set from a CSV file or a DataFrame that lists an image and its label in a row.

    A CSV file must be UTF-8 and have a header. Its delimiter may be a comma, a semicolon or a tab,
    or any other that Excel's line ``sep=`` names. Spaces around cells and empty rows are ignored.

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
        Folder that relative paths of images start from. ``None``: the folder of the CSV file; for
        a DataFrame, the working directory.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch
        - data : ndarray of shape (n_images,) of str, paths
        - target : ndarray of shape (n_images,), the labels: int if all are whole numbers (``2``
          and ``2.0`` are one class), else str
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
        is listed twice (also through a link or ``..``), or there are fewer than two classes.

    See Also
    --------
    load_image_folder : Images in one folder a class.
    load_images : Images without labels, such as new images to predict.

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
    read_columns = _columns_of_table_in_frame if _is_table_a_frame(csv) else _columns_of_csv_table
    source, folder, columns, rows = read_columns(csv, wanted)
    folder = folder if root is None else Path(root).expanduser()
    filenames = _check_files_of_table(source, folder, columns[path], rows)
    y = _parse_labels_of_table(columns[target])
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
        DESCR=describe_data_set(
            f"listed in {source}",
            y,
            groups,
            labels=f"its column {target!r}",
            patients=f"its column {group!r}",
        ),
    )


def _columns_of_csv_table(csv, names):
    """Read columns of a CSV file.

    Returns
    -------
    source : str
        What errors call the table.
    folder : Path
        Folder that relative paths start from.
    columns : dict of str to list of str
        Name of a column to its cells.
    rows : tuple of (str, sequence of int)
        What errors call a row ("line" or "row"), and the number of each row.
    """
    csv = Path(csv).expanduser()
    source = printable(csv.name)
    header, rows = read_csv(csv)
    lines = [line for line, _ in rows]
    columns = {}
    for name in names:
        _check_column_of_table(source, header, name)
        cells = [cells[header.index(name)] for _, cells in rows]
        columns[name] = _check_cells_of_table(source, name, cells, ("line", lines))
    return source, csv.parent, columns, ("line", lines)


def _columns_of_table_in_frame(frame, names):
    """Read columns of a DataFrame, as :func:`_columns_of_csv_table`; rows are counted from 0."""
    # Tables of pyarrow have column_names; their columns are arrays.
    header = list(getattr(frame, "column_names", frame.columns))
    source = "the DataFrame"
    rows = ("row", range(len(frame)))
    if not len(frame):
        raise ValueError(f"{source} has no row")
    columns = {}
    for name in names:
        _check_column_of_table(source, header, name)
        cells = np.asarray(frame[name], dtype=object).tolist()
        cells = ["" if _is_missing_in_table(cell) else str(cell).strip() for cell in cells]
        columns[name] = _check_cells_of_table(source, name, cells, rows)
    return source, Path(), columns, rows


def _is_table_a_frame(table):
    """Whether a table is a DataFrame and not the path of a file; raise if it is neither."""
    if isinstance(table, str | os.PathLike):
        return False
    if hasattr(table, "__len__") and hasattr(table, "columns"):
        return True
    raise TypeError(
        f"csv is of the type {type(table).__name__}: pass the path of a CSV file, or a DataFrame"
    )


def _is_missing_in_table(cell):
    """Whether a cell of a DataFrame is None, NaN or pandas.NA."""
    try:
        return cell is None or bool(cell != cell)
    except TypeError:  # pandas.NA is neither true nor false
        return True


def _check_column_of_table(source, header, name):
    """Raise unless exactly one column has this name."""
    if header.count(name) != 1:
        found = "more than one column" if name in header else "no column"
        raise ValueError(f"{source} has {found} {name!r}; its columns are {header}")


def _check_cells_of_table(source, name, cells, rows):
    """Return the cells of a column; raise if some are empty or hold NaN."""
    word, numbers = rows
    for kind, is_bad in (("is empty", "".__eq__), ("holds NaN", _is_nan_in_csv_table)):
        bad = [number for number, cell in zip(numbers, cells, strict=True) if is_bad(cell)]
        if bad:
            raise ValueError(
                f"{source}: the column {name!r} {kind} in {counted(len(bad), 'row')} "
                f"({word} {name_first(bad)})"
            )
    return cells


def _is_nan_in_csv_table(cell):
    """Whether the text of a cell means that there is no value."""
    return cell.lower() in _MISSING


def _parse_labels_of_table(cells):
    """Return labels as int if all are whole numbers, else as str; equal numbers are one label."""
    if not all(_NUMBER.fullmatch(cell) for cell in cells):
        return np.array(cells)
    values = [Decimal(cell) for cell in cells]
    if all(value == value.to_integral_value() and abs(value) < 2**63 for value in values):
        return np.array([int(value) for value in values])
    return np.array([_label_of_table_number(value) for value in values])


def _label_of_table_number(value):
    """Write a number without an exponent and without zeros at its end."""
    text = format(value if value else abs(value), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _check_files_of_table(source, folder, names, rows):
    """Return the paths of the images; raise if a file is missing or listed twice."""
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
            f"{path.name!r} in {word}s {name_first([number for _, number in repeated[0]])}: "
            "an image must have one row, or it could be in the training and in the test part"
        )
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of the {len(paths)} files in {source} do not exist: "
            f"{name_first(missing)}"
            + f" (relative ones are looked for in {str(folder.resolve())!r}: root= names another "
            "folder)" * any(not Path(name).is_absolute() for name in names)
        )
    return np.array([str(path) for path in paths])
