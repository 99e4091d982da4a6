"""One trial of a search: folds one after another, looked at as they learn."""

import time
from contextlib import contextmanager
from typing import NamedTuple

import lazy_loader as lazy
import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from .. import _compat
from ..classifiers.base import LungClassifier
from ..studies.study import SearchError
from .pipeline_view import PipelineView
from .space import Space

optuna = lazy.load("optuna")

# How often a fold is looked at as it learns, and how many pruning steps it has. Trials of different
# numbers of epochs are so compared where equal parts of their epochs are over: the learning rate
# falls to zero along all of them, and equal numbers of epochs would say little.
STEPS = 20

# The user attribute of a trial that holds what its folds gave.
FOLDS = "folds"


class Task(NamedTuple):
    """What every trial of a search does.

    Attributes
    ----------
    estimator : estimator
    space : Space
    X, y : array-like
        ``y`` may be None.
    splits : list of (ndarray, ndarray)
        Rows to train on and rows to score on, for each fold.
    scorer : callable
        (estimator, X, y, **score_params) -> a score or a dict of scores; greater is better.
    metric : str
        The score that counts; ``"score"`` where there is only one.
    fit_params, score_params : dict
        Further arguments of ``fit`` and of the scorer; what has a value for each row of X is split
        with it.
    """

    estimator: BaseEstimator
    space: Space
    X: object
    y: object
    splits: list
    scorer: object
    metric: str
    fit_params: dict
    score_params: dict

    def __call__(self, trial):
        """Run one trial.

        Parameters
        ----------
        trial : optuna.Trial
            Is told of every step.

        Returns
        -------
        float
            The mean over folds after the epoch where it is highest; for an estimator that cannot
            be looked at as it learns, after its fit.

        Raises
        ------
        optuna.TrialPruned
            The pruner said so.
        SearchError
            The scorer raised; the search ends unless a trial is complete.
        """
        params = self.space.suggest(trial)
        estimator = clone(self.estimator).set_params(**clone(params, safe=False))
        scores = _Scores(trial, len(self.splits), self.metric)
        try:
            for train, test in self.splits:
                self._run_fold(clone(estimator), train, test, scores)
                if scores.pruned:
                    raise optuna.TrialPruned
            return scores.value()
        finally:
            trial.set_user_attr(FOLDS, scores.as_dict())

    def _run_fold(self, estimator, train, test, scores):
        score = _Scoring(self, train, test)
        looks = _Looks(estimator, scores, score) if learns_by_epoch(estimator) else None
        scores.begin_fold()
        start = time.perf_counter()
        X, y = _compat.take_rows_of_xy(estimator, self.X, self.y, train)
        fit_params = _compat.take_rows_of_parameters(self.X, self.fit_params, train)
        with called(estimator, looks):
            fit(estimator, X, y, fit_params)
        first = STEPS - 1 if looks is None else looks.n_steps
        if first < STEPS and not scores.pruned:  # a callback of the user's may have ended the fit
            scores.add(score(estimator), range(first, STEPS))
        scores.end_fold(time.perf_counter() - start - score.seconds, score.seconds)
        if not scores.pruned and not scores.has_value():
            raise ValueError(
                f"{self.metric!r} is NaN in fold {scores.n_folds} of {len(self.splits)}: "
                f"{score.describe_nan()}"
            )


def fit(estimator, X, y, params):
    """Fit, with y where there is one."""
    return estimator.fit(X, **params) if y is None else estimator.fit(X, y, **params)


def learner(estimator):
    """Return the last step of a pipeline, or the estimator itself."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def learns_by_epoch(estimator):
    """Whether there is something to see between its epochs.

    With early stopping a classifier chooses its epoch itself.
    """
    last = learner(estimator)
    return isinstance(last, LungClassifier) and not last.early_stopping


@contextmanager
def called(estimator, callback):
    """Have ``callback`` called by the learner, beside the callbacks it has; None: no other."""
    if callback is None:
        yield
        return
    last = learner(estimator)
    others = _compat.callbacks_of(last) or []
    last.set_callbacks(*others, callback)
    try:
        yield
    finally:
        last.set_callbacks(*others)


class EpochCallback:
    """A callback of scikit-learn's protocol that does nothing yet."""

    def setup(self, estimator, context):
        """Nothing to prepare."""

    def teardown(self, estimator, context):
        """Nothing to give back."""

    def on_fit_task_begin(self, estimator, context):
        """Nothing to do before an epoch."""


class StopAfter(EpochCallback):
    """Ends a fit after a number of epochs.

    Parameters
    ----------
    epoch : int
        The number of the last one, from 1.
    """

    def __init__(self, epoch):
        self._epoch = epoch

    def on_fit_task_end(self, estimator, context):
        """Say whether to stop."""
        return context.task_name == "epoch" and context.task_id + 1 == self._epoch


class _Looks(EpochCallback):
    """Scores a fold as it learns; ``n_steps`` are scored."""

    def __init__(self, estimator, scores, score):
        self._estimator = estimator
        self._scores = scores
        self._score = score
        self._view = None
        self.n_steps = 0

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Score if it is time to, and say whether to stop."""
        if context.task_name != "epoch":
            return False
        epoch, of = context.task_id + 1, context.parent.max_subtasks
        self._scores.count_epoch(of)
        steps = range(STEPS * (epoch - 1) // of, STEPS * epoch // of)
        if not steps:
            return False
        if self._view is None:  # by now the steps before the learner are fitted
            self._view = PipelineView(self._estimator)
        self._scores.add(self._score(self._view.with_learner(fitted_estimator)), steps)
        self.n_steps = steps.stop
        return self._scores.pruned


class _Scoring:
    """Scores estimators on the rows that a fold sets aside."""

    def __init__(self, task, train, test):
        self._task = task
        self._X, self._y = _compat.take_rows_of_xy(task.estimator, task.X, task.y, test, train)
        self._params = _compat.take_rows_of_parameters(task.X, task.score_params, test)
        self.seconds = 0.0

    def __call__(self, estimator):
        """Return a dict of scores."""
        scorer, metric = self._task.scorer, self._task.metric
        start = time.perf_counter()
        try:
            scores = scorer(estimator, self._X, self._y, **self._params)
            scores = scores if isinstance(scores, dict) else {"score": scores}
            scores = {name: float(score) for name, score in scores.items()}
            if metric not in scores:
                raise ValueError(f"it returned {sorted(scores)}, and {metric!r} is asked for")
        except Exception as error:
            self._check_probabilities(estimator, error)
            raise SearchError(
                f"The scorer {self._name()} raised {type(error).__name__}: {error}"
            ) from error
        # Where all probabilities are NaN the first class is predicted, and accuracy is a number.
        if np.isnan(scores[metric]) or _has_seen_nan(learner(estimator)):
            self._check_probabilities(estimator)
        self.seconds += time.perf_counter() - start
        return scores

    def _check_probabilities(self, estimator, error=None):
        """Raise where the estimator, not the scorer, is why there is no score."""
        if not hasattr(estimator, "predict_proba"):
            return
        if not np.isfinite(estimator.predict_proba(self._X)).all():
            raise ValueError("training diverged: its probabilities are NaN or infinite") from error

    def _name(self):
        return getattr(self._task.scorer, "__qualname__", self._task.scorer)

    def describe_nan(self):
        """Say of a score that is NaN where it comes from."""
        text = f"the scorer {self._name()} returned NaN, and no probability is NaN"
        if self._y is None or np.ndim(self._y) != 1:
            return text
        classes = sorted(map(str, set(np.asarray(self._y).tolist())))
        if len(classes) > 10:
            return text
        return f"{text}; the {len(self._y)} rows scored hold the classes {', '.join(classes)}"


def _has_seen_nan(fitted):
    """Whether the loss of a classifier of this package was NaN; callbacks may have mended that."""
    return isinstance(fitted, LungClassifier) and np.isnan(fitted.history_.get("loss", [])).any()


class _Scores:
    """What the folds of a trial gave, and what the pruner makes of it.

    Parameters
    ----------
    trial : optuna.Trial
    n_splits : int
    metric : str

    Attributes
    ----------
    pruned : bool
        Whether the trial is to end.
    """

    def __init__(self, trial, n_splits, metric):
        self.pruned = False
        self._trial = trial
        self._n_splits = n_splits
        self._metric = metric
        self._fold, self._at_end = -1, False
        self._tables = {}
        self._n_epochs, self._epochs_of_a_fold = 0, None
        self._times = []

    def begin_fold(self):
        """Begin the next fold."""
        self._fold, self._at_end = self._fold + 1, False

    def end_fold(self, fit_time, score_time):
        """End a fold; one that was pruned on its way gives no scores."""
        if not self.pruned or self._at_end:
            self._times.append((fit_time, score_time))

    def count_epoch(self, of):
        """Count an epoch that was run, one ``of`` those of a fold."""
        self._n_epochs += 1
        self._epochs_of_a_fold = of

    def add(self, scores, steps):
        """Take the scores at some steps of the present fold, and ask the pruner.

        It is told what the trial would be worth were it to end here: the highest mean over the
        folds, each step's over those that have come to it. So the values of one fold go on from
        those of the last, and after each fold the value is the trial's over the folds so far.
        """
        for name, score in scores.items():
            empty = np.full((self._n_splits, STEPS), np.nan)
            self._tables.setdefault(name, empty)[self._fold, steps] = score
        table = self._tables[self._metric][: self._fold + 1]
        known = ~np.isnan(table)
        some = known.any(axis=0)
        self._at_end = steps.stop == STEPS
        if not some.any():  # NaN says nothing for or against the trial
            return
        means = np.where(known, table, 0).sum(axis=0)[some] / known.sum(axis=0)[some]
        for step in steps:
            self._trial.report(means.max(), self._fold * STEPS + step + 1)
        over = self._at_end and self._fold + 1 == self._n_splits
        self.pruned = not over and self._trial.should_prune()

    @property
    def n_folds(self):
        """How many folds were begun."""
        return self._fold + 1

    def has_value(self):
        """Whether there is a step with a score in each fold so far."""
        return self._best_step() is not None

    def value(self):
        """Return the highest mean over the folds of the scores at one step."""
        return float(np.mean(self._tables[self._metric][:, self._best_step()]))

    def as_dict(self):
        """Return plain data: scores of finished folds at the best step, epochs and times."""
        folds = {
            "n_epochs": self._n_epochs,
            "fit_time": [fit_time for fit_time, _ in self._times],
            "score_time": [score_time for _, score_time in self._times],
        }
        step = self._best_step()
        if step is None:
            return folds
        n_folds = len(self._times)
        folds["test"] = {k: table[:n_folds, step].tolist() for k, table in self._tables.items()}
        if self._epochs_of_a_fold is not None:
            # The first epoch at whose end so many parts of the epochs were over.
            folds["best_epoch"] = -(-(step + 1) * self._epochs_of_a_fold // STEPS)
        return folds

    def _best_step(self):
        """The step of the highest mean over finished folds; of equal ones the last."""
        if not self._times:
            return None
        means = self._tables[self._metric][: len(self._times)].mean(axis=0)
        if np.isnan(means).all():
            return None
        return int(np.flatnonzero(means == np.nanmax(means))[-1])
