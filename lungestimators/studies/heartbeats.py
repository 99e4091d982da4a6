"""Whether the process that runs a trial is alive."""

import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import lazy_loader as lazy

optuna = lazy.load("optuna")

HEARTBEAT = "heartbeat"
INTERVAL = 15  # seconds between two beats
GRACE = 60  # seconds without a beat after which a process counts as dead


def first_beat():
    """What a trial of this process says as HEARTBEAT when it begins."""
    return [*_process(os.getpid()), 0]


@contextmanager
def heartbeat(trial):
    """Say in the trial, every INTERVAL seconds, that this process is at it."""
    stop = threading.Event()
    beat = first_beat()

    def beat_on():
        while not stop.wait(INTERVAL):
            beat[-1] += 1
            try:
                trial.set_user_attr(HEARTBEAT, beat)
            except (
                optuna.exceptions.UpdateFinishedTrialError
            ):  # somebody took this process for dead
                return
            except Exception:  # the trial itself meets whatever is wrong with the storage
                continue

    thread = threading.Thread(target=beat_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Watch:
    """Observes other processes' trials, by a clock of its own: those of machines differ."""

    def __init__(self):
        self._seen = {}

    def is_dead(self, trial):
        """Whether the process that runs a trial is gone, or was not heard of for GRACE seconds.

        Parameters
        ----------
        trial : optuna.trial.FrozenTrial
            A running one, as it is now.

        Returns
        -------
        bool
        """
        beat = trial.user_attrs.get(HEARTBEAT)
        if beat is not None and _is_gone(*beat[:3]):
            return True
        now = time.monotonic()
        last, since = self._seen.get(trial.number, (None, None))
        if since is None or beat != last:
            self._seen[trial.number] = (beat, now)
            return False
        return now - since > GRACE


def _process(pid):
    """Which process this is: its machine (None where that cannot be told), number and start."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return [None, pid, None]
    return [f"{boot}/{namespace}", pid, _started(pid)]


def _started(pid):
    """When a process of this machine started, in ticks; None when it is no more."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, started = fields[0], int(fields[19])
    return None if state in "ZX" else started


def _is_gone(machine, pid, started):
    """Whether a process ran on this machine and does no more."""
    here = _process(pid)
    return machine is not None and machine == here[0] and started != here[2]
