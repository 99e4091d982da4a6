"""Sentences and notes: what was shown, and what to know before figures are believed."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.tree import DecisionTreeClassifier

from lungestimators import compare_models, compare_predictions
from lungestimators.comparison import statistics, wording

from .small_models import MODELS, folds_of, said_with


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


def test_patients_on_both_sides_of_a_split_are_said_where_it_is_too_late_to_refuse():
    y = np.tile([0, 1], 10)
    splits = [(np.arange(10), np.arange(10, 20))]
    apart, shared = np.arange(20), np.arange(20) % 10
    said = {"a": [(y[10:],)]}
    assert "both sides" not in str(compare_predictions(y, said, splits, apart))
    assert "In 1 of 1 split a group is on both sides" in " ".join(
        compare_predictions(y, said, splits, shared).notes
    )


def test_models_that_share_the_highest_score_are_all_named():
    y = np.tile([0, 1], 20)
    splits = [(np.arange(20), np.arange(20, 40))]
    shares = {"a": [0.9], "b": [0.9], "c": [0.0]}
    said = {name: said_with(y, splits, share) for name, share in shares.items()}
    found = compare_predictions(y, said, splits, random_state=0)
    assert found.conclusion == (
        "a and b have the highest accuracy, 0.900. Each of them was shown to be better than c."
    )


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
    text = wording.p_value_for_sentence(p)
    assert (float(text.removeprefix("p = ")) < 0.05) == (p < 0.05)
    assert float(text.removeprefix("p = ")) == pytest.approx(p, abs=5e-4)
