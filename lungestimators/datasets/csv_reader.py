"""Read a CSV file with any usual delimiter, with the line number of each row."""

import io
import re
from csv import Error as CSVError
from csv import reader

from ..text_tables import counted, printable

_DELIMITERS = ",;\t"
# Excel writes and reads the delimiter of a file in its first line, as sep=;
_STATED_DELIMITER = re.compile(r'\s*"?sep=(.)"?[ \t,;]*(?=\r?\n|\r|$)', re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')


def read_csv(csv):
    """Read a CSV file with a header.

    Parameters
    ----------
    csv : Path

    Returns
    -------
    header : list of str
    rows : list of (int, list of str)
        For each row the line of the file in which it ends, and its cells, as many as the header
        has.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is not UTF-8, not CSV or has no row, or a row has more or fewer cells than the
        header.
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
    delimiter, text = _find_csv_delimiter(text)
    try:
        lines = list(_numbered_csv_rows(text, delimiter))
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


def _find_csv_delimiter(text):
    """Return the delimiter of a CSV file, and its text without the value of a line ``sep=``.

    Without such a line, the delimiter is the one that cuts the header into most cells.
    """
    stated = _STATED_DELIMITER.match(text)
    if stated:  # the line itself is left, empty, so that the lines below keep their numbers
        return stated[1], text[stated.end() :]
    header = _QUOTED.sub("", text).lstrip().partition("\n")[0]
    return max(_DELIMITERS, key=header.count), text


def _numbered_csv_rows(text, delimiter):
    """Yield for each row that is not empty the line where it ends, and its cells."""
    file = io.StringIO(text)
    table = reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
    for cells in table:
        cells = [cell.strip() for cell in cells]
        if any(cells):
            yield table.line_num, cells
