"""Studies, objectives and worker processes that the tests of studies share."""

import subprocess
import sys

import optuna
from optuna.trial import TrialState

from lungestimators.studies import heartbeats, open_study

WORKER = """
import os, signal, sys, time
import optuna
from lungestimators import studies

def open_study(storage):
    return studies.open_study(
        storage, "study", direction="maximize", sampler=optuna.samplers.RandomSampler(),
        pruner=optuna.pruners.NopPruner(), description={"of": "x"},
    )

storage, n_trials = sys.argv[1], int(sys.argv[2])
"""
WORK = """
def objective(trial):
    time.sleep(0.02)
    return trial.suggest_float("x", 0, 1)

studies.run_trials(open_study(storage), objective, n_trials)
"""
DIE = """
def objective(trial):
    trial.suggest_float("x", 0, 1)
    os.kill(os.getpid(), signal.SIGKILL)

studies.run_trials(open_study(storage), objective, n_trials)
"""
ELSEWHERE = ["another machine", 1, 1]


def start(program, *arguments):
    return subprocess.Popen([sys.executable, "-c", WORKER + program, *map(str, arguments)])


def opened(storage=None, name="study", direction="maximize", **description):
    return open_study(
        storage,
        name,
        direction=direction,
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.NopPruner(),
        description=description or {"of": "x"},
    )


def suggest(trial):
    return trial.suggest_float("x", 0, 1)


def running_elsewhere(study, **user_attrs):
    """A trial that a process of another machine runs."""
    attributes = {heartbeats.HEARTBEAT: [*ELSEWHERE, 0], **user_attrs}
    trial = optuna.create_trial(state=TrialState.RUNNING, user_attrs=attributes)
    study.add_trial(trial)


def interrupt(trial):
    suggest(trial)
    raise KeyboardInterrupt
