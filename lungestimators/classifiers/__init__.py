"""The classifiers: scikit-learn estimators that train a Keras network on images."""

from .base import LungClassifier
from .classifiers import (
    BackboneClassifier,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
)

__all__ = [
    "BackboneClassifier",
    "CNNClassifier",
    "DenseNetClassifier",
    "LungClassifier",
    "MobileNetClassifier",
]
