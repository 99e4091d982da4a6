"""Progress bars: counts that are right, and a last line that stands there once."""

import io
import itertools
import sys

import pytest

from lungestimators.images import progress
from lungestimators.images.progress import ProgressBar


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock of one second a look."""
    seconds = iter(range(10**6))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(seconds)))


def count_to(total, bar):
    bar.start()
    for n_done in range(1, total + 1):
        bar.start()
        bar.show(n_done)
    bar.close()


def test_a_log_file_gets_a_line_for_each_tenth(capsys):
    count_to(1000, ProgressBar(1000, "Counting"))
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == "Counting"
    assert [line.split("/")[0].strip() for line in lines] == [str(n) for n in range(100, 1001, 100)]
    assert lines[4].startswith(" 500/1000 " + 10 * "━" + 10 * " ")
    assert lines[4].endswith(" left")
    assert lines[-1].startswith("1000/1000 " + 20 * "━")
    assert not lines[-1].endswith("left")


def test_a_bar_ends_where_it_stops_and_its_note_is_the_last(capsys):
    bar = ProgressBar(10, "Counting")
    bar.start()
    bar.show(1, " - loss: 2")
    bar.show(2, " - loss: 1")
    bar.show(2, " - loss: 1 - val_loss: 3")
    bar.close()
    first, last = capsys.readouterr().out.splitlines()[1:]
    assert first.startswith(" 1/10 ") and first.endswith(" - loss: 2")
    assert last.startswith(" 2/10 ") and last.endswith(" - loss: 1 - val_loss: 3")


def test_a_terminal_gets_one_line_that_is_overwritten(monkeypatch, clock):
    monkeypatch.setattr(sys, "stdout", Terminal())
    count_to(12, ProgressBar(12, "Counting"))
    printed = sys.stdout.getvalue()
    assert printed.count("\n") == 2
    shown = printed.removeprefix("Counting\n\r").rstrip("\n").split("\r")
    assert [line.split("/")[0].strip() for line in shown] == [str(n) for n in range(1, 13)]
    assert " min left" not in printed and " s left" in shown[0]
    for before, line in itertools.pairwise(shown):
        assert len(line) >= len(before.rstrip())


def test_an_encoding_without_the_bar_gets_another_bar(monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    count_to(2, ProgressBar(2, "Counting"))
    output.seek(0)
    assert "2/2 " + 20 * "=" in output.read()


def test_nothing_is_printed_where_nothing_is_begun_or_nothing_is_shown(capsys):
    bar = ProgressBar(3, "Counting")
    bar.show(3)
    bar.close()
    count_to(3, ProgressBar(3, "Counting", is_shown=False))
    assert capsys.readouterr().out == ""
