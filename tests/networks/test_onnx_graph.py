"""Networks as ONNX models: they compute what Keras does, and are made without Keras."""

import itertools
import json
import math
import subprocess
import sys

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers, ops
from keras.src.applications.convnext import LayerScale
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from lungestimators.networks import architectures, blueprints, lung_network
from lungestimators.networks.onnx_graph import onnx_model_of_network
from lungestimators.networks.onnx_layers import ACTIVATIONS, LAYERS
from lungestimators.saving import layer_shapes
from lungestimators.saving.architecture_checks import shapes_of_network


def set_random_weights(network):
    """Give a network random weights under which the signal neither fades nor grows much."""
    random = np.random.default_rng(0)
    values = []
    for weight in network.weights:
        shape = weight.shape
        if weight.name.endswith("kernel"):
            by_channel = len(shape) == 4 and shape[0] > 1 and shape[-1] == 1
            fan_in = np.prod(shape[: 2 if by_channel else -1])
            value = random.normal(0, np.sqrt(1.5 / fan_in), shape)
        elif weight.name in ("gamma", "moving_variance"):
            value = random.uniform(0.5, 1.5, shape)
        else:
            value = random.normal(0, 0.3, shape)
        values.append(value)
    network.set_weights(values)


def run(model, inputs):
    """What an ONNX model makes of inputs, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(["outputs"], {"inputs": inputs})[0]


def check(network, low=0.0):
    """Assert that ONNX Runtime and Keras compute the same, for one image and for three."""
    model = onnx_model_of_network(network.to_json(), network.get_weights())
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    shape = (3, *network.input_shape[1:])
    inputs = np.random.default_rng(1).uniform(low, 1, shape).astype(np.float32)
    wanted, outputs = network.predict(inputs, verbose=0), run(model, inputs)
    assert outputs.shape == wanted.shape
    assert outputs.dtype == np.float32
    tolerance = 1e-5 * max(1, np.abs(wanted).max())
    np.testing.assert_allclose(outputs, wanted, rtol=0, atol=tolerance)
    np.testing.assert_allclose(run(model, inputs[1:2])[0], outputs[1], rtol=0, atol=tolerance)


def check_branches(shape, *branches, is_in_a_file=True):
    """Check layers, and other functions of a tensor, side by side on numbers in -1..1."""
    inputs = keras.Input(shape)
    outputs = [layers.Flatten()(branch(inputs)) for branch in branches]
    outputs = layers.Concatenate()(outputs) if len(outputs) > 1 else outputs[0]
    network = keras.Model(inputs, outputs)
    set_random_weights(network)
    if is_in_a_file:
        shapes = shapes_of_network(network.to_json())
        assert shapes.output == network.output_shape[1:]
        assert shapes.weights == [weight.shape for weight in network.weights]
    check(network, low=-1.0)


def test_all_layers_and_activations_of_a_file_are_known():
    only_in_the_package = {("keras.layers", "UpSampling2D")}
    assert set(LAYERS) == set(layer_shapes._LAYERS) | only_in_the_package
    assert set(ACTIVATIONS) == layer_shapes._ACTIVATIONS


def build(function, *arguments):
    """A network of the package, as Keras builds it anew, with random weights."""
    network = blueprints.build_blueprint(function, arguments, 0, None).build()
    set_random_weights(network)
    return network


@pytest.mark.parametrize(
    "function, arguments",
    [
        (architectures.build_cnn, (32, 1, None, (8, 16))),
        (architectures.build_application, ("MobileNet", 32, 1, None, (("alpha", 0.25),))),
        (architectures.build_application, ("DenseNet", 32, 1, None, (("blocks", (1, 2, 1, 1)),))),
        (architectures.build_head, (20, 3, 16, 0.2)),
        (lung_network.build_lung_network, ()),
    ],
    ids=["CNN", "MobileNet", "DenseNet", "head", "lungs"],
)
def test_networks_of_the_package_compute_what_they_do_in_keras(function, arguments):
    check(build(function, *arguments))


def test_the_weights_of_the_package_compute_what_they_do_in_keras():
    # A CNN that learnt from grey images sees the mean of the colours.
    check(architectures.build_cnn(64, 3, "chest", (32, 64, 128)))
    blueprint = lung_network.lung_network_blueprint()
    inputs = np.random.default_rng(0).uniform(size=(1, 160, 160, 1)).astype(np.float32)
    outputs = run(onnx_model_of_network(blueprint.architecture, blueprint.weights), inputs)
    np.testing.assert_allclose(outputs, blueprint.run(inputs), rtol=1e-5, atol=2e-5)


def test_a_model_states_its_inputs_its_outputs_and_its_producer():
    network = build(architectures.build_cnn, 32, 3, None, (4,))
    model = onnx_model_of_network(network.to_json(), network.get_weights())
    session = onnxruntime.InferenceSession(model)
    (given,), (returned,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape) == ("inputs", ["batch", 32, 32, 3])
    assert (returned.name, returned.shape) == ("outputs", ["batch", 1024])
    assert onnx.load_from_string(model).producer_name == "lungestimators"


WINDOWS = [
    {"padding": padding, "strides": strides, "size": size}
    for padding, strides, size in itertools.product(["same", "valid"], [1, 2, 3], [1, 2, 3, (4, 3)])
]


@pytest.mark.parametrize("sides", [(7, 8), (8, 5)])
@pytest.mark.parametrize(
    "layer",
    [
        lambda size, **options: layers.Conv2D(2, size, **options),
        lambda size, **options: layers.DepthwiseConv2D(size, **options),
        lambda size, **options: layers.SeparableConv2D(2, size, **options),
        lambda size, **options: layers.MaxPooling2D(size, **options),
        lambda size, **options: layers.AveragePooling2D(size, **options),
    ],
    ids=["Conv2D", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D", "AveragePooling2D"],
)
def test_windows_are_padded_as_in_keras(layer, sides):
    check_branches((*sides, 3), *(layer(**window) for window in WINDOWS))


def test_options_of_convolutions_are_those_of_keras():
    check_branches(
        (9, 8, 4),
        layers.Conv2D(6, 3, (2, 3), "same", activation="relu"),
        layers.Conv2D(6, (2, 3), dilation_rate=(2, 1), padding="same", use_bias=False),
        layers.Conv2D(3, 3, dilation_rate=2, activation="softmax"),
        layers.Conv2D(6, 3, groups=2, padding="same"),
        layers.Conv2D(4, (3, 1), groups=4, activation="silu"),
        layers.DepthwiseConv2D(3, depth_multiplier=3, activation="tanh"),
        layers.DepthwiseConv2D((2, 3), padding="same", depth_multiplier=2, use_bias=False),
        layers.DepthwiseConv2D(3, padding="same", dilation_rate=(2, 2)),
        layers.SeparableConv2D(5, 3, 2, "same", depth_multiplier=2, activation="sigmoid"),
        layers.SeparableConv2D(5, (1, 2), use_bias=False),
        layers.SeparableConv2D(3, 3, padding="same", dilation_rate=2),
    )


@pytest.mark.parametrize("shape", [(6,), (4, 6), (3, 5, 6), (2, 3, 2, 6)])
def test_layers_act_on_the_channels_of_tensors_of_any_rank(shape):
    numbers = math.prod(shape)
    check_branches(
        shape,
        *(layers.Activation(activation) for activation in ACTIVATIONS),
        layers.Dense(4, activation="softmax"),
        layers.Dense(4, use_bias=False, activation="elu"),
        layers.BatchNormalization(),
        layers.BatchNormalization(scale=False, epsilon=0.1),
        layers.BatchNormalization(center=False),
        layers.LayerNormalization(),
        layers.LayerNormalization(scale=False, epsilon=0.1),
        layers.LayerNormalization(center=False),
        lambda x: layers.LayerNormalization()(x + 30),
        layers.Rescaling([1, 2, 3, 4, 5, 6], offset=[6, 5, 4, 3, 2, 1]),
        layers.Rescaling(2, offset=-1),
        LayerScale(0.1, 6),
        layers.Dropout(0.5),
        lambda x: layers.Concatenate()([x, layers.Dense(2)(x), x]),
        lambda x: layers.Multiply()([x, layers.Dense(6)(x), x]),
        lambda x: layers.Add()([x, layers.Dense(1)(x)]),
        layers.Reshape((numbers,)),
        layers.Reshape((3, numbers // 3)),
        layers.Reshape((2, 3, numbers // 6)),
        layers.Reshape((3, 1, 2, numbers // 6)),
        lambda x: ops.stack([x, layers.Dense(6)(x), x], axis=-1) if len(shape) < 4 else x,
        lambda x: x[..., 2] if len(shape) > 1 else x,
    )


def test_activations_are_those_of_keras_far_from_zero():
    check_branches(
        (5,),
        *(
            lambda x, name=name: layers.Activation(name)(layers.Rescaling(20.0)(x))
            for name in ACTIVATIONS
        ),
    )


def test_relu_has_all_options_of_keras():
    options = itertools.product([None, 0.6, 6], [0.0, 0.1], [0.0, 0.4, 1])
    check_branches(
        (30,),
        *(
            lambda x, option=option: layers.ReLU(*option)(layers.Rescaling(8.0)(x))
            for option in options
        ),
    )


def test_borders_and_means_of_maps_are_those_of_keras():
    check_branches(
        (6, 7, 3),
        layers.ZeroPadding2D(((1, 2), (0, 3))),
        layers.Cropping2D(((1, 2), (0, 3))),
        layers.Cropping2D(((0, 0), (2, 1))),
        layers.GlobalAveragePooling2D(),
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.Flatten(),
        lambda x: ops.mean(x, axis=-1, keepdims=True),
        layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 0.0, 2.0]),
        layers.Normalization(mean=0.5, variance=4.0),
    )


def test_the_bilinear_doubling_of_the_lung_network_is_that_of_keras():
    check_branches((3, 4, 2), layers.UpSampling2D(interpolation="bilinear"), is_in_a_file=False)
    network = keras.Sequential([keras.Input((3, 4, 2)), layers.UpSampling2D()])
    with pytest.raises(ValueError, match="interpolation='nearest' is not known"):
        onnx_model_of_network(functional(network).to_json(), [])


def functional(network):
    """A network as the only layer of a functional model."""
    inputs = keras.Input(network.input_shape[1:])
    return keras.Model(inputs, network(inputs))


def test_constants_and_maps_of_other_sizes_are_broadcast_as_in_keras():
    def vector(x):
        return layers.GlobalAveragePooling2D()(x)

    def excited(x):
        return layers.GlobalAveragePooling2D(keepdims=True)(x)

    def constant(*shape):
        return ops.reshape(ops.arange(1, 1 + math.prod(shape), dtype="float32"), shape)

    check_branches(
        (4, 3, 2),
        lambda x: x * 3,
        lambda x: x - 0.5,
        lambda x: x / constant(2),
        lambda x: x + constant(3, 2),
        lambda x: x - constant(1, 1, 1, 2),
        lambda x: x + constant(1, 4, 3, 1),
        lambda x: vector(x) + constant(2),
        lambda x: x * excited(x),
        lambda x: excited(x) - x,
        lambda x: x / (excited(x) + 10),
        lambda x: layers.Multiply()([vector(x), x, excited(x)]),
        lambda x: layers.Add()([x, excited(x), x]),
        lambda x: CustomScaleLayer(0.3)([x, excited(x)]),
        lambda x: ops.stack([x[..., 1], x[..., 0], x[..., 1]], axis=-1) + constant(1, 1, 1, 3),
        lambda x: (x[..., 1] - x[..., 0]) * constant(4, 1),
    )


def test_models_in_models_may_repeat_names_of_layers():
    def chain(shape):
        stack = [layers.Conv2D(4, 2, 2, name="conv"), layers.LayerNormalization(name="norm")]
        return keras.Sequential([keras.Input(shape, name="image"), *stack])

    inside = keras.Input((3, 3, 4), name="image")
    x = layers.Conv2D(4, 3, name="conv", padding="same")(inside)
    x = layers.BatchNormalization(name="norm")(chain((3, 3, 4))(x))
    model = keras.Model(inside, layers.Flatten(name="flat")(x))

    inputs = keras.Input((6, 6, 3), name="image")
    x = layers.Conv2D(5, 1, name="conv")(inputs)
    network = keras.Model(inputs, model(chain((6, 6, 5))(x)))
    set_random_weights(network)
    assert shapes_of_network(network.to_json()).output == (4,)
    check(network)


def test_a_map_is_returned_with_its_channels_last():
    network = functional(keras.Sequential([keras.Input((4, 5, 3)), layers.Conv2D(2, 1)]))
    set_random_weights(network)
    assert network.output_shape == (None, 4, 5, 2)
    check(network)


def test_an_unknown_layer_is_named():
    inputs = keras.Input((4, 4, 1))
    network = keras.Model(inputs, layers.PReLU(name="bent")(inputs))
    with pytest.raises(ValueError, match=r"layer 'bent' is of the class keras\.layers\.PReLU"):
        onnx_model_of_network(network.to_json(), network.get_weights())


def test_a_layer_that_lacks_an_option_is_named():
    inputs = keras.Input((4, 4, 1))
    network = keras.Model(inputs, layers.ReLU(name="bent")(inputs))
    architecture = json.loads(network.to_json())
    del architecture["config"]["layers"][1]["config"]["negative_slope"]
    with pytest.raises(ValueError, match="layer 'bent' lacks 'negative_slope'"):
        onnx_model_of_network(json.dumps(architecture), [])


def test_weights_of_another_network_are_refused():
    network = build(architectures.build_head, 20, 3, 16, 0.2)
    weights = network.get_weights()
    with pytest.raises(ValueError, match="fewer weights"):
        onnx_model_of_network(network.to_json(), weights[:-1])
    with pytest.raises(ValueError, match="more weights"):
        onnx_model_of_network(network.to_json(), [*weights, weights[-1]])


def test_a_network_is_converted_and_run_without_a_framework(tmp_path):
    network = build(architectures.build_head, 20, 3, 16, 0.2)
    np.savez(tmp_path / "weights.npz", *network.get_weights())
    (tmp_path / "head.json").write_text(network.to_json())
    program = """
import json, sys
import numpy as np, onnxruntime
from lungestimators.networks.onnx_graph import onnx_model_of_network
weights = list(np.load("weights.npz").values())
session = onnxruntime.InferenceSession(onnx_model_of_network(open("head.json").read(), weights))
outputs = session.run(None, {"inputs": np.ones((1, 20), np.float32)})[0]
print(json.dumps([outputs.tolist(), sorted({name.split(".")[0] for name in sys.modules})]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    outputs, loaded = json.loads(done.stdout)
    np.testing.assert_allclose(outputs, network(np.ones((1, 20), np.float32)), atol=1e-6)
    assert "onnx" in loaded
    assert not {"keras", "tensorflow", "torch", "jax"} & set(loaded)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "InceptionResNetV2"),
        *("MobileNetV3Large", "NASNetMobile", "ResNet50V2", "VGG16", "Xception"),
    ],
)
def test_networks_of_keras_applications_compute_what_they_do_in_keras(name):
    options = (("alpha", 1.0),)
    network = build(architectures.build_application, name, 96, 3, None, options)
    assert np.ptp(network.predict(np.ones((1, 96, 96, 3)), verbose=0)) > 0.1
    check(network)
