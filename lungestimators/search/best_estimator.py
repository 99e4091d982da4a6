"""Methods and attributes of a fitted search that its best estimator provides."""

import copy

import numpy as np
from sklearn import get_config
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..validation import ArrayLike, ImagesLike


def _best_estimator_has(name):
    """Return a check, for ``available_if``, that the best estimator has a method.

    Before a fit the check looks at the estimator that is searched.
    """

    def check(search):
        if not search._refits():
            raise AttributeError(f"{name} needs the best estimator, and refit=False leaves none")
        getattr(getattr(search, "best_estimator_", search.estimator), name)
        return True

    return check


class BestEstimatorMixin:
    """Predicts and scores with ``best_estimator_``, and has its classes and tags.

    After a fit, the value that ``refit`` had in that fit says whether there is a best estimator;
    a value that is set later counts for the next fit.
    """

    @property
    def n_features_in_(self):
        """Length of a row of X, if the best estimator has this attribute."""
        return self._attribute_of_best("n_features_in_")

    @property
    def classes_(self):
        """Class labels of the best estimator."""
        return self._attribute_of_best("classes_")

    def _attribute_of_best(self, name):
        """Return an attribute of the best estimator; AttributeError if there is none."""
        if not hasattr(self, "best_estimator_"):
            raise AttributeError(f"This {type(self).__name__} has no {name}: there is no best fit")
        return getattr(self.best_estimator_, name)

    @available_if(_best_estimator_has("predict"))
    def predict(self, X: ImagesLike) -> np.ndarray:
        """Predict class labels with the best estimator.

        Parameters
        ----------
        X : array-like or list of paths

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.
        """
        check_is_fitted(self)
        return self.best_estimator_.predict(X)

    @available_if(_best_estimator_has("predict_proba"))
    def predict_proba(self, X: ImagesLike) -> np.ndarray:
        """Return the best estimator's probability of each class.

        Parameters
        ----------
        X : array-like or list of paths

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.best_estimator_.predict_proba(X)

    @available_if(_best_estimator_has("decision_function"))
    def decision_function(self, X: ImagesLike) -> np.ndarray:
        """Return the best estimator's decision function.

        Parameters
        ----------
        X : array-like or list of paths

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.best_estimator_.decision_function(X)

    def score(self, X: ImagesLike, y: ArrayLike | None = None, **params) -> float:
        """Score the best estimator with the metric that counts.

        Parameters
        ----------
        X : array-like or list of paths
        y : array-like of shape (n_samples,), default=None
        **params : dict
            Metadata that the scorer has requested; with metadata routing enabled only.

        Returns
        -------
        float
        """
        _best_estimator_has("score")(self)
        check_is_fitted(self)
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "score", **params).scorer.score
        elif params:
            raise ValueError(f"{sorted(params)} are taken with metadata routing enabled only")
        several = isinstance(self.scorer_, dict)
        scorer = self.scorer_[self._metric] if several else self.scorer_
        score = scorer(self.best_estimator_, X, y, **params)
        return score[self._metric] if isinstance(score, dict) else score

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
        """Whether the last fit looked for a best estimator; before any fit, whether fit will."""
        return bool(self._refit if hasattr(self, "study_") else self.refit)
