"""A comparison as text, as HTML and as plain data; predictions out of fold."""

import json
import pickle
import re

import numpy as np
import pytest
from scipy import stats
from sklearn.calibration import CalibrationDisplay
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from lungestimators import compare_models

from .small_models import MODELS


def printed(found):
    """The text, with each table row as its cells."""
    return [re.split(r"  +", line.strip()) for line in str(found).splitlines()]


def test_it_prints_and_becomes_html_and_plain_data(table):
    found = compare_models(MODELS | {"<svc>": LinearSVC()}, *table, cv=3, random_state=0)
    printed = str(found)
    for text in (*MODELS, "<svc>", "95 % interval", "by image", "log loss", found.conclusion[:40]):
        assert text in printed
    assert max(map(len, printed.splitlines())) < 130
    assert repr(found) == "<ModelComparison of 3 models by accuracy>"
    page = found._repr_html_()
    assert "&lt;svc&gt;" in page
    assert "<svc>" not in page
    data = json.loads(json.dumps(found.to_dict()))
    assert data["models"] == found.models
    assert data["pairs"] == found.pairs


def test_what_probabilities_were_said_can_be_had_for_a_calibration_curve(squares):
    X, y = squares
    X = X.reshape(48, -1)[:, :40]
    found = compare_models({"bayes": GaussianNB(var_smoothing=1)}, X, y, cv=3, random_state=0)
    y_true, y_proba = found.out_of_fold("bayes")
    assert sorted(y_true) == sorted([*y, *y])  # each image twice
    np.testing.assert_allclose(y_proba.sum(axis=1), 1)
    import matplotlib

    matplotlib.use("agg")
    display = CalibrationDisplay.from_predictions(y_true, y_proba[:, 1], pos_label="opaque")
    assert len(display.prob_true) > 1


def test_out_of_fold_says_row_repeat_fold_and_label_of_each_prediction(table):
    X, y = table
    found = compare_models(MODELS, X, y, cv=3, n_repeats=2, random_state=0)
    said = found.out_of_fold("regression")
    y_true, y_proba = said
    np.testing.assert_array_equal(y_true, y[said.row])
    np.testing.assert_array_equal(said.repeat, said.fold // 3)
    assert np.unique(said.fold).tolist() == [0, 1, 2, 3, 4, 5]
    for repeat in (0, 1):
        assert sorted(said.row[said.repeat == repeat]) == list(range(120))
    scores = [np.mean(said.y_pred[said.fold == f] == y_true[said.fold == f]) for f in range(6)]
    assert scores == pytest.approx(found.models[0]["fold_scores"])
    for fold in range(6):
        test = said.row[said.fold == fold]
        train = np.setdiff1d(np.arange(120), test)
        fitted = LogisticRegression().fit(X[train], y[train])
        np.testing.assert_allclose(y_proba[said.fold == fold], fitted.predict_proba(X[test]))
    again = pickle.loads(pickle.dumps(said))
    np.testing.assert_array_equal(again.row, said.row)
    with pytest.raises(KeyError, match="there is no model 'tree'"):
        found.out_of_fold("tree")


def test_of_one_model_each_interval_is_named_and_explained(table):
    found = compare_models({"a": GaussianNB()}, *table, cv=4, n_repeats=1, random_state=0)
    header, line = printed(found)[:2]
    cells = dict(zip(header[:4], line[:4], strict=True))
    (row,) = found.models
    # By hand: t of 3 degrees of freedom, variance times 1/4 + 1/3; or Wilson's, if it is wider.
    scores = np.array(row["fold_scores"])
    half = stats.t.ppf(0.975, 3) * np.sqrt(scores.var(ddof=1) * (1 / 4 + 1 / 3))
    wilson = stats.binomtest(round(120 * scores.mean()), 120).proportion_ci(method="wilson")
    low, high = min(scores.mean() - half, wilson.low), max(scores.mean() + half, wilson.high)
    assert cells["95 % by folds"] == f"{low:.3f} to {high:.3f}"
    assert cells["95 % by images"] == f"{row['bootstrap_low']:.3f} to {row['bootstrap_high']:.3f}"
    notes = " ".join(found.notes)
    assert "95 % by folds: how far the score may move with other training and test images" in notes
    assert "95 % by images: how far the score may move with other test images" in notes
    assert "p of the accuracy" not in notes


def test_of_one_test_set_there_is_one_interval(table):
    X, y = table
    split = (np.arange(60), np.arange(60, 120))
    models = {"regression": LogisticRegression(), "bayes": GaussianNB()}
    found = compare_models(models, X, y, cv=split, random_state=0)
    assert "by images" not in str(found)
    assert "by folds" not in str(found)
    row = found.models[0]
    wilson = stats.binomtest(round(60 * row["accuracy"]), 60).proportion_ci(method="wilson")
    assert f"{wilson.low:.3f} to {wilson.high:.3f}" in str(found)


def test_differences_of_the_auc_are_printed(table):
    X, y = table
    split = (np.arange(60), np.arange(60, 120))
    models = {"regression": LogisticRegression(), "bayes": GaussianNB()}
    found = compare_models(models, X, y, cv=split, random_state=0)
    (pair,) = found.pairs
    aucs = {
        name: roc_auc_score(
            y[60:], model.fit(X[:60], y[:60]).predict_proba(X[60:]), multi_class="ovr"
        )
        for name, model in models.items()
    }
    (line,) = [line for line in printed(found) if line[0].endswith(f"minus {pair['second']}")]
    assert line[-2] == f"{aucs[pair['first']] - aucs[pair['second']]:+.3f}"
    assert line[-1] == f"{pair['roc_auc_low']:.3f} to {pair['roc_auc_high']:.3f}"
    found = compare_models(models, X, y, cv=split, scoring="roc_auc", random_state=0)
    header = next(line for line in printed(found) if line[0] == "difference")
    assert header.count("AUC") == 1


def test_groups_are_called_groups(table):
    found = compare_models(MODELS, *table, 3, np.arange(120) // 3, random_state=0)
    assert "95 % by groups" in str(found)
    assert "patient" not in str(found)
