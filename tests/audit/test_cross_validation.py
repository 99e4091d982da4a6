"""Cross-validation by group: seeds, labels, small classes, and the interval of a score."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from lungestimators.audit import cross_validation, evidence

from .small_audits import audit, quick


def test_the_interval_of_perfect_recognition_is_that_of_wilson():
    # Wilson, 10 of 10: 0.7225 to 1; two classes are joined by the root of the sum of squares.
    score = cross_validation.Score(np.ones(2), np.array([10, 10]))
    low, high = score.interval()
    assert high == 1
    assert low == pytest.approx(1 - 0.2775 / np.sqrt(2), abs=1e-3)


def test_images_of_one_group_count_as_one_observation(chests):
    X, y = chests
    patients = np.where(y == 0, np.arange(60) % 4, np.arange(60) + 10)
    wide, narrow = (audit(X, y, groups).checks["shortcuts"].rows[0] for groups in (patients, None))
    assert wide["high"] - wide["low"] > narrow["high"] - narrow["low"]


def test_the_default_estimator_is_a_small_network_on_thumbnails(chests, monkeypatch):
    X, y = chests
    given = []

    class Quick(DummyClassifier):
        def __init__(self, image_size=None, epochs=None, random_state=None):
            super().__init__(random_state=random_state)
            self.image_size, self.epochs = image_size, epochs

        def fit(self, X, y):
            given.append((self.get_params()["random_state"], self.epochs, X.shape[1:], X.dtype))
            return super().fit(X, y)

    monkeypatch.setattr(evidence, "CNNClassifier", Quick)
    audit(X, y, estimator=None)
    assert len(set(given)) == 1
    seed, epochs, shape, dtype = given[0]
    assert seed is not None
    assert (epochs, shape, dtype) == (10, (64, 64), np.uint8)


def test_an_estimator_is_fitted_on_the_labels_that_were_given(chests):
    X, y = chests
    names = np.array(["healthy", "type 1", "type 2"])[y]
    weight = {"healthy": 2, "type 1": 1, "type 2": 1}
    weighted = quick().set_params(logisticregression__class_weight=weight)
    report = audit(X, names, estimator=weighted)
    assert report.checks["labels"].verdict != "fault"
    np.testing.assert_allclose(
        audit(X, y, estimator=quick()).checks["shortcuts"].rows[0]["score"],
        report.checks["shortcuts"].rows[0]["score"],
        atol=0.1,
    )


def test_an_estimator_without_a_seed_gives_the_same_report_again(chests):
    X, y = chests
    guess = DummyClassifier(strategy="stratified")
    first, again = (audit(X, y, estimator=guess, random_state=3).to_dict() for _ in range(2))
    assert first == again
    assert guess.random_state is None


@pytest.mark.parametrize("seed", range(6))
def test_a_small_class_of_two_does_not_stop_the_run_with_permuted_labels(chests, seed):
    X, y = chests
    rows = np.r_[np.flatnonzero(y == 0)[:2], np.flatnonzero(y == 1)[:12]]
    report = audit(X[rows], y[rows], estimator=quick(), random_state=seed)
    assert report.checks["shortcuts"].rows[1]["score"] is not None
