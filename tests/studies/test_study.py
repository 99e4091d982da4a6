"""Studies are opened, continued and copied; Optuna stays silent and is loaded late."""

import subprocess
import sys

import optuna

from lungestimators.studies import run_trials
from tests.studies.workers import opened, suggest


def test_a_study_goes_on_where_it_was(storage):
    run_trials(opened(storage), suggest, 2)
    values = [trial.value for trial in opened(storage).trials]
    run_trials(opened(storage), suggest, 3)
    run_trials(opened(storage), suggest, 1)
    study = opened(storage)
    assert [trial.value for trial in study.trials[:2]] == values
    assert len(study.trials) == 3


def test_a_study_that_goes_on_does_not_repeat_a_seeded_sampler(tmp_path):
    for n_trials in (2, 4):
        study = opened(tmp_path / "journal")
        run_trials(study, suggest, n_trials)
    values = [trial.value for trial in study.trials]
    assert len(set(values)) == 4
    fresh = opened()
    run_trials(fresh, suggest, 2)
    assert [trial.value for trial in fresh.trials] == values[:2]


def test_opening_and_running_say_nothing_and_leave_the_verbosity(tmp_path, capfd):
    verbosity = optuna.logging.get_verbosity()
    for _ in range(2):
        run_trials(opened(tmp_path / "journal"), suggest, 1)
    assert optuna.logging.get_verbosity() == verbosity
    assert capfd.readouterr() == ("", "")


def test_importing_loads_no_framework():
    program = (
        "import sys; from lungestimators import studies; studies.open_study(None, None, "
        "direction='maximize', sampler=None, pruner=None, description={}); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "optuna" in done.stdout.split(), done.stderr
    assert not {"tensorflow", "keras", "torch", "jax"} & set(done.stdout.split())
