"""Run trials of a study that several processes work on, until it has the number asked for.

Each process reads the trials in the storage before it starts one. The first `n_trials` originals
count (see :mod:`lungestimators.studies.attempts`). A process that finds its new trial to be surplus
gives the trial up before it starts.
"""

import math
import time

from .. import _compat
from .._compat import optuna
from .attempts import (
    ATTEMPT,
    ERROR,
    INTERRUPTED,
    LOST,
    RETRY_OF,
    SURPLUS,
    fail_attempt,
    fail_attempt_of_dead_process,
    find_attempts,
    group_attempts,
    is_lost,
    is_settled,
)
from .heartbeats import HEARTBEAT, HeartbeatWatch, first_heartbeat, send_heartbeats

SECONDS_BETWEEN_READS = (0.05, 2.0)  # of the trials of other processes: first pause, longest


class SearchError(RuntimeError):
    """A fault that every trial would repeat. It ends the search unless a trial is complete."""


def run_trials(study, objective, n_trials, *, timeout=None, on_trial_end=None):
    """Run trials beside other processes until `n_trials` of the study are finished.

    Parameters
    ----------
    study : optuna.Study
        From :func:`~lungestimators.studies.study.open_study`.
    objective : callable
        Takes an optuna.Trial and returns a number. An error fails the trial, which then counts as
        finished; `optuna.TrialPruned` prunes it. :class:`SearchError` fails the trial and, as long
        as no trial is complete, is raised by this function, too.
    n_trials : int
        How many trials the study is to have, including earlier ones and those of other processes.
    timeout : float, optional
        Seconds after which no trial is started, and no trial of another process is waited for.
    on_trial_end : callable, optional
        Called with the study and each optuna.trial.FrozenTrial that this process finishes.

    Raises
    ------
    SearchError
        The objective raised it, and no trial is complete.
    ConnectionError
        The database failed. The trial that was running is tried again when the study is continued.
    """
    try:
        _run_until_settled(study, objective, n_trials, timeout, on_trial_end)
    except optuna.exceptions.StorageInternalError as error:
        raise ConnectionError(
            f"the storage of study {study.study_name!r} fails, what was finished before is kept: "
            f"{error.__cause__ or error}"
        ) from error


def _run_until_settled(study, objective, n_trials, timeout, on_trial_end):
    """Run trials, and wait for those of other processes, until all are settled or time is up."""
    watch = HeartbeatWatch()
    stop = math.inf if timeout is None else time.monotonic() + timeout
    shortest, longest = SECONDS_BETWEEN_READS
    pause = shortest
    while True:
        trials = study.get_trials(deepcopy=False)
        wanted = group_attempts(trials)[:n_trials]
        dead = [
            t for t in trials if t.state == optuna.trial.TrialState.RUNNING and watch.is_dead(t)
        ]
        for trial in dead:
            fail_attempt_of_dead_process(study, trial, find_attempts(trial, wanted))
        if dead:
            continue
        seconds_left = stop - time.monotonic()
        is_full = len(wanted) == n_trials or _is_grid_exhausted(study)
        if seconds_left <= 0 or (is_full and all(map(is_settled, wanted))):
            return
        trial = _begin_next_trial(study, wanted, is_full)
        if trial is None:  # the others run elsewhere, or wait for a process that may be dead
            time.sleep(min(pause, seconds_left))
            pause = min(2 * pause, longest)
            continue
        pause = shortest
        wanted = group_attempts(study.get_trials(deepcopy=False))[:n_trials]
        if find_attempts(trial, wanted) is None:
            fail_attempt(study, trial, {SURPLUS: True})
        elif _run_trial(study, trial, objective, on_trial_end):
            return


def _begin_next_trial(study, wanted, is_full):
    """Begin a trial from the queue, else a new one, else another attempt; None if nothing is left.

    Attempts come last: a trial that kills each process that runs it must not keep others from
    being run.
    """
    if any(attempts[-1].state == optuna.trial.TrialState.WAITING for attempts in wanted):
        trial = study.ask()
        trial.set_user_attr(HEARTBEAT, first_heartbeat())
        return trial
    if not is_full:
        return _create_running_trial(study, user_attrs={})
    for attempts in wanted:
        if is_lost(attempts):
            last = attempts[-1]
            attributes = last.system_attrs.items()  # without the pruner's record of its values
            attributes = {k: v for k, v in attributes if not k.startswith("completed_rung_")}
            return _create_running_trial(
                study,
                params=last.params,
                distributions=last.distributions,
                system_attrs=attributes,
                user_attrs={RETRY_OF: attempts[0].number, ATTEMPT: len(attempts)},
            )
    return None


def _create_running_trial(study, *, user_attrs, **options):
    """Create a running trial that has a heartbeat from its first moment, unlike `Study.ask`."""
    template = optuna.create_trial(
        state=optuna.trial.TrialState.RUNNING,
        user_attrs={**user_attrs, HEARTBEAT: first_heartbeat()},
        **options,
    )
    return _compat.optuna_add_trial(study, template)


def _run_trial(study, trial, objective, on_trial_end):
    """Run one trial and store its end; return whether the sampler says that it was the last."""
    fault, value, state, is_last = None, None, optuna.trial.TrialState.FAIL, False
    try:
        with send_heartbeats(trial):
            try:
                value = float(objective(trial))
                if math.isnan(value):
                    raise ValueError("the value of the trial is not a number")
                state = optuna.trial.TrialState.COMPLETE
            except optuna.TrialPruned:
                state = optuna.trial.TrialState.PRUNED
            except (
                optuna.exceptions.UpdateFinishedTrialError,
                optuna.exceptions.StorageInternalError,
            ):
                raise
            except Exception as error:
                value = None
                trial.set_user_attr(ERROR, f"{type(error).__name__}: {error}")
                fault = error if isinstance(error, SearchError) else None
            finished, is_last = _finish_running_trial(study, trial, value, state)
    except (
        optuna.exceptions.UpdateFinishedTrialError
    ):  # another process took this one for dead, and has the trial
        return False
    except (KeyboardInterrupt, SystemExit):
        fail_attempt(study, trial, {LOST: INTERRUPTED})
        raise
    if on_trial_end is not None and is_settled([finished]):
        on_trial_end(study, finished)
    if fault is not None and not study.get_trials(
        deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)
    ):
        raise fault
    return is_last


def _finish_running_trial(study, trial, value, state):
    """Store the end of a trial; return it, and whether the sampler says that it was the last.

    A sampler that has tried everything, such as `optuna.samplers.GridSampler`, calls `Study.stop`.
    Optuna allows that in its own loop alone and raises a RuntimeError after it finished the trial.
    """
    try:
        return study.tell(trial, value, state, skip_if_finished=True), False
    except optuna.exceptions.UpdateFinishedTrialError:
        raise
    except RuntimeError:
        finished = next(t for t in study.get_trials(deepcopy=False) if t.number == trial.number)
        if not finished.state.is_finished():
            raise
        return finished, True


def _is_grid_exhausted(study):
    """Whether a grid sampler has tried its whole grid, in this process or in an earlier one."""
    sampler = study.sampler
    while isinstance(sampler, optuna.samplers.PartialFixedSampler):
        sampler = _compat.optuna_base_sampler(sampler)
    return isinstance(sampler, optuna.samplers.GridSampler) and sampler.is_exhausted(study)
