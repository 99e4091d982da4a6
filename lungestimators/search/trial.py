"""Objective: one trial of a search, its suggested parameters fitted and scored fold by fold."""

import time
from typing import NamedTuple

from sklearn.base import BaseEstimator, clone

from .. import _compat
from .._compat import optuna
from .epoch_callbacks import ScoreEpochs, can_be_scored_by_epoch_callback, fit_with_epoch_callback
from .learning_curve import FOLDS, STEPS_PER_FOLD, LearningCurve
from .scoring import FoldScorer
from .space import Space


class Objective(NamedTuple):
    """The objective of a study: takes a trial of Optuna, returns its cross-validated score.

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
        The score that counts; ``"score"`` if there is only one.
    fit_params, score_params : dict
        Further arguments of ``fit`` and of the scorer. Arrays of one value a row of X are split
        with X.
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
            Takes the value after every step, and the scores and times of the folds.

        Returns
        -------
        float
            The mean score over folds after the epoch at which it is highest. For an estimator that
            cannot be scored by epoch, the mean score after the fit.

        Raises
        ------
        optuna.TrialPruned
            The pruner ended the trial.
        ValueError
            Training diverged, or the score of a fold is NaN.
        SearchError
            The scorer raised. It ends the search unless a trial is complete.
        """
        params = self.space.suggest_params(trial)
        estimator = clone(self.estimator).set_params(**clone(params, safe=False))
        curve = LearningCurve(trial, len(self.splits), self.metric)
        try:
            for train, test in self.splits:
                self._run_fold(clone(estimator), train, test, curve)
                if curve.pruned:
                    raise optuna.TrialPruned
            return curve.value_of_trial()
        finally:
            trial.set_user_attr(FOLDS, curve.as_dict())

    def _run_fold(self, estimator, train, test, curve):
        """Fit an estimator to the train rows of a fold, and score it on the test rows."""
        score = FoldScorer(self, train, test)
        by_epoch = can_be_scored_by_epoch_callback(estimator)
        callback = ScoreEpochs(estimator, curve, score) if by_epoch else None
        curve.begin_fold()
        start = time.perf_counter()
        X, y = _compat.sklearn_take_rows_of_xy(estimator, self.X, self.y, train)
        fit_params = _compat.sklearn_take_rows_of_parameters(self.X, self.fit_params, train)
        fit_with_epoch_callback(estimator, callback, X, y, fit_params)
        first = STEPS_PER_FOLD - 1 if callback is None else callback.n_steps
        # Steps may be left after the fit: a callback of the user's may have ended it.
        if first < STEPS_PER_FOLD and not curve.pruned:
            curve.add_scores(score(estimator), range(first, STEPS_PER_FOLD))
        curve.end_fold(time.perf_counter() - start - score.seconds, score.seconds)
        if not curve.pruned and not curve.has_value():
            raise ValueError(
                f"{self.metric!r} is NaN in fold {curve.n_folds} of {len(self.splits)}: "
                f"{score.explain_nan()}"
            )
