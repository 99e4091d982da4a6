"""``model_`` gives what the classifier gives, however it is called and wherever it runs."""

import json
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone

from lungestimators import (
    BackboneClassifier,
    CNNClassifier,
    DenseNetClassifier,
    ImageReader,
    MobileNetClassifier,
)
from lungestimators.networks import architectures, blueprints, flat_model, pool

tensorflow_only = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="a format or a recipe of TensorFlow"
)

# Layers of the backbone to explain a prediction by.
LAYERS = {
    "CNN": ["conv1_relu", "conv2_conv"],
    "MobileNet": ["conv_pw_13_relu", "conv_dw_6"],
    "DenseNet": ["relu", "conv3_block1_concat"],
    "Backbone": ["expanded_conv_3_squeeze_excite_mul", "conv_1"],
}


def save_healthy_weights(builder, path, **options):
    """A file of random weights under which the signal does not fade, as it does under Keras' own.

    Where it fades, normalisation scales up the rounding that each machine does in its own way.
    """
    network = builder(include_top=False, weights=None, input_shape=(64, 64, 3), **options)
    random = np.random.default_rng(0)
    for layer in network.layers:
        for weight in layer.weights:
            if weight.name.endswith("kernel"):
                depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
                fan_in = np.prod(weight.shape[: 2 if depthwise else -1])
                weight.assign(random.normal(0, np.sqrt(2 / fan_in), weight.shape))
    network.save_weights(path)
    return path


@pytest.fixture(scope="module")
def pixels():
    """Images that no network takes as they are, in two classes."""
    random = np.random.default_rng(0)
    X = random.integers(0, 60, size=(24, 50, 70), dtype=np.uint8)
    X[::2, 10:30, 10:40] += 120
    return X, np.tile(["opaque", "clear"], 12)


@pytest.fixture(scope="module")
def fitted(pixels, tmp_path_factory):
    """One classifier of each class."""
    folder = tmp_path_factory.mktemp("weights")
    settings = dict(image_size=64, dense_units=16, learning_rate=0.01, random_state=0)
    mobilenet = save_healthy_weights(
        keras.applications.MobileNet, folder / "mobilenet.weights.h5", alpha=0.25
    )
    v3 = save_healthy_weights(keras.applications.MobileNetV3Small, folder / "v3.weights.h5")
    classifiers = {
        "CNN": CNNClassifier(**settings, filters=(4, 8), epochs=4),
        "MobileNet": MobileNetClassifier(**settings, alpha=0.25, weights=mobilenet, epochs=20),
        "DenseNet": DenseNetClassifier(**settings, blocks=(1, 1, 1, 1), weights=None, epochs=2),
        "Backbone": BackboneClassifier("MobileNetV3Small", **settings, weights=v3, epochs=20),
    }
    return {name: clf.fit(*pixels) for name, clf in classifiers.items()}


def as_array(tensor):
    return keras.ops.convert_to_numpy(tensor)


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
@pytest.mark.parametrize("name", LAYERS)
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
    backbone = clf._parts.backbone.build()
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


# What TensorFlow's Resizing would add, ScaleAndTranslate, is no operation of ONNX and LiteRT.
KNOWN_OPERATIONS = {
    "AddV2 BiasAdd ConcatV2 Const Conv2D DepthwiseConv2dNative GatherV2 Identity MatMul MaxPool "
    "AvgPool Mean Mul Neg NoOp Pack Pad PadV2 Placeholder Prod ReadVariableOp RealDiv Relu Relu6 "
    "Reshape Rsqrt Shape Softmax Squeeze StridedSlice Sub Transpose Maximum Sqrt"
}


@pytest.mark.slow
@tensorflow_only
@pytest.mark.parametrize("name", LAYERS)
def test_it_is_made_of_operations_that_other_runtimes_know(fitted, name):
    import tensorflow as tf

    model = fitted[name].model_
    traced = tf.function(model).get_concrete_function(tf.TensorSpec((None, 50, 70, 1)))
    assert {operation.type for operation in traced.graph.get_operations()} <= set(
        " ".join(KNOWN_OPERATIONS).split()
    )
    # A constant that was captured would be one more input of an exported model.
    assert len(traced.captured_inputs) == len(model.weights)


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
