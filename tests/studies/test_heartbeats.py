"""Heartbeats: which processes count as dead."""

import os
import subprocess
import sys
import threading
import time

import optuna
import pytest
from optuna.trial import TrialState

from lungestimators.studies import heartbeats, run_trials, settled_trials
from tests.studies.workers import ELSEWHERE, opened, running_elsewhere, suggest


def test_a_dead_process_is_recognised_before_its_parent_has_noticed():
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    beat = [*heartbeats._identify_process(worker.pid), 0]
    trial = optuna.create_trial(state=TrialState.RUNNING, user_attrs={heartbeats.HEARTBEAT: beat})
    watch = heartbeats.HeartbeatWatch()
    assert not watch.is_dead(trial)
    worker.kill()
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    assert watch.is_dead(trial)
    worker.wait()
    assert watch.is_dead(trial)


def test_a_process_of_another_machine_counts_as_dead_when_its_heart_stops(monkeypatch):
    monkeypatch.setattr(heartbeats, "GRACE", 0.3)
    study = opened()
    running_elsewhere(study)
    run_trials(study, suggest, 1)
    assert study.trials[0].user_attrs["lost"] == "killed"
    assert [trial.number for trial in settled_trials(study)] == [1]


def test_a_process_of_another_machine_whose_heart_beats_is_waited_for(monkeypatch):
    monkeypatch.setattr(heartbeats, "GRACE", 0.3)
    study = opened()
    running_elsewhere(study)
    other = study.trials[0]._trial_id

    def live():
        for count in range(20):
            time.sleep(0.05)
            study._storage.set_trial_user_attr(other, "heartbeat", [*ELSEWHERE, count])
        study.tell(0, 0.5)

    thread = threading.Thread(target=live)
    thread.start()
    run_trials(study, lambda trial: pytest.fail("is surplus"), 1)
    thread.join()
    assert [trial.value for trial in study.trials] == [0.5]


def test_a_trial_beats_while_it_runs(monkeypatch):
    monkeypatch.setattr(heartbeats, "INTERVAL", 0.02)
    study = opened()
    run_trials(study, lambda trial: time.sleep(0.3) or 1, 1)
    assert study.trials[0].user_attrs["heartbeat"][-1] >= 2
