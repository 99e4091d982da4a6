"""Workers that are killed at random moments: no finished trial is lost, and none is there twice."""

import importlib
import sys
from pathlib import Path

import optuna
import pytest

from lungestimators.studies import open_study, settled_trials

pytestmark = pytest.mark.slow

WORKER = """
import os, sys, time
import optuna
from lungestimators.studies import open_study, run_trials

storage, log, n_trials = sys.argv[1], sys.argv[2], int(sys.argv[3])

def objective(trial):
    x = trial.suggest_float("x", 0, 1)
    for step in range(4):
        time.sleep(0.04)
        trial.report(x, step)
    return x

def record(study, trial):
    with open(log, "a") as file:
        file.write(f"{trial.number} {trial.value!r}\\n")

study = open_study(
    storage, "kills", direction="maximize", sampler=optuna.samplers.RandomSampler(),
    pruner=optuna.pruners.NopPruner(), description={},
)
run_trials(study, objective, n_trials, on_trial_end=record)
"""


@pytest.fixture
def kills(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("kills")


def check(kills, storage, log, *, n_trials, n_kills, seed):
    """Kill workers of a cheap study; compare what they said with what is in it."""

    def finished():
        return log.read_text().splitlines(keepends=True) if log.exists() else []

    command = [sys.executable, "-c", WORKER, storage, str(log), str(n_trials)]
    kills.work_and_kill(
        command,
        lambda: len(finished()),
        n_workers=3,
        n_trials=n_trials,
        n_kills=n_kills,
        seed=seed,
        seconds=240,
    )
    study = open_study(
        storage, "kills", direction="maximize", sampler=None, pruner=None, description={}
    )
    settled = settled_trials(study)
    assert len(settled) == n_trials
    complete = {trial.number: trial.value for trial in settled if trial.value is not None}
    # One whose process died again and again is given up; twenty kills may hit one six times.
    assert all("died" in t.user_attrs["error"] for t in settled if t.value is None)
    # None doubled: every complete trial counts, and no two have the same parameters.
    assert len(study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))) == len(complete)
    assert len(set(complete.values())) == len(complete)
    # None lost: what a worker reported before it was killed is there as reported.
    said = [line.split() for line in finished() if line.endswith("\n")]
    assert len(said) >= 0.9 * n_trials
    assert all(complete[int(number)] == float(value) for number, value in said)
    assert any("retry_of" in trial.user_attrs for trial in settled)


def test_sixty_trials_survive_twenty_kills_on_a_journal_file(kills, tmp_path):
    storage = str(tmp_path / "journal.log")
    check(kills, storage, tmp_path / "log", n_trials=60, n_kills=20, seed=0)


def test_sixty_trials_survive_twenty_kills_on_postgresql(kills, postgresql, tmp_path):
    check(kills, postgresql, tmp_path / "log", n_trials=60, n_kills=20, seed=1)


def test_trials_survive_kills_on_sqlite(kills, tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    check(kills, storage, tmp_path / "log", n_trials=20, n_kills=6, seed=2)


SEARCH = """
import sys, time
from optuna.distributions import FloatDistribution
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from lungestimators import OptunaSearch

class Slow(LogisticRegression):
    def fit(self, X, y):
        time.sleep(0.1)
        return super().fit(X, y)

space = {"C": FloatDistribution(0.01, 1, log=True)}
options = dict(cv=3, n_trials=12, storage=sys.argv[1], study_name="search", refit=False)
OptunaSearch(Slow(), space, **options).fit(*load_iris(return_X_y=True))
"""


def test_a_search_survives_kills(kills, tmp_path):
    storage = str(tmp_path / "journal.log")
    observer = kills.Observer(storage, "search")
    kills.work_and_kill(
        [sys.executable, "-c", SEARCH, storage],
        observer.n_finished,
        n_workers=3,
        n_trials=12,
        n_kills=4,
        seed=3,
        seconds=240,
    )
    counts = observer.count()
    assert counts["complete"] + counts["pruned"] == 12
    assert (counts["failed"], counts["lost"], counts["doubled"]) == (0, 0, 0)


def test_what_is_lost_or_doubled_is_counted(kills, tmp_path):
    observer = kills.Observer(str(tmp_path / "journal.log"), "study")
    study = optuna.create_study(study_name="study", storage=observer._storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    assert observer.n_finished() == 3
    study.add_trial(study.trials[0])
    study.add_trial(optuna.create_trial(value=1.0, user_attrs={"retry_of": 1}))
    observer._seen[2] = (optuna.trial.TrialState.COMPLETE, -1.0)
    counts = observer.count()
    assert (counts["complete"], counts["lost"], counts["doubled"]) == (5, 1, 2)
