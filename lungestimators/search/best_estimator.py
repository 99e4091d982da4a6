"""What a fitted search does by the best estimator that it found."""

from sklearn import get_config
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted


def _best_has(name):
    """Whether the estimator, once it is found, has a method."""

    def check(search):
        if not search._refits():
            raise AttributeError(f"{name} needs the best estimator, and refit=False leaves none")
        getattr(getattr(search, "best_estimator_", search.estimator), name)
        return True

    return check


class BestEstimatorMixin:
    """Predicts and scores by ``best_estimator_``.

    ``refit`` says whether there is to be one. After a fit what that fit did counts, and parameters
    that were set since are for the next fit.
    """

    @property
    def n_features_in_(self):
        """Length of a row, where the best estimator knows it."""
        return self._found("n_features_in_")

    @property
    def classes_(self):
        """Class labels."""
        return self._found("classes_")

    def _found(self, name):
        if not hasattr(self, "best_estimator_"):
            raise AttributeError(f"This {type(self).__name__} has no {name}: there is no best fit")
        return getattr(self.best_estimator_, name)

    @available_if(_best_has("predict"))
    def predict(self, X):
        """Predict by the best estimator.

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

    @available_if(_best_has("predict_proba"))
    def predict_proba(self, X):
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

    @available_if(_best_has("decision_function"))
    def decision_function(self, X):
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

    def score(self, X, y=None, **params):
        """Score the best estimator by the metric that counts.

        Parameters
        ----------
        X : array-like or list of paths
        y : array-like of shape (n_samples,), default=None
        **params : dict
            With metadata routing enabled, what the scorer requested.

        Returns
        -------
        float
        """
        _best_has("score")(self)
        check_is_fitted(self)
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "score", **params).scorer.score
        elif params:
            raise ValueError(f"{sorted(params)} are taken with metadata routing enabled only")
        several = isinstance(self.scorer_, dict)
        scorer = self.scorer_[self._metric] if several else self.scorer_
        score = scorer(self.best_estimator_, X, y, **params)
        return score[self._metric] if isinstance(score, dict) else score
