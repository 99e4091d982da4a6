"""The trials of a study, in this process or in several."""

import tempfile
from contextlib import contextmanager
from typing import NamedTuple

import lazy_loader as lazy
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed  # hand on the configuration of scikit-learn

from .. import studies
from ..features import cache
from . import objective, progress

optuna = lazy.load("optuna")


class Job(NamedTuple):
    """What every worker is told.

    Attributes
    ----------
    task : objective.Task
    study : dict
        Arguments of :func:`studies.open_study`.
    n_trials : int
    timeout : float or None
    verbose : int
    """

    task: objective.Task
    study: dict
    n_trials: int
    timeout: float | None
    verbose: int


def count(n_jobs):
    """Return how many processes there will be.

    One where joblib would start threads, as inside its own workers: trials in threads would wait
    for each other.
    """
    backend, _ = get_active_backend(prefer="processes")
    return 1 if getattr(backend, "uses_threads", False) else effective_n_jobs(n_jobs)


@contextmanager
def shared(estimator, storage, n_workers):
    """Give workers a storage and a feature cache in common, where they have none.

    Yields
    ------
    estimator : estimator
        A clone whose ``feature_cache="memory"`` became a directory for the time being.
    storage : object
        As given, or a journal in that directory.
    """
    if n_workers == 1:
        yield clone(estimator), storage
        return
    if isinstance(storage, optuna.storages.InMemoryStorage):
        raise ValueError(
            "storage is in the memory of this process: n_jobs worker processes need None, a path "
            "or a URL"
        )
    # Workers that are kept for later may hold files open, which some systems do not remove then.
    with tempfile.TemporaryDirectory(
        prefix="lungestimators-", ignore_cleanup_errors=True
    ) as folder:
        features, journal = f"{folder}/features", f"{folder}/journal.log"
        in_memory = dict.fromkeys(feature_caches(estimator), features)
        try:
            yield clone(estimator).set_params(**in_memory), journal if storage is None else storage
        finally:
            cache.close_store(features)


def feature_caches(estimator):
    """Return the names of the parameters that keep features in memory."""
    return [
        name
        for name, value in estimator.get_params().items()
        if name.split("__")[-1] == "feature_cache" and isinstance(value, str) and value == "memory"
    ]


def run(study, job, n_workers):
    """Run what the study lacks.

    Parameters
    ----------
    study : optuna.Study
        Open in this process.
    job : Job
    n_workers : int

    Raises
    ------
    studies.SearchError
        The scorer raised, in whichever process.
    """
    if n_workers == 1 or len(studies.settled_trials(study)) >= job.n_trials:
        _run(study, job)
        return
    faults = Parallel(n_jobs=n_workers)(delayed(_work)(job) for _ in range(n_workers))
    for fault in filter(None, faults):
        raise fault


def _work(job):
    """Join the study, and return the fault that ended the work, if any."""
    study = studies.open_study(**job.study)
    try:
        _run(study, job)
    except studies.SearchError as fault:
        return fault


def _run(study, job):
    report = progress.Progress(study, job.n_trials, job.timeout) if job.verbose else None
    studies.run_trials(study, job.task, job.n_trials, timeout=job.timeout, on_trial_end=report)
