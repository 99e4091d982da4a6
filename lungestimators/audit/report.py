"""AuditReport: the checks of an audit, as text, as HTML and as plain data."""

import textwrap
from html import escape
from typing import Any, NamedTuple

from ..text_tables import counted, html_table, printable, text_table

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
    """The result of one check.

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
    """The checks of :func:`lungestimators.audit_images`, and what they found.

    Parameters
    ----------
    checks : list of Check
    not_run : list of str
    conclusion : str
    n_images : int
    n_test_images : int or None
    groups : ndarray of shape (n_images,), int, or None
    keep : ndarray of shape (n_images,), bool, or None
    leaked : ndarray of shape (n_test_images,), bool, or None

    Attributes
    ----------
    checks : dict of {str: Check}
        By name, in the order of the report. A check has a ``verdict``, a ``sentence``, the ``rows``
        behind it (list of dict), its ``rule`` and, where there is something to do, ``advice``. The
        verdicts: "ok" is looked for, and not found; "skipped" could not be looked for; "warning"
        asks to look at it, as an accuracy may still be right; "fault" is to be mended before an
        accuracy is believed.
    not_run : list of str
        Names of the checks that ``checks`` left out. The report says nothing of what they look for.
    verdict : str
        The worst of all verdicts.
    conclusion : str
        Whether a model's accuracy on these images can be trusted, and why not.
    groups_ : ndarray of shape (n_images,), int
        Group of each image of X: duplicates share one, and so do the given groups. None, as are the
        next two, where no check that was run compares images.
    keep_ : ndarray of shape (n_images,), bool
        Images of X to learn from: all but the unreadable, the empty, all but the first of
        duplicates, and duplicates whose labels differ.
    leaked_ : ndarray of shape (n_test_images,), bool, or None
        Which images of X_test have a duplicate in X; None without X_test.
    """

    def __init__(self, checks, not_run, conclusion, n_images, n_test_images, groups, keep, leaked):
        self.checks = {check.name: check for check in checks}
        self.not_run = not_run
        self.conclusion = conclusion
        self._n_images = n_images
        self._n_test_images = n_test_images
        self.groups_ = groups
        self.keep_ = keep
        self.leaked_ = leaked

    @property
    def verdict(self) -> str:
        """The worst of all verdicts."""
        return max((check.verdict for check in self.checks.values()), key=VERDICTS.index)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain Python that ``json.dumps`` takes.

        Returns
        -------
        dict
            ``verdict``, ``conclusion``, ``checks`` (list of dict), ``not_run`` (list of str),
            ``groups``, ``keep`` and ``leaked`` (lists, or None).
        """
        groups, keep, leaked = (
            None if array is None else array.tolist()
            for array in (self.groups_, self.keep_, self.leaked_)
        )
        return {
            "verdict": self.verdict,
            "conclusion": self.conclusion,
            "checks": [check._asdict() for check in self.checks.values()],
            "not_run": self.not_run,
            "groups": groups,
            "keep": keep,
            "leaked": leaked,
        }

    def __repr__(self):
        counts = ", ".join(
            f"{sum(check.verdict == verdict for check in self.checks.values())} {verdict}"
            for verdict in VERDICTS
        )
        counts += f", {len(self.not_run)} not run" if self.not_run else ""
        return f"<AuditReport of {self._n_images} images: {counts}>"

    def __str__(self):
        meanings = "; ".join(f"{verdict}: {text}" for verdict, text in MEANINGS.items())
        lines = [
            f"Audit of {self._size()}",
            *_wrap_audit_report_text(f"{meanings}.", ""),
            "=" * _WIDTH,
        ]
        for check in self.checks.values():
            lines += [
                "",
                f"[{check.verdict}] {check.name}",
                *_wrap_audit_report_text(check.sentence, "    "),
            ]
            if check.advice:
                lines += _wrap_audit_report_text(f"Next: {check.advice}", "    ")
            if check.rule:
                lines += _wrap_audit_report_text(f"Rule: {check.rule}", "    ")
            if check.rows:
                cells = _cells_of_audit_report(check.rows[:_SHOWN], longest=_CELL)
                lines += [f"    {line}".rstrip() for line in text_table(cells)]
            if len(check.rows) > _SHOWN:
                hidden = len(check.rows) - _SHOWN
                lines.append(f"    and {hidden} more: report.checks[{check.name!r}].rows")
        if self.not_run:
            lines += ["", *_wrap_audit_report_text(f"[not run] {', '.join(self.not_run)}", "")]
        lines += ["", "=" * _WIDTH]
        for name, meaning in self._arrays().items():
            lines += _wrap_audit_report_text(f"report.{name}: {meaning}", "")
        lines += ["", *_wrap_audit_report_text(self.conclusion, "")]
        return "\n".join(lines)

    def _repr_html_(self):
        lines = [["verdict", "check", _align_audit_report_cell_left("found")]]
        for check in self.checks.values():
            lines.append(
                [escape(check.verdict), escape(check.name), _audit_report_check_as_html(check)]
            )
        if self.not_run:
            lines.append(["not run", escape(", ".join(self.not_run)), ""])
        arrays = {f"report.{name}": meaning for name, meaning in self._arrays().items()}
        return (
            f"<h3>Audit of {escape(self._size())}</h3>"
            f"<p><b>{escape(printable(self.conclusion))}</b></p>"
            f"{html_table(lines, is_html=True)}"
            f"<p>{_audit_report_meanings_as_html(MEANINGS)}</p><p>{_audit_report_meanings_as_html(arrays)}</p>"
        )

    def _size(self):
        images = counted(self._n_images, "image")
        if self._n_test_images is None:
            return images
        return f"{images} and {counted(self._n_test_images, 'test image')}"

    def _arrays(self):
        """Say what the arrays of the report are for, by name."""
        if self.keep_ is None:
            return {}
        found = {
            "keep_": f"the {self.keep_.sum():,} of {counted(len(self.keep_), 'image')} to learn "
            "from, one of each picture",
            "groups_": "the groups for splits: copies of a picture are in one",
        }
        if self.leaked_ is not None:
            n_test = counted(len(self.leaked_), "test image")
            found["leaked_"] = f"the {self.leaked_.sum():,} of {n_test} that are also in X"
        return found


def _audit_report_check_as_html(check):
    """Return the sentence of a check, its advice, its rule and its table as HTML."""
    found = escape(printable(check.sentence))
    found += f"<br><b>Next:</b> {escape(check.advice)}" if check.advice else ""
    found += f"<br><small>Rule: {escape(check.rule)}</small>" if check.rule else ""
    if check.rows:
        table = html_table(_cells_of_audit_report(check.rows))
        n_rows = counted(len(check.rows), "row")
        found += f"<details><summary>{n_rows}</summary>{table}</details>"
    return _align_audit_report_cell_left(found)


def _align_audit_report_cell_left(text):
    """Keep notebooks from setting a cell of a table to the right."""
    return f'<div style="text-align: left">{text}</div>'


def _wrap_audit_report_text(text, indent):
    """Break a text into lines that begin with an indent."""
    return textwrap.wrap(printable(text), _WIDTH, initial_indent=indent, subsequent_indent=indent)


def _cells_of_audit_report(rows, longest=None):
    """Return the header and the lines of a table of dicts, as text that can be printed.

    Of a text above ``longest`` characters only the end is shown.
    """
    lines = [list(rows[0])]
    for row in rows:
        texts = [_value_in_audit_report(value) for value in row.values()]
        if longest is not None:
            texts = [t if len(t) <= longest else f"...{t[3 - longest :]}" for t in texts]
        lines.append(texts)
    return lines


def _value_in_audit_report(value):
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else printable(str(value))


def _audit_report_meanings_as_html(meanings):
    """Return words and their meanings as HTML, one a line."""
    return "<br>".join(f"<b>{escape(word)}</b>: {escape(text)}" for word, text in meanings.items())
