"""audit: are the images of a folder fit to learn from?"""

import textwrap
from html import escape

from ..audit import audit_images
from ..text_tables import printable, text_table
from .folders import load_parts
from .results import DONE, SOMETHING_WRONG, Result, check_file_to_write, write_whole_file

_WIDTH = 79
_SHOWN = 5  # rows of a check
_CELL = 30  # characters; of a longer path the end says more than the beginning


def run(arguments):
    """Audit the images of the folder ``arguments.folder``."""
    if arguments.html is not None:
        check_file_to_write(arguments.html, arguments.force)
    learn, test, part = load_parts(arguments)
    if arguments.html is not None:
        images = [path for some in (learn, test) if some is not None for path in some.paths]
        check_file_to_write(arguments.html, arguments.force, images)
    if learn is None:
        learn, test = test, None
    report = audit_images(
        learn.paths,
        learn.classes,
        learn.patients,
        None if test is None else test.paths,
        None if test is None else test.classes,
        checks=arguments.checks,
        random_state=arguments.seed,
        verbose=1,
    )
    title = f"Audit of {learn.described()}, called X here"
    if test is not None:
        title += f", and of the part {part}/, called X_test: {test.described()}"
    lines = [*textwrap.wrap(title, _WIDTH), ""]
    for check in report.checks.values():
        lines += _lines_of_check(check)
    if report.not_run:
        lines += [*textwrap.wrap(f"[not run] {', '.join(report.not_run)}", _WIDTH), ""]
    lines += textwrap.wrap(report.conclusion, _WIDTH)
    if arguments.html is not None:
        with write_whole_file(arguments.html) as file:
            file.write(_page(title, report))
        lines += ["", f"The whole report, with all rows and rules: {printable(arguments.html)}"]
    document = {"folder": arguments.folder, "html": arguments.html, **report.to_dict()}
    document["files"] = learn.paths.tolist()
    document["test_files"] = None if test is None else test.paths.tolist()
    status = SOMETHING_WRONG if report.verdict == "fault" else DONE
    return Result(status, "\n".join(lines), document)


def _lines_of_check(check):
    """Return what a check found as lines of text, with its first rows."""
    lines = [f"[{check.verdict}] {check.name}", *_indented(check.sentence)]
    if check.advice:
        lines += _indented(f"Next: {check.advice}")
    if check.rows and check.verdict in ("warning", "fault"):
        # Numbers of rows are for programs, where there are names of files.
        columns = [
            name for name in check.rows[0] if "file" not in check.rows[0] or name not in _ROWS
        ]
        cells = [[_cell(row[name]) for name in columns] for row in check.rows[:_SHOWN]]
        lines += [f"    {line}" for line in text_table([columns, *cells])]
        others = len(check.rows) - _SHOWN
        lines += [f"    and {others} more: --html or --json has all"] * (others > 0)
    return [*lines, ""]


_ROWS = {"image", "same as"}


def _cell(value):
    """Return a value as the text of a cell."""
    text = f"{value:.3f}" if isinstance(value, float) else printable(str(value))
    text = "" if value is None else text
    return text if len(text) <= _CELL else f"...{text[3 - _CELL :]}"


def _indented(text):
    return textwrap.wrap(printable(text), _WIDTH, initial_indent="    ", subsequent_indent="    ")


def _page(title, report):
    """Return the report as a page of HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        "<style>body { font-family: sans-serif; max-width: 70em; margin: 2em auto; }"
        " td, th { text-align: left; vertical-align: top; padding: 0.2em 0.6em; }</style>"
        f"</head>\n<body>{report._repr_html_()}</body></html>\n"
    )
