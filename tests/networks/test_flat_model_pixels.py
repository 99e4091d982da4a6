"""``model_`` takes the pixels that the classifier takes, resizes and scales them alike."""

import warnings

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone

from lungestimators import ImageReader
from lungestimators.networks import blueprints, flat_model

from .flat_models import as_array


def untrained(image_shape, image_size, pixel_range=(0.0, 1.0)):
    backbone = blueprints.initial_backbone_blueprint(
        "CNN", (("filters", (4,)),), image_size, image_shape[2], None, 0
    )
    head = blueprints.initial_head_blueprint(backbone.n_outputs, 2, 4, 0.5, 0)
    parts = blueprints.Parts(backbone, head)
    return flat_model.build_flat_model(parts, image_shape, pixel_range, "untrained")


@pytest.mark.core
@pytest.mark.parametrize(
    "shape", [(16, 16), (16, 40), (33, 16), (100, 77), (7, 9)], ids=lambda s: f"{s[0]}x{s[1]}"
)
@pytest.mark.parametrize("channels", [1, 3])
def test_it_resizes_as_pillow_does(shape, channels):
    X = np.random.default_rng(0).random((3, *shape, channels), np.float32)
    model = untrained((*shape, channels), 16)
    resized = keras.Model(model.inputs[0], model.get_layer("normalise").input)(X)
    for image, found in zip(X, as_array(resized), strict=True):
        for channel in range(channels):
            expected = Image.fromarray(image[..., channel]).resize((16, 16), Image.BILINEAR)
            np.testing.assert_allclose(found[..., channel], expected, rtol=0, atol=1e-6)
    kernels = [layer for layer in model.layers if layer.name.startswith("preprocessing_resize")]
    assert len(kernels) == sum(side != 16 for side in shape)
    trainable = {weight.path for weight in model.trainable_weights}
    assert not any(weight.path in trainable for layer in kernels for weight in layer.weights)


@pytest.mark.core
@pytest.mark.parametrize("low, high", [(0.0, 1.0), (0.0, 255.0), (-1000.0, 3095.0), (5e5, 5e5 + 3)])
def test_it_scales_pixels_as_numpy_does(low, high):
    random = np.random.default_rng(0)
    X = (low + (high - low) * random.random((3, 16, 16, 1))).astype(np.float32)
    model = untrained((16, 16, 1), 16, (low, high))
    found = keras.Model(model.inputs[0], model.get_layer("normalise").input)(X)
    expected = (X.astype(np.float64) - low) / (high - low)
    np.testing.assert_allclose(as_array(found), expected, rtol=0, atol=2e-7)


@pytest.mark.slow
@pytest.mark.core
def test_it_takes_every_kind_of_pixels_that_fit_saw(cnn, squares):
    X, y = squares
    cnn.set_params(image_size=24)
    kinds = {
        "uint8": X,
        "uint16": X.astype(np.uint16) * 257,
        "floats in 0..1": (X / 255).astype(np.float32),
        "floats in 0..255": X.astype(np.float64),
        "RGB": np.repeat(X[..., None], 3, axis=3),
    }
    for kind, same in kinds.items():
        clf = clone(cnn).fit(same, y)
        expected = clf.predict_proba(same)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            found = [as_array(clf.model_(same)), clf.model_.predict(same, verbose=0)]
        np.testing.assert_allclose(found, [expected] * 2, rtol=0, atol=1e-5, err_msg=kind)
    flat = clone(cnn).set_params(image_shape=(16, 16)).fit(X.reshape(48, -1), y)
    expected = flat.predict_proba(X.reshape(48, -1))
    images = X.reshape(48, *flat.image_shape_)
    np.testing.assert_allclose(as_array(flat.model_(images)), expected, rtol=0, atol=1e-5)


def test_after_a_fit_on_files_it_takes_what_the_image_reader_reads(cnn, squares, tmp_path):
    X, y = squares
    paths = [tmp_path / f"{number}.png" for number in range(len(X))]
    for number, (path, image) in enumerate(zip(paths, X, strict=True)):
        Image.fromarray(image).resize((16 + number % 5, 20)).save(path)
    clf = cnn.fit(paths, y)
    read = ImageReader(image_size=16, channels=3).transform(paths)
    expected = clf.predict_proba(paths)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        np.testing.assert_allclose(as_array(clf.model_(read)), expected, rtol=0, atol=1e-5)
        found = clf.model_.predict(read, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    for call in (clf.model_, clf.model_.predict):
        with pytest.warns(UserWarning, match=r"from 0 \(black\) to 1 \(white\).* 0\.\.\d+"):
            call(np.round(read * 255))
        with pytest.raises(ValueError, match="shape"):
            call(np.zeros((1, 20, 18, 3)))


@pytest.mark.core
def test_pixels_of_another_range_than_those_of_fit_are_warned_of(cnn, squares):
    X, y = squares
    model = cnn.fit(X, y).model_
    for call in (model, model.predict):
        with pytest.warns(UserWarning, match="from 0 .* to 255 .* lie in 0..0.7"):
            call(X / 255)
        with pytest.warns(UserWarning, match="call predict_proba"):
            call(X.astype(np.uint16) * 257)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model(np.zeros_like(X))  # the usual baseline of an explanation
        model(X + np.random.default_rng(0).normal(0, 20, X.shape))


@pytest.mark.core
def test_pixels_passed_by_name_are_checked_too(cnn, squares):
    X, y = squares
    model = cnn.fit(X, y).model_
    for call in (lambda x: model(inputs=x), lambda x: model.predict(x=x, verbose=0)):
        np.testing.assert_allclose(as_array(call(X)), cnn.predict_proba(X), rtol=0, atol=1e-5)
        with pytest.warns(UserWarning, match="from 0 .* to 255 .* lie in 0..0.7"):
            call(X / 255)
    with pytest.raises(ValueError, match="resize them first"):
        model.predict(x=X[:, :12])
