"""Result of a command, and the files that it writes."""

import contextlib
import os
import tempfile
from typing import NamedTuple

from ..text_tables import counted, printable

DONE, SOMETHING_WRONG = 0, 1

_SHOWN = 10  # unreadable files


class Result(NamedTuple):
    """What a command has found.

    Parameters
    ----------
    status : {0, 1}
        1: something is wrong, as with a file that cannot be read.
    text : str
        For a person.
    document : dict
        For a program: plain data.
    """

    status: int
    text: str
    document: dict


def check_file_to_write(path, force, inputs=()):
    """Raise, before any work, if a file cannot be written in the end.

    Parameters
    ----------
    path : str
    force : bool
        Whether a file that is there may be replaced.
    inputs : iterable of str
        Files that are read: none of them is replaced.

    Raises
    ------
    ValueError, OSError
    """
    if os.path.isdir(path):
        raise ValueError(f"{path!r} is a folder: name a file")
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise ValueError(
            f"There is no folder {folder!r}, in which {path!r} would be: make it first"
        )
    if os.path.realpath(path) in map(os.path.realpath, inputs):
        raise ValueError(f"{path!r} is one of the files to read: name another file to write")
    if os.path.lexists(path) and not force:
        raise ValueError(f"{path!r} is there already: name another file, or replace it by --force")
    unfinished = _path_while_unfinished(path)
    if os.path.lexists(unfinished) and not force:
        raise ValueError(
            f"{unfinished!r} holds what was done before an interruption: move it, or replace it by "
            "--force"
        )
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"No file can be written in {folder!r}: {error.strerror}") from None


@contextlib.contextmanager
def write_whole_file(path):
    """Open a text file to write; it gets its name when it is complete.

    If the work is interrupted, ``path + ".unfinished"`` holds what was written.
    """
    unfinished = _path_while_unfinished(path)
    # Names of files that are not UTF-8 go into the file as they are.
    with open(unfinished, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        yield file
    os.replace(unfinished, os.path.realpath(path))


def _path_while_unfinished(path):
    """Return where a file is written until it is complete: beside the target of a link."""
    return f"{os.path.realpath(path)}.unfinished"


def list_unreadable(reasons):
    """Return the lines of a text that lists files that cannot be read.

    Parameters
    ----------
    reasons : dict of {str: str}
        What is wrong with each file, by its path.

    Returns
    -------
    list of str
        Empty where all can be read.
    """
    if not reasons:
        return []
    lines = ["", f"{counted(len(reasons), 'file')} cannot be read:"]
    lines += [
        f"  {printable(path)}: {printable(reason)}"
        for path, reason in list(reasons.items())[:_SHOWN]
    ]
    others = len(reasons) - _SHOWN
    return lines + [f"  and {counted(others, 'other')}"] * (others > 0)
