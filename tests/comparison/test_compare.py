"""Comparing models: the same folds for all, degenerate cases said, bad input refused."""

import json
import pickle
import re

import numpy as np
import pytest
from joblib import parallel_config
from PIL import Image
from scipy import stats
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    RepeatedStratifiedKFold,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from lungestimators import compare_models, compare_predictions
from lungestimators.comparison import report, statistics
from lungestimators.comparison import scores as quality

MODELS = {"regression": LogisticRegression(), "largest": DummyClassifier()}


@pytest.fixture(scope="module")
def table():
    X, y = make_classification(120, n_informative=4, n_classes=3, random_state=0)
    return X, np.array(["clear", "dense", "nodular"])[y]


def test_scores_are_those_of_scikit_learn_on_the_same_folds(table):
    folds = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0)
    found = compare_models(MODELS, *table, cv=folds, random_state=0)
    names = {
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced_accuracy",
        "roc_auc": "roc_auc_ovr",
        "log_loss": "neg_log_loss",
        "brier_score": "neg_brier_score",
    }
    for row, estimator in zip(found.models, MODELS.values(), strict=True):
        scored = cross_validate(estimator, *table, cv=folds, scoring=names)
        for name in names:
            expected = np.abs(scored[f"test_{name}"])
            assert row[name] == pytest.approx(expected.mean()), name
        assert row["fold_scores"] == pytest.approx(scored["test_accuracy"].tolist())


def test_two_classes_are_scored_as_scikit_learn_does(squares):
    X, y = squares
    X = X.reshape(48, -1)[:, :40]  # without the square: hard to tell
    folds = StratifiedKFold(3)
    names = dict(roc_auc="roc_auc", log_loss="neg_log_loss", brier_score="neg_brier_score")
    number = (y == "opaque").astype(int)  # scikit-learn's Brier score wants numbers
    scored = cross_validate(GaussianNB(var_smoothing=1), X, number, cv=folds, scoring=names)
    (row,) = compare_models([GaussianNB(var_smoothing=1)], X, y, cv=folds).models
    for name in names:
        assert row[name] == pytest.approx(abs(scored[f"test_{name}"].mean())), name


def test_differences_and_their_test_are_those_of_a_hand_written_loop(table):
    X, y = table
    splits = list(StratifiedKFold(4).split(X, y))
    found = compare_models(MODELS, X, y, cv=splits, random_state=0)
    scores = [
        [clf.fit(X[train], y[train]).score(X[test], y[test]) for train, test in splits]
        for clf in (LogisticRegression(), DummyClassifier())
    ]
    differences = np.subtract(*scores)
    (pair,) = found.pairs
    expected = statistics.corrected_t_test(differences, 30 / 90)
    assert pair["difference"] == pytest.approx(differences.mean())
    assert (pair["low"], pair["high"]) == pytest.approx((expected.low, expected.high))
    assert pair["pvalue"] == pair["adjusted_pvalue"] == pytest.approx(expected.pvalue)
    assert pair["bootstrap_low"] < pair["difference"] < pair["bootstrap_high"]
    wilcoxon = compare_models(MODELS, X, y, cv=splits, test="wilcoxon", random_state=0)
    assert wilcoxon.pairs[0]["pvalue"] == pytest.approx(statistics.wilcoxon_test(differences))
    assert "cannot be below 0.125" in " ".join(wilcoxon.notes)


def test_what_wilcoxons_test_cannot_show_allows_for_the_pairs_with_smaller_p():
    y = np.arange(200) % 2
    rows = np.arange(200).reshape(10, 20)
    splits = [(np.setdiff1d(np.arange(200), test), test) for test in rows]

    def predict(n_wrong):
        n_wrong = np.array(n_wrong)[:, None]
        return [(said,) for said in np.where(np.arange(20) < n_wrong, 1 - y[rows], y[rows])]

    predictions = {"A": predict([0] * 10), "B": predict([1] * 6 + [0] * 4), "C": predict([9] * 10)}
    found = compare_predictions(y, predictions, splits, test="wilcoxon", random_state=0)
    # A and B differ in 6 folds: 2**-5, which is the largest of three p and hence not multiplied.
    assert [pair["adjusted_pvalue"] for pair in found.pairs] == [2**-5, 3 * 2**-9, 3 * 2**-9]
    assert all(pair["shown"] for pair in found.pairs)
    assert "no difference can be shown" not in " ".join(found.notes)
    del predictions["C"]
    predictions |= {"D": predict([0] * 6 + [1] * 4)}
    found = compare_predictions(y, predictions, splits, test="wilcoxon", random_state=0)
    assert "A minus D: the scores differ in 4 folds" in " ".join(found.notes)
    assert "cannot be below 0.250 after Holm's correction for 3 comp" in " ".join(found.notes)


def test_sentences_say_whether_a_difference_was_shown(table):
    models = MODELS | {"tree": DecisionTreeClassifier(random_state=0)}
    found = compare_models(models, *table, cv=5, random_state=0)
    adjusted = statistics.holm([pair["pvalue"] for pair in found.pairs])
    assert [pair["adjusted_pvalue"] for pair in found.pairs] == adjusted.tolist()
    assert {pair["shown"] for pair in found.pairs} == {True, False}
    for pair, sentence in zip(found.pairs, found.sentences, strict=True):
        assert pair["difference"] >= 0
        if pair["shown"]:
            assert sentence.startswith(f"{pair['first']} is better than {pair['second']}: ")
        else:
            between = f"No difference between {pair['first']} and {pair['second']} was shown: "
            assert sentence.startswith(between)
        higher = f"the accuracy of {pair['first']} is higher by {pair['difference']:.3f} "
        assert f"{higher}(95 % interval {pair['low']:.3f} to {pair['high']:.3f}; p " in sentence
        assert "after Holm's correction for 3 comparisons)" in sentence
        assert sentence.endswith(", which may be chance.") != pair["shown"]
    best = max(found.models, key=lambda row: row["accuracy"])
    assert found.conclusion.startswith(f"{best['model']} has the highest accuracy")


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


def test_the_same_random_state_gives_the_same_comparison(table):
    first, again = (compare_models(MODELS, *table, random_state=3).to_dict() for _ in range(2))
    for data in (first, again):
        for row in data["models"]:
            del row["fit_seconds"]
    assert first == again
    state = np.random.get_state()[1].copy()
    with parallel_config("threading"):
        data = compare_models(MODELS, *table, random_state=3, n_jobs=2).to_dict()
    for row in data["models"]:
        del row["fit_seconds"]
    assert first == data
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_identical_models_have_p_1(table):
    found = compare_models([LogisticRegression(), LogisticRegression()], *table, cv=3)
    (pair,) = found.pairs
    assert (pair["difference"], pair["low"], pair["high"], pair["pvalue"]) == (0, 0, 0, 1)
    assert found.conclusion.startswith("All models have the same accuracy")
    assert [row["model"] for row in found.models] == [
        "logisticregression-1",
        "logisticregression-2",
    ]


def test_folds_that_differ_by_the_same_are_tested_by_the_bootstrap_and_it_says_so():
    X = np.repeat([0.0, 1.0], 50)[:, None]
    y = np.repeat(["healthy", "ill"], 50)
    models = {"perfect": DecisionTreeClassifier(), "largest": DummyClassifier()}
    found = compare_models(models, X, y, cv=5, random_state=0)
    (pair,) = found.pairs
    assert pair["difference"] == 0.5
    assert pair["test"] == "bootstrap"
    assert 0.3 < pair["low"] < 0.5 < pair["high"] < 0.7
    assert pair["shown"]
    assert any("leaves the t-test no variance" in note for note in found.notes)
    low, high = found.models[0]["low"], found.models[0]["high"]
    assert low == pytest.approx(1 / (1 + 1.959964**2 / 100))  # Wilson's for 100 of 100
    assert high == pytest.approx(1)


def test_one_split_is_judged_by_mcnemars_test(table):
    X, y = table
    split = (np.arange(60), np.arange(60, 120))
    models = {"regression": LogisticRegression(), "tree": DecisionTreeClassifier(random_state=0)}
    right = [m.fit(X[:60], y[:60]).predict(X[60:]) == y[60:] for m in models.values()]
    found = compare_models(models, X, y, cv=split, random_state=0)
    expected, _ = statistics.mcnemar_test(*np.array(right, float), np.arange(60), 0)
    assert found.pairs[0]["test"] == "mcnemar"
    assert found.pairs[0]["pvalue"] == expected
    row = found.models[0]
    assert (row["low"], row["high"]) == statistics.wilson_interval(right[0].sum(), 60)
    by_auc = compare_models(models, X, y, cv=[split], scoring="roc_auc", random_state=0)
    assert by_auc.pairs[0]["test"] == "bootstrap"
    assert (by_auc.pairs[0]["low"] > 0) == (by_auc.pairs[0]["pvalue"] < 0.05)


def test_one_split_with_groups_is_judged_by_group(table):
    X, y = table
    groups = np.arange(120) // 6
    split = (np.arange(60), np.arange(60, 120))
    by_patient = compare_models(MODELS, X, y, split, groups, random_state=0)
    by_image = compare_models(MODELS, X, y, split, random_state=0)
    assert "bootstrap of 10 groups" in " ".join(by_patient.notes)
    assert "bootstrap of 60 images" in " ".join(by_image.notes)
    assert by_patient.pairs[0]["pvalue"] > by_image.pairs[0]["pvalue"]
    low, high = statistics.wilson_interval(60 * by_image.models[0]["accuracy"], 60)
    assert by_patient.models[0]["low"] <= low
    assert by_patient.models[0]["high"] >= high


def test_a_list_of_files_is_split_as_cross_validation_does(cnn, squares, tmp_path):
    X, y = squares
    paths = [str(tmp_path / f"{number}.png") for number in range(len(X))]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    cnn.set_params(epochs=1)
    folds = KFold(2)
    found = compare_models({"cnn": cnn}, paths, list(y), cv=folds, random_state=0)
    expected = cross_val_predict(cnn, paths, y, cv=folds, method="predict_proba")
    np.testing.assert_array_equal(found.out_of_fold("cnn")[1], expected)


class Recorder(ClassifierMixin, BaseEstimator):
    """It notes what it was trained on; it says the largest class."""

    seen = []  # noqa: RUF012 (shared by clones on purpose)

    def fit(self, X, y, groups=None):
        self.seen.append((X[:, 0].astype(int).tolist(), groups))
        self.classes_, counts = np.unique(y, return_counts=True)
        self.most_ = self.classes_[counts.argmax()]
        return self

    def predict(self, X):
        return np.full(len(X), self.most_)


def test_all_models_see_the_same_folds_and_patients_are_kept_together():
    rows, groups = np.arange(60)[:, None], np.arange(60) // 3
    y = np.tile([0, 1], 30)
    Recorder.seen.clear()
    found = compare_models([Recorder(), Recorder()], rows, y, 3, groups, n_repeats=2)
    seen = [train for train, _ in Recorder.seen]
    assert seen[::2] == seen[1::2]
    assert len(seen) == 12
    assert len({tuple(train) for train in seen}) == 6  # repeats have other folds
    for train in seen:
        assert not set(groups[train]) & set(np.delete(groups, train))
    assert all(given is None for _, given in Recorder.seen)
    assert found.models[0]["log_loss"] is None
    assert "No probabilities, hence no AUC and no log loss: recorder-1, recorder-2" in str(found)
    assert found.out_of_fold("recorder-1")[1] is None


def test_patients_are_passed_to_a_fit_that_requests_them():
    groups = np.repeat(list("abcdefghij"), 3)
    Recorder.seen.clear()
    with config_context(enable_metadata_routing=True):
        models = [Recorder().set_fit_request(groups=True)]
        compare_models(models, np.arange(30)[:, None], np.tile([0, 1], 15), 2, groups)
    for train, given in Recorder.seen:
        np.testing.assert_array_equal(np.unique(given), np.unique(groups[train]))


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


def test_the_calibration_error_is_that_of_a_loop_over_bins():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1, 1], 200)
    probabilities[0] = [1, 0, 0]
    truth = rng.integers(0, 3, 200)
    expected = 0
    for low in np.arange(10) / 10:
        inside = [p for p in range(200) if low <= min(probabilities[p].max(), 0.999) < low + 0.1]
        if inside:
            right = np.mean([probabilities[p].argmax() == truth[p] for p in inside])
            said = np.mean([probabilities[p].max() for p in inside])
            expected += len(inside) / 200 * abs(right - said)
    assert quality.calibration_error(truth, probabilities) == pytest.approx(expected)
    assert quality.calibration_error(truth, np.eye(3)[truth]) == 0


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "roc_auc"])
def test_weighted_scores_are_those_of_images_repeated(metric):
    rng = np.random.default_rng(0)
    y, probabilities = np.arange(45) % 3, rng.dirichlet([1, 1, 1], 45)
    fold = quality.Fold(np.arange(45), probabilities.argmax(axis=1), probabilities, None)
    weights = rng.integers(1, 4, (3, 45))
    found = quality.resampled(metric, y, [fold], 3)(weights.astype(float))
    for row, score in zip(weights, found, strict=True):
        again = np.repeat(np.arange(45), row)
        expected = quality.fold_scores(y[again], fold.predicted[again], probabilities[again], 3)
        assert score == pytest.approx(expected[metric])


def test_folds_that_lack_a_class_are_said(table):
    X, y = table
    order = np.argsort(y, kind="stable")
    found = compare_models(MODELS, X[order], y[order], cv=KFold(12), random_state=0)
    assert found.models[0]["roc_auc"] is None
    assert "test images of 12 of 12 splits lack a class" in " ".join(found.notes)
    splits = [(np.r_[0:80], np.r_[80:120]), (np.r_[40:120], np.r_[0:40])]
    found = compare_models(MODELS, X[order], y[order], cv=splits, random_state=0)
    assert "training images of 2 of 2 splits lack a class" in " ".join(found.notes)
    assert "2 folds are few" in " ".join(found.notes)
    assert np.isfinite(found.models[0]["log_loss"])


def test_predictions_made_before_are_judged_alike(table):
    X, y = table
    splits = list(StratifiedKFold(3).split(X, y))
    predictions = {name: [] for name in MODELS}
    for train, test in splits:
        for name, model in MODELS.items():
            model.fit(X[train], y[train])
            predictions[name].append((model.predict(X[test]), model.predict_proba(X[test])))
    made_before = compare_predictions(y, predictions, splits)
    found = compare_models(MODELS, X, y, cv=splits)
    for before, row in zip(made_before.models, found.models, strict=True):
        for key in ("accuracy", "low", "high", "roc_auc", "log_loss", "brier_score"):
            assert before[key] == pytest.approx(row[key])
        assert before["fit_seconds"] is None
    assert made_before.pairs[0]["pvalue"] == found.pairs[0]["pvalue"]


def test_several_predictions_of_one_test_set_are_one_test_set():
    y = np.tile([0, 1], 20)
    split = (np.arange(20), np.arange(20, 40))
    rng = np.random.default_rng(0)
    seeds = [
        [(np.where(rng.random(20) < share, y[20:], 1 - y[20:]),) for _ in range(3)]
        for share in (0.9, 0.6)
    ]
    found = compare_predictions(y, dict(zip("ab", seeds, strict=True)), [split] * 3)
    assert found.pairs[0]["test"] == "permutation"
    assert "one set of 20 tested images" in str(found)


def test_patients_on_both_sides_of_a_split_are_said_where_it_is_too_late_to_refuse():
    y = np.tile([0, 1], 10)
    splits = [(np.arange(10), np.arange(10, 20))]
    apart, shared = np.arange(20), np.arange(20) % 10
    said = {"a": [(y[10:],)]}
    assert "both sides" not in str(compare_predictions(y, said, splits, apart))
    assert "In 1 of 1 split a group is on both sides" in " ".join(
        compare_predictions(y, said, splits, shared).notes
    )


def test_the_bootstrap_can_be_the_test_of_folds(table):
    found = compare_models(MODELS, *table, cv=3, test="bootstrap", random_state=0)
    (pair,) = found.pairs
    assert (pair["low"], pair["high"]) == (pair["bootstrap_low"], pair["bootstrap_high"])
    assert pair["low"] > 0
    assert pair["shown"]


def folds_of(y, n_splits):
    """Splits that test the images in their order, and train on all others."""
    rows = np.arange(len(y))
    return [(np.setdiff1d(rows, test), test) for test in np.array_split(rows, n_splits)]


def said_with(y, splits, shares):
    """Predictions of a model that is right on a given share of the images of each split."""
    return [
        (np.where(np.arange(len(test)) < round(share * len(test)), y[test], 1 - y[test]),)
        for (_, test), share in zip(splits, shares, strict=True)
    ]


def test_a_model_that_wins_by_the_mean_and_loses_by_ranks_is_not_called_better():
    y = np.tile([0, 1], 200)
    splits = folds_of(y, 20)
    first, second = [1.0] + [0.7] * 19, [0.0] + [0.75] * 19
    said = {"a": said_with(y, splits, first), "b": said_with(y, splits, second)}
    found = compare_predictions(y, said, splits, test="wilcoxon", random_state=0)
    (pair,) = found.pairs
    assert (pair["first"], pair["pvalue"], pair["shown"]) == ("a", 1, False)
    assert "comes from the bootstrap and not from the test" in " ".join(found.notes)


@pytest.mark.parametrize("scoring", ["balanced_accuracy", "roc_auc"])
def test_a_handful_of_images_shows_nothing_by_the_bootstrap(scoring):
    y = np.tile([0, 1], 10)
    splits = [(np.arange(16), np.arange(16, 20))]
    right = np.eye(2)[y[16:]]
    said = {"a": [(y[16:], right)], "b": [(1 - y[16:], 1 - right)]}
    found = compare_predictions(y, said, splits, scoring=scoring, random_state=0)
    assert found.pairs[0]["pvalue"] == 2 / 2**4  # of all ways to exchange four images, two
    assert not found.pairs[0]["shown"]
    assert "4 images are few" in " ".join(found.notes)


def test_folds_of_few_images_that_differ_by_the_same_show_nothing():
    y = np.tile([0, 1], 2)
    splits = folds_of(y, 2)
    said = {"a": said_with(y, splits, [1, 1]), "b": said_with(y, splits, [0, 0])}
    (pair,) = compare_predictions(y, said, splits, random_state=0).pairs
    assert (pair["test"], pair["pvalue"], pair["shown"]) == ("bootstrap", 2 / 2**4, False)


def test_one_patient_has_no_interval_and_shows_nothing():
    y = np.tile([0, 1], 20)
    splits, groups = [(np.arange(20), np.arange(20, 40))], np.repeat([0, 1], 20)
    said = {"a": said_with(y, splits, [1]), "b": said_with(y, splits, [0])}
    for test in ("auto", "bootstrap"):
        found = compare_predictions(y, said, splits, groups, test=test, random_state=0)
        (pair,) = found.pairs
        assert (pair["pvalue"], pair["low"], pair["bootstrap_high"]) == (1, None, None)
        assert found.models[0]["low"] is None
        assert "no interval; p = 1.000" in found.sentences[0]
        assert "There is one group only" in str(found)


@pytest.mark.parametrize("scoring", ["accuracy", "balanced_accuracy"])
def test_the_bootstrap_resamples_the_mean_over_folds_of_different_sizes(scoring):
    y = np.tile([0, 1], 60)
    splits = [(np.arange(100, 120), np.arange(100)), (np.arange(100), np.arange(100, 120))]
    said = {"a": said_with(y, splits, [1, 0])}
    (row,) = compare_predictions(y, said, splits, scoring=scoring, random_state=0).models
    assert row[scoring] == 0.5
    assert row["bootstrap_low"] < 0.5 < row["bootstrap_high"]
    # Folds of one image: as if there were none.
    one_each = folds_of(y, 120)
    said = {"a": [(y[test] if test[0] % 3 else 1 - y[test],) for _, test in one_each]}
    (row,) = compare_predictions(y, said, one_each, random_state=0).models
    low, high = statistics.wilson_interval(80, 120)
    assert (row["bootstrap_low"], row["bootstrap_high"]) == pytest.approx((low, high), abs=0.02)


def test_the_order_of_test_images_does_not_matter_and_the_test_made_is_named():
    y = np.tile([0, 1], 20)
    rows = np.arange(20, 40)
    splits = [(np.arange(20), rows), (np.arange(20), rows[::-1])]
    said = {"a": said_with(y, splits, [1, 0.9]), "b": said_with(y, splits, [0.5, 0.2])}
    found = compare_predictions(y, said, splits, random_state=0)
    assert found.pairs[0]["test"] == "permutation"
    assert "p of the accuracy: a permutation test" in str(found)
    assert "McNemar" not in str(found)


def test_models_that_share_the_highest_score_are_all_named():
    y = np.tile([0, 1], 20)
    splits = [(np.arange(20), np.arange(20, 40))]
    shares = {"a": [0.9], "b": [0.9], "c": [0.0]}
    said = {name: said_with(y, splits, share) for name, share in shares.items()}
    found = compare_predictions(y, said, splits, random_state=0)
    assert found.conclusion == (
        "a and b have the highest accuracy, 0.900. Each of them was shown to be better than c."
    )


def bad_calls(X, y):
    """Name -> (what differs from a good call, what the message says)."""
    groups = np.arange(len(y)) // 2
    half = np.arange(60)
    return {
        "no model": (dict(estimators={}), "nothing to compare"),
        "no classifier": (dict(estimators={"a": "CNN"}), "cannot fit and predict"),
        "one class": (dict(y=np.full(len(y), "clear")), "two classes or more"),
        "numbers": (dict(y=X[:, 0]), "two classes or more"),
        "lengths": (dict(y=y[:5]), "inconsistent numbers of samples"),
        "groups": (dict(groups=groups[:5]), "inconsistent numbers of samples"),
        "one fold": (dict(cv=1), "n_splits=1"),
        "repeats": (dict(n_repeats=0), "n_repeats=0"),
        "leaking patients": (dict(groups=groups, cv=StratifiedKFold(3)), "one group on both"),
        "no groups": (dict(cv=GroupKFold(3)), "'groups' parameter should not be None"),
        "overlap": (dict(cv=(half, half)), "tests images that it trains on"),
        "empty": (dict(cv=(half, np.array([], int))), "no test images"),
        "no splits": (dict(cv=[]), "no splits"),
        "score": (dict(scoring="f1"), "scoring='f1' must be one of"),
        "test": (dict(test="t"), "test='t' must be one of"),
        "t-test of one split": (
            dict(cv=(half, half + 60), test="corrected_t"),
            "several test sets",
        ),
        "McNemar of folds": (dict(test="mcnemar"), "one set of test images"),
        "AUC of labels": (dict(estimators=[LinearSVC()], scoring="roc_auc"), "needs predict_proba"),
        "AUC of a class": (dict(cv=LeaveOneOut(), scoring="roc_auc"), "split 0 lack a class"),
    }


class Diverged(Recorder):
    """Its probabilities are NaN, as those of a network whose loss is."""

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), np.nan)


def test_a_network_that_diverged_is_named_at_its_first_fit(table):
    Recorder.seen.clear()
    with pytest.raises(ValueError, match="'diverged' in split 0 are NaN"):
        compare_models({"diverged": Diverged(), "other": Recorder()}, *table, cv=3)
    assert len(Recorder.seen) == 1


def test_missing_patients_are_not_one_patient_more(table):
    groups = np.arange(120).astype(float) // 2
    groups[:3] = np.nan
    Recorder.seen.clear()
    with pytest.raises(ValueError, match="no value for 3 of 120"):
        compare_models([Recorder()], *table, cv=3, groups=groups)
    with pytest.raises(ValueError, match="no value for 1 of 120"):
        compare_models([Recorder()], *table, cv=3, groups=[None, *["p"] * 119])
    assert not Recorder.seen


def test_bad_arguments_are_refused_before_anything_is_trained(table):
    X, y = table
    good = dict(estimators=[Recorder()], X=X, y=y)
    Recorder.seen.clear()
    for name, (different, message) in bad_calls(X, y).items():
        with pytest.raises(ValueError) as raised:
            compare_models(**(good | different))
        assert message in str(raised.value), name
    assert not Recorder.seen


def test_predictions_that_do_not_fit_are_refused():
    y = ["healthy", "ill"] * 10
    splits = [(range(10), range(10, 20))]
    labels, sure = y[10:], np.eye(2)[[0, 1] * 5]
    for predictions, message in (
        ([], "0 for 1 splits"),
        ([(labels[:5],)], "5 labels for 10 images"),
        ([(["dead"] * 10,)], "the classes are"),
        ([(labels, sure[:, :1])], "have the shape"),
        ([(labels, 2 * sure)], "do not sum to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            compare_predictions(y, {"a": predictions}, splits)


def test_a_model_that_fails_is_named(table):
    with pytest.raises(ValueError, match="penalty") as raised:
        compare_models(MODELS | {"broken": LogisticRegression(penalty="x")}, *table)
    assert "compare_models was training 'broken'" in raised.value.__notes__


TWO = [("regression", LogisticRegression()), ("bayes", GaussianNB())]
LATE = {
    "stacked": StackingClassifier(TWO, cv=2),
    "in a pipeline": make_pipeline(StandardScaler(), StackingClassifier(TWO, cv=2)),
    "searched": GridSearchCV(StackingClassifier(TWO, cv=2), {"cv": [2]}, cv=2),
    "soft": VotingClassifier(TWO, voting="soft"),
    "calibrated": CalibratedClassifierCV(LinearSVC(), cv=2),
    "one against the rest": OneVsRestClassifier(LogisticRegression()),
}
SILENT = {
    "hard": VotingClassifier(TWO),
    "decision": SVC(),
    "searched": GridSearchCV(SVC(), {"C": [1]}, cv=2),
    "margins": OneVsRestClassifier(LinearSVC()),
    "stacked": StackingClassifier(TWO, final_estimator=SVC(), cv=2),
}


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("scoring", ["accuracy", "roc_auc"])
def test_methods_that_appear_after_fit_count(table, name, scoring):
    X, y = table
    split = (np.arange(60), np.arange(60, 120))
    (row,) = compare_models({name: LATE[name]}, X, y, cv=split, scoring=scoring).models
    fitted = LATE[name].fit(X[:60], y[:60])
    assert row["accuracy"] == pytest.approx(fitted.score(X[60:], y[60:]))
    expected = roc_auc_score(y[60:], fitted.predict_proba(X[60:]), multi_class="ovr")
    assert row["roc_auc"] == pytest.approx(expected)


def test_a_tuned_threshold_is_compared_by_its_labels_and_its_probabilities(squares):
    X, y = squares[0].reshape(48, -1)[:, :40], squares[1]
    tuned, split = (
        TunedThresholdClassifierCV(GaussianNB(), cv=2),
        (np.arange(24), np.arange(24, 48)),
    )
    (row,) = compare_models([tuned], X, y, cv=split).models
    fitted = tuned.fit(X[:24], y[:24])
    assert row["accuracy"] == pytest.approx(fitted.score(X[24:], y[24:]))
    expected = roc_auc_score(y[24:], fitted.predict_proba(X[24:])[:, 1])
    assert row["roc_auc"] == pytest.approx(expected)


@pytest.mark.parametrize("name", SILENT)
def test_a_model_without_probabilities_has_an_accuracy_and_a_sentence(table, name):
    X, y = table
    split = (np.arange(60), np.arange(60, 120))
    found = compare_models({name: SILENT[name]}, X, y, cv=split)
    expected = SILENT[name].fit(X[:60], y[:60]).score(X[60:], y[60:])
    assert found.models[0]["accuracy"] == pytest.approx(expected)
    assert found.models[0]["roc_auc"] is None
    assert f"No probabilities, hence no AUC and no log loss: {name}." in found.notes


@pytest.mark.parametrize("name", SILENT)
def test_an_auc_that_cannot_be_had_is_refused_before_other_models_are_trained(table, name):
    Probable.seen.clear()
    with pytest.raises(ValueError, match=f"needs predict_proba: '{name}' has none after fit"):
        compare_models({"other": Probable(), name: SILENT[name]}, *table, scoring="roc_auc")
    assert not Probable.seen


def test_a_search_that_cannot_predict_is_refused_before_other_models_are_trained(table):
    Recorder.seen.clear()
    search = GridSearchCV(LogisticRegression(), {"C": [1]}, refit=False)
    with pytest.raises(ValueError, match="'search' has no predict after fit"):
        compare_models({"other": Recorder(), "search": search}, *table, cv=3)
    assert not Recorder.seen


class Probable(Recorder):
    """It says the largest class with certainty."""

    def predict_proba(self, X):
        return np.tile((self.classes_ == self.most_).astype(float), (len(X), 1))


class Sometimes(Probable):
    """It has probabilities only where the first training row is 0, as another winner may not."""

    def __getattribute__(self, name):
        if name == "predict_proba" and self.__dict__.get("first_", 0):
            raise AttributeError(name)
        return super().__getattribute__(name)

    def fit(self, X, y):
        self.first_ = X[0, 0]
        return super().fit(X, y)


def test_probabilities_that_one_split_lacks_cost_the_auc_and_nothing_else():
    X, y = np.arange(40)[:, None], np.tile([0, 0, 0, 1], 10)
    splits = [(np.arange(20), np.arange(20, 40)), (np.arange(20, 40), np.arange(20))]
    models = {"sometimes": Sometimes(), "always": Probable()}
    with pytest.warns(UserWarning, match="sometimes had no predict_proba in some splits"):
        found = compare_models(models, X, y, cv=splits, scoring="roc_auc")
    assert found.scoring == "accuracy"
    assert [row["accuracy"] for row in found.models] == [0.75, 0.75]
    assert [row["roc_auc"] for row in found.models] == [None, 0.5]
    assert "so that accuracy is compared instead" in found.notes[0]


class Nameless(Recorder):
    """Its probabilities have columns that nothing names."""

    def fit(self, X, y):
        super().fit(X, y)
        del self.classes_
        return self

    def predict_proba(self, X):
        return np.full((len(X), 3), 1 / 3)


class Swapped(Probable):
    """It says that its classes are others than those that it was trained on."""

    def fit(self, X, y):
        super().fit(X, y)
        self.classes_ = np.arange(3)
        return self


def test_probabilities_whose_columns_nobody_can_name_are_refused(table):
    with pytest.raises(ValueError, match="'nameless' has predict_proba but no classes_"):
        compare_models([Nameless()], *table, cv=3)
    with pytest.raises(ValueError, match="classes_ of 'swapped' are"):
        compare_models([Swapped()], *table, cv=3)


def test_what_cannot_be_cloned_is_refused_with_the_reason(table):
    class Plain:
        def fit(self, X, y):
            return self

        def predict(self, X):
            return X

    for estimator, message in (
        (LogisticRegression, "an instance, LogisticRegression()"),
        (Plain(), "has no get_params"),
        (StandardScaler(), "cannot fit and predict"),
    ):
        with pytest.raises(ValueError) as raised:
            compare_models({"a": estimator}, *table)
        assert message in str(raised.value)


def test_only_a_printed_interval_is_said_to_have_no_width():
    y = np.tile([0, 1], 20)
    one, folds = [(np.arange(20), np.arange(20, 40))], [(np.arange(20), np.arange(20, 40))]
    folds += [(rows[1], rows[0]) for rows in folds]
    for splits, without_width in ((one, False), (folds, True)):
        right = {"right": [(y[test],) for _, test in splits]}
        found = compare_predictions(y, right, splits, random_state=0)
        (row,) = found.models
        assert (row["bootstrap_low"], row["bootstrap_high"]) == pytest.approx((1, 1))
        assert ("1.000 to 1.000" in str(found)) == without_width
        assert ("without width" in " ".join(found.notes)) == without_width


def test_one_model_by_itself_is_refused_and_not_taken_for_its_steps(table):
    pipeline = make_pipeline(LogisticRegression(), LogisticRegression())
    for given in (pipeline, LogisticRegression(), None):
        with pytest.raises(TypeError, match="must be a dict of name to classifier, or a list"):
            compare_models(given, *table)


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


def printed(found):
    """The text, with each table row as its cells."""
    return [re.split(r"  +", line.strip()) for line in str(found).splitlines()]


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


def test_a_difference_that_was_not_shown_is_said_in_a_sentence():
    y = np.tile([0, 1], 200)
    splits = folds_of(y, 4)
    said = {"a": said_with(y, splits, [0.8, 0.9, 0.8, 0.9]), "b": said_with(y, splits, [0.85] * 4)}
    said["a"][0] = (y[splits[0][1]],)
    found = compare_predictions(y, said, splits, random_state=0)
    assert found.conclusion == (
        "a has the highest accuracy, 0.900. It was not shown that it is better than b."
    )
    assert found.sentences[0].endswith(", which may be chance.")


def test_an_auc_whose_classes_are_in_one_image_each_has_no_interval_and_says_why():
    y = np.concatenate([np.repeat(np.arange(12), 2), np.arange(12)])
    split = (np.arange(24), np.arange(24, 36))
    rng = np.random.default_rng(0)
    said = {"a": [(y[24:], rng.dirichlet(np.ones(12), 12))]}
    found = compare_predictions(y, said, [split], random_state=0)
    assert (found.models[0]["roc_auc_low"], found.models[0]["roc_auc_high"]) == (None, None)
    assert found.models[0]["roc_auc"] is not None
    assert "More than half of the drawings of images lack a class" in " ".join(found.notes)
    assert "nan" not in str(found)


def test_an_interval_without_width_is_explained(table):
    X, y = table
    found = compare_models(
        MODELS, X, y, cv=3, scoring="balanced_accuracy", n_repeats=1, random_state=0
    )
    assert "An interval without width is no certainty" in " ".join(found.notes)
    models = {"regression": LogisticRegression()}
    found = compare_models(models, X, y, cv=3, n_repeats=1, random_state=0)
    assert "without width" not in " ".join(found.notes)


@pytest.mark.parametrize("p", [0.04999, 0.0496, 0.05, 0.0502, 0.2, 0.0012])
def test_a_printed_p_is_on_its_side_of_the_level(p):
    text = report.p_text(p)
    assert (float(text.removeprefix("p = ")) < 0.05) == (p < 0.05)
    assert float(text.removeprefix("p = ")) == pytest.approx(p, abs=5e-4)
