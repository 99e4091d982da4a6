"""OptunaSearch: an Optuna study as an estimator of scikit-learn."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import indexable
from sklearn.utils.metadata_routing import MetadataRouter

from .. import search, studies
from .._compat import optuna
from ..validation import ArrayLike, ImagesLike, PathLike, check_whole_number
from . import progress, workers
from .best_estimator import BestEstimatorMixin
from .cv_results import (
    check_failed_trials_for_cv_results,
    make_cv_results,
    warn_of_nan_in_cv_results,
)
from .description import describe_search
from .epoch_callbacks import StopAfterEpoch, fit_with_epoch_callback
from .routing import make_metadata_router, route_metadata
from .scoring import choose_scorer, scorers_by_metric
from .space import Space, check_space, search_space
from .trial import Objective

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage


__all__ = ["OptunaSearch"]


class OptunaSearch(BestEstimatorMixin, MetaEstimatorMixin, BaseEstimator):
    """Search for parameters with an Optuna study over cross-validation, then fit the best ones.

    A trial runs its folds one after another. A classifier of this package is scored while it
    learns, up to twenty times a fold, so that unpromising trials are pruned in the middle of a
    fold. The score of a trial is the mean over folds after the epoch at which it is highest, and
    the final fit stops at that epoch. Other estimators are scored, and pruned, fold by fold.
    ``best_score_`` is optimistic; for an honest score, cross-validate the search.

    Parameters
    ----------
    estimator : estimator
        A classifier of this package, a pipeline, or any other estimator.
    space : dict of str to optuna.distributions.BaseDistribution, default=None
        Parameter name, as in ``set_params``, to distribution. ``None``: :func:`search_space`.
        Choices may be any objects. The study holds a text for a choice that is no number, string
        or None; ``best_params_`` and ``cv_results_`` hold the choice itself.
    cv : int, cross-validation generator or iterable, default=None
        As in :class:`sklearn.model_selection.GridSearchCV`; all trials have the same folds.
    scoring : str, callable, list, tuple or dict, default=None
        As in :class:`sklearn.model_selection.GridSearchCV`. With several metrics, ``refit`` names
        the one that counts; with ``refit=False`` it is the first one.
    n_trials : int, default=50
        How many trials the study is to have: complete, pruned and failed ones, including earlier
        trials in the storage and trials of other processes.
    timeout : float, default=None
        Seconds after which no trial begins. Trials that are running are finished, and the final
        fit comes after them, so ``fit`` takes longer than this.
    storage : str, path-like or optuna.storages.BaseStorage, default=None
        Where the study is kept. ``None``: in memory. A path: a journal file. A URL: a database.
        Or any storage of Optuna. Processes that use the same storage share the trials. The URL is
        shown with the parameters: keep its password in PGPASSWORD or ``.pgpass``.
    study_name : str, default=None
        Name of the study. A study of that name is continued if it is about the same estimator,
        space, data, folds and scoring. ``None``: every fit creates a new study, as it must if the
        search is cross-validated.
    sampler : optuna.samplers.BaseSampler, default=None
        Chooses parameters. ``None``: TPE, with random numbers that follow from ``random_state``
        and the number of the trial. A sampler is copied; the copy is seeded anew in worker
        processes and if a study is continued.
    pruner : optuna.pruners.BasePruner, default=None
        Ends unpromising trials. ``None``: successive halving over folds and epochs. Steps count
        from 1, twenty a fold. ``optuna.pruners.NopPruner()`` prunes nothing.
    n_jobs : int, default=None
        Number of worker processes, started by joblib's active backend. Threads are never used.
    refit : bool or str, default=True
        Whether to fit the best parameters to all of X. With several metrics, the name of the one
        that counts.
    random_state : int, RandomState instance or None, default=None
        Seed of the default sampler. The estimator has a seed of its own.
    verbose : int, default=0
        0 is silent, 1 prints a line for each trial and one before the final fit.

    Attributes
    ----------
    best_estimator_ : estimator
        Fitted to all of X, up to ``best_epoch_``; missing with ``refit=False``.
    best_params_ : dict
        The parameters of the best trial.
    best_score_ : float
        The mean score of the best trial over the folds.
    best_index_ : int
        The row of the best trial in ``cv_results_``.
    best_epoch_ : int or None
        The epoch of the best trial at which its mean score is highest, from 1; ``None`` if the
        estimator is scored fold by fold.
    cv_results_ : dict of arrays
        As in :class:`sklearn.model_selection.GridSearchCV`, one row a trial. In addition
        ``number``, ``state`` ("complete", "pruned" or "fail"), ``best_epoch`` and ``n_epochs``
        (run in all folds). Scores of folds that were not run are NaN, and so are the means of
        trials that are not complete.
    study_ : optuna.Study
        Holds every trial, also after an error or an interruption.
    scorer_ : callable or dict of callables
        The scorer, or metric to scorer.
    multimetric_ : bool
        Whether there are several metrics.
    n_splits_ : int
        Number of folds.
    refit_time_ : float
        Seconds that the final fit took.
    classes_ : ndarray of shape (n_classes,)
        Class labels of ``best_estimator_``.
    n_features_in_ : int
        Length of a row of X, if ``best_estimator_`` has this attribute.

    See Also
    --------
    search_space : Returns the default space.

    References
    ----------
    Akiba et al., "Optuna: A Next-generation Hyperparameter Optimization Framework", KDD 2019,
    arXiv:1907.10902.

    Examples
    --------
    >>> import numpy as np
    >>> from lungestimators import CNNClassifier, OptunaSearch
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 60, size=(40, 16, 16), dtype=np.uint8)
    >>> y = np.repeat(["clear", "opaque"], 20)
    >>> X[20:, 4:12, 4:12] += 120
    >>> clf = CNNClassifier(image_size=16, filters=(4, 8), dense_units=16, epochs=2, random_state=0)
    >>> search = OptunaSearch(clf, cv=2, n_trials=3, random_state=0).fit(X, y)
    >>> search.predict(X[[0, -1]])
    array(['clear', 'opaque'], dtype='<U6')
    >>> search.cv_results_["state"][0]
    'complete'
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        space: dict[str, BaseDistribution] | None = None,
        *,
        cv: Any = None,
        scoring: str | Callable | list | tuple | dict | None = None,
        n_trials: int = 50,
        timeout: float | None = None,
        storage: PathLike | BaseStorage | None = None,
        study_name: str | None = None,
        sampler: BaseSampler | None = None,
        pruner: BasePruner | None = None,
        n_jobs: int | None = None,
        refit: bool | str = True,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.space = space
        self.cv = cv
        self.scoring = scoring
        self.n_trials = n_trials
        self.timeout = timeout
        self.storage = storage
        self.study_name = study_name
        self.sampler = sampler
        self.pruner = pruner
        self.n_jobs = n_jobs
        self.refit = refit
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ImagesLike, y: ArrayLike | None = None, **params) -> OptunaSearch:
        """Run the trials that the study still lacks, then fit the best parameters to all of X.

        Parameters
        ----------
        X : array-like or list of paths
            Data of n_samples rows, as the estimator accepts them.
        y : array-like of shape (n_samples,), default=None
            Class labels.
        **params : dict
            ``groups`` for the splitter; ``sample_weight`` and other arguments of the estimator's
            ``fit``. With metadata routing enabled, the requested metadata. Arrays of one value a
            row are split with X.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            A parameter is wrong, or the study ``study_name`` is about something else; no trial was
            run. Or no trial is complete.
        OSError
            The storage cannot be reached; no trial was run.
        RuntimeError
            The scorer raised before any trial was complete. Later, such an error fails its trial
            alone, as a score of NaN always does.
        """
        space = search_space(self.estimator) if self.space is None else self.space
        self._check_parameters(space)
        space = Space(space)
        scorer, metric = choose_scorer(self.estimator, self.scoring, self.refit)
        X, y = indexable(X, y)
        routed = route_metadata(self, scorer, params)
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = list(cv.split(X, y, **routed.splitter.split))
        fit_params, score_params = routed.estimator.fit, routed.scorer.score
        n_workers = workers.n_worker_processes(self.n_jobs)
        with workers.share_storage_and_cache(self.estimator, self.storage, n_workers) as (
            estimator,
            storage,
        ):
            objective = Objective(
                estimator, space, X, y, splits, scorer, metric, fit_params, score_params
            )
            options = dict(
                storage=storage,
                study_name=self.study_name,
                direction="maximize",
                **self._sampler_and_pruner(space),
                description=describe_search(objective, self.scoring),
            )
            study = studies.open_study(**options)
            self._delete_results()
            self._refit, self._metric = self.refit, metric
            self.study_ = study
            options["study_name"] = study.study_name
            job = workers.WorkerJob(objective, options, self.n_trials, self.timeout, self.verbose)
            start = time.monotonic()
            try:
                workers.run_in_workers(study, job, n_workers)
            finally:
                if storage is not self.storage:
                    self.study_ = studies.copy_study_to_memory(study)
            self._set_results(objective, scorer, time.monotonic() - start)
        return self

    def __getstate__(self):
        """Replace the study by a copy in memory: another machine may not have its storage."""
        state = super().__getstate__()
        if "study_" not in state:
            return state
        return {**state, "study_": studies.copy_study_to_memory(self.study_)}

    def _delete_results(self):
        """Delete the attributes of an earlier fit."""
        for name in [name for name in vars(self) if name.endswith("_") and name[0] != "_"]:
            delattr(self, name)

    def _check_parameters(self, space):
        """Raise if a parameter of the search has a wrong type or value."""
        check_space(self.estimator, space)
        check_whole_number("n_trials", self.n_trials, 1)
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError(f"timeout={self.timeout!r} must be None or seconds above 0")
        for name, kind in (
            ("sampler", optuna.samplers.BaseSampler),
            ("pruner", optuna.pruners.BasePruner),
        ):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise TypeError(f"{name}={value!r} must be None or of Optuna: a {kind.__name__}")
        if not isinstance(self.refit, bool | str):
            raise TypeError(f"refit={self.refit!r} must be True, False or the name of a metric")

    def _sampler_and_pruner(self, space):
        """Return the sampler and the pruner of this fit: the defaults, or copies of the user's."""
        if self.sampler is None:
            sampler = search.defaults.default_sampler(self.random_state)
        else:
            sampler = search.users_sampler.copy_users_sampler(self.sampler, space)
        pruner = (
            search.defaults.default_pruner() if self.pruner is None else copy.deepcopy(self.pruner)
        )
        return {"sampler": sampler, "pruner": pruner}

    def _set_results(self, objective, scorer, seconds):
        """Set the attributes of a fitted search, and fit the best parameters to all rows."""
        trials = studies.settled_trials(self.study_)
        check_failed_trials_for_cv_results(trials)
        self.n_splits_ = len(objective.splits)
        self.cv_results_ = make_cv_results(trials, objective.space, self.n_splits_)
        warn_of_nan_in_cv_results(self.cv_results_)
        self.multimetric_ = "mean_test_score" not in self.cv_results_
        self.scorer_ = scorer
        if self.multimetric_ and not callable(self.scoring):
            self.scorer_ = scorers_by_metric(self.estimator, self.scoring)
        metric = objective.metric
        self.best_index_ = int(self.cv_results_[f"rank_test_{metric}"].argmin())
        self.best_score_ = float(self.cv_results_[f"mean_test_{metric}"][self.best_index_])
        self.best_params_ = self.cv_results_["params"][self.best_index_]
        epoch = self.cv_results_["best_epoch"]
        self.best_epoch_ = None if epoch.mask[self.best_index_] else int(epoch[self.best_index_])
        if self.verbose:
            is_late = self.timeout is not None and seconds >= self.timeout
            print(
                progress.last_line_of_search_progress(
                    len(trials), self.n_trials, is_late, self.refit
                ),
                flush=True,
            )
        if self.refit:
            self._fit_best_estimator(objective)

    def _fit_best_estimator(self, objective):
        """Fit the best parameters to all rows, up to the best epoch."""
        best = clone(objective.estimator).set_params(**clone(self.best_params_, safe=False))
        start = time.perf_counter()
        stop = None if self.best_epoch_ is None else StopAfterEpoch(self.best_epoch_)
        fit_with_epoch_callback(best, stop, objective.X, objective.y, objective.fit_params)
        self.refit_time_ = time.perf_counter() - start
        self.best_estimator_ = workers.restore_cache_shared_by_workers(
            best, objective.estimator, self.estimator
        )
        if hasattr(best, "feature_names_in_"):
            self.feature_names_in_ = best.feature_names_in_

    def get_metadata_routing(self) -> MetadataRouter:
        """Return which metadata the search hands on to estimator, scorer and splitter.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
        """
        return make_metadata_router(self)
