"""Heartbeats of running trials: whether the process that runs a trial is still alive."""

import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from .._compat import optuna

HEARTBEAT = "heartbeat"  # user attribute: machine, process number, start of the process, count
INTERVAL = 15  # seconds between two heartbeats
GRACE = 60  # seconds without a heartbeat after which a process counts as dead


def first_heartbeat():
    """Return the heartbeat that a new trial of this process starts with.

    Returns
    -------
    list
        Machine, process number and start time of this process, and the count 0.
    """
    return [*_identify_process(os.getpid()), 0]


@contextmanager
def send_heartbeats(trial):
    """Store a new heartbeat in a trial every INTERVAL seconds while the ``with`` block runs.

    Parameters
    ----------
    trial : optuna.Trial
        A running trial of this process.
    """
    stop = threading.Event()
    heartbeat = first_heartbeat()

    def send_until_stopped():
        while not stop.wait(INTERVAL):
            heartbeat[-1] += 1
            try:
                trial.set_user_attr(HEARTBEAT, heartbeat)
            except (
                optuna.exceptions.UpdateFinishedTrialError
            ):  # another process took this one for dead
                return
            except Exception:  # the trial itself raises the same fault of the storage
                continue

    thread = threading.Thread(target=send_until_stopped, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class HeartbeatWatch:
    """Remembers when heartbeats were first seen, by the clock of this process.

    The clocks of two machines differ, so a heartbeat holds a count and no time.
    """

    def __init__(self):
        self._seen = {}

    def is_dead(self, trial):
        """Whether the process of a running trial is gone, or silent for more than GRACE seconds.

        Parameters
        ----------
        trial : optuna.trial.FrozenTrial
            A running trial, just read from the storage.

        Returns
        -------
        bool
        """
        heartbeat = trial.user_attrs.get(HEARTBEAT)
        if heartbeat is not None and _is_gone_from_this_machine(*heartbeat[:3]):
            return True
        now = time.monotonic()
        last, since = self._seen.get(trial.number, (None, None))
        if since is None or heartbeat != last:
            self._seen[trial.number] = (heartbeat, now)
            return False
        return now - since > GRACE


def _identify_process(pid):
    """Return the machine, the number and the start time of a process of this machine.

    The machine is None where the system does not tell (it tells on Linux).
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return [None, pid, None]
    return [f"{boot}/{namespace}", pid, _start_time_of_process(pid)]


def _start_time_of_process(pid):
    """Return when a process of this machine started, in clock ticks; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, started = fields[0], int(fields[19])
    return None if state in "ZX" else started


def _is_gone_from_this_machine(machine, pid, started):
    """Whether a process was started on this machine and has ended."""
    here = _identify_process(pid)
    return machine is not None and machine == here[0] and started != here[2]
