"""Models that can and cannot take part, and what a fit of them shows."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from lungestimators import compare_models

from .small_models import MODELS, Probable, Recorder

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


def test_patients_are_passed_to_a_fit_that_requests_them():
    groups = np.repeat(list("abcdefghij"), 3)
    Recorder.seen.clear()
    with config_context(enable_metadata_routing=True):
        models = [Recorder().set_fit_request(groups=True)]
        compare_models(models, np.arange(30)[:, None], np.tile([0, 1], 15), 2, groups)
    for train, given in Recorder.seen:
        np.testing.assert_array_equal(np.unique(given), np.unique(groups[train]))


def test_a_model_that_fails_is_named(table):
    with pytest.raises(ValueError, match="penalty") as raised:
        compare_models(MODELS | {"broken": LogisticRegression(penalty="x")}, *table)
    assert "compare_models was training 'broken'" in raised.value.__notes__


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


def test_one_model_by_itself_is_refused_and_not_taken_for_its_steps(table):
    pipeline = make_pipeline(LogisticRegression(), LogisticRegression())
    for given in (pipeline, LogisticRegression(), None):
        with pytest.raises(TypeError, match="must be a dict of name to classifier, or a list"):
            compare_models(given, *table)
