"""OptunaSearch: an Optuna study as an estimator of scikit-learn."""

import copy
import inspect
import numbers
import time
import warnings

import lazy_loader as lazy
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from .. import _compat, search, studies
from . import cv_results, description, objective, progress, workers
from .best_estimator import BestEstimatorMixin
from .space import Space, check_space, search_space

optuna = lazy.load("optuna")

__all__ = ["OptunaSearch", "search_space"]


class OptunaSearch(BestEstimatorMixin, MetaEstimatorMixin, BaseEstimator):
    """Search for parameters by an Optuna study over cross-validation, then fit with the best.

    A trial runs its folds one after another. A classifier of this package is scored as it learns,
    up to twenty times a fold: unpromising trials are pruned in the middle of a fold, and what
    counts is the epoch after which the mean over the folds is highest; the final fit stops there.
    Other estimators are scored, and pruned, fold by fold. The winner's score is optimistic: for an
    honest one, cross-validate the search.

    Parameters
    ----------
    estimator : estimator
        Such as a classifier of this package, or a pipeline.
    space : dict of str to optuna.distributions.BaseDistribution, default=None
        Values for each parameter, by the names that ``set_params`` takes. ``None``:
        :func:`search_space`. Choices may be any objects. The study holds a text for a choice that
        is no number, string or None; ``best_params_`` and ``cv_results_`` hold the choice itself.
    cv : int, cross-validation generator or iterable, default=None
        As in :class:`sklearn.model_selection.GridSearchCV`; all trials have the same folds.
    scoring : str, callable, list, tuple or dict, default=None
        As in :class:`sklearn.model_selection.GridSearchCV`. With several metrics, ``refit`` names
        the one that the search goes by; it is the first with ``refit=False``.
    n_trials : int, default=50
        How many trials the study is to have: complete, pruned and failed ones, with those that
        were in the storage, and those of other processes.
    timeout : float, default=None
        Seconds after which no trial begins. Trials that run then are finished, and the final fit
        comes after them, so that ``fit`` takes longer.
    storage : str, path-like or optuna.storages.BaseStorage, default=None
        Where the study is kept: in memory, in a journal file (its path), a database (its URL), or
        any storage of Optuna. Processes that share one share the work. The URL is shown with the
        parameters: keep its password in PGPASSWORD or ``.pgpass``.
    study_name : str, default=None
        A study of that name is continued, if it is about the same estimator, space, data, folds
        and scoring. ``None``: a new study each time, as cross-validating the search needs it.
    sampler : optuna.samplers.BaseSampler, default=None
        ``None``: TPE, with random numbers that follow from ``random_state`` and the number of the
        trial. Others are copied, and seeded anew in worker processes and where a study goes on.
    pruner : optuna.pruners.BasePruner, default=None
        ``None``: successive halving over folds and epochs. Steps count from 1, twenty a fold.
        ``optuna.pruners.NopPruner()`` prunes nothing.
    n_jobs : int, default=None
        Worker processes, through joblib's active backend; threads are never used.
    refit : bool or str, default=True
        Whether to fit the best parameters to all of X; with several metrics, which one counts.
    random_state : int, RandomState instance or None, default=None
        Seeds the default sampler. The seed of the estimator is its own parameter.
    verbose : int, default=0
        0 is silent, 1 prints a line for each trial and one before the final fit.

    Attributes
    ----------
    best_estimator_ : estimator
        Fitted to all of X, up to ``best_epoch_``; not with ``refit=False``.
    best_params_ : dict
        The parameters of the best trial.
    best_score_ : float
        Its mean score over the folds.
    best_index_ : int
        Its row in ``cv_results_``.
    best_epoch_ : int or None
        The epoch that counts; ``None`` where epochs are not looked at.
    cv_results_ : dict of arrays
        As in :class:`sklearn.model_selection.GridSearchCV`, a row a trial, and ``number``,
        ``state`` ("complete", "pruned" or "fail"), ``best_epoch`` and ``n_epochs``, how many were
        run in all folds. Folds that were not run are NaN, and so are the means of trials that are
        not complete.
    study_ : optuna.Study
        With every trial, also after an error or an interruption.
    scorer_ : callable or dict of callables
        The scorers.
    multimetric_ : bool
        Whether there are several metrics.
    n_splits_ : int
        Folds.
    refit_time_ : float
        Seconds that the final fit took.
    classes_ : ndarray of shape (n_classes,)
        Class labels of ``best_estimator_``.
    n_features_in_ : int
        As ``best_estimator_`` has it.

    See Also
    --------
    search_space : The default space.

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
        estimator,
        space=None,
        *,
        cv=None,
        scoring=None,
        n_trials=50,
        timeout=None,
        storage=None,
        study_name=None,
        sampler=None,
        pruner=None,
        n_jobs=None,
        refit=True,
        random_state=None,
        verbose=0,
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

    def fit(self, X, y=None, **params):
        """Run the trials that the study still lacks, then fit the best parameters to all of X.

        Parameters
        ----------
        X : array-like or list of paths
            What the estimator takes; n_samples rows.
        y : array-like of shape (n_samples,), default=None
            Class labels.
        **params : dict
            ``groups`` for the splitter, ``sample_weight`` and whatever else ``fit`` of the
            estimator takes; with metadata routing enabled, what was requested. Arrays of a value
            for each row are split with X.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            A parameter is not what it should be, or ``study_name`` names a study of something
            else; nothing was run. Or no trial was complete.
        OSError
            The storage cannot be reached; nothing was run.
        RuntimeError
            The scorer raised before any trial was complete; later it fails the trial alone, as a
            score that is NaN always does.
        """
        space = search_space(self.estimator) if self.space is None else self.space
        self._check_parameters(space)
        space = Space(space)
        scorer, metric = self._get_scorer()
        X, y = indexable(X, y)
        routed = self._route(scorer, params)
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = list(cv.split(X, y, **routed.splitter.split))
        fit_params, score_params = routed.estimator.fit, routed.scorer.score
        n_workers = workers.count(self.n_jobs)
        with workers.shared(self.estimator, self.storage, n_workers) as (estimator, storage):
            task = objective.Task(
                estimator, space, X, y, splits, scorer, metric, fit_params, score_params
            )
            study = dict(
                storage=storage,
                study_name=self.study_name,
                direction="maximize",
                **self._sampler_and_pruner(space),
                description=description.describe(task, self.scoring),
            )
            opened = studies.open_study(**study)
            self._forget()
            self._refit, self._metric = self.refit, metric
            self.study_ = opened
            study["study_name"] = opened.study_name
            job = workers.Job(task, study, self.n_trials, self.timeout, self.verbose)
            start = time.monotonic()
            try:
                workers.run(self.study_, job, n_workers)
            finally:
                if storage is not self.storage:
                    self.study_ = studies.in_memory(self.study_)
            self._conclude(task, scorer, time.monotonic() - start)
        return self

    def __getstate__(self):
        """Take a copy of the study along: its storage is not there wherever this is loaded."""
        state = super().__getstate__()
        if "study_" not in state:
            return state
        return {**state, "study_": studies.in_memory(self.study_)}

    def _forget(self):
        for name in [name for name in vars(self) if name.endswith("_") and name[0] != "_"]:
            delattr(self, name)

    def _check_parameters(self, space):
        check_space(self.estimator, space)
        if not isinstance(self.n_trials, numbers.Integral) or isinstance(self.n_trials, bool):
            raise TypeError(f"n_trials={self.n_trials!r} must be a whole number")
        if self.n_trials < 1:
            raise ValueError(f"n_trials={self.n_trials!r} must be at least 1")
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

    def _get_scorer(self):
        """The scorer, and the name of the metric that counts."""
        scorer = check_scoring(self.estimator, self.scoring)
        if self.scoring is None or isinstance(self.scoring, str):
            return scorer, "score"
        if callable(self.scoring):  # it may return several
            return scorer, self.refit if isinstance(self.refit, str) else "score"
        names = list(self.scoring)
        if self.refit is False:
            return scorer, names[0]
        if self.refit not in names:
            raise ValueError(
                f"refit={self.refit!r} must name the metric that counts, one of {names}, or be "
                "False: then it is the first"
            )
        return scorer, self.refit

    def _sampler_and_pruner(self, space):
        if self.sampler is None:
            sampler = search.defaults.default_sampler(self.random_state)
        else:
            sampler = search.defaults.users_sampler(self.sampler, space)
        pruner = (
            search.defaults.default_pruner() if self.pruner is None else copy.deepcopy(self.pruner)
        )
        return {"sampler": sampler, "pruner": pruner}

    def _route(self, scorer, params):
        """Who gets which argument of fit."""
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", **params)
        params = dict(params)
        groups = params.pop("groups", None)
        score_params = {}
        if params.get("sample_weight") is not None:
            if _accepts_sample_weight(scorer):
                score_params["sample_weight"] = params["sample_weight"]
            else:
                warnings.warn(
                    f"The scorer {scorer} takes no sample_weight: scores are not weighted",
                    UserWarning,
                    stacklevel=3,
                )
        return Bunch(
            estimator=Bunch(fit=params),
            splitter=Bunch(split={"groups": groups}),
            scorer=Bunch(score=score_params),
        )

    def _conclude(self, task, scorer, seconds):
        """Make the results known, and fit with the best parameters."""
        trials = studies.settled_trials(self.study_)
        progress.report_failures(trials)
        self.n_splits_ = len(task.splits)
        self.cv_results_ = cv_results.tabulate(trials, task.space, self.n_splits_)
        progress.report_nan(self.cv_results_)
        self.multimetric_ = "mean_test_score" not in self.cv_results_
        self.scorer_ = scorer
        if self.multimetric_ and not callable(self.scoring):
            names = self.scoring if isinstance(self.scoring, dict) else {k: k for k in self.scoring}
            self.scorer_ = {k: check_scoring(self.estimator, v) for k, v in names.items()}
        self.best_index_ = int(self.cv_results_[f"rank_test_{task.metric}"].argmin())
        self.best_score_ = float(self.cv_results_[f"mean_test_{task.metric}"][self.best_index_])
        self.best_params_ = self.cv_results_["params"][self.best_index_]
        epoch = self.cv_results_["best_epoch"]
        self.best_epoch_ = None if epoch.mask[self.best_index_] else int(epoch[self.best_index_])
        if self.verbose:
            is_late = self.timeout is not None and seconds >= self.timeout
            print(progress.summary(len(trials), self.n_trials, is_late, self.refit), flush=True)
        if not self.refit:
            return
        best = clone(task.estimator).set_params(**clone(self.best_params_, safe=False))
        start = time.perf_counter()
        stop = None if self.best_epoch_ is None else objective.StopAfter(self.best_epoch_)
        with objective.called(best, stop):
            objective.fit(best, task.X, task.y, task.fit_params)
        self.refit_time_ = time.perf_counter() - start
        shared, own = task.estimator.get_params(), best.get_params()
        caches = workers.feature_caches(self.estimator)  # unless the search chose another
        in_memory = {name: "memory" for name in caches if own.get(name) == shared[name]}
        self.best_estimator_ = best.set_params(**in_memory)
        if hasattr(best, "feature_names_in_"):
            self.feature_names_in_ = best.feature_names_in_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = copy.deepcopy(inner.classifier_tags)
        tags.regressor_tags = copy.deepcopy(inner.regressor_tags)
        tags.input_tags.sparse = inner.input_tags.sparse
        tags.input_tags.pairwise = inner.input_tags.pairwise
        return tags

    def __sklearn_is_fitted__(self):
        return hasattr(self, "best_estimator_" if self._refits() else "best_params_")

    def _refits(self):
        """Whether the last fit looked for a best estimator; without one, whether the next will."""
        return bool(self._refit if hasattr(self, "study_") else self.refit)

    def get_metadata_routing(self):
        """Say who is to get which metadata.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
        """
        to_scorer = MethodMapping().add(caller="score", callee="score")
        return (
            MetadataRouter(owner=self)
            .add(
                estimator=self.estimator,
                method_mapping=MethodMapping().add(caller="fit", callee="fit"),
            )
            .add(
                scorer=check_scoring(self.estimator, self.scoring),
                method_mapping=to_scorer.add(caller="fit", callee="score"),
            )
            .add(
                splitter=self.cv,
                method_mapping=MethodMapping().add(caller="fit", callee="split"),
            )
        )


def _accepts_sample_weight(scorer):
    accepts = _compat.accepts_sample_weight(scorer)
    return "sample_weight" in inspect.signature(scorer).parameters if accepts is None else accepts
