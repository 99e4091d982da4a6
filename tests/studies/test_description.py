"""A study is continued only if its description is the same."""

import optuna
import pytest
from optuna.trial import TrialState

from lungestimators.studies import description, run_trials
from tests.studies.workers import opened, suggest


def test_a_study_of_something_else_is_refused_and_left_alone(storage):
    run_trials(opened(storage, of="x", folds=[1, (2, 3)]), suggest, 1)
    run_trials(opened(storage, of="x", folds=(1, [2, 3])), suggest, 1)
    for other, named in (
        ({"of": "y", "folds": [1, [2, 3]]}, "of: 'x' there, 'y' here"),
        ({"of": "x"}, "folds: only there"),
        ({"of": "x", "folds": [1, [2, 3]], "direction": "minimize"}, "direction: 'maximize'"),
    ):
        with pytest.raises(ValueError, match=f"study 'study' is about something else: {named}"):
            opened(storage, **other)
    study = opened(storage, of="x", folds=[1, [2, 3]])
    assert len(study.trials) == 1
    assert study.user_attrs == {
        "description": {"direction": "maximize", "of": "x", "folds": [1, [2, 3]]}
    }


def test_a_study_that_somebody_else_made_is_refused():
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="study", direction="maximize")
    study.optimize(suggest, 1)
    with pytest.raises(ValueError, match="has trials and no description"):
        opened(storage)


def test_a_study_whose_maker_died_at_once_is_taken_over(monkeypatch):
    monkeypatch.setattr(description, "SECONDS_TO_WAIT", 0.1)
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage, study_name="study", direction="maximize")
    study = opened(storage)
    assert study.user_attrs["description"] == {"direction": "maximize", "of": "x"}


@pytest.mark.parametrize("directions", [["minimize"], ["maximize", "maximize"]])
def test_a_study_that_somebody_else_made_for_another_direction_is_refused(directions):
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="study", directions=directions)
    with pytest.raises(ValueError, match=f"direction: '{', '.join(directions)}' there, 'max"):
        opened(storage)
    assert study.user_attrs == {}


def test_trials_may_be_put_in_the_queue_before_the_first_search(monkeypatch):
    monkeypatch.setattr(description, "SECONDS_TO_WAIT", 0.1)
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="study", direction="maximize")
    study.enqueue_trial({"x": 0.125})
    run_trials(opened(storage), suggest, 2)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert study.trials[0].value == 0.125
