"""Audits and classifiers that take a moment."""

from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from lungestimators import audit_images


def few_pixels(X):
    return X.reshape(len(X), -1)[:, ::37]


def quick():
    """A poor classifier that is fitted in a moment."""
    return make_pipeline(
        FunctionTransformer(few_pixels), StandardScaler(), LogisticRegression(C=0.01)
    )


def audit(X, y, *arguments, cv=2, **options):
    options = {"estimator": DummyClassifier(), "random_state": 0, **options}
    return audit_images(X, y, *arguments, cv=cv, **options)
