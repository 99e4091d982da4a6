"""What each layer of Keras is in ONNX. Nothing here imports Keras or ONNX.

In the ONNX graph, feature maps are channels first, as its convolutions need them, and all other
tensors are in Keras' order. Shapes are stated in Keras' order, without the dimension of the batch.
"""

import collections
import functools
import math
from typing import NamedTuple

import numpy as np


class Tensor(NamedTuple):
    """An output of a layer.

    Attributes
    ----------
    name : str
        In the ONNX graph.
    shape : tuple of int
    """

    name: str
    shape: tuple

    @property
    def is_map(self):
        """Whether this is a feature map, which is channels first in ONNX."""
        return len(self.shape) == 3

    @property
    def channel_axis(self):
        """The axis of the channels in ONNX."""
        return 1 if self.is_map else len(self.shape)


class Graph:
    """An ONNX graph while it is written, as plain data.

    Parameters
    ----------
    weights : sequence of ndarray
        Of the whole network, in Keras' order. Layers take them in turn.

    Attributes
    ----------
    weights : deque of ndarray
        Those that no layer has taken yet.
    nodes : list of (str, list of str, str, dict)
        Operator, names of the inputs, name of the output, and attributes.
    constants : dict of {str: ndarray}
    """

    def __init__(self, weights):
        self.weights = collections.deque(weights)
        self.nodes, self.constants = [], {}

    def next_weight(self):
        """Return the next weight of the network, or raise a ValueError where there is none."""
        if not self.weights:
            raise ValueError("the network has fewer weights than its layers need")
        return self.weights.popleft()

    def constant(self, value, dtype=np.float32):
        """Return the name of a new constant."""
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype)
        return name

    def add(self, operator, *inputs, **attributes):
        """Add a node; return the name of its output. An input is a name, or a number or array."""
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        output = f"{operator}_{len(self.nodes)}"
        self.nodes.append((operator, names, output, attributes))
        return output

    def in_keras_order(self, x):
        """Return the name of a tensor whose channels are last."""
        return self.add("Transpose", x.name, perm=[0, 2, 3, 1]) if x.is_map else x.name

    def from_keras_order(self, name, shape):
        """Return a tensor that is in Keras' order under this name."""
        x = Tensor(name, tuple(shape))
        return x._replace(name=self.add("Transpose", name, perm=[0, 3, 1, 2])) if x.is_map else x

    def reshape(self, x, shape):
        """Return a tensor in another shape, as Keras' order has it."""
        # 0 keeps the dimension of the batch.
        target = self.constant([0, *shape], np.int64)
        return self.from_keras_order(self.add("Reshape", self.in_keras_order(x), target), shape)

    def scale_and_shift(self, x, factor, summand):
        """Return ``x * factor + summand``, with a number each, or one number for each channel."""
        scaled = self.add("Mul", x.name, _along_channels(x, factor))
        return x._replace(name=self.add("Add", scaled, _along_channels(x, summand)))


def _along_channels(x, value):
    """Return a number, or one for each channel, in the shape that ONNX broadcasts to a tensor."""
    value = np.asarray(value, np.float32)
    return value.reshape(-1, 1, 1) if x.is_map and value.ndim else value


def _identity(graph, config, x):
    return x


def _activated(graph, config, x):
    return x._replace(name=ACTIVATIONS[config["activation"]](graph, x))


def _operator(operator, **attributes):
    """Return the function of an activation that is one operator of ONNX."""
    return lambda graph, x: graph.add(operator, x.name, **attributes)


# A function (graph, tensor) -> name of the output for each activation.
ACTIVATIONS = {
    "elu": _operator("Elu"),
    "gelu": _operator("Gelu"),
    "hard_sigmoid": _operator("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_silu": _operator("HardSwish"),
    "leaky_relu": _operator("LeakyRelu", alpha=0.2),
    "linear": lambda graph, x: x.name,
    "relu": _operator("Relu"),
    "relu6": lambda graph, x: graph.add("Clip", x.name, 0, 6),
    "selu": _operator("Selu"),
    "sigmoid": _operator("Sigmoid"),
    "silu": lambda graph, x: graph.add("Mul", x.name, graph.add("Sigmoid", x.name)),
    "softmax": lambda graph, x: graph.add("Softmax", x.name, axis=x.channel_axis),
    "softplus": _operator("Softplus"),
    "tanh": _operator("Tanh"),
}


def _relu(graph, config, x):
    name, slope, threshold = x.name, config["negative_slope"], config["threshold"]
    name = (
        graph.add("ThresholdedRelu", name, alpha=float(threshold))
        if threshold
        else graph.add("Relu", name)
    )
    if config["max_value"] is not None:
        name = graph.add("Clip", name, 0, config["max_value"])
    if slope:
        below = graph.add("Relu", graph.add("Sub", threshold, x.name))
        name = graph.add("Sub", name, graph.add("Mul", below, slope))
    return x._replace(name=name)


def _merged(operator):
    """Return the function of a layer that computes number by number."""

    def merge(graph, config, *inputs):
        rank = max(len(x.shape) for x in inputs if isinstance(x, Tensor))
        inputs = [x if isinstance(x, Tensor) else _constant_of(graph, x, rank) for x in inputs]
        rank = max(len(x.shape) for x in inputs)
        inputs = [
            x if len(x.shape) == rank else graph.reshape(x, (1,) * (rank - len(x.shape)) + x.shape)
            for x in inputs
        ]
        name = functools.reduce(functools.partial(graph.add, operator), [x.name for x in inputs])
        return Tensor(name, np.broadcast_shapes(*(x.shape for x in inputs)))

    return merge


def _constant_of(graph, value, rank):
    """Return a number or an array that Keras broadcasts to a batch of tensors of a rank."""
    value = np.asarray(value, np.float32)
    value = value.reshape((1,) * (rank + 1 - value.ndim) + value.shape)
    x = Tensor("", value.shape[1:])
    return x._replace(name=graph.constant(value.transpose(0, 3, 1, 2) if x.is_map else value))


def _residue_added(graph, config, x, residue):
    scaled = graph.add("Mul", residue.name, _along_channels(residue, config["scale"]))
    return _merged("Add")(graph, config, x, residue._replace(name=scaled))


def _rescaled(graph, config, x):
    return graph.scale_and_shift(x, config["scale"], config["offset"])


def _normalised_by_constants(graph, config, x):
    # The smallest deviation is Keras' own.
    deviation = np.maximum(np.sqrt(np.float32(config["variance"])), np.float32(1e-7))
    name = graph.add("Sub", x.name, _along_channels(x, config["mean"]))
    return x._replace(name=graph.add("Div", name, _along_channels(x, deviation)))


def _scaled_by_weights(graph, config, x):
    return x._replace(name=graph.add("Mul", x.name, _along_channels(x, graph.next_weight())))


def _batch_normalised(graph, config, x):
    channels = x.shape[-1]
    gamma = graph.next_weight() if config["scale"] else np.ones(channels, np.float32)
    beta = graph.next_weight() if config["center"] else np.zeros(channels, np.float32)
    mean, variance = graph.next_weight(), graph.next_weight()
    if x.channel_axis == 1:
        operands = gamma, beta, mean, variance
        name = graph.add("BatchNormalization", x.name, *operands, epsilon=float(config["epsilon"]))
        return x._replace(name=name)
    # The operator takes its channels from axis 1 alone.
    factor = gamma / np.sqrt(variance + np.float32(config["epsilon"]))
    return graph.scale_and_shift(x, factor, beta - mean * factor)


def _layer_normalised(graph, config, x):
    gamma = graph.next_weight() if config["scale"] else np.ones(x.shape[-1], np.float32)
    beta = graph.next_weight() if config["center"] else np.zeros(x.shape[-1], np.float32)
    # ONNX Runtime 1.20 computes the variance as a difference of two squares, which is mostly
    # rounding where the mean is large.
    mean = graph.add("ReduceMean", x.name, graph.constant([x.channel_axis], np.int64), keepdims=1)
    centred = graph.in_keras_order(x._replace(name=graph.add("Sub", x.name, mean)))
    epsilon = float(config["epsilon"])
    name = graph.add("LayerNormalization", centred, gamma, beta, epsilon=epsilon)
    return graph.from_keras_order(name, x.shape)


def _dense(graph, config, x):
    kernel = graph.next_weight()
    if x.is_map:
        x = _convolution(graph, config, x, kernel[None, None])
    else:
        name = graph.add("MatMul", x.name, kernel)
        if config["use_bias"]:
            name = graph.add("Add", name, graph.next_weight())
        x = Tensor(name, (*x.shape[:-1], kernel.shape[-1]))
    return _activated(graph, config, x)


def _window(config, x, sides):
    """Return height and width behind a window that moves over a map, and ONNX' attributes of it."""
    strides, dilations = config.get("strides", [1, 1]), config.get("dilation_rate", [1, 1])
    lengths, before, after = [], [], []
    for size, side, stride, dilation in zip(x.shape[:2], sides, strides, dilations, strict=True):
        extent = dilation * (side - 1) + 1
        same = config.get("padding") == "same"
        length = -(-size // stride) if same else (size - extent) // stride + 1
        # As in TensorFlow, the end of an odd padding has one more than its beginning.
        padding = max((length - 1) * stride + extent - size, 0)
        lengths.append(length)
        before.append(padding // 2)
        after.append(padding - padding // 2)
    attributes = {"kernel_shape": sides, "strides": strides, "dilations": dilations}
    return lengths, {**attributes, "pads": before + after}


def _convolution(graph, config, x, kernel, groups=1):
    """Return a convolution of a map, without activation; ``kernel`` has Keras' order of axes."""
    sides, attributes = _window(config, x, kernel.shape[:2])
    bias = [graph.next_weight()] if config["use_bias"] else []
    operands = x.name, kernel.transpose(3, 2, 0, 1), *bias
    name = graph.add("Conv", *operands, group=groups, **attributes)
    return Tensor(name, (*sides, kernel.shape[-1]))


def _convolved(graph, config, x):
    x = _convolution(graph, config, x, graph.next_weight(), config["groups"])
    return _activated(graph, config, x)


def _kernel_by_channel(kernel):
    """Return a kernel (height, width, channels, multiplier) as one of a group for each channel."""
    return kernel.reshape(*kernel.shape[:2], 1, -1)


def _convolved_by_channel(graph, config, x):
    kernel = _kernel_by_channel(graph.next_weight())
    x = _convolution(graph, config, x, kernel, x.shape[-1])
    return _activated(graph, config, x)


def _convolved_separably(graph, config, x):
    kernel = _kernel_by_channel(graph.next_weight())
    x = _convolution(graph, config | {"use_bias": False}, x, kernel, x.shape[-1])
    x = _convolution(graph, {"use_bias": config["use_bias"]}, x, graph.next_weight())
    return _activated(graph, config, x)


def _pooled(operator):
    """Return the function of a layer that pools."""

    def pool(graph, config, x):
        sides, attributes = _window(config, x, config["pool_size"])
        return Tensor(graph.add(operator, x.name, **attributes), (*sides, x.shape[-1]))

    return pool


def _averaged(graph, config, x):
    axes = graph.constant([2, 3], np.int64)
    name = graph.add("ReduceMean", x.name, axes, keepdims=int(config["keepdims"]))
    return Tensor(name, (1, 1, x.shape[-1]) if config["keepdims"] else x.shape[-1:])


def _mean_of_channels(graph, config, x):
    name = graph.add("ReduceMean", x.name, graph.constant([1], np.int64), keepdims=1)
    return Tensor(name, (*x.shape[:-1], 1))


def _padded(graph, config, x):
    (top, bottom), (left, right) = config["padding"]
    pads = graph.constant([0, 0, top, left, 0, 0, bottom, right], np.int64)
    height, width, channels = x.shape
    return Tensor(
        graph.add("Pad", x.name, pads), (top + height + bottom, left + width + right, channels)
    )


def _cropped(graph, config, x):
    (top, bottom), (left, right) = config["cropping"]
    height, width, channels = x.shape
    starts, ends, axes = [top, left], [height - bottom, width - right], [2, 3]
    where = [graph.constant(numbers, np.int64) for numbers in (starts, ends, axes)]
    sides = [end - start for start, end in zip(starts, ends, strict=True)]
    return Tensor(graph.add("Slice", x.name, *where), (*sides, channels))


def _upsampled(graph, config, x):
    if config["interpolation"] != "bilinear":
        raise ValueError(f"interpolation={config['interpolation']!r} is not known")
    (vertical, horizontal), (height, width, channels) = config["size"], x.shape
    scales = graph.constant([1, 1, vertical, horizontal])
    # Half-pixel centres are ONNX' default, and what Keras has.
    name = graph.add("Resize", x.name, "", scales, mode="linear")
    return Tensor(name, (vertical * height, horizontal * width, channels))


def _flattened(graph, config, x):
    return graph.reshape(x, (math.prod(x.shape),))


def _reshaped(graph, config, x):
    return graph.reshape(x, tuple(config["target_shape"]))


def _joined(graph, config, *inputs):
    name = graph.add("Concat", *(x.name for x in inputs), axis=inputs[0].channel_axis)
    return Tensor(name, (*inputs[0].shape[:-1], sum(x.shape[-1] for x in inputs)))


def _channel(graph, config, x, where):
    number = graph.constant(where[-1], np.int64)
    name = graph.add("Gather", x.name, number, axis=x.channel_axis)
    return graph.from_keras_order(name, x.shape[:-1])


def _stacked(graph, config, *inputs):
    last = graph.constant([-1], np.int64)
    columns = [graph.add("Unsqueeze", graph.in_keras_order(x), last) for x in inputs]
    name = graph.add("Concat", *columns, axis=-1)
    return graph.from_keras_order(name, (*inputs[0].shape, len(inputs)))


# A function (graph, configuration, *arguments) -> Tensor for each module and class.
LAYERS = {
    ("keras.layers", "Activation"): _activated,
    ("keras.layers", "Add"): _merged("Add"),
    ("keras.layers", "AveragePooling2D"): _pooled("AveragePool"),
    ("keras.layers", "BatchNormalization"): _batch_normalised,
    ("keras.layers", "Concatenate"): _joined,
    ("keras.layers", "Conv2D"): _convolved,
    ("keras.layers", "Cropping2D"): _cropped,
    ("keras.layers", "Dense"): _dense,
    ("keras.layers", "DepthwiseConv2D"): _convolved_by_channel,
    ("keras.layers", "Dropout"): _identity,
    ("keras.layers", "Flatten"): _flattened,
    ("keras.layers", "GlobalAveragePooling2D"): _averaged,
    ("keras.layers", "LayerNormalization"): _layer_normalised,
    ("keras.layers", "MaxPooling2D"): _pooled("MaxPool"),
    ("keras.layers", "Multiply"): _merged("Mul"),
    ("keras.layers", "Normalization"): _normalised_by_constants,
    ("keras.layers", "ReLU"): _relu,
    ("keras.layers", "Rescaling"): _rescaled,
    ("keras.layers", "Reshape"): _reshaped,
    ("keras.layers", "SeparableConv2D"): _convolved_separably,
    ("keras.layers", "UpSampling2D"): _upsampled,
    ("keras.layers", "ZeroPadding2D"): _padded,
    ("keras.src.applications.convnext", "LayerScale"): _scaled_by_weights,
    ("keras.src.applications.inception_resnet_v2", "CustomScaleLayer"): _residue_added,
    ("keras.src.ops.numpy", "Add"): _merged("Add"),
    ("keras.src.ops.numpy", "GetItem"): _channel,
    ("keras.src.ops.numpy", "Mean"): _mean_of_channels,
    ("keras.src.ops.numpy", "Multiply"): _merged("Mul"),
    ("keras.src.ops.numpy", "Stack"): _stacked,
    ("keras.src.ops.numpy", "Subtract"): _merged("Sub"),
    ("keras.src.ops.numpy", "TrueDivide"): _merged("Div"),
}
