"""Shortcuts are found where there are some, with the limits that the report states."""

import re

import numpy as np
import pytest
from PIL import Image
from scipy import optimize, stats
from sklearn.dummy import DummyClassifier

from lungestimators import LungFields, make_chest_xrays
from lungestimators.networks import lung_network

from ..preprocessing.lung_phantoms import finds_the_same_lungs_in_every_image
from .small_audits import audit


def verdicts(report):
    return {row["seen"]: row["verdict"] for row in report.checks["shortcuts"].rows}


SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_marker_is_a_shortcut(seed):
    X, y = make_chest_xrays(300, marker=1, random_state=seed)
    report = audit(X, y, cv=5, random_state=seed)
    check = report.checks["shortcuts"]
    assert check.verdict == "fault"
    assert "border alone" in check.sentence
    assert "cannot be trusted" in report.conclusion


@pytest.mark.parametrize("seed", SEEDS)
def test_clean_images_have_no_shortcut(seed):
    X, y = make_chest_xrays(300, random_state=seed)
    report = audit(X, y, cv=5, random_state=seed)
    assert report.checks["shortcuts"].verdict == "ok"
    assert "cannot be trusted" not in report.conclusion


def test_a_border_that_tells_the_class_is_at_chance_once_it_is_masked(chests, monkeypatch):
    monkeypatch.setattr(lung_network, "lung_network_blueprint", finds_the_same_lungs_in_every_image)
    X, y = chests[0].copy(), chests[1]
    X[y == 1, :8] = 255  # a collimator
    report = audit(X, y, checks=["shortcuts"])
    assert verdicts(report)["border alone"] == "fault"
    assert 'LungFields("mask") takes away' in report.checks["shortcuts"].advice

    report = audit(LungFields("mask").transform(X), y, checks=["shortcuts"])
    masked = report.checks["shortcuts"]
    (border,) = [row for row in masked.rows if row["seen"] == "border alone"]
    assert border["verdict"] == "ok"
    assert border["low"] < 1 / 3 < border["high"]
    assert "LungFields" not in masked.advice


def test_a_shortcut_beside_the_border_is_not_said_to_be_removed_by_masks(chests):
    X, y = chests
    check = audit(X, y, source=np.where(y == 0, "hospital A", "hospital B")).checks["shortcuts"]
    assert check.verdict == "fault"
    assert "LungFields" not in check.advice


def test_a_source_that_tells_the_class_is_a_shortcut(chests):
    X, y = chests
    found = verdicts(audit(X, y, source=np.where(y == 0, "hospital A", "hospital B")))
    assert found["source"] == "fault"
    anywhere = np.random.default_rng(0).choice(["hospital A", "hospital B"], len(y))
    assert verdicts(audit(X, y, source=anywhere))["source"] == "ok"


def test_file_properties_that_tell_the_class_are_a_shortcut(chests, tmp_path):
    X, y = chests
    paths = [tmp_path / f"{row}.{'png' if y[row] else 'jpg'}" for row in range(60)]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    assert verdicts(audit(paths, y, estimator=DummyClassifier()))["file properties"] == "fault"


def test_a_thumbnail_is_a_shortcut_only_where_it_is_nearly_as_good_as_the_estimator(chests):
    X, _ = chests
    y = np.arange(60) % 2
    X = np.where(y[:, None, None], X // 4, X)  # one class is darker

    class Oracle(DummyClassifier):
        def fit(self, X, y):
            return super().fit(X, y)

        def predict_proba(self, X):
            dark = X.max(axis=(1, 2)) < 64
            return np.column_stack([~dark, dark]).astype(float)

    good = verdicts(audit(X, y, estimator=Oracle()))
    assert good["brightness and contrast"] == good["thumbnail of 16x16"] == "warning"
    poor = verdicts(audit(X, y, estimator=DummyClassifier()))
    assert poor["brightness and contrast"] == poor["thumbnail of 16x16"] == "skipped"


def test_an_estimator_that_learns_permuted_labels_of_unseen_images_is_a_fault(chests):
    X, y = chests

    class Cheat(DummyClassifier):
        """Knows the labels of the test images, whatever they are."""

        def predict_proba(self, X):
            rows = [np.flatnonzero((X_all == image).all(axis=(1, 2)))[0] for image in X]
            return np.eye(3)[next(answers)[rows]]

    X_all = X
    seed = int(np.random.RandomState(0).randint(2**31))
    permuted = np.random.default_rng(seed).permutation(y)
    answers = iter([y, y, permuted, permuted])
    check = audit(X, y, estimator=Cheat()).checks["shortcuts"]
    assert check.verdict == "fault"
    assert "leaks through the procedure" in check.sentence


def test_a_view_is_a_fault_from_the_limit_that_the_report_states(chests):
    X, y = chests
    rows = audit(X, y, source=np.where(y == 0, "A", "B")).checks["shortcuts"].rows
    limit = 1 / 3 + 0.15 * (1 - 1 / 3)
    found = {row["seen"]: row for row in rows}
    for name in ("border alone", "source"):
        assert found[name]["limit"] == pytest.approx(limit)
        assert found[name]["lung"] == "not seen"
        assert (found[name]["verdict"] == "fault") == (found[name]["score"] >= limit)
    assert found["source"]["verdict"] == "fault"
    assert found["thumbnail of 16x16"]["limit"] is None
    assert found["thumbnail of 16x16"]["verdict"] == "skipped"  # the estimator is at chance


def test_few_images_are_said_to_be_few():
    X, y = make_chest_xrays(12, random_state=0)
    report = audit(X, y)
    check = report.checks["shortcuts"]
    assert check.verdict == "warning"
    # The lowest recall of which the interval, with 4 images a class, leaves chance out: by
    # bisection of Wilson's lower limit. Four views of the image and the permuted labels are tried.
    z = stats.norm.isf(0.01 / 4)

    def low(p, n=4):
        centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
        return p - (p - (centre - half) / (1 + z**2 / n)) / np.sqrt(3)

    weakest = optimize.brentq(lambda p: low(p) - 1 / 3, 0.4, 1)
    (said,) = re.findall(r"a view that scores about (0\.\d+) or more is found", check.sentence)
    assert float(said) == pytest.approx(weakest, abs=2e-3)
    assert report.conclusion.startswith("Nothing was found, but that says little")


def test_of_two_images_a_class_nothing_can_be_found(chests):
    X, y = chests
    rows = np.r_[np.flatnonzero(y == 0)[:2], np.flatnonzero(y == 1)[:2]]
    report = audit(X[rows], y[rows])
    assert report.checks["shortcuts"].verdict == "skipped"
    assert "not even a view that tells every image" in report.checks["shortcuts"].sentence
    assert "was not tested" in report.conclusion
