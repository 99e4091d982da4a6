"""Messages of a search: a line for each trial, and a last line."""

import time

from .. import studies
from .._compat import optuna


class TrialProgress:
    """Prints a line for each trial that this process finishes.

    Parameters
    ----------
    study : optuna.Study
        Before this process runs its first trial.
    n_trials : int
        How many trials the study is to have.
    timeout : float or None
        Seconds from now on.
    """

    def __init__(self, study, n_trials, timeout):
        self._n_trials = n_trials
        self._timeout = timeout
        self._start = time.monotonic()
        self._n_before = len(studies.settled_trials(study))

    def __call__(self, study, trial):
        """Print the line of a trial that has just finished."""
        # Other processes may have finished trials since: each line counts up to its own trial.
        trials = [
            t
            for t in studies.settled_trials(study)
            if _place_of_trial_in_progress(t) <= _place_of_trial_in_progress(trial)
        ]
        states = [settled.state for settled in trials]
        line = f"Trial {trial.number}: {_progress_text_of_trial(trial)}"
        line += f"; {len(trials)} of {self._n_trials} done"
        for state, word in (
            (optuna.trial.TrialState.PRUNED, "pruned"),
            (optuna.trial.TrialState.FAIL, "failed"),
        ):
            line += f", {states.count(state)} {word}"
        complete = [
            settled for settled in trials if settled.state == optuna.trial.TrialState.COMPLETE
        ]
        if complete:
            best = max(complete, key=lambda settled: settled.value)
            line += f"; best {best.value:.4f} in trial {best.number}"
        line += f"; {self._time_left_of_search(len(trials))}\n"
        # One write for the whole line: unbuffered, print writes the end of a line by itself, and a
        # line of another worker may come in between.
        print(line, end="", flush=True)

    def _time_left_of_search(self, n_done):
        """Return a text of the time that is left, from the mean time of the trials so far."""
        elapsed = time.monotonic() - self._start
        left = elapsed / max(1, n_done - self._n_before) * (self._n_trials - n_done)
        if self._timeout is None or left <= self._timeout - elapsed:
            return f"{_format_time_left_of_search(left)} left"
        return (
            f"{_format_time_left_of_search(max(0, self._timeout - elapsed))} left until the timeout"
        )


def _place_of_trial_in_progress(trial):
    """Return a key that sorts trials by the time of their end."""
    return trial.datetime_complete, trial.number


def _progress_text_of_trial(trial):
    """Return the value of a trial, or why it has none, as a text of one line."""
    if trial.state == optuna.trial.TrialState.COMPLETE:
        return f"{trial.value:.4f}"
    return trial.user_attrs.get(studies.ERROR, "pruned").splitlines()[0]


def _format_time_left_of_search(seconds):
    """Write seconds as hours and minutes, as minutes, or as seconds."""
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"


def last_line_of_search_progress(n_done, n_trials, is_late, refit):
    """Return the last line: how many trials are done, why no more, and that a fit follows."""
    line = f"{n_done} of {max(n_done, n_trials)} trials are done"  # a study may have had more
    if n_done < n_trials:
        line += ", and the timeout is over" if is_late else ", and the sampler has no others"
    return f"{line}; the best parameters are fitted to all rows" if refit else line
