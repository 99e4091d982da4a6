"""A fitted classifier, saved and loaded, is the same classifier."""

import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image
from sklearn import config_context
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.exceptions import NotFittedError

import lungestimators
from lungestimators import (
    BackboneClassifier,
    BackboneFeatures,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
    load,
)
from lungestimators.networks import architectures, blueprints
from lungestimators.saving import describe_file
from lungestimators.saving.architecture_checks import shapes_of_network
from tests.networks import own_networks

SMALL = dict(weights=None, image_size=32, dense_units=8, epochs=1, random_state=0)
CLASSIFIERS = {
    "three CNNs": CNNClassifier(**SMALL, filters=(4, 8), n_networks=3, early_stopping=True),
    "CNN of chest weights": CNNClassifier(**SMALL | {"weights": "chest", "image_size": 64}),
    "DenseNet": DenseNetClassifier(**SMALL, blocks=(1, 1, 1, 1), trainable="last_stage"),
    "MobileNet": MobileNetClassifier(**SMALL | {"weights": "chest"}, alpha=0.25, n_networks=2),
    "Backbone": BackboneClassifier("MobileNetV3Small", **SMALL, trainable="head"),
}
EACH = pytest.mark.parametrize(
    "clf",
    [
        pytest.param(clf, id=name, marks=[] if "CNN" in name else [pytest.mark.slow])
        for name, clf in CLASSIFIERS.items()
    ],
)

# The squares are tiny, and those that are predicted were learnt from.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*were learnt from images of", "ignore:.*to fit this"
)


def saved(clf, folder, name="clf.lung"):
    clf.save(folder / name)
    return load(folder / name)


@pytest.mark.core
@EACH
def test_it_predicts_the_same_bits_and_is_saved_as_the_same_bytes(clf, squares, tmp_path):
    X, y = squares
    clf = clone(clf).fit(X, y)
    again = saved(clf, tmp_path)
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    np.testing.assert_array_equal(again.predict(X), clf.predict(X))
    again.save(tmp_path / "again.lung")
    assert (tmp_path / "again.lung").read_bytes() == (tmp_path / "clf.lung").read_bytes()
    pickle.loads(pickle.dumps(clf)).save(tmp_path / "pickled.lung")
    assert (tmp_path / "pickled.lung").read_bytes() == (tmp_path / "clf.lung").read_bytes()


def test_every_attribute_survives(cnn, squares, tmp_path):
    X, y = squares
    cnn.set_params(class_weight={"clear": 2.0}, random_state=np.random.RandomState(3))
    again = saved(cnn.fit(X, y), tmp_path)
    assert repr(again).split("RandomState")[0] == repr(cnn).split("RandomState")[0]
    assert again.random_state is again._fit_parameters["random_state"]
    assert again.random_state.randint(2**31) == cnn.random_state.randint(2**31)
    assert set(vars(again)) - set(vars(cnn)) == {"_was_loaded"}
    assert set(vars(cnn)) <= set(vars(again))
    assert again.history_ == cnn.history_
    assert again.classes_.dtype == cnn.classes_.dtype
    np.testing.assert_array_equal(again.training_data_.images, cnn.training_data_.images)
    same = "n_iter_", "image_shape_", "skipped_", "_pixel_range", "_pixel_dtype", "callbacks_"
    for name in same:
        assert getattr(again, name) == getattr(cnn, name)
    np.testing.assert_allclose(
        again.model_.predict(X[..., None], verbose=0), cnn.predict_proba(X), atol=1e-5
    )


def test_flat_rows_of_a_table_keep_their_columns(cnn, squares, tmp_path):
    pandas = pytest.importorskip("pandas")
    X, y = squares
    table = pandas.DataFrame(X.reshape(48, -1)).add_prefix("pixel_")
    cnn.set_params(image_shape=(16, 16)).fit(table, y)
    again = saved(cnn, tmp_path)
    assert again.n_features_in_ == 256
    np.testing.assert_array_equal(again.feature_names_in_, cnn.feature_names_in_)
    np.testing.assert_array_equal(again.predict_proba(table), cnn.predict_proba(table))
    with pytest.raises(ValueError, match="feature names"):
        again.predict(table.add_prefix("x"))


@pytest.mark.parametrize("labels", [[3, 7], [True, False], [np.float64(0.0), np.float64(1.0)]])
def test_labels_of_any_type_come_back(cnn, squares, labels, tmp_path):
    X, y = squares
    y = np.where(y == "clear", *labels)
    again = saved(cnn.set_params(epochs=1).fit(X, y), tmp_path)
    assert again.predict(X).dtype == y.dtype
    (path,) = tmp_path.glob("*.lung")
    assert describe_file(path)["classifiers"][0]["classes"] == again.classes_.tolist()


def test_labels_that_are_objects_come_back(cnn, squares, tmp_path):
    X, y = squares
    again = saved(cnn.set_params(epochs=1).fit(X, y.astype(object)), tmp_path)
    assert again.classes_.dtype == object
    assert again.classes_.tolist() == ["clear", "opaque"]


def test_a_fit_on_files_is_saved_with_the_files_that_it_left_out(cnn, squares, tmp_path):
    X, y = squares
    paths = [str(tmp_path / f"{number}.png") for number in range(len(X))]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    (tmp_path / "3.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match="Left out"):
        cnn.set_params(on_error="skip", epochs=1).fit(paths, y)
    again = saved(cnn, tmp_path)
    assert again.skipped_ == cnn.skipped_
    assert list(again.skipped_) == [paths[3]]
    np.testing.assert_array_equal(again.predict_proba(paths[:3]), cnn.predict_proba(paths[:3]))


@pytest.mark.core
def test_training_goes_on_after_loading_as_if_it_had_not_been_saved(cnn, squares, tmp_path):
    X, y = squares
    cnn.partial_fit(X, y, classes=["clear", "opaque"])
    again = saved(cnn, tmp_path)
    for clf in (cnn, again):
        clf.partial_fit(X[:24], y[:24])
    assert again.n_iter_ == 2
    np.testing.assert_array_equal(again.predict_proba(X), cnn.predict_proba(X))
    np.testing.assert_array_equal(
        clone(again).fit(X, y).predict_proba(X), clone(cnn).fit(X, y).predict_proba(X)
    )


def test_a_parameter_that_was_set_after_the_fit_is_kept_and_changes_no_answer(
    cnn, squares, tmp_path
):
    X, y = squares
    expected = cnn.fit(X, y).predict_proba(X)
    again = saved(cnn.set_params(image_size=48, filters=[3], weights="chest"), tmp_path)
    assert (again.image_size, again.filters, again.weights) == (48, [3], "chest")
    np.testing.assert_array_equal(again.predict_proba(X), expected)


def test_requests_for_metadata_are_kept(cnn, squares, tmp_path):
    with config_context(enable_metadata_routing=True):
        cnn.set_fit_request(sample_weight=True, groups="patient").fit(*squares)
        again = saved(cnn, tmp_path)
        routing = again.get_metadata_routing()
        assert routing.fit.requests == {"groups": "patient", "sample_weight": True}


def test_a_directory_of_features_is_one_of_this_computer(cnn, squares, tmp_path):
    cnn.set_params(feature_cache=tmp_path / "features").fit(*squares)
    assert saved(cnn, tmp_path).feature_cache == "memory"
    assert cnn.feature_cache == tmp_path / "features"
    assert saved(cnn.set_params(feature_cache=None), tmp_path).feature_cache is None


def test_features_come_back(squares, tmp_path):
    X, _ = squares
    features = BackboneFeatures("MobileNet", alpha=0.25, image_size=32).fit(X)
    features.set_output(transform="pandas")
    again = saved(features, tmp_path)
    found = again.transform(X)
    assert found.columns.tolist() == features.get_feature_names_out().tolist()
    np.testing.assert_array_equal(found, features.transform(X))


def test_the_bytes_do_not_depend_on_the_moment(fitted_cnn, tmp_path):
    fitted_cnn.save(tmp_path / "one.lung", description="ä")
    os.utime(tmp_path / "one.lung", (0, 0))
    fitted_cnn.save(tmp_path / "two.lung", description="ä")
    assert (tmp_path / "one.lung").read_bytes() == (tmp_path / "two.lung").read_bytes()


@pytest.mark.slow
def test_it_is_smaller_than_a_tenth_more_than_the_weights_of_the_package(squares, tmp_path):
    X, y = squares
    clf = MobileNetClassifier(**SMALL | {"weights": "chest"}).fit(X, y)
    clf.save(tmp_path / "clf.lung")
    stored = lungestimators.networks.chest_weights.FOLDER / "MobileNet-1.0.safetensors"
    head = sum(weight.nbytes for weight in clf._networks[0].parts.head.weights)
    assert (tmp_path / "clf.lung").stat().st_size <= 1.1 * (stored.stat().st_size + head)


@pytest.mark.slow
def test_a_densenet_of_chest_weights_is_at_most_a_tenth_larger_than_they(squares, tmp_path):
    X, y = squares
    clf = DenseNetClassifier(image_size=32, epochs=1).fit(X, y)
    clf.save(tmp_path / "clf.lung")
    stored = lungestimators.networks.chest_weights.FOLDER / "DenseNet121.safetensors"
    head = sum(weight.nbytes for weight in clf._networks[0].parts.head.weights)
    assert (tmp_path / "clf.lung").stat().st_size <= 1.1 * (stored.stat().st_size + head)
    np.testing.assert_array_equal(
        load(tmp_path / "clf.lung").predict_proba(X), clf.predict_proba(X)
    )


def test_loading_imports_no_framework_and_a_new_process_predicts_the_same(
    fitted_cnn, squares, tmp_path
):
    X, _ = squares
    fitted_cnn.save(tmp_path / "clf.lung")
    np.save(tmp_path / "X.npy", X)
    program = (
        "import sys, numpy as np; from lungestimators import load\n"
        "clf = load(sys.argv[1] + '/clf.lung')\n"
        "frameworks = {'keras', 'tensorflow', 'jax', 'torch', 'scikeras', 'optuna'}\n"
        "print(sorted(frameworks & {name.split('.')[0] for name in sys.modules if '.' in name}))\n"
        "np.save(sys.argv[1] + '/found.npy', clf.predict_proba(np.load(sys.argv[1] + '/X.npy')))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]", found.stderr
    assert "48 of 48 images were used to fit this CNNClassifier" in found.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), fitted_cnn.predict_proba(X))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_it_predicts_under_another_backend(backend, fitted_cnn, squares, tmp_path):
    pytest.importorskip(backend)
    X, _ = squares
    fitted_cnn.save(tmp_path / "clf.lung")
    np.save(tmp_path / "X.npy", X)
    program = (
        "import sys, numpy as np; from lungestimators import load\n"
        "clf = load(sys.argv[1] + '/clf.lung')\n"
        "np.save(sys.argv[1] + '/found.npy', clf.predict_proba(np.load(sys.argv[1] + '/X.npy')))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    subprocess.run(command, check=True, env=os.environ | {"KERAS_BACKEND": backend})
    found = np.load(tmp_path / "found.npy")
    np.testing.assert_allclose(found, fitted_cnn.predict_proba(X), atol=1e-5)


def test_only_a_loaded_classifier_warns_of_images_that_it_was_fitted_to(
    fitted_cnn, squares, tmp_path
):
    X, _ = squares
    again = saved(fitted_cnn, tmp_path)
    mixed = np.concatenate([X[:5], 255 - X[:7]])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fitted_cnn.predict(X)
        again.predict(255 - X)
    for method in (again.predict, again.predict_proba):
        with pytest.warns(UserWarning, match="5 of 12 images were used to fit") as caught:
            method(mixed)
        assert len(caught) == 1
    with pytest.warns(UserWarning, match="5 of 12 images were used to fit"):
        pickle.loads(pickle.dumps(again)).predict(mixed)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        clone(again).set_params(epochs=1).fit(*squares).predict(X)


def test_training_data_are_those_images_that_were_used(cnn, squares):
    X, y = squares
    weight = np.r_[np.zeros(8), np.ones(40)]
    cnn.set_params(epochs=1).fit(X, y, sample_weight=weight)
    assert cnn.training_data_.n_images == len(cnn.training_data_.images) == 40
    labels = cnn.training_data_.labels
    assert clone(cnn).fit(X, y[::-1], sample_weight=weight).training_data_.labels != labels
    assert clone(cnn).fit(X, y, sample_weight=weight).training_data_.labels == labels
    grown = clone(cnn)
    for rows in (slice(0, 30), slice(20, 48)):
        grown.partial_fit(X[rows], y[rows], classes=["clear", "opaque"])
    assert (grown.training_data_.n_images, len(grown.training_data_.images)) == (58, 48)


def test_what_a_file_holds_is_said_without_loading_it(fitted_cnn, tmp_path):
    fitted_cnn.save(tmp_path / "clf.lung", description="Synthetic.")
    described = describe_file(tmp_path / "clf.lung")
    assert described["versions"]["lungestimators"] == lungestimators.__version__
    assert {key: described[key] for key in ("format", "description", "class")} == {
        "format": 1,
        "description": "Synthetic.",
        "class": "CNNClassifier",
    }
    assert described["classifiers"] == [
        {
            "class": "CNNClassifier",
            "classes": ["clear", "opaque"],
            "image_shape": (16, 16, 1),
            "n_networks": 1,
            "n_epochs": 4,
            "n_training_images": 48,
        }
    ]


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"callbacks": list}, r"CNNClassifier\.callbacks .*set_params\(callbacks=None\)"),
        ({"augment": object()}, r"CNNClassifier\.augment .*set_params\(augment=False\)"),
        ({"weights": np.zeros(2, complex)}, r"CNNClassifier\.weights is an array of the type"),
        ({"n_views": 2000}, "n_views=2000 must be 1 to 1000"),
    ],
)
def test_what_a_file_cannot_hold_is_an_error_and_nothing_is_written(
    parameters, match, fitted_cnn, tmp_path
):
    clf = pickle.loads(pickle.dumps(fitted_cnn)).set_params(**parameters)
    with pytest.raises(ValueError, match=match):
        clf.save(tmp_path / "clf.lung")
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_a_function_and_callbacks_of_scikit_learn_cannot_be_saved(
    cnn, squares, tmp_path
):
    X, y = squares
    clf = BackboneClassifier(own_networks.small, **SMALL | {"image_size": 16}).fit(X, y)
    with pytest.raises(ValueError, match=r"backbone is the function small.*no code"):
        clf.save(tmp_path / "clf.lung")
    cnn.fit(X, y).set_callbacks(ProgressBar())
    with pytest.raises(ValueError, match=r"remove them by set_callbacks\(\)"):
        cnn.save(tmp_path / "clf.lung")
    cnn.set_callbacks().save(tmp_path / "clf.lung")


def test_an_unfitted_classifier_cannot_be_saved(cnn, tmp_path):
    with pytest.raises(NotFittedError):
        cnn.save(tmp_path / "clf.lung")
    with pytest.raises(TypeError, match="no fitted estimator"):
        lungestimators.save("clf", tmp_path / "clf.lung")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole_or_not_at_all(fitted_cnn, tmp_path, monkeypatch):
    path = tmp_path / "clf.lung"
    path.write_bytes(b"before")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            fitted_cnn.save(path)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [
        ("clf.lung", b"before")
    ]
    (tmp_path / "link.lung").symlink_to(path)
    fitted_cnn.save(tmp_path / "link.lung")
    assert (tmp_path / "link.lung").is_symlink()
    assert load(path).n_iter_ == 4


def test_a_missing_folder_and_a_missing_file_are_named(fitted_cnn, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        fitted_cnn.save(tmp_path / "no" / "clf.lung")
    with pytest.raises(IsADirectoryError):
        fitted_cnn.save(tmp_path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "no.lung")


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "name",
    [
        *("ConvNeXtTiny", "EfficientNetB0", "EfficientNetV2B0", "InceptionResNetV2", "InceptionV3"),
        *("MobileNetV2", "MobileNetV3Large", "NASNetMobile", "ResNet50", "ResNet50V2", "VGG16"),
        *("Xception", "DenseNet121"),
    ],
)
def test_the_shapes_of_a_network_are_known_without_keras(name, channels):
    build = architectures.build_application
    blueprint = blueprints.build_blueprint(
        build, (name, 96, channels, None, (("alpha", 1.0),)), 0, None
    )
    shapes = shapes_of_network(blueprint.architecture)
    assert shapes.input == (96, 96, channels)
    assert shapes.output == (blueprint.n_outputs,)
    assert shapes.weights == [weight.shape for weight in blueprint.weights]
