"""AuditReport: what an audit found, as text, as HTML and as plain data."""

import textwrap
from html import escape
from typing import NamedTuple

from ..text_tables import counted, printable

VERDICTS = ("ok", "skipped", "warning", "fault")  # from good to bad

MEANINGS = {
    "ok": "looked for, and not found",
    "skipped": "could not be looked for",
    "warning": "look at it: an accuracy may still be right",
    "fault": "mend it before an accuracy is believed",
}

_SHOWN = 8  # rows of a check that are printed
_WIDTH = 88
_CELL = 40  # characters; of a longer path the end says more than the beginning


class Check(NamedTuple):
    """One check.

    Parameters
    ----------
    name : str
    verdict : {"ok", "skipped", "warning", "fault"}
    sentence : str
        What was found.
    rows : list of dict
        The images, pairs or scores behind it, as plain Python.
    rule : str
        What is compared with what, for which verdict.
    advice : str
        What to do next; empty where there is nothing to do.
    consequence : str
        What a warning or a fault means for a model's accuracy, as a part of a sentence.
    """

    name: str
    verdict: str
    sentence: str
    rows: list
    rule: str = ""
    advice: str = ""
    consequence: str = ""


class AuditReport:
    """What :func:`lungestimators.audit_images` found.

    Parameters
    ----------
    checks : list of Check
    conclusion : str
        Whether a model's accuracy on these images can be trusted, and why not.
    groups : ndarray of shape (n_images,), int
    keep : ndarray of shape (n_images,), bool
    leaked : ndarray of shape (n_test_images,), bool, or None

    Attributes
    ----------
    checks : dict of {str: Check}
        By name, in the order of the report. A check has a ``verdict``, a ``sentence``, the ``rows``
        behind it (list of dict), its ``rule`` and, where there is something to do, ``advice``. The
        verdicts: "ok" is looked for, and not found; "skipped" could not be looked for; "warning"
        asks to look at it, as an accuracy may still be right; "fault" is to be mended before an
        accuracy is believed.
    verdict : str
        The worst of all verdicts.
    conclusion : str
        Whether a model's accuracy on these images can be trusted, and why not.
    groups_ : ndarray of shape (n_images,), int
        Group of each image of X: duplicates share one, and so do the given groups.
    keep_ : ndarray of shape (n_images,), bool
        Images of X to learn from: all but the unreadable, the empty, all but the first of
        duplicates, and duplicates whose labels differ.
    leaked_ : ndarray of shape (n_test_images,), bool, or None
        Which images of X_test have a duplicate in X; None without X_test.
    """

    def __init__(self, checks, conclusion, groups, keep, leaked):
        self.checks = {check.name: check for check in checks}
        self.conclusion = conclusion
        self.groups_ = groups
        self.keep_ = keep
        self.leaked_ = leaked

    @property
    def verdict(self):
        return max((check.verdict for check in self.checks.values()), key=VERDICTS.index)

    def to_dict(self):
        """Return the report as plain Python that ``json.dumps`` takes.

        Returns
        -------
        dict
            ``verdict``, ``conclusion``, ``checks`` (list of dict), ``groups``, ``keep`` and
            ``leaked`` (lists, or None).
        """
        return {
            "verdict": self.verdict,
            "conclusion": self.conclusion,
            "checks": [check._asdict() for check in self.checks.values()],
            "groups": self.groups_.tolist(),
            "keep": self.keep_.tolist(),
            "leaked": None if self.leaked_ is None else self.leaked_.tolist(),
        }

    def __repr__(self):
        counts = ", ".join(
            f"{sum(check.verdict == verdict for check in self.checks.values())} {verdict}"
            for verdict in VERDICTS
        )
        return f"<AuditReport of {len(self.keep_)} images: {counts}>"

    def __str__(self):
        meanings = "; ".join(f"{verdict}: {text}" for verdict, text in MEANINGS.items())
        lines = [f"Audit of {self._size()}", *_wrapped(f"{meanings}.", ""), "=" * _WIDTH]
        for check in self.checks.values():
            lines += ["", f"[{check.verdict}] {check.name}", *_wrapped(check.sentence, "    ")]
            if check.advice:
                lines += _wrapped(f"Next: {check.advice}", "    ")
            if check.rule:
                lines += _wrapped(f"Rule: {check.rule}", "    ")
            lines += [f"    {line}" for line in _text_table(check.rows[:_SHOWN])]
            if len(check.rows) > _SHOWN:
                hidden = len(check.rows) - _SHOWN
                lines.append(f"    and {hidden} more: report.checks[{check.name!r}].rows")
        lines += ["", "=" * _WIDTH]
        for name, meaning in self._arrays().items():
            lines += _wrapped(f"report.{name}: {meaning}", "")
        lines += ["", *_wrapped(self.conclusion, "")]
        return "\n".join(lines)

    def _repr_html_(self):
        rows = []
        for check in self.checks.values():
            found = escape(printable(check.sentence))
            found += f"<br><b>Next:</b> {escape(check.advice)}" if check.advice else ""
            found += f"<br><small>Rule: {escape(check.rule)}</small>" if check.rule else ""
            if check.rows:
                table = _html_table(check.rows)
                n_rows = counted(len(check.rows), "row")
                found += f"<details><summary>{n_rows}</summary>{table}</details>"
            rows.append(
                f"<tr><td>{escape(check.verdict)}</td><td>{escape(check.name)}</td>"
                f'<td style="text-align: left">{found}</td></tr>'
            )
        conclusion = escape(printable(self.conclusion))
        return (
            f"<h3>Audit of {escape(self._size())}</h3><p><b>{conclusion}</b></p>"
            f"<table><tr><th>verdict</th><th>check</th><th>found</th></tr>{''.join(rows)}</table>"
            f"<p>{_definitions(MEANINGS)}</p>"
            f"<p>{_definitions({f'report.{k}': v for k, v in self._arrays().items()})}</p>"
        )

    def _size(self):
        images = counted(len(self.keep_), "image")
        if self.leaked_ is None:
            return images
        return f"{images} and {counted(len(self.leaked_), 'test image')}"

    def _arrays(self):
        """What the arrays are for, which go with the data into the user's code."""
        found = {
            "keep_": f"the {self.keep_.sum():,} of {counted(len(self.keep_), 'image')} to learn "
            "from, one of each picture",
            "groups_": "the groups for splits: copies of a picture are in one",
        }
        if self.leaked_ is not None:
            n_test = counted(len(self.leaked_), "test image")
            found["leaked_"] = f"the {self.leaked_.sum():,} of {n_test} that are also in X"
        return found


def _wrapped(text, indent):
    return textwrap.wrap(printable(text), _WIDTH, initial_indent=indent, subsequent_indent=indent)


def _cell(value):
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else printable(str(value))


def _short(text):
    return text if len(text) <= _CELL else f"...{text[3 - _CELL :]}"


def _text_table(rows):
    if not rows:
        return []
    table = [list(rows[0]), *([_short(_cell(value)) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    ]


def _definitions(meanings):
    return "<br>".join(f"<b>{escape(word)}</b>: {escape(text)}" for word, text in meanings.items())


def _html_table(rows):
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(value))}</td>" for value in row.values()) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
