"""Networks that others made, as plain networks: one graph of layers that Keras can build again."""

import json
import warnings

import numpy as np
import xxhash

from .. import _compat
from ..backends.startup import keras
from .keras_weights import load_keras_weights

# Layers of ``model_`` that are not the backbone's have names that begin so.
_NAMES_IN_MODEL = ("preprocessing_", "backbone_", "head_")

# What a rebuilt network may differ in, relative to its largest output: no more than rounding.
_TOLERANCE = 1e-3


def build_plain_network(network, shape, weights_file, origin):
    """Build a network again from its configuration, without models in it, with the same weights.

    Everything that is done with a network later (pickling, the feature store, the cut before its
    last stage, ``model_``) is done with its configuration. A network that cannot be built from it,
    or computes something else then, is refused.

    Parameters
    ----------
    network : object
        What a user's function returned, or a backbone of keras-hub.
    shape : tuple of int
        (height, width, channels) of the images.
    weights_file : path or None
        A file of the network's weights, which are loaded first.
    origin : str
        Where the network comes from, for errors: ``"backbone=networks.tiny"``.

    Returns
    -------
    keras.Model
        Image -> feature map or vector. Where a layer was called with ``training=``, it has lost
        this argument: the stage of a fit decides.

    Raises
    ------
    TypeError
        ``network`` is no Keras model.
    ValueError
        Its input or output is not as described, or it cannot be built again.
    """
    _check_plain_network_has_a_graph(network, origin)
    _check_plain_network_ends(network, shape, origin)
    if weights_file is not None:
        load_keras_weights(network, weights_file, origin, {})
    image = np.random.default_rng(0).random((1, *shape), np.float32)
    output = _output_of_plain_network(network, image)
    # What the layers compute is part of the network's configuration, and so of all keys: a layer of
    # the user's may be changed in its code alone, also while the process runs.
    inputs = keras.Input(shape, name=f"image_{_digest_of_plain_output(output)}")
    (flat_output,) = keras.tree.flatten(_call_for_plain_network(network, inputs))
    flat = keras.Model(inputs, flat_output, name="application")
    _check_plain_network_layers(flat, origin)
    rebuilt = _rebuild_plain_network(flat, origin)
    rebuilt_output = _output_of_plain_network(rebuilt, image)
    tolerance = _TOLERANCE * np.abs(output).max(initial=0)
    if not np.allclose(rebuilt_output, output, rtol=_TOLERANCE, atol=tolerance, equal_nan=True):
        raise ValueError(
            f"{origin} computes other features when it is built again from its configuration: "
            "get_config of a layer lacks a parameter, or a layer is random outside training"
        )
    return rebuilt


def _output_of_plain_network(network, image):
    """Return the one output of a network for an image, as an array."""
    (output,) = keras.tree.flatten(network(image, training=False))
    return keras.ops.convert_to_numpy(output)


def _digest_of_plain_output(output):
    """Return a digest of an output, of averages: rounding would change a digest of all numbers."""
    averages = [part.mean() for part in np.array_split(output.ravel(), min(32, output.size))]
    largest = np.abs(output).max(initial=0) or 1.0
    return xxhash.xxh3_64(np.round(np.array(averages) / largest, 4) + 0.0).hexdigest()


def _is_graph_of_layers(layer):
    """Return whether a layer is a functional or sequential model, whose layers are known."""
    return isinstance(layer, keras.Sequential) or (
        isinstance(layer, keras.Model) and hasattr(layer, "operations")
    )


def _check_plain_network_has_a_graph(network, origin):
    """Raise unless a network is a functional or sequential Keras model."""
    if not isinstance(network, keras.Model):
        raise TypeError(
            f"{origin} must return a keras.Model, and it returned {type(network).__name__}"
        )
    if not _is_graph_of_layers(network):
        raise TypeError(
            f"{origin} returned a {type(network).__name__}, a model with a method call of its own: "
            "return keras.Model(inputs, outputs) or keras.Sequential([keras.Input(...), ...])"
        )


def _check_plain_network_ends(network, shape, origin):
    """Raise unless a network takes images of one shape, and returns one map or vector an image."""
    inputs = [] if not network.built else keras.tree.flatten(network.inputs)
    wanted = f"(None, {', '.join(map(str, shape))})"
    if len(inputs) != 1:
        number = "no" if not inputs else len(inputs)
        raise ValueError(
            f"{origin} has {number} inputs, and one is needed, images of shape {wanted}: begin "
            "with keras.Input((image_size, image_size, channels))"
        )
    found = tuple(inputs[0].shape)
    fits = len(found) == 4 and all(a in (None, b) for a, b in zip(found[1:], shape, strict=True))
    if not fits:
        raise ValueError(
            f"{origin} takes images of shape {found}, and its images have the shape {wanted}: it "
            "must follow image_size and channels, which are 1 for grey images, 3 for RGB and files"
        )
    if inputs[0].dtype != "float32":
        raise ValueError(
            f"{origin} takes images of type {inputs[0].dtype}, and they are float32, from 0 to 1: "
            "leave out dtype of keras.Input, and scale pixels with keras.layers.Rescaling(255)"
        )
    outputs = keras.tree.flatten(network.outputs)
    if len(outputs) != 1:
        raise ValueError(
            f"{origin} has {len(outputs)} outputs, and one is needed: a feature map (None, height, "
            "width, channels) or a vector (None, length)"
        )
    if len(outputs[0].shape) not in (2, 4) or None in outputs[0].shape[-1:]:
        raise ValueError(
            f"{origin} has an output of shape {tuple(outputs[0].shape)}, and a feature map (None, "
            "height, width, channels) or a vector (None, length) is needed: of a sequence of "
            "vectors, add keras.layers.GlobalAveragePooling1D()"
        )
    if outputs[0].dtype != "float32":
        raise ValueError(
            f"{origin} has an output of type {outputs[0].dtype}, and float32 is needed: build its "
            "last layer with dtype='float32'"
        )


def _call_for_plain_network(layer, *args, **kwargs):
    """Call a layer; of a model, call all layers in it instead, so that the graph has no models."""
    if not _is_graph_of_layers(layer):
        return layer(*args, **kwargs)
    inputs = args[0] if args else kwargs["inputs"]
    if isinstance(layer, keras.Sequential):
        for inner in layer.layers:
            inputs = _call_for_plain_network(inner, inputs)
        return inputs
    return _compat.keras_call_layers_of(layer, inputs, _call_for_plain_network)


def _check_plain_network_layers(network, origin):
    """Raise for layers that the rest of the package would take for something else."""
    for layer in network.layers:
        if layer.name == "pixels" or layer.name.startswith(_NAMES_IN_MODEL):
            raise ValueError(
                f"{origin} has a layer named {layer.name!r}: 'pixels' and names that begin with "
                "'preprocessing_', 'backbone_' or 'head_' are those of model_'s other layers. "
                "Give the layer another name"
            )
        is_own_norm = isinstance(layer, keras.layers.BatchNormalization)
        if is_own_norm and type(layer) is not keras.layers.BatchNormalization:
            raise ValueError(
                f"{origin} has the layer {layer.name!r} of the class {type(layer).__name__}, which "
                "inherits from BatchNormalization: use Keras' own layer, or inherit from "
                "keras.layers.Layer"
            )
    if network.losses:
        warnings.warn(
            f"{origin} has regularizers or other losses of its own: fit does not use them, it "
            "minimises the cross-entropy",
            stacklevel=2,
        )


def _rebuild_plain_network(flat, origin):
    """Return a network built from the configuration of another, with its weights."""
    try:
        architecture = json.loads(flat.to_json())
        configs = {layer["name"]: layer for layer in architecture["config"]["layers"]}
        for layer in flat.layers:
            _adapt_plain_configuration(configs[layer.name], layer)
        rebuilt = keras.models.model_from_json(json.dumps(architecture))
        for old, new in zip(flat.layers, rebuilt.layers, strict=True):
            if new.weights:
                new.set_weights(old.get_weights())
    except Exception as error:  # Keras and the layers themselves raise errors of many kinds
        raise ValueError(
            f"{origin}: {_layer_that_cannot_be_plain(flat)} cannot be built again from its "
            "configuration. A layer of your own needs @keras.saving.register_keras_serializable() "
            "and a get_config with all its parameters, in a module that the function's module "
            "imports; use it in place of a Lambda"
        ) from error
    for old, new in zip(flat.layers, rebuilt.layers, strict=True):
        if old.name != new.name:
            raise ValueError(
                f"{origin}: the layer {old.name!r} ({type(old).__name__}) has the name "
                f"{new.name!r} when it is built again: its get_config must give the name that its "
                "constructor takes"
            )
    repeated = [name for name, config in configs.items() if len(config["inbound_nodes"]) > 1]
    if repeated:
        raise ValueError(
            f"{origin} calls the layer {repeated[0]!r} more than once: make a layer for each call"
        )
    return rebuilt


def _layer_that_cannot_be_plain(flat):
    """Return which layer of a network cannot be built from its configuration, in words."""
    for layer in flat.layers:
        try:
            keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        except Exception:  # of many kinds
            return f"the layer {layer.name!r} ({type(layer).__name__})"
    return "the network"


def _adapt_plain_configuration(config, layer):
    """Take ``training=`` out of a layer's configuration, and write statistics of pixels into it."""
    for node in config["inbound_nodes"]:
        node["kwargs"].pop("training", None)
    if isinstance(layer, keras.layers.Normalization) and layer.weights:
        # As in ``architectures``: set as weights, these statistics would have no effect.
        mean, variance, _ = layer.get_weights()
        config["config"].update(mean=mean.tolist(), variance=variance.tolist())
