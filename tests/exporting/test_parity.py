"""An exported network gives, in the runtime itself, what ``predict_proba`` gives."""

import itertools

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline

from lungestimators import (
    BackboneClassifier,
    BorderCrop,
    CNNClassifier,
    DenseNetClassifier,
    ImageReader,
    MobileNetClassifier,
    export,
    load,
    make_chest_xrays,
    save,
)
from lungestimators.images.reading import read_images

from .conftest import SETTINGS, as_pixels
from .runtimes import FORMATS, RUN

# The synthetic images are small, and no radiographs.
pytestmark = pytest.mark.filterwarnings("ignore:.*were learnt from images of")


def assert_same(estimator, X, format, path, pixels=None):
    expected = estimator.predict_proba(X)
    assert np.ptp(expected[:, 0]) > 0.01, "all images alike: nothing would be compared"
    found = RUN[format](path, as_pixels(X if pixels is None else pixels))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


QUICK = [("MobileNet", "onnx"), ("DenseNet", "openvino"), ("Backbone", "saved_model")]
QUICK += [("Pipeline", "litert"), *(("CNN", format) for format in FORMATS)]


@pytest.mark.parametrize(
    ("name", "format"),
    [
        pytest.param(*each, marks=[] if each in QUICK else pytest.mark.slow)
        for each in itertools.product(
            ["CNN", "MobileNet", "DenseNet", "Backbone", "Pipeline"], FORMATS
        )
    ],
)
def test_a_hundred_images_have_the_same_probabilities(name, format, fitted, exported, chest):
    assert_same(fitted(name), chest[0], format, exported(name, format))


@pytest.mark.parametrize("format", FORMATS)
def test_any_number_of_images_can_be_given(format, fitted, exported, chest):
    X = chest[0]
    for n in (1, 2, 7):
        found = RUN[format](exported("CNN", format), as_pixels(X[:n]))
        expected = fitted("CNN").predict_proba(X[:n])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "pixels",
    [
        pytest.param(lambda X: np.stack([X, X // 2, 255 - X], axis=-1), id="RGB"),
        pytest.param(lambda X: X[:, :40] / 255, id="floats, not square"),
        pytest.param(lambda X: X.astype(np.int32) - 100, id="a range of its own"),
        pytest.param(lambda X: X[:, ::2, ::2], id="smaller than the network's"),
    ],
)
@pytest.mark.filterwarnings("ignore:int32 pixels lie in")
def test_pixels_of_each_kind_are_taken_as_predict_proba_takes_them(pixels, chest, tmp_path):
    X, y = pixels(chest[0]), chest[1]
    clf = CNNClassifier(**SETTINGS, filters=(4, 8)).fit(X, y)
    clf.export(tmp_path / "lungs.onnx")
    assert_same(clf, X, "onnx", tmp_path / "lungs.onnx")


@pytest.fixture
def files(chest, tmp_path):
    """Image files of several sizes, in colour."""
    paths = []
    for number, pixels in enumerate(chest[0][:30]):
        path = tmp_path / f"{number}.png"
        image = Image.fromarray(np.stack([pixels, pixels, 255 - pixels], axis=-1))
        image.resize((50 + number, 60)).save(path)
        paths.append(str(path))
    return paths, chest[1][:30]


def test_after_a_fit_on_files_it_takes_what_an_image_reader_returns(files, tmp_path):
    paths, y = files
    clf = CNNClassifier(**SETTINGS, filters=(4, 8)).fit(paths, y)
    clf.export(tmp_path / "lungs.onnx")
    pixels = ImageReader(image_size=32, channels=3).transform(paths)
    assert_same(clf, paths, "onnx", tmp_path / "lungs.onnx", pixels)


def test_an_image_reader_in_a_pipeline_is_left_out(files, tmp_path):
    paths, y = files
    reader = ImageReader(image_size=48)
    cnn = CNNClassifier(**SETTINGS, filters=(4, 8))
    pipeline = Pipeline([("read", reader), ("rest", make_pipeline(BorderCrop(), cnn))])
    export(pipeline.fit(paths, y), tmp_path / "lungs.onnx")
    pixels = np.stack(list(read_images(paths, 1, 48)))
    assert_same(pipeline, paths, "onnx", tmp_path / "lungs.onnx", pixels)


def test_several_networks_are_one(chest, tmp_path):
    X, y = chest
    clf = CNNClassifier(**SETTINGS, filters=(4, 8)).set_params(n_networks=2, epochs=2).fit(X, y)
    clf.export(tmp_path / "lungs.onnx")
    assert_same(clf, X, "onnx", tmp_path / "lungs.onnx")


def test_a_loaded_estimator_is_exported_as_the_one_that_was_saved(fitted, chest, tmp_path):
    save(fitted("Pipeline"), tmp_path / "lungs.lung")
    export(load(tmp_path / "lungs.lung"), tmp_path / "lungs.onnx")
    assert_same(fitted("Pipeline"), chest[0], "onnx", tmp_path / "lungs.onnx")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "format"), [("MobileNet", "saved_model"), ("last stage", "onnx")])
def test_several_networks_on_one_backbone_are_one(name, format, fitted, chest, tmp_path):
    X, y = chest
    clf = clone(fitted("MobileNet")).set_params(n_networks=2, epochs=2)
    if name == "last stage":
        clf.set_params(trainable="last_stage", fine_tune_epochs=1)
    clf.fit(X, y).export(tmp_path / FORMATS[format])
    assert_same(clf, X, format, tmp_path / FORMATS[format])


@pytest.mark.slow
def test_another_backbone_has_the_same_probabilities(chest, tmp_path):
    X, y = chest
    settings = SETTINGS | dict(image_size=64, epochs=2)
    clf = BackboneClassifier("MobileNetV3Small", **settings, weights=None).fit(X, y)
    for format in ("onnx", "litert", "openvino"):
        clf.export(tmp_path / FORMATS[format])
        assert_same(clf, X, format, tmp_path / FORMATS[format])


@pytest.fixture(scope="module")
def large():
    """A hundred images of more than 224 pixels."""
    return make_chest_xrays(100, image_size=256, random_state=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cls", "formats"),
    [
        (MobileNetClassifier, ["litert", "saved_model"]),
        (DenseNetClassifier, ["onnx", "openvino"]),
    ],
)
def test_full_size_networks_have_the_same_probabilities(cls, formats, large, tmp_path):
    X, y = large
    clf = cls(image_size=224, epochs=3, random_state=0, weights="chest").fit(X, y)
    for format in formats:
        clf.export(tmp_path / FORMATS[format])
        assert_same(clf, X, format, tmp_path / FORMATS[format])
