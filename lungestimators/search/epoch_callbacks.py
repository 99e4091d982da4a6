"""Callbacks that act after epochs of a fit: score a fold, prune its trial, stop the final fit."""

from .. import _compat
from ..classifiers.base import LungClassifier
from .learning_curve import STEPS_PER_FOLD
from .pipeline_view import PipelineView, last_step_of_pipeline


def can_be_scored_by_epoch_callback(estimator):
    """Whether an estimator can be scored after each epoch of its fit.

    True for the classifiers of this package, alone or at the end of a pipeline, unless early
    stopping is on: then the classifier chooses its epoch itself.
    """
    last = last_step_of_pipeline(estimator)
    return isinstance(last, LungClassifier) and not last.early_stopping


def fit_with_epoch_callback(estimator, callback, X, y, fit_params):
    """Fit an estimator while its last step calls one more callback, and remove the callback.

    Parameters
    ----------
    estimator : estimator
    callback : object or None
        Of scikit-learn's callback protocol. None: the estimator is fitted as it is.
    X : array-like
    y : array-like or None
    fit_params : dict
        Further arguments of ``fit``.
    """
    targets = () if y is None else (y,)
    if callback is None:
        estimator.fit(X, *targets, **fit_params)
        return
    last = last_step_of_pipeline(estimator)
    others = _compat.sklearn_callbacks_of(last) or []
    last.set_callbacks(*others, callback)
    try:
        estimator.fit(X, *targets, **fit_params)
    finally:
        last.set_callbacks(*others)


class EpochCallback:
    """Base of callbacks that only act at the end of an epoch."""

    def setup(self, estimator, context):
        """Do nothing before a fit."""

    def teardown(self, estimator, context):
        """Do nothing after a fit."""

    def on_fit_task_begin(self, estimator, context):
        """Do nothing before an epoch."""


class StopAfterEpoch(EpochCallback):
    """Stops a fit after a number of epochs.

    Parameters
    ----------
    epoch : int
        The number of the last epoch, from 1.
    """

    def __init__(self, epoch):
        self._epoch = epoch

    def on_fit_task_end(self, estimator, context):
        """Return True after the last epoch, which stops the fit."""
        return context.task_name == "epoch" and context.task_id + 1 == self._epoch


class ScoreEpochs(EpochCallback):
    """Scores a fold after the epochs at which a step of its learning curve ends.

    Parameters
    ----------
    estimator : estimator
        The estimator that is fitted: a classifier, or a pipeline that ends with one.
    curve : LearningCurve
        Takes the scores.
    score : callable
        Takes a fitted estimator, returns a dict of scores.

    Attributes
    ----------
    n_steps : int
        Number of steps that have a score.
    """

    def __init__(self, estimator, curve, score):
        self._estimator = estimator
        self._curve = curve
        self._score = score
        self._view = None
        self.n_steps = 0

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Score the fold if a step ends here; return True, which stops the fit, if it is pruned."""
        if context.task_name != "epoch":
            return False
        epoch, n_epochs = context.task_id + 1, context.parent.max_subtasks
        self._curve.count_epoch(n_epochs)
        steps = range(STEPS_PER_FOLD * (epoch - 1) // n_epochs, STEPS_PER_FOLD * epoch // n_epochs)
        if not steps:
            return False
        if self._view is None:  # the steps before the last one are fitted after the first epoch
            self._view = PipelineView(self._estimator)
        self._curve.add_scores(self._score(self._view.with_last_step(fitted_estimator)), steps)
        self.n_steps = steps.stop
        return self._curve.pruned
