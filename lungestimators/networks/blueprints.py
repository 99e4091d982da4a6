"""Networks as plain data, to be pickled and shared: their architecture and their weights."""

import functools
import json
import re
from typing import NamedTuple

from ..backends import compiled, distribution
from ..backends.startup import keras
from . import architectures, dropout, keras_hub_presets, onnx_sessions, own_network, pool
from .weights import state_of_weights_file


class Blueprint(NamedTuple):
    """A network as plain data.

    Attributes
    ----------
    architecture : str
        Keras' own JSON.
    weights : tuple of ndarray
        Never written to; several classifiers may share one array. ONNX Runtime runs a network
        whose weights are ``OnnxWeights``.
    n_outputs : int
        Length of the network's output, a vector.
    """

    architecture: str
    weights: tuple
    n_outputs: int

    @property
    def runtime(self):
        """What runs the network: ``"keras"`` or ``"onnxruntime"``."""
        is_onnx = isinstance(self.weights, onnx_sessions.OnnxWeights)
        return "onnxruntime" if is_onnx else "keras"

    def build(self):
        """Build a new Keras network with these weights.

        Raises
        ------
        ValueError
            There is no such network: the file that the Blueprint was read from is damaged, or of
            another version of Keras.
        """
        try:
            with pool.seeded_building(0):
                network = keras.models.model_from_json(self.architecture)
            network.set_weights(self.weights)
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError) as error:
            raise ValueError(f"Keras cannot build this network: {error}") from error
        if network.output_shape[-1] != self.n_outputs:
            raise ValueError(
                f"The network has the output {network.output_shape}, and {self.n_outputs} numbers "
                "are needed"
            )
        return network

    def run(self, inputs):
        """Run the network in inference mode.

        Parameters
        ----------
        inputs : ndarray of shape (n, ...), float32

        Returns
        -------
        ndarray of shape (n, n_outputs), float32
        """
        if self.runtime == "onnxruntime":
            return onnx_sessions.run_in_onnx_session(self.architecture, self.weights, inputs)
        key = ("forward", dropout.key_without_dropout_rate(self.architecture))
        with pool.borrow_network(key, self.build) as network:
            # The borrower before may have set the very same arrays.
            if getattr(network, "last_set", _Wrapped(None)).weights is not self.weights:
                compiled.write_variables_by_backend(network.weights, self.weights)
                network.last_set = _Wrapped(self.weights)
            return compiled.forward_by_backend(network, inputs)


class _Wrapped:
    """A tuple of weights as an attribute of a Keras network: Keras would copy the bare tuple."""

    def __init__(self, weights):
        self.weights = weights


class Parts(NamedTuple):
    """The two parts of a classifier's network: image -> vector, and vector -> probabilities."""

    backbone: Blueprint
    head: Blueprint


def initial_backbone_blueprint(name, options, image_size, channels, weights, seed):
    """Return a backbone with pre-trained or random weights.

    Parameters
    ----------
    name : str or callable
        A name in ``keras.applications``, ``"keras_hub:"`` and a preset, or a function
        ``(image_size, channels) -> keras.Model``.
    options : tuple of (str, value)
        The backbone's own parameters; ``filters`` make it the custom CNN, ``blocks`` any DenseNet.
    image_size, channels : int
    weights : {"chest", "imagenet", "pretrained", None} or str
    seed : int
        Of random weights.

    Returns
    -------
    Blueprint
    """
    files = state_of_weights_file(weights)
    if callable(name):
        build = own_network.build_own_network
        arguments = (name, image_size, channels, weights)
    elif keras_hub_presets.is_keras_hub_preset(name):
        build = keras_hub_presets.build_keras_hub_network
        arguments = (name, image_size, channels, weights)
        files = (files, keras_hub_presets.state_of_keras_hub_preset(name))
    elif "filters" in dict(options):
        build = architectures.build_cnn
        arguments = (image_size, channels, weights, *dict(options).values())
    else:
        build = architectures.build_application
        arguments = (name, image_size, channels, weights, options)
    return build_blueprint(build, arguments, seed if weights is None else 0, files)


def initial_head_blueprint(n_features, n_classes, dense_units, rate, seed):
    """Return a head with random weights and a rate of dropout, as a Blueprint."""
    arguments = (n_features, n_classes, dense_units, dropout.ANY_RATE)
    head = build_blueprint(architectures.build_head, arguments, seed, None)
    return head._replace(architecture=dropout.with_dropout_rate(head.architecture, rate))


@functools.lru_cache(maxsize=4)
def build_blueprint(build, arguments, seed, state_of_files):
    """Return the Blueprint of ``build(*arguments)`` with random weights that follow from ``seed``.

    ``state_of_files`` is only part of the key under which the last Blueprints are kept.
    """
    with distribution.use_distribution(None), pool.seeded_building(seed):
        network = build(*arguments)
    architecture = blueprint_with_fixed_names(network.to_json())
    blueprint = Blueprint(architecture, tuple(network.get_weights()), network.output_shape[-1])
    network.last_set = _Wrapped(blueprint.weights)
    pool.offer_network(("forward", dropout.key_without_dropout_rate(architecture)), network)
    return blueprint


def blueprint_with_fixed_names(architecture):
    """Return Keras' JSON of a network with layer names that follow from the network alone.

    Keras numbers layers without a name of their own through the whole process, so that the JSON of
    two equal networks differs.
    """
    config = json.loads(architecture)
    _rename_blueprint_layers(config["config"])
    return json.dumps(config)


def _rename_blueprint_layers(config):
    """Number the layers with automatic names from 0, in place, in models inside too."""
    new_names, counts = {}, {}
    for layer in config["layers"]:
        automatic = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", layer["class_name"]).lower()
        name = layer["config"].get("name", layer.get("name"))
        if re.fullmatch(rf"{automatic.replace('_', '_?')}(_\d+)?", name):
            number = counts[automatic] = counts.get(automatic, -1) + 1
            new_names[name] = f"{automatic}_{number}" if number else automatic
            layer["name"] = layer["config"]["name"] = new_names[name]
        if "input_layers" in layer["config"]:
            _rename_blueprint_layers(layer["config"])
    for layer in config["layers"]:
        layer["inbound_nodes"] = _blueprint_with_new_names(layer["inbound_nodes"], new_names)
    for ends in ("input_layers", "output_layers"):
        config[ends] = _blueprint_with_new_names(config[ends], new_names)


def _blueprint_with_new_names(value, new_names):
    """Return references to layers, which are lists of a name and two numbers, with new names."""
    if isinstance(value, dict):
        return {key: _blueprint_with_new_names(item, new_names) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], int):
        return [new_names.get(value[0], value[0]), *value[1:]]
    return [_blueprint_with_new_names(item, new_names) for item in value]
