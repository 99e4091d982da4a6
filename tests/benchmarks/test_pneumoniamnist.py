"""benchmarks/pneumoniamnist.py: what it chooses, and that it never looks at test images."""

import importlib
import json
from pathlib import Path

import joblib
import numpy as np
import pytest

from lungestimators import make_chest_xrays


@pytest.fixture
def pneumoniamnist(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("pneumoniamnist")


@pytest.fixture
def file(tmp_path):
    """Synthetic images in the form of a MedMNIST file, whose test labels are not even labels."""
    X, y = make_chest_xrays(72, image_size=32, difficulty=0.2, random_state=0)
    y = np.minimum(y, 1)
    arrays = {}
    for part, rows in (("train", slice(48)), ("val", slice(48, 72))):
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = X[rows], y[rows, None]
    arrays["test_images"], arrays["test_labels"] = X[:4] * 0, np.full((4, 1), 7)
    path = tmp_path / "pneumoniamnist.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.slow
def test_the_saved_model_is_the_one_whose_scores_are_written(
    pneumoniamnist, file, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(pneumoniamnist, "CANDIDATES", 2)
    pneumoniamnist.main(["--data", str(file), "--quick", "--out", str(tmp_path / "out")])
    assert "2 of 2 trained" in capsys.readouterr().out
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(written["scores"]) == {"val"}
    assert "figures mean nothing" in (tmp_path / "out" / "results.md").read_text()
    losses = [row["log loss"] for row in written["candidates"]]
    assert written["used"] == [int(np.argmin(losses))]  # the better half of two
    model = joblib.load(tmp_path / "out" / "model.joblib")
    with np.load(file) as arrays:
        X, y = arrays["val_images"], arrays["val_labels"].ravel()
    assert written["scores"]["val"]["accuracy"] == np.mean(model.predict(X) == y)
    above = model.predict_proba(X)[:, 1] >= written["threshold"]
    np.testing.assert_array_equal(model.predict(X) == 1, above)


def test_candidates_differ_and_follow_from_the_seed(pneumoniamnist):
    first, again, other = (pneumoniamnist.candidates(seed, 1) for seed in (0, 0, 1))
    assert len({str(classifier.get_params()) for classifier in first}) == len(first)
    assert [str(c.get_params()) for c in first] == [str(c.get_params()) for c in again]
    assert [str(c.get_params()) for c in first] != [str(c.get_params()) for c in other]


def test_the_threshold_is_the_middle_of_the_best_ones(pneumoniamnist):
    y = np.array([0, 0, 1, 1])
    assert pneumoniamnist.best_threshold(y, np.array([0.1, 0.2, 0.8, 0.9])) == pytest.approx(0.5)
    # Three of four right above and below: the ones in between are worse.
    assert pneumoniamnist.best_threshold(y, np.array([0.1, 0.6, 0.4, 0.9])) in (0.25, 0.75)


def test_networks_that_tell_nothing_apart_have_a_threshold_too(pneumoniamnist):
    assert pneumoniamnist.best_threshold(np.array([0, 1, 1]), np.full(3, 0.7)) == 0.5


def test_a_trial_run_does_not_replace_the_results(pneumoniamnist, file, capsys):
    with pytest.raises(SystemExit):
        pneumoniamnist.main(["--data", str(file), "--quick"])
    assert "--quick needs --out" in capsys.readouterr().err


def test_test_images_that_are_not_there_are_missed_before_anything_is_trained(
    pneumoniamnist, tmp_path, capsys
):
    path = tmp_path / "few.npz"
    np.savez(path, train_images=0, train_labels=np.zeros(1), val_images=0, val_labels=np.zeros(1))
    with pytest.raises(SystemExit):
        pneumoniamnist.main(["--data", str(path), "--test"])
    assert "has no test images" in capsys.readouterr().err
