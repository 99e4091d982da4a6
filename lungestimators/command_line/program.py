"""main: run a command, print its result, and turn errors into a line and an exit status."""

import contextlib
import importlib
import json
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

from .arguments import parse_arguments

_CANNOT, _FAULT, _INTERRUPTED = 2, 3, 130
# Errors about what was asked for. Others are faults of the program, and show where they arose.
_EXPECTED = (ValueError, OSError, ImportError, MemoryError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments; None is the command line of this process.

    Returns
    -------
    int
        Exit status: 0, done; 1, done, and something is wrong, such as a file that cannot be read;
        2, what was asked for cannot be done; 3, a fault of the program; 130, interrupted.

    Raises
    ------
    SystemExit
        Help was asked for, or an argument is wrong.
    """
    arguments = parse_arguments(argv)
    notes: list[str] = []
    try:
        # The library shows progress on stdout, which belongs to the result.
        with _notes_on_stderr(notes), contextlib.redirect_stdout(sys.stderr):
            # Imported when it is run: help must not wait for scikit-learn.
            command = importlib.import_module(f"{__package__}.{arguments.command}")
            result = command.run(arguments)
            text = result.text
            if arguments.json:
                document = {"command": arguments.command, **result.document, "notes": notes}
                text = json.dumps(document, indent=2, allow_nan=False)
    except KeyboardInterrupt as interrupt:
        _say(" ".join(["interrupted", *map(str, interrupt.args)]))
        return _INTERRUPTED
    except _EXPECTED as error:
        message = _in_one_line(error)
        if arguments.json:
            document = {"command": arguments.command, "error": message}
            _print_result(json.dumps(document, indent=2), _CANNOT)
        _say(message)
        return _CANNOT
    except Exception:
        traceback.print_exc()
        _say("this is a fault of the program, not of what you asked for")
        return _FAULT
    return _print_result(text, result.status)


@contextlib.contextmanager
def _notes_on_stderr(notes):
    """Show warnings as notes, without places in the code, and collect them in a list."""

    def show(message, category, filename, lineno, file=None, line=None):
        text = " ".join(str(message).split())
        if text in notes:
            return
        notes.append(text)
        _say(f"note: {text}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _say(text):
    print(f"lungestimators: {text}", file=sys.stderr, flush=True)


def _in_one_line(error):
    """Return the message of an error as one line."""
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    if isinstance(error, OSError) and error.strerror:
        about = "" if error.filename is None else f"{os.fsdecode(error.filename)!r}: "
        return f"{about}{error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _print_result(text, status):
    """Print to stdout, and return the exit status.

    A reader that has closed stdout, such as ``head``, is no error; a full disk is one.
    """
    encoding = sys.stdout.encoding or "utf-8"
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # it is flushed at the end
        if isinstance(error, BrokenPipeError):
            return status
        _say(f"the result cannot be printed: {_in_one_line(error)}")
        return _CANNOT
    return status
