"""Estimators of scikit-learn around ours, saved and loaded, are the same estimators."""

import json

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import LinearSVC

from lungestimators import BackboneFeatures, BorderCrop, LungFields, load, save
from lungestimators.networks import lung_network
from tests.conftest import make_cnn
from tests.saving.files import change_document

# The squares are tiny, no radiographs, learnt from and predicted, and one epoch is too short.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*were learnt from images of",
    "ignore:.*to fit this",
    "ignore:Two lungs were not found",
    "ignore:Liblinear failed",
    "ignore:.*failed to converge",
    "ignore:The .* class.* is deprecated",
)

CNN = make_cnn().set_params(epochs=1)
FEATURES = BackboneFeatures("MobileNet", alpha=0.25, image_size=32)
AROUND_A_NETWORK = {
    "pipeline": make_pipeline(BorderCrop(), CNN),
    "lungs": make_pipeline(LungFields(image_size=32, on_missing="warn"), CNN),
    "calibrated": CalibratedClassifierCV(CNN, cv=2),
    "isotonic": CalibratedClassifierCV(
        make_pipeline(BorderCrop(), CNN), cv=StratifiedKFold(2), method="isotonic", ensemble=False
    ),
    "temperature": CalibratedClassifierCV(CNN, cv=2, method="temperature"),
    "voting": VotingClassifier(
        [("cnn", CNN), ("none", "drop"), ("head", make_pipeline(FEATURES, LogisticRegression()))],
        voting="soft",
        weights=[1, 1, 2],
    ),
    "fixed": FixedThresholdClassifier(CNN, threshold=0.3, pos_label="opaque"),
    "tuned": TunedThresholdClassifierCV(CNN, cv=2, scoring="accuracy", store_cv_results=True),
}
ON_FEATURES = [
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(MinMaxScaler(), RobustScaler(), MaxAbsScaler(), Normalizer(), LinearSVC()),
    make_pipeline(PCA(3), LinearDiscriminantAnalysis()),
    RidgeClassifier(),
    GaussianNB(),
    CalibratedClassifierCV(LogisticRegression(), cv=2, method="isotonic"),
    VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())], voting="soft"),
]
METHODS = "predict", "predict_proba", "decision_function", "transform"


def check_that_it_survives(estimator, X, folder):
    save(estimator, folder / "one.lung")
    again = load(folder / "one.lung")
    assert repr(again) == repr(estimator)
    for method in METHODS:
        if hasattr(estimator, method):
            found, expected = getattr(again, method)(X), getattr(estimator, method)(X)
            np.testing.assert_array_equal(found, expected)
    save(again, folder / "two.lung")
    assert (folder / "two.lung").read_bytes() == (folder / "one.lung").read_bytes()


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(
            each, id=name, marks=[] if name in ("pipeline", "tuned") else [pytest.mark.slow]
        )
        for name, each in AROUND_A_NETWORK.items()
    ],
)
def test_an_estimator_around_a_network_answers_the_same(estimator, squares, tmp_path):
    X, y = squares
    check_that_it_survives(estimator.fit(X, y), X, tmp_path)


def test_lungs_that_would_be_found_by_other_weights_are_warned_of(squares, tmp_path, monkeypatch):
    lungs = LungFields(on_missing="warn").fit(squares[0])
    save(lungs, tmp_path / "lungs.lung")
    assert vars(load(tmp_path / "lungs.lung"))["_pixel_dtype"] == squares[0].dtype
    monkeypatch.setattr(lung_network, "digest_of_lung_weights", lambda: "another")
    with pytest.warns(UserWarning, match="LungFields had other weights"):
        load(tmp_path / "lungs.lung")


def test_a_frozen_classifier_that_was_calibrated_later_answers_the_same(
    fitted_cnn, squares, tmp_path
):
    X, y = squares
    calibrated = CalibratedClassifierCV(FrozenEstimator(fitted_cnn)).fit(X, y)
    check_that_it_survives(calibrated, X, tmp_path)
    fitted_cnn.save(tmp_path / "cnn.lung")
    # The classifier stands in it twice, and its weights once.
    sizes = [(tmp_path / name).stat().st_size for name in ("one.lung", "cnn.lung")]
    assert sizes[0] < 1.5 * sizes[1]


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("head", ON_FEATURES, ids=lambda head: str(head)[:60])
def test_an_estimator_on_features_answers_the_same(head, n_classes, squares, tmp_path):
    X, _ = squares
    y = np.array(["a", "b", "c"])[np.arange(48) % n_classes]
    check_that_it_survives(make_pipeline(FEATURES, head).fit(X, y), X, tmp_path)


@pytest.mark.parametrize(
    ("step", "match"),
    [
        (FunctionTransformer(np.negative), r"Pipeline\['step'\] is of the class .*FunctionTrans"),
        (make_pipeline(BorderCrop(), memory="cache"), "memory is a folder"),
    ],
)
def test_a_step_that_a_file_cannot_hold_is_named(step, match, fitted_cnn, squares, tmp_path):
    pipeline = make_pipeline(BorderCrop(0), fitted_cnn)
    pipeline.steps[0] = "step", step
    with pytest.raises(ValueError, match=match):
        save(pipeline, tmp_path / "clf.lung")
    assert list(tmp_path.iterdir()) == []


def test_a_forest_and_a_search_cannot_be_saved(squares, tmp_path):
    X, y = squares
    for estimator in (RandomForestClassifier(2), GridSearchCV(GaussianNB(), {}, cv=2)):
        estimator.fit(X.reshape(48, -1), y)
        with pytest.raises(ValueError, match="best_estimator_"):
            save(estimator, tmp_path / "clf.lung")


def test_a_class_of_the_same_name_is_not_the_class_of_the_list(fitted_cnn, tmp_path):
    class CNNClassifier(type(fitted_cnn)):
        pass

    child = CNNClassifier()
    vars(child).update(vars(fitted_cnn))
    with pytest.raises(ValueError, match="not on the list of classes"):
        save(child, tmp_path / "clf.lung")


def test_an_unfitted_pipeline_cannot_be_saved(tmp_path):
    with pytest.raises(NotFittedError):
        save(make_pipeline(BorderCrop(), make_cnn()), tmp_path / "clf.lung")


def test_another_version_of_scikit_learn_is_warned_of(fitted_cnn, squares, tmp_path):
    X, y = squares
    path = tmp_path / "clf.lung"
    save(FixedThresholdClassifier(FrozenEstimator(fitted_cnn)).fit(X, y), path)
    change_document(path, lambda document: document["versions"].update({"scikit-learn": "1.0"}))
    with pytest.warns(InconsistentVersionWarning, match=r"from version 1\.0"):
        load(path)


@pytest.mark.parametrize(
    "attributes",
    [
        {"coef_": None},
        {"classes_": {"type": "array", "dtype": "<U1", "values": ["a", "a"]}},
        {"n_features_in_": 10**15},
        {"predict": [1]},
        {"__class__": "x"},
        {"_metadata_request": "x"},
    ],
    ids=lambda attributes: next(iter(attributes)),
)
def test_attributes_of_scikit_learn_that_cannot_be_are_refused(attributes, tmp_path):
    X = np.random.default_rng(0).normal(size=(20, 3))
    path = tmp_path / "clf.lung"
    save(LogisticRegression().fit(X, np.tile(["a", "b"], 10)), path)
    change_document(path, lambda document: document["estimator"]["state"].update(attributes))
    with pytest.raises(ValueError, match=r"clf\.lung' cannot be loaded: .*LogisticRegression"):
        load(path)


def test_the_json_says_what_a_person_wants_to_know(fitted_cnn, tmp_path):
    fitted_cnn.save(tmp_path / "clf.lung", description="Synthetic.")

    def look(document):
        assert document["format"] == 1
        assert document["description"] == "Synthetic."
        assert document["estimator"]["class"] == "CNNClassifier"
        assert document["estimator"]["parameters"]["image_size"] == 16
        assert document["estimator"]["state"]["classes_"]["values"] == ["clear", "opaque"]
        assert json.dumps(document).isascii()

    change_document(tmp_path / "clf.lung", look)
    assert load(tmp_path / "clf.lung").n_iter_ == 4
