"""Worker processes of a search, and the storage and the feature cache that they share."""

import tempfile
from contextlib import contextmanager
from typing import NamedTuple

from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed  # these hand on scikit-learn's configuration

from .. import studies
from .._compat import optuna
from ..features import cache
from .progress import TrialProgress
from .trial import Objective


class WorkerJob(NamedTuple):
    """What every worker process does: run trials of one study.

    Attributes
    ----------
    objective : Objective
    study_options : dict
        Arguments of :func:`lungestimators.studies.open_study`.
    n_trials : int
    timeout : float or None
    verbose : int
    """

    objective: Objective
    study_options: dict
    n_trials: int
    timeout: float | None
    verbose: int


def n_worker_processes(n_jobs):
    """Return how many processes ``n_jobs`` means.

    One if joblib would start threads, as it does inside its own workers: trials in threads would
    wait for each other.
    """
    backend, _ = get_active_backend(prefer="processes")
    return 1 if getattr(backend, "uses_threads", False) else effective_n_jobs(n_jobs)


@contextmanager
def share_storage_and_cache(estimator, storage, n_workers):
    """Give several workers one storage and one feature cache, in a temporary directory.

    Parameters
    ----------
    estimator : estimator
    storage : None, str, path-like or optuna.storages.BaseStorage
    n_workers : int
        With one worker nothing is replaced.

    Yields
    ------
    estimator : estimator
        A clone. Its ``feature_cache="memory"`` is replaced by the directory.
    storage : object
        As given; None is replaced by a journal in the directory.

    Raises
    ------
    ValueError
        ``storage`` is in the memory of this process, and there are several workers.
    """
    if n_workers == 1:
        yield clone(estimator), storage
        return
    if isinstance(storage, optuna.storages.InMemoryStorage):
        raise ValueError(
            "storage is in the memory of this process: n_jobs worker processes need None, a path "
            "or a URL"
        )
    # joblib keeps its workers; files that they hold open cannot be removed on some systems.
    with tempfile.TemporaryDirectory(
        prefix="lungestimators-", ignore_cleanup_errors=True
    ) as folder:
        features, journal = f"{folder}/features", f"{folder}/journal.log"
        directories = dict.fromkeys(_names_of_caches_to_share(estimator), features)
        try:
            yield (
                clone(estimator).set_params(**directories),
                journal if storage is None else storage,
            )
        finally:
            cache.close_feature_cache(features)


def restore_cache_shared_by_workers(best, shared, original):
    """Set ``feature_cache="memory"`` again, unless the search chose another cache.

    Parameters
    ----------
    best, shared, original : estimator
        The best estimator, the clone from :func:`share_storage_and_cache`, and the estimator that
        it is a clone of.

    Returns
    -------
    estimator
        ``best``.
    """
    of_shared, of_best = shared.get_params(), best.get_params()
    names = _names_of_caches_to_share(original)
    in_memory = {name: "memory" for name in names if of_best.get(name) == of_shared[name]}
    return best.set_params(**in_memory)


def _names_of_caches_to_share(estimator):
    """Return the names of parameters that are ``feature_cache="memory"``."""
    return [
        name
        for name, value in estimator.get_params().items()
        if name.split("__")[-1] == "feature_cache" and isinstance(value, str) and value == "memory"
    ]


def run_in_workers(study, job, n_workers):
    """Run the trials that a study lacks, in this process or in several workers.

    Parameters
    ----------
    study : optuna.Study
        Open in this process.
    job : WorkerJob
    n_workers : int
        1: this process.

    Raises
    ------
    SearchError
        The scorer raised, in any of the processes.
    """
    if n_workers == 1 or len(studies.settled_trials(study)) >= job.n_trials:
        _run_worker_job(study, job)
        return
    faults = Parallel(n_jobs=n_workers)(
        delayed(_open_study_in_worker)(job) for _ in range(n_workers)
    )
    for fault in filter(None, faults):
        raise fault


def _open_study_in_worker(job):
    """Open the study in a worker and run its trials; return the SearchError, if any."""
    study = studies.open_study(**job.study_options)
    try:
        _run_worker_job(study, job)
    except studies.SearchError as fault:
        return fault


def _run_worker_job(study, job):
    """Run the trials that a study lacks, and print their lines if verbose."""
    progress = TrialProgress(study, job.n_trials, job.timeout) if job.verbose else None
    studies.run_trials(
        study, job.objective, job.n_trials, timeout=job.timeout, on_trial_end=progress
    )
