"""Images are read, equalised and cropped in front of a classifier, as scikit-learn expects."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from lungestimators import CLAHE, BackboneFeatures, BorderCrop, ImageReader, LungFields

TRANSFORMERS = [ImageReader(image_size=8), CLAHE(kernel_size=4), BorderCrop(0.25)]
each = pytest.mark.parametrize("transformer", TRANSFORMERS, ids=lambda t: type(t).__name__)


# What scikit-learn expects of any estimator. Its checks that pass flat rows do not apply.

CHECKS = [
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
]


@pytest.mark.parametrize(
    "transformer", [*TRANSFORMERS, LungFields()], ids=lambda t: type(t).__name__
)
@pytest.mark.parametrize("check", CHECKS)
def test_scikit_learn_accepts_the_transformer(transformer, check):
    getattr(estimator_checks, check)(type(transformer).__name__, clone(transformer))


@each
def test_nothing_is_learnt_and_nothing_is_kept(transformer, squares, paths):
    X = paths if isinstance(transformer, ImageReader) else squares[0]
    fitted = clone(transformer)
    assert fitted.fit(X) is fitted
    # The size of the images is for an export alone: see test_border_crop.
    assert {**vars(fitted), "image_shape_": None} == {**vars(transformer), "image_shape_": None}
    expected = clone(transformer).transform(X)
    for same in (fitted, pickle.loads(pickle.dumps(fitted)), clone(fitted)):
        np.testing.assert_array_equal(same.transform(X), expected)
    np.testing.assert_array_equal(clone(transformer).fit_transform(X), expected)


@each
def test_one_image_at_a_time_is_the_same(transformer, squares, paths):
    X = paths if isinstance(transformer, ImageReader) else squares[0].astype(float)
    together = transformer.transform(X[:5])
    alone = np.concatenate([transformer.transform(X[row : row + 1]) for row in range(5)])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(
    ("transformer", "error", "message"),
    [
        (ImageReader(image_size=0), ValueError, "image_size=0 must be at least 1"),
        (ImageReader(image_size=8.0), TypeError, "image_size=8.0 must be a whole number"),
        (ImageReader(channels=2), ValueError, "channels=2 must be 1"),
        (ImageReader(channels=True), ValueError, "channels=True must be 1"),
        (CLAHE(kernel_size=0), ValueError, "kernel_size=0 must be at least 1"),
        (CLAHE(kernel_size=(4, 4, 1)), ValueError, "one number, or height and width"),
        (CLAHE(kernel_size=(4, "4")), TypeError, "kernel_size='4' must be a whole number"),
        (CLAHE(clip_limit=2), ValueError, r"clip_limit=2 must be in 0\.\.1"),
        (CLAHE(clip_limit=float("nan")), ValueError, "clip_limit=nan must be in"),
        (CLAHE(clip_limit=None), TypeError, "clip_limit=None must be a number"),
        (BorderCrop(0.5), ValueError, "fraction=0.5 must be at least 0 and below 0.5"),
        (BorderCrop(-0.1), ValueError, "fraction=-0.1 must be"),
        (BorderCrop("a tenth"), TypeError, "fraction='a tenth' must be a number"),
    ],
)
def test_a_wrong_parameter_is_named(transformer, error, message, squares, paths):
    X = paths if isinstance(transformer, ImageReader) else squares[0]
    for method in (transformer.fit, transformer.transform):
        with pytest.raises(error, match=message):
            method(X)


@pytest.mark.parametrize("transformer", TRANSFORMERS[1:], ids=lambda t: type(t).__name__)
@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros((4, 64)), ValueError, r"shape \(4, 64\): these are flat rows"),
        (np.zeros((4, 8, 8, 2)), ValueError, "2 channels"),
        (np.full((4, 8, 8), np.nan), ValueError, "NaN"),
        ([np.zeros((8, 8)), np.zeros((9, 8))], ValueError, "different shapes"),
        (["1.png", "2.png"], TypeError, r"put ImageReader\(\) in front"),
    ],
    ids=["flat rows", "two channels", "NaN", "two shapes", "paths"],
)
def test_what_is_no_image_is_a_clear_error(transformer, X, error, message):
    for method in (transformer.fit, transformer.transform):
        with pytest.raises(error, match=message):
            method(X)


# In front of the estimators


@pytest.mark.parametrize(
    "steps",
    [[ImageReader()], [ImageReader(), BorderCrop(), CLAHE(kernel_size=8)]],
    ids=["read", "read, crop, equalise"],
)
def test_files_go_through_a_pipeline_in_cross_validation(cnn, paths, squares, steps):
    pipeline = make_pipeline(*steps, cnn)
    assert cross_val_score(pipeline, paths, squares[1], cv=2).min() > 0.8


def test_a_search_chooses_the_fraction(cnn, squares):
    search = GridSearchCV(
        make_pipeline(BorderCrop(), cnn), {"bordercrop__fraction": [0, 0.2]}, cv=2
    )
    search.fit(*squares)
    assert search.best_estimator_[-1].image_shape_ in ((16, 16, 1), (10, 10, 1))
    assert search.cv_results_["mean_test_score"].min() > 0.8


def test_backbone_features_come_after_transformers(squares, paths):
    features = BackboneFeatures("MobileNetV3Small", weights=None, image_size=32, random_state=0)
    found = make_pipeline(ImageReader(), BorderCrop(), features).fit_transform(paths)
    expected = clone(features).fit_transform(squares[0][:, 1:15, 1:15])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("image_size", [None, 16, 8])
def test_the_reader_changes_no_prediction(cnn, paths, squares, image_size):
    cnn.set_params(image_size=8)
    alone = clone(cnn).fit(paths, squares[1]).predict_proba(paths)
    reader = ImageReader(image_size=image_size, channels=3)
    read = make_pipeline(reader, cnn).fit(paths, squares[1]).predict_proba(paths)
    np.testing.assert_allclose(read, alone, rtol=0, atol=0.02)
