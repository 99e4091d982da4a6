"""``model_`` gives what the classifier gives, however it is called and wherever it runs."""

import json
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from PIL import Image

from lungestimators.networks import architectures, blueprints, flat_model, pool

from .flat_models import KNOWN_OPERATIONS, LAYERS, as_array, tensorflow_only


def under_tape(model, X):
    import tensorflow as tf

    X = tf.constant(X[..., None], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(X)
        outputs = model(X)
        score = outputs[:, 0]
    assert np.abs(tape.gradient(score, X)).max() > 0
    return outputs


def in_tensorflow_function(model, X):
    import tensorflow as tf

    return tf.function(model)(tf.constant(X[..., None], tf.float32))


WAYS = {
    "predict": lambda model, X: model.predict(X[..., None], verbose=0),
    "predict_on_batch": lambda model, X: model.predict_on_batch(X[..., None].astype(np.float32)),
    "call of an array": lambda model, X: model(X[..., None]),
    "call of a tensor": lambda model, X: model(keras.ops.convert_to_tensor(X[..., None])),
    "predict by name": lambda model, X: model.predict(x=X[..., None], verbose=0),
    "call by name": lambda model, X: model(inputs=X[..., None]),
    "call of grey images": lambda model, X: model(X),
    "call of one image": lambda model, X: np.concatenate([as_array(model(x[None])) for x in X]),
    "gradient tape": under_tape,
    "TensorFlow function": in_tensorflow_function,
}


@tensorflow_only
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name != "CNN" else []) for name in LAYERS],
)
def test_every_way_of_calling_it_gives_predict_proba_and_changes_nothing(fitted, pixels, name):
    X, _ = pixels
    clf = fitted[name]
    expected = clf.predict_proba(X)
    assert np.ptp(expected[:, 0]) > 0.01, "all images alike: nothing would be compared"
    before = clf.model_.get_weights()
    for way, call in WAYS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            found = as_array(call(clf.model_, X))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5, err_msg=way)
    for old, new in zip(before, clf.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


ELSEWHERE = """
import json, sys, warnings
sys.modules["lungestimators"] = None  # importing it fails
import keras, numpy as np, tensorflow as tf
X = np.load("X.npy")[..., None]
found = {}
for name in sys.argv[1:]:
    model = keras.models.load_model(f"{name}.keras")
    exported = tf.saved_model.load(name)
    found[name] = [
        model.predict(X, verbose=0).tolist(),
        model(X).numpy().tolist(),
        exported.serve(tf.constant(X, tf.float32)).numpy().tolist(),
    ]
print(json.dumps(found))
"""


@pytest.mark.slow
@tensorflow_only
def test_saved_and_exported_it_predicts_where_the_package_is_not_installed(
    fitted, pixels, tmp_path
):
    X, _ = pixels
    np.save(tmp_path / "X.npy", X)
    for name, clf in fitted.items():
        clf.model_.save(tmp_path / f"{name}.keras")
        clf.model_.export(tmp_path / name, verbose=False)
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *fitted], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for name, outputs in json.loads(done.stdout.splitlines()[-1]).items():
        for found in outputs:
            expected = fitted[name].predict_proba(X)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5, err_msg=name)


@tensorflow_only
@pytest.mark.parametrize("name, layer", [(n, layer) for n in LAYERS for layer in LAYERS[n]])
def test_grad_cam_finds_the_maps_of_the_backbone_and_a_gradient(fitted, pixels, name, layer):
    import tensorflow as tf

    X, _ = pixels
    clf = fitted[name]
    model = clf.model_
    explained = keras.Model(model.inputs, [model.get_layer(layer).output, model.output])
    with tf.GradientTape() as tape:
        maps, probabilities = explained(tf.constant(X[..., None], tf.float32))
        score = tf.math.log(probabilities[:, 0])
    gradient = tape.gradient(score, maps)
    np.testing.assert_allclose(probabilities, clf.predict_proba(X), rtol=0, atol=1e-5)

    # The same maps from the network that Keras itself builds, on images that Pillow resizes.
    resized = [np.asarray(Image.fromarray(x.astype(np.float32)).resize((64, 64), 2)) for x in X]
    images = np.stack(resized)[..., None] / np.float32(255)
    backbone = clf._networks[0].parts.backbone.build()
    if name != "CNN":
        application = backbone.get_layer("application")
        before = backbone.operations[backbone.operations.index(application) - 1].output
        images = keras.Model(backbone.inputs, before)(tf.constant(images))
        backbone = application
    expected = keras.Model(backbone.inputs, backbone.get_layer(layer).output)(tf.constant(images))
    tolerance = 1e-5 * float(tf.reduce_max(tf.abs(expected)))
    np.testing.assert_allclose(maps, expected, rtol=0, atol=tolerance)

    heat = tf.nn.relu(tf.einsum("nhwc,nc->nhw", maps, tf.reduce_mean(gradient, (1, 2))))
    assert np.isfinite(heat).all()
    assert (tf.norm(tf.reshape(gradient, (len(X), -1)), axis=1) > 0).numpy().all()


@tensorflow_only
def test_the_gradient_at_a_layer_is_that_of_finite_differences(fitted, pixels):
    import tensorflow as tf

    X, _ = pixels
    model = fitted["CNN"].model_
    layer = model.get_layer("conv2_conv").output
    explained = keras.Model(model.inputs, [layer, model.output])
    rest = keras.Model(layer, model.output)
    with tf.GradientTape() as tape:
        maps, probabilities = explained(tf.constant(X[:4, ..., None], tf.float32))
        score = tf.math.log(probabilities[:, 0])
    for image, slope in zip(maps, tape.gradient(score, maps), strict=True):
        step = 1e-3 * tf.norm(image) * slope / tf.norm(slope)
        ahead, behind = (tf.math.log(rest(image[None] + s * step)[0, 0]) for s in (1, -1))
        expected = 2 * tf.reduce_sum(slope * step)
        assert float(ahead - behind) == pytest.approx(float(expected), rel=0.05, abs=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_it_is_one_graph_whose_names_tell_the_parts(fitted, name):
    model = fitted[name].model_
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    names = [operation.name for operation in model.operations]
    assert len(set(names)) == len(names)
    options = dict(include_top=False, weights=None, input_shape=(64, 64, 3))
    own = {
        "CNN": lambda: architectures.build_cnn(64, 1, None, (4, 8)),
        "MobileNet": lambda: keras.applications.MobileNet(**options, alpha=0.25),
        "DenseNet": lambda: keras.applications.DenseNet121(**options),
        "Backbone": lambda: keras.applications.MobileNetV3Small(**options),
    }[name]()
    own = {layer.name for layer in own.layers if layer.weights}
    if name == "DenseNet":  # of one block each, here
        own = {n for n in own if "_block" not in n or "_block1_" in n}
    others = ("pixels", "preprocessing_", "backbone_", "head_")
    with_weights = {layer.name for layer in model.layers if layer.weights}
    assert {n for n in with_weights if not n.startswith(others)} == own
    assert sum(n.startswith("head_") for n in names) >= 4


@pytest.mark.slow
@tensorflow_only
@pytest.mark.parametrize("name", LAYERS)
def test_it_is_made_of_operations_that_other_runtimes_know(fitted, name):
    import tensorflow as tf

    model = fitted[name].model_
    traced = tf.function(model).get_concrete_function(tf.TensorSpec((None, 50, 70, 1)))
    assert {operation.type for operation in traced.graph.get_operations()} <= KNOWN_OPERATIONS
    # A constant that was captured would be one more input of an exported model.
    assert len(traced.captured_inputs) == len(model.weights)


@pytest.mark.core
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="transformations of PyTorch")
def test_pytorch_transforms_and_exports_it(cnn, squares):
    import torch

    X, y = squares
    model = cnn.fit(X, y).model_
    pixels = torch.tensor(X[:2, ..., None].astype(np.float32))
    by_backward = pixels.clone().requires_grad_()
    model(by_backward)[:, 1].sum().backward()
    by_function = torch.func.grad(lambda x: model(x)[:, 1].sum())(pixels)
    np.testing.assert_allclose(as_array(by_function), as_array(by_backward.grad), atol=1e-7)
    exported = torch.export.export(model, (pixels,)).module()
    np.testing.assert_allclose(
        as_array(exported(pixels)), cnn.predict_proba(X[:2]), rtol=0, atol=1e-5
    )


def test_parameters_set_after_fit_do_not_change_it(cnn, squares):
    X, y = squares
    expected = cnn.fit(X, y).predict_proba(X)
    cnn.set_params(image_size=32, filters=(2,), dense_units=3, dropout=0.1, trainable="head")
    np.testing.assert_allclose(as_array(cnn.model_(X)), expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_pixel_statistics_of_a_weights_file_stay_in_effect(tmp_path):
    with pool.seeded_building(0):
        application = keras.applications.EfficientNetB0(
            include_top=False, weights=None, input_shape=(32, 32, 3)
        )
    (normalization,) = (
        layer for layer in application.layers if isinstance(layer, keras.layers.Normalization)
    )
    normalization.adapt_mean.assign([0.485, 0.456, 0.406])
    normalization.adapt_variance.assign([0.05, 0.04, 0.06])
    application.save_weights(tmp_path / "b0.weights.h5")
    application.load_weights(tmp_path / "b0.weights.h5")
    backbone = blueprints.initial_backbone_blueprint(
        "EfficientNetB0", (), 32, 3, str(tmp_path / "b0.weights.h5"), 0
    )
    X = np.random.default_rng(0).random((4, 32, 32, 3), np.float32)
    stem = "block1a_dwconv"
    expected = keras.Model(application.inputs, application.get_layer(stem).output)(X * 255)
    rebuilt = backbone.build().get_layer("application")
    found = keras.Model(rebuilt.inputs, rebuilt.get_layer(stem).output)(X * 255)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    head = blueprints.initial_head_blueprint(backbone.n_outputs, 2, 4, 0.5, 0)
    model = flat_model.build_flat_model(
        blueprints.Parts(backbone, head), (32, 32, 3), (0.0, 1.0), "b0"
    )
    found = keras.Model(model.inputs, model.get_layer(stem).output)(keras.ops.convert_to_tensor(X))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
