"""CSV files: tables of images and their labels, lists of patients."""

import io
from csv import Error as CSVError
from csv import reader
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

_DELIMITERS = ",;\t"
# Lines or files named in one error; the others are counted.
_NAMED = 3


def load_image_table(csv, *, path, target, group=None, return_X_y=False):
    """Load the images that a CSV file lists, one in a row, with their labels.

    The file is UTF-8, with a header; comma, semicolon or tab is recognised. Spaces around a cell
    are dropped, and so are empty rows.

    Parameters
    ----------
    csv : path
        The file.
    path : str
        Column of the image files; relative ones are looked for in the folder of the CSV file.
    target : str
        Column of the labels. They are numbered in the order of their names, or of their values
        where all are whole numbers.
    group : str, default=None
        Column of the patients. ``None``: which images show the same patient is not known.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch
        - data : ndarray of shape (n_images,) of str, paths
        - target : ndarray of shape (n_images,), int
        - target_names : list of str
        - filenames : ndarray of shape (n_images,) of str
        - groups : ndarray of shape (n_images,) of str, the patients; None without ``group``
        - DESCR : str

    Raises
    ------
    FileNotFoundError
        The CSV file or an image file does not exist.
    ValueError
        A column is missing, a row is too short or too long, a cell is empty, a file is listed
        twice, or there are fewer than two classes.

    See Also
    --------
    load_image_folder : One folder a class, and no table.

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
    >>> lungs.target_names, lungs.target, lungs.groups
    (['healthy', 'ill'], array([1, 0]), array(['A', 'B'], dtype='<U1'))
    """
    csv = Path(csv).expanduser()
    header, rows = read_table(csv)
    wanted = [path, target] + ([] if group is None else [group])
    columns = {name: _column(csv, header, rows, name) for name in wanted}
    filenames = _files(csv, columns[path], [line for line, _ in rows])
    labels = columns[target]
    whole = all(label.isdecimal() for label in labels)
    by_value = (lambda label: (int(label), label)) if whole else None
    target_names = sorted(set(labels), key=by_value)
    if len(target_names) < 2:
        raise ValueError(
            f"{csv.name}: the column {target!r} must hold two classes or more; it holds "
            f"{target_names}"
        )
    numbers = {name: number for number, name in enumerate(target_names)}
    y = np.array([numbers[label] for label in labels])
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
            f"listed in {csv.name}",
            y,
            target_names,
            groups,
            labels=f"its column {target!r}",
            patients=f"its column {group!r}",
        ),
    )


def describe(source, target, target_names, groups, *, labels, patients):
    """Say of a data set what can be known: images, classes, labels, patients, licence.

    Parameters
    ----------
    source : str
        Where the images are.
    target : ndarray of shape (n_images,), int
    target_names : list of str
    groups : ndarray of shape (n_images,) of str, or None
    labels, patients : str
        Where they come from; ``patients`` is not said without ``groups``.

    Returns
    -------
    str
    """
    counts = ", ".join(
        f"{name}: {n}" for name, n in zip(target_names, np.bincount(target), strict=True)
    )
    of_patients, known = "", "Which images show the same patient is not known."
    if groups is not None:
        of_patients = f" of {len(np.unique(groups))} patients"
        known = f"Patients are {patients}."
    return (
        f"{len(target)} images{of_patients} {source} ({counts}). Labels are {labels}. {known} "
        "Licence: not stated."
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
    if not csv.is_file():
        raise FileNotFoundError(f"There is no CSV file {str(csv)!r}")
    try:
        text = csv.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{csv.name} is not UTF-8 ({error}): save it as CSV with that encoding"
        ) from None
    try:
        # The delimiter is the one that cuts the header into most cells.
        delimiter = max(_DELIMITERS, key=lambda delimiter: _n_cells(text, delimiter))
        lines = list(_lines(text, delimiter))
    except CSVError as error:
        raise ValueError(f"{csv.name} cannot be read as CSV: {error}") from error
    if len(lines) < 2:
        raise ValueError(f"{csv.name} must hold a header and at least one row below it")
    (_, header), *rows = lines
    for number, (line, cells) in enumerate(rows):
        if len(cells) < len(header) or any(cells[len(header) :]):
            raise ValueError(
                f"{csv.name}, line {line}: {len(cells)} cells, but the header has {len(header)}: "
                f"{header}"
            )
        rows[number] = line, cells[: len(header)]
    return header, rows


def _n_cells(text, delimiter):
    """How many cells the header has, if a delimiter is right."""
    try:
        return len(next(_lines(text, delimiter), (1, []))[1])
    except CSVError:  # quoted cells, with another delimiter between them
        return 0


def _lines(text, delimiter):
    """The rows that hold anything, with the number of the line where each ends."""
    file = io.StringIO(text)
    table = reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
    for cells in table:
        cells = [cell.strip() for cell in cells]
        if any(cells):
            yield table.line_num, cells


def _column(csv, header, rows, name):
    """The cells below one name."""
    if header.count(name) != 1:
        found = "more than one column" if name in header else "no column"
        raise ValueError(f"{csv.name} has {found} {name!r}; its columns are {header}")
    cells = [row[header.index(name)] for _, row in rows]
    empty = [line for (line, _), cell in zip(rows, cells, strict=True) if not cell]
    if empty:
        raise ValueError(
            f"{csv.name}: the column {name!r} is empty in {len(empty)} rows (line {listed(empty)})"
        )
    return cells


def _files(csv, names, lines):
    """The paths of files that are all there, each once."""
    lines_of = {}
    for name, line in zip(names, lines, strict=True):
        lines_of.setdefault(csv.parent / name, []).append(line)
    repeated = {path: found for path, found in lines_of.items() if len(found) > 1}
    if repeated:
        path, found = next(iter(repeated.items()))
        raise ValueError(
            f"{csv.name} lists {len(repeated)} files more than once, such as {path.name!r} in "
            f"lines {listed(found)}: an image must have one row, or it could be in the training "
            "and in the test part"
        )
    missing = [str(path) for path in lines_of if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of the {len(lines_of)} files in {csv.name} do not exist: "
            f"{listed(missing)}"
        )
    return np.array([str(path) for path in lines_of])


def listed(items):
    """The first few, and how many others there are."""
    others = len(items) - _NAMED
    named = ", ".join(repr(item) for item in items[:_NAMED])
    return named + f" and {others} others" * (others > 0)
