"""Unfinished work of a command that goes on where it was stopped."""

import json
import sys


def run_resumable(name, work, *arguments):
    """Call ``work(*arguments)``, and return its exit status, or that of its error.

    Parameters
    ----------
    name : str
        Of the command, for messages.
    work : callable
        Returns the exit status.
    """
    try:
        return work(*arguments)
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on with what was finished.", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2


def report(line):
    """Print a line at once."""
    print(line, flush=True)


def check_made_from(file, described):
    """Raise if a file of unfinished work was made from something else; else note what it is of.

    Without this, images that another run had compared with other scored sets would be learnt from.
    """
    note = file.with_suffix(".json")
    if file.exists() and json.loads(note.read_text(encoding="utf-8")) != described:
        raise ValueError(
            f"{file} is of another run, as {note.name} says: choose another folder for --work, or "
            "remove it"
        )
    note.write_text(json.dumps(described), encoding="utf-8")
