"""Messages of a search: a line for each trial, a last line, and silence."""

import io
import re
import subprocess
import sys
import time
import warnings

import optuna
import pytest

from lungestimators.search import progress
from tests.search.gaussian_searches import grid, search


def test_progress_is_one_line_a_trial_and_one_before_the_final_fit(iris, capsys):
    search(verbose=1).fit(*iris)
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("Trial 0: 0.")
    assert "3 of 3 done, 0 pruned, 0 failed; best 0." in lines[2]
    assert lines[2].endswith("; 0 s left")
    assert last == "3 of 3 trials are done; the best parameters are fitted to all rows"


def test_all_trials_of_a_study_that_has_more_than_were_asked_for_are_counted(
    iris, capsys, tmp_path
):
    study = dict(storage=tmp_path / "study.log", study_name="more")
    search(n_trials=3, **study).fit(*iris)
    found = search(n_trials=2, verbose=1, **study).fit(*iris)
    assert len(found.cv_results_["params"]) == 3
    assert capsys.readouterr().out.startswith("3 of 3 trials are done")


def test_progress_counts_what_is_pruned_failed_and_resumed(iris, tmp_path, capsys):
    class Odd(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return trial.number % 2 == 1

    def fail(clf, X, y):
        if clf.var_smoothing < 0.02:
            raise KeyError("several\nlines")
        return clf.score(X, y)

    options = dict(storage=tmp_path / "study.log", study_name="a", scoring=fail, pruner=Odd())
    # Of the first four trials one is completed, one fails and two are pruned. The sampler is seeded
    # anew when the study is continued: what the later ones do is left to chance.
    options |= dict(sampler=optuna.samplers.RandomSampler(seed=3), verbose=1, refit=False)
    for n_trials in (4, 9):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found = search(n_trials=n_trials, **options).fit(*iris)
    *lines, last = [line for line in capsys.readouterr().out.splitlines() if "are done" not in line]
    lines.append(last)
    trials = found.study_.trials
    for number, line in enumerate(lines):
        states = [trial.state.name for trial in trials[: number + 1]]
        counts = f"{states.count('PRUNED')} pruned, {states.count('FAIL')} failed"
        assert f"; {number + 1} of {4 if number < 4 else 9} done, {counts}" in line
    assert len(lines) == 9
    assert {"PRUNED", "FAIL", "COMPLETE"} == {trial.state.name for trial in trials}


@pytest.mark.slow
def test_workers_together_count_every_trial_once():
    program = (
        "from sklearn.datasets import load_iris; "
        "from tests.search.gaussian_searches import search; "
        "search(verbose=1, n_trials=9, n_jobs=2).fit(*load_iris(return_X_y=True))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    *lines, last = done.stdout.splitlines()
    counts = [re.search("; (.*) of 9 done", line) for line in lines]
    assert all(counts), done.stdout
    assert sorted(count[1] for count in counts) == list("123456789")
    assert last.startswith("9 of 9 trials are done")


def test_a_line_is_written_at_once(iris, monkeypatch):
    written = []

    class Unbuffered(io.StringIO):
        def write(self, text):
            if text:
                written.append(text)

    monkeypatch.setattr(sys, "stdout", Unbuffered())
    search(verbose=1, refit=False).fit(*iris)
    assert [text[:7] for text in written[:3]] == ["Trial 0", "Trial 1", "Trial 2"]
    assert all(text.endswith("\n") for text in written[:3])


def test_the_time_left_knows_the_timeout(iris, capsys):
    def slow(clf, X, y):
        time.sleep(0.1)
        return clf.score(X, y)

    search(verbose=1, n_trials=40_000, timeout=0.7, scoring=slow, refit=False).fit(*iris)
    *lines, last = capsys.readouterr().out.splitlines()
    assert 1 <= len(lines) <= 3
    assert all(re.search("; [01] s left until the timeout$", line) for line in lines)
    assert last == f"{len(lines)} of 40000 trials are done, and the timeout is over"


def test_a_sampler_that_has_tried_everything_is_said_to_have(iris, capsys):
    grid(verbose=1, n_trials=9).fit(*iris)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("3 of 9 trials are done, and the sampler has no others; the best")


def test_time_left_is_the_lesser_of_trials_and_timeout(monkeypatch):
    clock = iter([0.0, 30.0, 90.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    study = optuna.create_study()
    counted = progress.TrialProgress(study, 4, 100.0)
    assert counted._time_left_of_search(2) == "30 s left"
    assert counted._time_left_of_search(1) == "10 s left until the timeout"


def test_a_search_is_silent_and_leaves_optunas_verbosity(iris, capfd):
    verbosity = optuna.logging.get_verbosity()
    search().fit(*iris)
    assert "".join(capfd.readouterr()) == ""
    assert optuna.logging.get_verbosity() == verbosity
