"""ProgressBar: print how many of several things are done, and how long the others will take."""

import sys
import time

_LENGTH = 20  # characters of a full bar
_SECONDS = 0.1  # between two lines on a terminal
_LINES = 10  # in a file


class ProgressBar:
    """A title, and below it a bar that counts things.

    On a terminal and in a notebook the bar is overwritten. Elsewhere, as in a log file, it is
    printed again after each tenth of the things.

    Parameters
    ----------
    total : int
        Number of things to do.
    title : str
    is_shown : bool
        Whether to print anything.
    """

    def __init__(self, total, title, is_shown=True):
        self._total = total
        self._title = title
        self._is_shown = is_shown
        self._is_started = False
        self._n_done = self._n_printed = 0
        self._note = ""

    def start(self):
        """Print the title, unless it is printed already: the first of the things is begun."""
        if self._is_started or not self._is_shown:
            return
        self._is_started = True
        print(self._title, flush=True)
        self._overwrites = sys.stdout.isatty() or "ipykernel" in sys.modules
        self._character = "━" if _can_print_in_progress_bar("━") else "="
        self._started = self._last_print = time.monotonic()
        self._length = 0

    def show(self, n_done, note=""):
        """Count the things that are done, and print the bar from time to time.

        The bar stays one call behind, so that ``close`` prints the last count, and prints it once.

        Parameters
        ----------
        n_done : int
        note : str
            Text behind the bar, such as a loss.
        """
        if self._is_started and self._n_printed < self._n_done < n_done and self._is_due():
            seconds = time.monotonic() - self._started
            left = seconds / self._n_done * (self._total - self._n_done)
            self._print_bar(
                f"{_duration_in_progress_bar(left)} left", end="" if self._overwrites else "\n"
            )
        self._n_done, self._note = n_done, note

    def close(self):
        """Print the last count, and the time that it took."""
        if self._is_started:
            self._print_bar(_duration_in_progress_bar(time.monotonic() - self._started), end="\n")

    def _is_due(self):
        if self._overwrites:
            return time.monotonic() - self._last_print >= _SECONDS
        part, printed = (n * _LINES // self._total for n in (self._n_done, self._n_printed))
        return part > printed

    def _print_bar(self, duration, end):
        count = f"{self._n_done:>{len(str(self._total))}}/{self._total}"
        n_filled = max(1, _LENGTH * self._n_done // max(1, self._total))
        bar = (self._character * n_filled).ljust(_LENGTH)
        line = f"{count} {bar} {duration}{self._note}"
        shown = f"\r{line.ljust(self._length)}" if self._overwrites else line  # cover a longer line
        print(shown, end=end, flush=True)
        self._length, self._n_printed = len(line), self._n_done
        self._last_print = time.monotonic()


def _duration_in_progress_bar(seconds):
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _can_print_in_progress_bar(character):
    try:
        character.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
