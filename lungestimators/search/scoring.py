"""Scorers of a search: which metric counts, and the scores of a fold."""

import time

import numpy as np
from sklearn.metrics import check_scoring

from .. import _compat
from ..classifiers.base import LungClassifier
from ..studies import SearchError
from .pipeline_view import last_step_of_pipeline


def choose_scorer(estimator, scoring, refit):
    """Return the scorer of a search and the name of the metric that counts.

    Parameters
    ----------
    estimator : estimator
    scoring : str, callable, list, tuple, dict or None
        As given to the search.
    refit : bool or str
        With several metrics, the name of the one that counts; False: the first one.

    Returns
    -------
    scorer : callable
        (estimator, X, y, **score_params) -> a score or a dict of scores; greater is better.
    metric : str
        ``"score"`` if there is only one.

    Raises
    ------
    ValueError
        There are several metrics, and ``refit`` names none of them.
    """
    scorer = check_scoring(estimator, scoring)
    if scoring is None or isinstance(scoring, str):
        return scorer, "score"
    if callable(scoring):  # it may return several scores
        return scorer, refit if isinstance(refit, str) else "score"
    names = list(scoring)
    if refit is False:
        return scorer, names[0]
    if refit not in names:
        raise ValueError(
            f"refit={refit!r} must name the metric that counts, one of {names}, or be "
            "False: then it is the first"
        )
    return scorer, refit


def scorers_by_metric(estimator, scoring):
    """Return a dict of metric to scorer for ``scoring``, a list, a tuple or a dict."""
    names = scoring if isinstance(scoring, dict) else {k: k for k in scoring}
    return {k: check_scoring(estimator, v) for k, v in names.items()}


class FoldScorer:
    """Scores estimators on the test rows of one fold.

    Parameters
    ----------
    objective : Objective
        Holds the data and the scorer.
    train, test : ndarray of int
        Rows that the fold trains on and rows that it scores on.

    Attributes
    ----------
    seconds : float
        Time that all scores took.
    """

    def __init__(self, objective, train, test):
        self._objective = objective
        self._X, self._y = _compat.sklearn_take_rows_of_xy(
            objective.estimator, objective.X, objective.y, test, train
        )
        self._params = _compat.sklearn_take_rows_of_parameters(
            objective.X, objective.score_params, test
        )
        self.seconds = 0.0

    def __call__(self, estimator):
        """Score a fitted estimator.

        Parameters
        ----------
        estimator : estimator

        Returns
        -------
        dict of str to float

        Raises
        ------
        ValueError
            The estimator's probabilities are NaN or infinite.
        SearchError
            The scorer raised, or did not return the metric that counts.
        """
        scorer, metric = self._objective.scorer, self._objective.metric
        start = time.perf_counter()
        try:
            scores = scorer(estimator, self._X, self._y, **self._params)
            scores = scores if isinstance(scores, dict) else {"score": scores}
            scores = {name: float(score) for name, score in scores.items()}
            if metric not in scores:
                raise ValueError(f"it returned {sorted(scores)}, and {metric!r} is asked for")
        except Exception as error:
            self._check_probabilities_of_fold(estimator, error)
            raise SearchError(
                f"The scorer {self._scorer_name()} raised {type(error).__name__}: {error}"
            ) from error
        # If all probabilities are NaN the first class is predicted, and accuracy is a number.
        if np.isnan(scores[metric]) or _scored_classifier_has_nan_loss(
            last_step_of_pipeline(estimator)
        ):
            self._check_probabilities_of_fold(estimator)
        self.seconds += time.perf_counter() - start
        return scores

    def _check_probabilities_of_fold(self, estimator, error=None):
        """Raise if probabilities are not finite: then the estimator and not the scorer failed."""
        if not hasattr(estimator, "predict_proba"):
            return
        if not np.isfinite(estimator.predict_proba(self._X)).all():
            raise ValueError("training diverged: its probabilities are NaN or infinite") from error

    def _scorer_name(self):
        """Return the name of the scorer for messages."""
        return getattr(self._objective.scorer, "__qualname__", self._objective.scorer)

    def explain_nan(self):
        """Return a text that says where a score of NaN comes from: the scorer, on which classes."""
        text = f"the scorer {self._scorer_name()} returned NaN, and no probability is NaN"
        if self._y is None or np.ndim(self._y) != 1:
            return text
        classes = sorted(map(str, set(np.asarray(self._y).tolist())))
        if len(classes) > 10:
            return text
        return f"{text}; the {len(self._y)} rows scored hold the classes {', '.join(classes)}"


def _scored_classifier_has_nan_loss(fitted):
    """Whether the loss of a classifier of this package was NaN in any epoch.

    Callbacks may have mended the network since, so that its probabilities are checked as well.
    """
    return isinstance(fitted, LungClassifier) and np.isnan(fitted.history_.get("loss", [])).any()
