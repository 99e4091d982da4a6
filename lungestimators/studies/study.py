"""A study that several processes work on: exactly the trials asked for, whoever dies.

What counts follows from the trials alone, whose numbers the storage gives out one by one. A trial
whose process died is followed by an attempt with the same parameters; an original and its attempts
are one of the trials asked for. The first `n_trials` originals count, and of two attempts at the
same the first; every other trial is surplus, and whoever made it gives it up before it starts.
"""

import json
import math
import time
from contextlib import contextmanager, suppress

import lazy_loader as lazy

from .. import _compat
from .heartbeats import HEARTBEAT, Watch, first_beat, heartbeat
from .storages import open_storage

optuna = lazy.load("optuna")

DESCRIPTION = "description"
ERROR = "error"  # why an objective failed
DIGEST = "digest "  # begins a text of which nothing but equality can be told
LOST = "lost"  # why a trial is tried again: KILLED or INTERRUPTED
KILLED, INTERRUPTED = "killed", "interrupted"
SURPLUS = "surplus"
RETRY_OF = "retry_of"  # the number of the original
ATTEMPT = "attempt"  # 1 for the first retry
RETRIES = 5  # of a trial that kills its process again and again
MOST_DIFFERENCES = 8
SECONDS_TO_DESCRIBE = 5
SECONDS_BETWEEN_LOOKS = (0.05, 2.0)


class SearchError(RuntimeError):
    """A fault that more trials would repeat unless one is complete: if none is, the search ends."""


def open_study(storage, study_name, *, direction, sampler, pruner, description):
    """Create a study, or go on with the one of that name if it is about the same.

    Parameters
    ----------
    storage : None, str, path-like or optuna.storages.BaseStorage
        See :func:`lungestimators.studies.storages.open_storage`.
    study_name : str or None
        None: a new study.
    direction : {"minimize", "maximize"}
        Of the value of a trial.
    sampler : optuna.samplers.BaseSampler
        Chooses parameters; not kept in the storage. Seeded anew where the study goes on.
    pruner : optuna.pruners.BasePruner
        Ends trials early; not kept in the storage.
    description : dict of str to JSON
        What the study is about; kept in it. Texts that begin with ``DIGEST`` are not shown.

    Returns
    -------
    optuna.Study

    Raises
    ------
    ValueError
        If the study of that name has another description or direction; it is left alone.
    """
    description = json.loads(json.dumps({"direction": direction, **description}))
    options = {"study_name": study_name, "storage": open_storage(storage)}
    options |= {"sampler": sampler, "pruner": pruner}
    with _quiet():
        try:
            study = optuna.create_study(direction=direction, **options)
        except optuna.exceptions.DuplicatedStudyError:
            study = optuna.load_study(**options)
            there = ", ".join(way.name.lower() for way in study.directions)
            if there != direction:
                known, given = {"direction": there}, {"direction": direction}
                raise ValueError(_differences(study_name, known, given)) from None
            known = _description(study)
        else:
            known = None
    if known is None:
        study.set_user_attr(DESCRIPTION, description)
    elif known != description:
        raise ValueError(_differences(study_name, known, description))
    else:
        study.sampler.reseed_rng()  # others had its first numbers, or are about to
    return study


def in_memory(study):
    """Copy a study into the memory of this process.

    Parameters
    ----------
    study : optuna.Study

    Returns
    -------
    optuna.Study
        With the same name, trials, sampler and pruner; itself where it is in memory already.
    """
    if isinstance(_compat.storage_of(study), optuna.storages.InMemoryStorage):
        return study
    name, storage = study.study_name, optuna.storages.InMemoryStorage()
    source = _compat.storage_of(study)
    with _quiet():
        optuna.copy_study(from_study_name=name, from_storage=source, to_storage=storage)
    return optuna.load_study(
        study_name=name, storage=storage, sampler=study.sampler, pruner=study.pruner
    )


def run_trials(study, objective, n_trials, *, timeout=None, on_trial_end=None):
    """Run trials beside other processes until `n_trials` of the study are finished.

    Parameters
    ----------
    study : optuna.Study
        From :func:`open_study`.
    objective : callable
        Takes an optuna.Trial and returns a number. An error fails the trial, which then counts as
        finished; `optuna.TrialPruned` prunes it; :class:`SearchError` also leaves this function as
        long as no trial is complete.
    n_trials : int
        How many, with those that the study has and those of other processes.
    timeout : float, optional
        Seconds after which no trial is started, nor others' trials waited for.
    on_trial_end : callable, optional
        Called with the study and each optuna.trial.FrozenTrial that this process finishes.

    Raises
    ------
    SearchError
        As the objective raised it; its trial has failed.
    ConnectionError
        If the database fails in between; the trial that was running is tried again another time.
    """
    try:
        _run_trials(study, objective, n_trials, timeout, on_trial_end)
    except optuna.exceptions.StorageInternalError as error:
        raise ConnectionError(
            f"the storage of study {study.study_name!r} fails, what was finished before is kept: "
            f"{error.__cause__ or error}"
        ) from error


def _run_trials(study, objective, n_trials, timeout, on_trial_end):
    """Take up trials, and wait for those of others, until all are finished or time is up."""
    watch = Watch()
    stop = math.inf if timeout is None else time.monotonic() + timeout
    shortest, longest = SECONDS_BETWEEN_LOOKS
    pause = shortest
    while True:
        trials = study.get_trials(deepcopy=False)
        chains = _chains(trials)[:n_trials]
        dead = [
            t for t in trials if t.state == optuna.trial.TrialState.RUNNING and watch.is_dead(t)
        ]
        for trial in dead:
            _bury(study, trial, _chain_of(trial, chains))
        if dead:
            continue
        left = stop - time.monotonic()
        is_full = len(chains) == n_trials or _is_exhausted(study)
        if left <= 0 or (is_full and all(map(_is_settled, chains))):
            return
        trial = _take_up(study, chains, is_full)
        if trial is None:  # the rest runs elsewhere, or waits for a process that may be dead
            time.sleep(min(pause, left))
            pause = min(2 * pause, longest)
            continue
        pause = shortest
        if _chain_of(trial, _chains(study.get_trials(deepcopy=False))[:n_trials]) is None:
            _lose(study, trial, {SURPLUS: True})
        elif _run(study, trial, objective, on_trial_end):
            return


def settled_trials(study):
    """The finished trials that count: one for each that was asked for, in their order.

    Parameters
    ----------
    study : optuna.Study

    Returns
    -------
    list of optuna.trial.FrozenTrial
        Complete, pruned, or failed with a user attribute "error"; no surplus and no lost ones. One
        that was tried again has the original's number as its user attribute "retry_of".
    """
    chains = _chains(study.get_trials(deepcopy=False))
    return [chain[-1] for chain in chains if _is_settled(chain)]


def _run(study, trial, objective, on_trial_end):
    """Run one trial and tell the study; return whether the sampler says it was the last."""
    fault, value, state, is_last = None, None, optuna.trial.TrialState.FAIL, False
    try:
        with heartbeat(trial):
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
            told, is_last = _tell(study, trial, value, state)
    except (
        optuna.exceptions.UpdateFinishedTrialError
    ):  # this process was taken for dead, and another has the trial
        return False
    except (KeyboardInterrupt, SystemExit):
        _lose(study, trial, {LOST: INTERRUPTED})
        raise
    if on_trial_end is not None and _is_settled([told]):
        on_trial_end(study, told)
    if fault is not None and not study.get_trials(
        deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)
    ):
        raise fault
    return is_last


def _tell(study, trial, value, state):
    """Tell the study, and return the finished trial and whether the sampler says it was the last.

    One that has tried everything, such as `optuna.samplers.GridSampler`, says so by `Study.stop`,
    which Optuna allows in its own loop alone: it raises, and the trial is finished nevertheless.
    """
    try:
        return study.tell(trial, value, state, skip_if_finished=True), False
    except optuna.exceptions.UpdateFinishedTrialError:
        raise
    except RuntimeError:
        told = next(t for t in study.get_trials(deepcopy=False) if t.number == trial.number)
        if not told.state.is_finished():
            raise
        return told, True


def _is_exhausted(study):
    """Whether the sampler has tried everything, maybe before this process."""
    sampler = study.sampler
    while isinstance(sampler, optuna.samplers.PartialFixedSampler):
        sampler = _compat.base_sampler(sampler)
    return isinstance(sampler, optuna.samplers.GridSampler) and sampler.is_exhausted(study)


def _take_up(study, chains, is_full):
    """A trial for this process, or None: a queued one, a new one, or a lost one again.

    In this order: a trial that kills whoever runs it must not keep the others from being run.
    """
    if any(chain[-1].state == optuna.trial.TrialState.WAITING for chain in chains):
        trial = study.ask()
        trial.set_user_attr(HEARTBEAT, first_beat())
        return trial
    if not is_full:
        return _begin(study, user_attrs={})
    for chain in chains:
        if _is_lost(chain):
            last = chain[-1]
            attributes = last.system_attrs.items()  # without what a pruner made of its values
            attributes = {k: v for k, v in attributes if not k.startswith("completed_rung_")}
            return _begin(
                study,
                params=last.params,
                distributions=last.distributions,
                system_attrs=attributes,
                user_attrs={RETRY_OF: chain[0].number, ATTEMPT: len(chain)},
            )
    return None


def _begin(study, *, user_attrs, **options):
    """Create a running trial that says from its first moment whose it is, as Study.ask does not."""
    template = optuna.create_trial(
        state=optuna.trial.TrialState.RUNNING,
        user_attrs={**user_attrs, HEARTBEAT: first_beat()},
        **options,
    )
    return _compat.add_trial(study, template)


def _chains(trials):
    """For each original in order: it and its further attempts, without surplus trials."""
    chains = {}
    for trial in trials:
        if SURPLUS not in trial.user_attrs:
            chain = chains.setdefault(trial.user_attrs.get(RETRY_OF, trial.number), [])
            if trial.user_attrs.get(ATTEMPT, 0) == len(chain):
                chain.append(trial)
    return list(chains.values())


def _chain_of(trial, chains):
    """The chain that a trial is part of; None where it is surplus."""
    return next((c for c in chains if any(t.number == trial.number for t in c)), None)


def _is_lost(chain):
    return chain[-1].state == optuna.trial.TrialState.FAIL and LOST in chain[-1].user_attrs


def _is_settled(chain):
    return chain[-1].state.is_finished() and not _is_lost(chain)


def _bury(study, trial, chain):
    """Fail the running trial of a dead process: to be tried again, given up, or surplus."""
    killed = 1 + sum(t.user_attrs.get(LOST) == KILLED for t in (chain or [])[:-1])
    if chain is None:
        _lose(study, trial, {SURPLUS: True})
    elif killed <= RETRIES:
        _lose(study, trial, {LOST: KILLED})
    else:
        _lose(study, trial, {ERROR: f"the process that ran it died, {killed} times"})


def _lose(study, trial, reason):
    """Fail a trial for a reason, unless it is finished; the sampler is to learn nothing from it."""
    with suppress(optuna.exceptions.UpdateFinishedTrialError):
        _compat.fail_trial(study, trial, reason)


def _description(study):
    """What a study that another process created is about; None when that died in creating it."""
    stop = time.monotonic() + SECONDS_TO_DESCRIBE
    while DESCRIPTION not in study.user_attrs:
        # Trials that wait in the queue may have been put there before the first search.
        if any(
            t.state != optuna.trial.TrialState.WAITING for t in study.get_trials(deepcopy=False)
        ):
            raise ValueError(
                f"study {study.study_name!r} has trials and no description of what they were run "
                "on, so no search of this package made it: whether its trials belong to this "
                "estimator and these data cannot be told. Name a new study, or delete this one"
            )
        if time.monotonic() > stop:
            return None
        time.sleep(0.1)
    return study.user_attrs[DESCRIPTION]


def _differences(study_name, known, given):
    """Name what two descriptions do not have in common."""
    different = _compare("", known, given)
    hidden = len(different) - MOST_DIFFERENCES
    if hidden > 0:
        different = [*different[:MOST_DIFFERENCES], f"and {hidden} more"]
    return (
        f"study {study_name!r} is about something else: {'; '.join(different)}. Name a new one, or "
        "set study_name=None to cross-validate the search"
    )


def _compare(name, known, given):
    """Return a text for each difference; of digests where nothing else differs beside them."""
    if not (isinstance(known, dict) and isinstance(given, dict)):
        return [f"{name}: {known!r} there, {given!r} here"]
    before = f"{name}, " if name else ""
    found, other_digests = [], []
    for key in {**known, **given}:
        if key not in given:
            found.append(f"{before}{key}: only there")
        elif key not in known:
            found.append(f"{before}{key}: only here")
        elif _is_digest(known[key]) and _is_digest(given[key]):
            other_digests += [key] * (known[key] != given[key])
        elif known[key] != given[key]:
            found += _compare(before + key, known[key], given[key])
    if found or not other_digests:
        return found
    return [f"{before}{_listed(other_digests)}: not the same there and here"]


def _is_digest(value):
    return isinstance(value, str) and value.startswith(DIGEST)


def _listed(names):
    hidden = len(names) - MOST_DIFFERENCES
    return ", ".join(names[:MOST_DIFFERENCES]) + (f" and {hidden} more" if hidden > 0 else "")


@contextmanager
def _quiet():
    """Keep Optuna from announcing a study, and leave its verbosity as it was."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
