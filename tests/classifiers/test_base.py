"""What X, y and the parameters may be, what happens when they are not, and what fit leaves."""

import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from lungestimators import (
    BackboneClassifier,
    BackboneFeatures,
    CNNClassifier,
    DenseNetClassifier,
    ImageReadError,
    MobileNetClassifier,
    training,
)
from lungestimators.training import stages


def save(folder, X):
    paths = [folder / f"{i}.png" for i in range(len(X))]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    return paths


def test_pixels_of_every_dtype_give_the_same_model(cnn, squares):
    X, y = squares
    expected = clone(cnn).fit(X, y).predict_proba(X)
    for same in (X.astype(np.uint16) * 257, X / 255, (X / 255).astype(np.float32), X.astype(float)):
        np.testing.assert_allclose(clone(cnn).fit(same, y).predict_proba(same), expected, atol=1e-3)


def test_another_dtype_at_predict_is_put_on_the_scale_of_fit(fitted_cnn, squares):
    X, _ = squares
    expected = fitted_cnn.predict_proba(X)
    for same in (X / 255, X.astype(np.uint16) * 257):
        np.testing.assert_allclose(fitted_cnn.predict_proba(same), expected, atol=1e-5)


def test_3d_4d_flat_and_list_of_arrays_are_the_same_images(cnn, squares):
    X, y = squares
    expected = clone(cnn).fit(X, y).predict_proba(X)
    flat = clone(cnn).set_params(image_shape=(16, -1)).fit(X.reshape(48, -1), y)
    np.testing.assert_array_equal(flat.predict_proba(X.reshape(48, -1)), expected)
    for same in (X[..., None], list(X)):
        np.testing.assert_array_equal(clone(cnn).fit(same, y).predict_proba(same), expected)


def test_paths_are_the_images_they_hold(cnn, squares, tmp_path):
    X, y = squares
    paths = save(tmp_path, X)
    rgb = np.repeat(X[..., None], 3, axis=3)
    expected = clone(cnn).fit(rgb, y).predict_proba(rgb)
    for same in (paths, [str(p) for p in paths], np.array([str(p) for p in paths])):
        clf = clone(cnn).fit(same, y)
        np.testing.assert_allclose(clf.predict_proba(same), expected, atol=1e-4)
    assert clf.image_shape_ == (None, None, 3)
    for same in (rgb, rgb / 255, rgb.astype(float)):
        np.testing.assert_allclose(clf.predict_proba(same), expected, atol=1e-4)


def test_floats_of_unknown_range_are_warned_of(cnn, squares):
    X, y = squares
    standardised = (X - X.mean()) / X.std()
    with pytest.warns(UserWarning, match="taken as black"):
        cnn.fit(standardised, y)
    with pytest.warns(UserWarning, match="uint16 pixels reach only"):
        cnn.fit(X.astype(np.uint16) * 16, y)


def test_another_range_at_predict_is_warned_of(cnn, squares):
    X, y = squares
    cnn.fit(X / 255, y)
    with pytest.warns(UserWarning, match="fit saw pixels in 0..1"):
        cnn.predict(X.astype(float))


def test_the_callers_arrays_are_not_written_to(cnn, squares):
    X, y = squares
    weight = np.ones(48)
    y, X = y.copy(), (X / 255).astype(np.float32)
    for array in (X, y, weight):
        array.flags.writeable = False
    cnn.set_params(class_weight="balanced", early_stopping=True, augment=True)
    cnn.fit(X, y, sample_weight=weight).predict(X)


@pytest.mark.parametrize("dump", [pickle, joblib, copy], ids=["pickle", "joblib", "deepcopy"])
@pytest.mark.parametrize("fitted", [False, True])
def test_a_copy_is_the_same_classifier(cnn, squares, dump, fitted, tmp_path):
    X, y = squares
    if fitted:
        cnn.fit(X, y)
        assert cnn.model_ is cnn.model_
    if dump is copy:
        again = copy.deepcopy(cnn)
    elif dump is joblib:
        joblib.dump(cnn, tmp_path / "clf")
        again = joblib.load(tmp_path / "clf")
    else:
        again = pickle.loads(pickle.dumps(cnn))
    if not fitted:
        again.fit(X, y)
        cnn.fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), cnn.predict_proba(X))


def test_unpickling_imports_no_framework(cnn, squares, tmp_path):
    joblib.dump(cnn.fit(*squares), tmp_path / "clf")
    program = (
        "import sys, joblib; joblib.load(sys.argv[1]);"
        "print({'keras', 'tensorflow', 'scikeras'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "clf")], capture_output=True, text=True
    )
    assert found.stdout.strip() == "set()", found.stderr


def test_model_takes_the_callers_pixels(cnn, squares):
    X, y = squares
    probabilities = cnn.fit(X, y).predict_proba(X)
    np.testing.assert_allclose(
        cnn.model_.predict(X[..., None], verbose=0), probabilities, atol=1e-5
    )


def test_an_unfitted_classifier_says_so(cnn, squares):
    with pytest.raises(NotFittedError):
        cnn.predict(squares[0])
    assert not hasattr(cnn, "model_")


def test_partial_fit_is_one_epoch_of_fit(cnn, squares):
    X, y = squares
    for _ in range(4):
        cnn.partial_fit(X, y, classes=["clear", "opaque"])
    assert cnn.n_iter_ == len(cnn.history_["loss"]) == 4
    assert cnn.history_["learning_rate"] == pytest.approx([0.01] * 4)
    one = clone(cnn).set_params(epochs=1).fit(X, y)
    assert one.history_["loss"][0] == cnn.history_["loss"][0]
    assert cnn.score(X, y) > 0.9


def test_model_is_that_of_the_last_partial_fit(cnn, squares):
    X, y = squares
    for _ in range(2):
        cnn.partial_fit(X, y, classes=["clear", "opaque"])
        np.testing.assert_allclose(
            cnn.model_.predict(X[..., None], verbose=0), cnn.predict_proba(X), atol=1e-5
        )


def test_partial_fit_checks_its_classes(cnn, squares):
    X, y = squares
    with pytest.raises(ValueError, match="classes must be passed"):
        cnn.partial_fit(X, y)
    cnn.partial_fit(X, y, classes=["clear", "opaque"])
    with pytest.raises(ValueError, match="not the same as on the first call"):
        cnn.partial_fit(X, y, classes=["a", "b"])
    with pytest.raises(ValueError, match="not among the classes"):
        cnn.partial_fit(X, np.where(y == "clear", "other", y))


def test_early_stopping_goes_back_to_the_best_epoch(cnn, squares):
    X, y = squares
    cnn.set_params(early_stopping=True, epochs=60, n_iter_no_change=2, learning_rate=0.05)
    cnn.fit(X, y)
    losses = cnn.history_["val_loss"]
    assert cnn.n_iter_ == len(losses)
    assert cnn.n_iter_ == 60 or np.argmin(losses) == len(losses) - 3


@pytest.fixture
def training_data(monkeypatch):
    """What reaches the training of the next fit: its two parts, by name."""
    seen = {}
    fit = training.fit_all_stages

    def spy(parts, stages, train, validation, *others):
        seen.update(train=train, validation=validation)
        return fit(parts, stages, train, validation, *others)

    monkeypatch.setattr(training, "fit_all_stages", spy)
    return seen


def test_early_stopping_keeps_a_patient_on_one_side(cnn, squares, training_data):
    X, y = squares
    X = X.copy()
    X[:, 0, 0] = np.arange(48) // 4  # the patient, written into a corner
    cnn.set_params(early_stopping=True, validation_fraction=0.25)
    cnn.fit(X, y, groups=np.arange(48) // 4)
    train, validation = (
        set(np.rint(part.images.prepare()[:, 0, 0, 0] * 255).astype(int))
        for part in training_data.values()
    )
    assert train and validation and not train & validation


def test_balanced_weights_are_computed_on_the_training_part(cnn, squares, training_data):
    X, y = squares
    rows = np.r_[np.flatnonzero(y == "clear"), np.flatnonzero(y == "opaque")[:7]]
    cnn.set_params(class_weight="balanced", early_stopping=True, validation_fraction=0.3)
    cnn.fit(X[rows], y[rows])
    train = training_data["train"]
    by_class = np.bincount(train.y, weights=train.sample_weight)
    assert by_class[0] == pytest.approx(by_class[1], rel=1e-6)


def test_an_image_of_weight_zero_is_left_out(cnn, squares):
    X, y = squares
    weight = np.r_[np.zeros(8), np.ones(40)]
    weighted = clone(cnn).fit(X, y, sample_weight=weight).predict_proba(X)
    np.testing.assert_array_equal(weighted, clone(cnn).fit(X[8:], y[8:]).predict_proba(X))


def test_an_interrupted_fit_leaves_the_classifier_as_it_was(cnn, squares, monkeypatch):

    X, y = squares
    expected = cnn.fit(X, y).predict_proba(X)
    before = dict(cnn.__dict__)

    def interrupt(self, epoch):
        raise KeyboardInterrupt

    monkeypatch.setattr(stages.Stage, "cosine_learning_rate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cnn.fit(X[:, :8], y)
    assert cnn.__dict__ == before
    np.testing.assert_array_equal(cnn.predict_proba(X), expected)


def test_predictions_do_not_depend_on_the_company(squares):
    X, y = squares
    clf = MobileNetClassifier(
        weights=None, alpha=0.25, trainable="head", image_size=32, epochs=2, random_state=0
    ).fit(X, y)
    expected = clf.predict_proba(X)
    clf.set_params(feature_cache=None)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    np.testing.assert_array_equal(clf.predict_proba(X[::-1])[::-1], expected)
    np.testing.assert_array_equal(clf.predict_proba(X[7:8])[0], expected[7])


BAD_FITS = {
    "no images": (lambda X, y: (X[:0], y[:0]), "0 sample"),
    "five dimensions": (lambda X, y: (X[..., None, None], y), "dim"),
    "two channels": (lambda X, y: (np.stack([X, X], axis=3), y), "2 channels"),
    "flat rows": (lambda X, y: (X.reshape(48, -1), y), "image_shape="),
    "not a number": (lambda X, y: (np.where(X > 250, np.nan, X / 255 * np.nan), y), "NaN"),
    "infinity": (lambda X, y: (X / 255 + np.inf, y), "infinity"),
    "fewer labels": (lambda X, y: (X, y[:-1]), "inconsistent numbers of samples"),
    "one class": (lambda X, y: (X, np.full(48, "clear")), "one class"),
    "regression": (lambda X, y: (X, np.linspace(0, 1, 48)), "Unknown label type"),
    "no labels": (lambda X, y: (X, None), "requires y"),
    "images of two shapes": (lambda X, y: ([*X[:-1], X[0, :8]], y), "different shapes"),
}


@pytest.mark.parametrize("bad", BAD_FITS)
def test_bad_data_is_a_clear_error(cnn, squares, bad):
    make, message = BAD_FITS[bad]
    with pytest.raises(ValueError, match=message):
        cnn.fit(*make(*squares))
    assert not hasattr(cnn, "classes_")


BAD_PARAMETERS = {
    "image_size": (4, ValueError, "too small"),
    "epochs": (0, ValueError, "at least 1"),
    "batch_size": (1.5, TypeError, "whole number"),
    "learning_rate": (-1, ValueError, "above 0"),
    "validation_fraction": (1.0, ValueError, "between 0 and 1"),
    "dropout": (1, ValueError, "below 1"),
    "n_networks": (0, ValueError, "n_networks=0 must be at least 1"),
    "n_views": (1.5, TypeError, "n_views=1.5 must be a whole number"),
    "trainable": ("tail", ValueError, "'auto', 'head', 'last_stage' or 'all'"),
    "class_weight": ({"Clear": 2}, ValueError, "Clear.*did you mean .clear"),
    "optimizer": ("downhill", ValueError, "no Keras optimizer"),
    "augment": ("flip", TypeError, "Keras layer"),
    "weights": ("nowhere.h5", FileNotFoundError, "no such file"),
    "feature_cache": (3, TypeError, "directory"),
    "image_shape": ((4, 4), ValueError, "for flat rows"),
}


@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_a_bad_parameter_is_a_clear_error(cnn, squares, name):
    value, error, message = BAD_PARAMETERS[name]
    if name == "image_size":
        cnn.set_params(filters=(4, 4, 4))
    with pytest.raises(error, match=message):
        cnn.set_params(**{name: value}).fit(*squares)


def test_an_image_shape_that_does_not_fit_is_a_clear_error(cnn, squares):
    X, y = squares
    with pytest.raises(ValueError, match=r"image_shape=\(15, 15\) does not fit.*256"):
        cnn.set_params(image_shape=(15, 15)).fit(X.reshape(48, -1), y)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(48), "non-zero"),
        (-np.ones(48), "[Nn]egative"),
        (np.ones(3), ""),
    ],
)
def test_bad_sample_weights_are_a_clear_error(cnn, squares, weight, message):
    with pytest.raises(ValueError, match=message):
        cnn.fit(*squares, sample_weight=weight)


@pytest.mark.parametrize(
    "classifier", [MobileNetClassifier, DenseNetClassifier, BackboneClassifier]
)
def test_an_image_size_too_small_for_the_backbone_is_a_clear_error(classifier, squares):
    with pytest.raises(ValueError, match="image_size=16 is too small"):
        classifier(image_size=16, weights=None).fit(*squares)


def test_an_unknown_backbone_is_a_clear_error(squares):
    with pytest.raises(ValueError, match="DenseNet121"):
        BackboneClassifier("DenseNet12", weights=None).fit(*squares)


def test_another_image_shape_at_predict_is_a_clear_error(fitted_cnn, squares):
    X, _ = squares
    with pytest.raises(ValueError, match=r"\(8, 16, 1\).*fitted on.*\(16, 16, 1\)"):
        fitted_cnn.predict(X[:, :8])


def test_a_bad_path_is_named(cnn, squares, tmp_path):
    X, y = squares
    paths = save(tmp_path, X)
    with pytest.raises(FileNotFoundError, match=r"missing\.png"):
        cnn.fit([*paths[:-1], tmp_path / "missing.png"], y)
    paths[3].write_text("no image")
    with pytest.raises(ImageReadError, match=r"3\.png' cannot be read: it is not an image"):
        cnn.fit(paths, y)
    save(tmp_path, X)
    paths[3].write_bytes(paths[3].read_bytes()[:100])
    with pytest.raises(ImageReadError, match=r"3\.png' cannot be read: image file is truncated"):
        cnn.fit(paths, y)


def test_a_single_path_is_not_a_list(cnn, tmp_path):
    with pytest.raises(TypeError, match=r"single folder .*load_images lists.*load_image_folder"):
        cnn.fit(tmp_path, ["a"])
    with pytest.raises(TypeError, match=r"single path '1\.png': pass a list"):
        cnn.fit("1.png", ["a"])


def test_default_constructors_take_the_documented_names():
    assert CNNClassifier().image_size == 64
    assert CNNClassifier().weights is None
    for cls in (MobileNetClassifier, DenseNetClassifier, BackboneClassifier, BackboneFeatures):
        assert (cls().image_size, cls().weights) == (128, "chest")


def test_a_layer_that_cannot_be_built_again_is_refused_before_any_work(cnn, squares):
    import keras

    class Unregistered(keras.layers.Layer):
        pass

    with pytest.raises(ValueError, match="cannot be built again"):
        cnn.set_params(augment=Unregistered()).fit(*squares)


@pytest.mark.parametrize(
    "cls", [CNNClassifier, MobileNetClassifier, DenseNetClassifier, BackboneClassifier]
)
def test_an_unknown_parameter_is_an_error_that_names_the_classifier(cls):
    with pytest.raises(TypeError, match=rf"{cls.__name__}.*unexpected.*'imagesize'"):
        cls(imagesize=32)
