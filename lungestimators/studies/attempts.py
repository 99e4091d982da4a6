"""Attempts at trials: which trials of a study count, and which are lost, surplus or settled.

All of it follows from the trials in the storage, which numbers them one by one. A trial whose
process died is lost, and another trial with the same parameters, an attempt, follows it. An
original and its attempts count as one trial. If two processes make the same attempt, the one with
the lower number counts. All other trials are surplus.
"""

import contextlib

from .. import _compat
from .._compat import optuna

# User attributes of trials.
ERROR = "error"  # why the objective failed
LOST = "lost"  # why the trial is to be tried again: KILLED or INTERRUPTED
KILLED, INTERRUPTED = "killed", "interrupted"
SURPLUS = "surplus"
RETRY_OF = "retry_of"  # the number of the original
ATTEMPT = "attempt"  # 1 for the first retry

MOST_RETRIES = 5  # of a trial whose process is killed each time


def settled_trials(study):
    """Return the finished trials that count, one for each original, in the order of originals.

    Parameters
    ----------
    study : optuna.Study

    Returns
    -------
    list of optuna.trial.FrozenTrial
        Complete and pruned trials, and failed ones with a user attribute "error". No surplus and
        no lost trials. An attempt holds the original's number as its user attribute "retry_of".
    """
    all_attempts = group_attempts(study.get_trials(deepcopy=False))
    return [attempts[-1] for attempts in all_attempts if is_settled(attempts)]


def group_attempts(trials):
    """Return for each original trial, in order, a list of it and its attempts; no surplus trials.

    Parameters
    ----------
    trials : list of optuna.trial.FrozenTrial

    Returns
    -------
    list of list of optuna.trial.FrozenTrial
    """
    attempts_of = {}
    for trial in trials:
        if SURPLUS not in trial.user_attrs:
            attempts = attempts_of.setdefault(trial.user_attrs.get(RETRY_OF, trial.number), [])
            if trial.user_attrs.get(ATTEMPT, 0) == len(attempts):
                attempts.append(trial)
    return list(attempts_of.values())


def find_attempts(trial, all_attempts):
    """Return the list of attempts that a trial is in; None for a surplus trial."""
    return next((a for a in all_attempts if any(t.number == trial.number for t in a)), None)


def is_lost(attempts):
    """Whether the last attempt was killed or interrupted, so that another one must follow."""
    last = attempts[-1]
    return last.state == optuna.trial.TrialState.FAIL and LOST in last.user_attrs


def is_settled(attempts):
    """Whether the last attempt is finished, and no other one follows."""
    return attempts[-1].state.is_finished() and not is_lost(attempts)


def fail_attempt_of_dead_process(study, trial, attempts):
    """Fail a running trial whose process is dead: as lost, as given up, or as surplus.

    Parameters
    ----------
    study : optuna.Study
    trial : optuna.trial.FrozenTrial
    attempts : list of optuna.trial.FrozenTrial or None
        From :func:`find_attempts`.
    """
    n_killed = 1 + sum(t.user_attrs.get(LOST) == KILLED for t in (attempts or [])[:-1])
    if attempts is None:
        fail_attempt(study, trial, {SURPLUS: True})
    elif n_killed <= MOST_RETRIES:
        fail_attempt(study, trial, {LOST: KILLED})
    else:
        fail_attempt(study, trial, {ERROR: f"the process that ran it died, {n_killed} times"})


def fail_attempt(study, trial, reason):
    """Fail a trial that is not finished, and store a reason; the sampler learns nothing from it.

    Parameters
    ----------
    study : optuna.Study
    trial : optuna.Trial or optuna.trial.FrozenTrial
    reason : dict of str to JSON
        User attributes.
    """
    with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
        _compat.optuna_fail_trial(study, trial, reason)
