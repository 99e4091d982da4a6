"""``model_``: the parts of a fitted classifier joined to one flat Keras model, for use elsewhere.

Pixels go in, probabilities come out. The model contains no models, so that users can name its
layers and read its intermediate outputs; except for batch normalisation and dropout, no layer that
works differently in training; and no operation that ONNX, LiteRT and OpenVINO lack.
"""

import json
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..backends.startup import keras
from . import blueprints, pool
from .flat_model_pixels import checking_flat_model_pixels


def build_flat_model(parts, image_shape, pixel_range, name):
    """Build the Keras model that gives the same probabilities as ``predict_proba``.

    Layers of the backbone keep their names. Names of the layers before the backbone begin with
    ``preprocessing_``, of the layers that adapt the image to a network of ``keras.applications``
    with ``backbone_``, and of the layers of the head with ``head_``.

    Parameters
    ----------
    parts : blueprints.Parts
    image_shape : tuple of (int or None)
        (height, width, channels) of the pixels. None for a height or width that varied in ``fit``:
        the model then takes the size of the backbone.
    pixel_range : tuple of (float, float)
        The pixel values that become 0 and 1.
    name : str

    Returns
    -------
    keras.Model
        A functional model with one input and a copy of the weights. In this process, it warns of
        pixels that are clearly of another range, and raises for images of another shape.
    """
    with pool.seeded_building(0):
        graph = flat_graph(parts, image_shape, pixel_range)
        model = build_flat_layers(graph.layers, [graph.output], name)
    set_flat_weights(model, graph.layers, graph.weights)
    return finish_flat_model(model, graph.image_shape, pixel_range)


class FlatGraph(NamedTuple):
    """The layers of a flat model in Keras' configuration, and the weights.

    Attributes
    ----------
    layers : list of dict
        The input layer is the first.
    output : list
        Reference to the probabilities: name of a layer, number of its call, of the output.
    weights : list of ndarray
        In the order of ``layers``.
    image_shape : tuple of int
        (height, width, channels) of the pixels.
    """

    layers: list
    output: list
    weights: list
    image_shape: tuple


def flat_graph(parts, image_shape, pixel_range):
    """Return the parts of a network behind their preprocessing as a FlatGraph.

    Arguments are those of :func:`build_flat_model`.
    """
    backbone, head = (json.loads(part.architecture)["config"] for part in parts)
    image_size = _input_layers_to_flatten(backbone)[0]["config"]["batch_shape"][1]
    shape = tuple(size or image_size for size in image_shape)
    preprocessing, kernels = _build_flat_preprocessing(shape, image_size, pixel_range)
    first = _config_to_flatten(preprocessing)
    (pixels,) = _input_layers_to_flatten(first)
    layers, output = [pixels], [pixels["name"], 0, 0]
    for config, prefix in ((first, "preprocessing_"), (backbone, "backbone_"), (head, "head_")):
        nested = any(_is_model_to_flatten(layer) for layer in config["layers"])
        if config is backbone and not nested:
            prefix = ""
        more, output = _flatten_config(config, output, prefix)
        layers += more
    weights = [*kernels, *parts.backbone.weights, *parts.head.weights]
    return FlatGraph(layers, output, weights, shape)


def build_flat_layers(layers, outputs, name):
    """Build a Keras model of flat layers, the first of which is its input; outputs are a list."""
    return keras.Model.from_config(
        {
            "name": name,
            "trainable": True,
            "layers": layers,
            "input_layers": [layers[0]["name"], 0, 0],
            "output_layers": outputs[0] if len(outputs) == 1 else outputs,
        }
    )


def finish_flat_model(model, image_shape, pixel_range):
    """Let a flat model check its pixels, and make it one that Keras exports; return it."""
    model(keras.KerasTensor((None, *image_shape)))  # Keras exports only called models to ONNX
    # Methods of the instance, not of a class of ours: the model is saved as a plain Keras model.
    model.call = checking_flat_model_pixels(model.call, image_shape, pixel_range)
    model.predict = checking_flat_model_pixels(model.predict, image_shape, pixel_range)
    return model


def _build_flat_preprocessing(image_shape, image_size, pixel_range):
    """Return a model that prepares pixels as ``PreparedImages.prepare`` does, and its weights."""
    low, high = pixel_range
    pixels = x = keras.Input(image_shape, dtype="float32", name="pixels")
    kernels = []
    # Keras' Resizing is no operation of other runtimes, and is recorded as in training.
    for axis, side in ((2, "width"), (1, "height")):
        if x.shape[axis] != image_size:
            kernels.append(_flat_resizing_weights(x.shape[axis], image_size))
            swap = [1, 2, 3]
            swap[axis - 1], swap[2] = 3, axis
            x = keras.layers.Permute(swap, dtype="float32", name=f"{side}_last")(x)
            x = keras.layers.Dense(
                image_size,
                use_bias=False,
                kernel_initializer="zeros",
                trainable=False,
                dtype="float32",
                name=f"resize_{side}",
            )(x)
            x = keras.layers.Permute(swap, dtype="float32", name=f"{side}_back")(x)
    if low != 0:
        x = x - low
    if high - low != 1:
        x = x / (high - low)
    return keras.Model(pixels, x, name="preprocessing"), kernels


def _flat_resizing_weights(before, after):
    """Return the weights with which Pillow resizes a row of pixels: shape (before, after)."""
    each_pixel = Image.fromarray(np.eye(before, dtype=np.float32))
    return np.asarray(each_pixel.resize((before, after), Image.Resampling.BILINEAR)).T


def _flatten_config(config, source, prefix):
    """Return the layers of a network and of the models in it as one list, and its output.

    Parameters
    ----------
    config : dict
        Keras' configuration of a functional model with one input and one output.
    source : list
        The reference that replaces the input: name of a layer, number of its call, of the output.
    prefix : str
        Begins the names of the network's own layers, but not of the layers in models inside.

    Returns
    -------
    layers : list of dict
    output : list
        A reference, as ``source``.
    """
    (input_layer,) = _input_layers_to_flatten(config)
    models = {input_layer["name"]: source}
    layers = []

    def renamed(reference):
        name, call, number = reference
        # A model is called once; the number that Keras gives the call does not matter.
        return models.get(name, [prefix + name, call, number])

    for layer in config["layers"]:
        if layer is input_layer:
            continue
        name = prefix + layer["name"]
        nodes = rewire_flat_layers(layer["inbound_nodes"], renamed)
        inner, inner_prefix = None, ""
        if _is_model_to_flatten(layer):
            inner = layer["config"]
        elif _is_normalization_to_flatten(layer):
            inner, inner_prefix = _flatten_normalization(layer), f"{name}_"
        if inner is None:
            own = {**layer["config"], "name": name}
            layers.append({**layer, "name": name, "config": own, "inbound_nodes": nodes})
        else:
            ((called_on,),) = (node["args"] for node in nodes)
            inner_source = called_on["config"]["keras_history"]
            inner_layers, models[layer["name"]] = _flatten_config(inner, inner_source, inner_prefix)
            layers += inner_layers
    return layers, renamed(_output_of_flattened_model(config["output_layers"]))


def _flatten_normalization(layer):
    """Return a subtraction and a division that do the same as a layer with constant statistics.

    The layer keeps the constants as tensors: see :func:`rewire_flat_layers`.
    """
    mean, variance = (np.float32(layer["config"][name]) for name in ("mean", "variance"))
    x = keras.Input(layer["build_config"]["input_shape"][1:])
    deviation = np.maximum(np.sqrt(variance), np.float32(keras.config.epsilon()))
    network = keras.Model(x, (x - mean) / deviation)
    return _config_to_flatten(network)


def _config_to_flatten(network):
    """Return Keras' configuration of a network, with layer names that follow from the network."""
    return json.loads(blueprints.blueprint_with_fixed_names(network.to_json()))["config"]


def _is_model_to_flatten(layer):
    """Return whether a layer in a configuration is a model."""
    return "input_layers" in layer["config"]


def _is_normalization_to_flatten(layer):
    """Return whether a layer in a configuration is a Normalization that computes in float32.

    Others compute with rounded constants.
    """
    is_one = layer["class_name"] == "Normalization"
    return is_one and layer["config"]["dtype"]["config"]["name"] == "float32"


def _input_layers_to_flatten(config):
    """Return the input layers in a configuration."""
    return [layer for layer in config["layers"] if layer["class_name"] == "InputLayer"]


def _output_of_flattened_model(ends):
    """Return the one end of a network, which Keras writes alone or as a list of one."""
    return ends if isinstance(ends[0], str) else ends[0]


def rewire_flat_layers(value, renamed):
    """Return the calls of a layer, or an argument of one, with new references to layers.

    Constants become NumPy arrays: a function traced by TensorFlow has constant tensors among its
    inputs, and so would the exported ONNX model.
    """
    if isinstance(value, list):
        return [rewire_flat_layers(item, renamed) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__keras_tensor__":
        tensor = value["config"]
        return {**value, "config": {**tensor, "keras_history": renamed(tensor["keras_history"])}}
    if value.get("class_name") == "__tensor__":
        return {**value, "class_name": "__numpy__"}
    return {key: rewire_flat_layers(item, renamed) for key, item in value.items()}


def set_flat_weights(model, layers, weights):
    """Set a model's weights, given in the order of ``layers``.

    Keras may sort the layers of the joined model in another order than those of its parts.
    """
    for name, own in split_flat_weights(model, layers, weights).items():
        model.get_layer(name).set_weights(own)


def split_flat_weights(model, layers, weights):
    """Return weights, given in the order of ``layers``, as lists by the name of their layer."""
    counts = {layer.name: len(layer.weights) for layer in model.layers}
    # A bare operation is no layer.
    names = [layer["name"] for layer in layers if layer["name"] in counts]
    if sum(counts[name] for name in names) != len(weights):
        raise RuntimeError("the joined model has another number of weights than its parts")
    weights = iter(weights)
    return {name: [next(weights) for _ in range(counts[name])] for name in names}
