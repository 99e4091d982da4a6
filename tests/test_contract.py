"""scikit-learn's own checks on the four real classes, and the manners users expect beyond them."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from lungestimators import (
    BackboneClassifier,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
)

SMALL = dict(image_shape=(1, -1, 1), image_size=32, weights=None, epochs=20, dense_units=32)
SMALL["learning_rate"] = 0.01
ESTIMATORS = [
    CNNClassifier(**{**SMALL, "image_size": 8}, filters=(8, 8)),
    MobileNetClassifier(**SMALL, alpha=0.25, trainable="head"),
    DenseNetClassifier(**SMALL, blocks=(1, 1, 1, 1), trainable="head"),
    BackboneClassifier("MobileNetV3Small", **SMALL, trainable="head"),
]

EXPECTED_FAILURES = {
    # Weighting an image is not repeating it in a shuffled batch, as in scikit-learn's own
    # estimators that learn by stochastic gradient descent.
    "check_sample_weight_equivalence_on_dense_data": "batches are drawn at random",
}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
def test_scikit_learn_accepts_the_classifier(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_at_least_fifty_checks_run(estimator):
    assert sum(1 for _ in estimator_checks_generator(estimator)) >= 50
