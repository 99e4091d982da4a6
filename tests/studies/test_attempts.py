"""Trials whose process was killed or interrupted are tried again; surplus trials are not run."""

import signal

import optuna
import pytest
from optuna.trial import TrialState

from lungestimators.studies import attempts, open_study, run_trials, running, settled_trials
from tests.studies.workers import DIE, interrupt, opened, running_elsewhere, start, suggest


def test_a_trial_whose_process_died_is_tried_again_with_its_parameters(storage):
    worker = start(DIE, storage, 2)
    assert worker.wait(60) == -signal.SIGKILL
    study = opened(storage)
    run_trials(study, suggest, 2)
    dead, other, again = study.trials
    assert (dead.state, dead.user_attrs["lost"]) == (TrialState.FAIL, "killed")
    assert again.user_attrs["retry_of"] == dead.number
    assert again.params == dead.params
    assert [trial.number for trial in settled_trials(study)] == [again.number, other.number]


def test_a_trial_that_kills_its_process_again_and_again_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(attempts, "MOST_RETRIES", 1)
    storage = tmp_path / "journal"
    for _ in range(2):
        assert start(DIE, storage, 1).wait(60) == -signal.SIGKILL
    study = opened(storage)
    run_trials(study, lambda trial: pytest.fail("was tried again"), 1)
    (trial,) = settled_trials(study)
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["error"] == "the process that ran it died, 2 times"


def test_of_two_trials_at_once_the_second_is_surplus(monkeypatch):
    study = opened()
    begin = running._create_running_trial

    def begin_second(study, **options):
        running_elsewhere(study)
        return begin(study, **options)

    monkeypatch.setattr(running, "_create_running_trial", begin_second)
    run_trials(study, lambda trial: pytest.fail("is surplus"), 1, timeout=0.2)
    first, second = study.trials
    assert first.state == TrialState.RUNNING
    assert (second.state, second.user_attrs["surplus"]) == (TrialState.FAIL, True)


def test_of_two_retries_at_once_the_second_is_surplus(monkeypatch):
    study = opened()
    with pytest.raises(KeyboardInterrupt):
        run_trials(study, interrupt, 1)
    begin = running._create_running_trial

    def begin_second(study, **options):
        running_elsewhere(study, retry_of=0, attempt=1)
        return begin(study, **options)

    monkeypatch.setattr(running, "_create_running_trial", begin_second)
    run_trials(study, lambda trial: pytest.fail("is surplus"), 1, timeout=0.2)
    assert [trial.user_attrs.get("surplus", False) for trial in study.trials] == [
        False,
        False,
        True,
    ]


def test_an_interrupted_trial_is_tried_again_when_the_search_goes_on(storage):
    study = opened(storage)
    with pytest.raises(KeyboardInterrupt):
        run_trials(study, interrupt, 2)
    study = opened(storage)
    run_trials(study, suggest, 2)
    assert study.trials[2].params == study.trials[0].params
    assert [trial.number for trial in settled_trials(study)] == [2, 1]


def test_the_last_point_of_a_grid_can_be_tried_again(tmp_path):
    study = open_study(
        tmp_path / "journal",
        "study",
        direction="maximize",
        sampler=optuna.samplers.GridSampler({"x": [0.25]}),
        pruner=optuna.pruners.NopPruner(),
        description={},
    )
    with pytest.raises(KeyboardInterrupt):
        run_trials(study, interrupt, 1)
    run_trials(study, suggest, 1)
    assert [trial.value for trial in settled_trials(study)] == [0.25]


def test_interrupting_does_not_use_up_retries(monkeypatch):
    study = opened()
    for _ in range(attempts.MOST_RETRIES + 2):
        with pytest.raises(KeyboardInterrupt):
            run_trials(study, interrupt, 1)
    run_trials(study, suggest, 1)
    assert [trial.state for trial in settled_trials(study)] == [TrialState.COMPLETE]


def test_a_process_that_was_taken_for_dead_changes_nothing_any_more(storage):
    study, ended = opened(storage), []

    def lose_first(trial):
        x = suggest(trial)
        if trial.number == 0:
            other = opened(storage)
            attempts.fail_attempt(other, other.trials[0], {"lost": "killed"})
            trial.report(x, 0)
        return x

    run_trials(study, lose_first, 1, on_trial_end=lambda _, trial: ended.append(trial.number))
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert ended == [1]


def test_a_retry_is_judged_by_the_pruner_anew():
    study = opened()

    def interrupt_late(trial):
        suggest(trial)
        trial.storage.set_trial_system_attr(trial._trial_id, "completed_rung_0", 0.5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials(study, interrupt_late, 1)
    run_trials(study, suggest, 1)
    assert "completed_rung_0" in study.trials[0].system_attrs
    assert "completed_rung_0" not in study.trials[1].system_attrs
