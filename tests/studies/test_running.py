"""Processes that work on one study run exactly the trials asked for."""

import sqlite3
import time

import optuna
import pytest
from optuna.trial import TrialState

from lungestimators.studies import SearchError, open_study, run_trials, settled_trials
from tests.studies.workers import WORK, opened, start, suggest


@pytest.mark.slow
def test_processes_that_start_at_once_run_exactly_the_trials_asked_for(storage):
    workers = [start(WORK, storage, 12) for _ in range(3)]
    assert [worker.wait(120) for worker in workers] == [0, 0, 0]
    study = opened(storage)
    assert len(settled_trials(study)) == 12
    assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 12
    assert not study.get_trials(states=(TrialState.RUNNING, TrialState.WAITING))


def test_a_failed_trial_says_why_and_counts(storage):
    study, ended = opened(storage), []

    def fail_first(trial):
        if trial.number == 0:
            raise ZeroDivisionError("of all things")
        return float("nan") if trial.number == 1 else suggest(trial)

    run_trials(study, fail_first, 3, on_trial_end=lambda _, trial: ended.append(trial.state))
    assert ended == [TrialState.FAIL, TrialState.FAIL, TrialState.COMPLETE]
    errors = [trial.user_attrs.get("error") for trial in settled_trials(study)]
    assert errors == [
        "ZeroDivisionError: of all things",
        "ValueError: the value of the trial is not a number",
        None,
    ]


@pytest.mark.parametrize("failing", [0, 1])
def test_a_fault_of_the_search_ends_it_unless_a_trial_is_complete(failing):
    study = opened()

    def fail(trial):
        if trial.number == failing:
            raise SearchError("no scorer")
        return suggest(trial)

    if failing == 0:
        with pytest.raises(SearchError, match="no scorer"):
            run_trials(study, fail, 3)
    else:
        run_trials(study, fail, 3)
    states = [trial.state.name for trial in settled_trials(study)]
    assert states == [["FAIL"], ["COMPLETE", "FAIL", "COMPLETE"]][failing]


def test_a_database_that_fails_in_between_ends_the_search_and_keeps_the_rest(tmp_path):
    study = opened(f"sqlite:///{tmp_path / 'study.db'}")

    def break_second(trial):
        if trial.number == 1:
            with sqlite3.connect(tmp_path / "study.db") as database:
                database.execute("ALTER TABLE trial_params RENAME TO away")
        return suggest(trial)

    with pytest.raises(ConnectionError, match=r"storage of study 'study' fails.*no such table"):
        run_trials(study, break_second, 3)
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("ALTER TABLE away RENAME TO trial_params")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.RUNNING]


def test_a_pruned_trial_counts():
    study = opened()

    def prune(trial):
        trial.report(0.25, 0)
        raise optuna.TrialPruned

    run_trials(study, prune, 1)
    assert [(trial.state, trial.value) for trial in study.trials] == [(TrialState.PRUNED, 0.25)]


def test_a_trial_that_the_user_put_in_the_queue_runs_and_counts():
    study = opened()
    study.enqueue_trial({"x": 0.125})
    run_trials(study, suggest, 2)
    assert study.trials[0].value == 0.125
    assert len(study.trials) == 2


def test_no_trial_starts_after_the_time():
    study = opened()
    run_trials(study, lambda trial: time.sleep(0.1) or 1, 100, timeout=0.25)
    assert 1 <= len(settled_trials(study)) <= 3
    run_trials(study, suggest, 200, timeout=0)
    assert len(study.trials) <= 3


def test_a_grid_that_was_tried_is_not_tried_again(tmp_path):
    for _ in range(2):
        study = open_study(
            tmp_path / "journal",
            "study",
            direction="maximize",
            sampler=optuna.samplers.GridSampler({"x": [0.25, 0.5]}),
            pruner=optuna.pruners.NopPruner(),
            description={},
        )
        run_trials(study, suggest, 5)
        assert sorted(trial.value for trial in study.trials) == [0.25, 0.5]
