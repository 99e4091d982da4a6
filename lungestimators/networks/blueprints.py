"""Networks as plain data: architecture and weights, whole or cut where learning begins."""

import functools
import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..backends import compiled, distribution
from ..backends.startup import keras
from . import architectures, dropout, pool


class Blueprint(NamedTuple):
    """A network as plain data.

    Attributes
    ----------
    architecture : str
        Keras' own JSON.
    weights : tuple of ndarray
        Never written to; several classifiers may share one array.
    n_outputs : int
        Length of the vector that comes out.
    """

    architecture: str
    weights: tuple
    n_outputs: int

    def build(self):
        """Build the network anew."""
        with pool.seeded(0):
            network = keras.models.model_from_json(self.architecture)
        network.set_weights(self.weights)
        return network

    def run(self, inputs):
        """Run the network in inference mode over ``inputs``, an array of n rows.

        Returns
        -------
        ndarray of shape (n, n_outputs), float32
        """
        key = ("forward", dropout.forward_key(self.architecture))
        with pool.borrow(key, self.build) as network:
            # The borrower before may have set the very same arrays.
            if getattr(network, "last_blueprint", _Last(None)).weights is not self.weights:
                compiled.write(network.weights, self.weights)
                network.last_blueprint = _Last(self.weights)
            return compiled.forward(network, inputs)


class _Last:
    """The weights that a network was given last; Keras would copy a bare tuple."""

    def __init__(self, weights):
        self.weights = weights


class Parts(NamedTuple):
    """The learnt parts of a network: image -> vector, vector -> probabilities."""

    backbone: Blueprint
    head: Blueprint


def initial_backbone(name, options, image_size, channels, weights, seed):
    """Build a backbone, pre-trained or random.

    Parameters
    ----------
    name : str
        A name in ``keras.applications``.
    options : tuple of (str, value)
        The backbone's own parameters; ``filters`` make it the custom CNN, ``blocks`` any DenseNet.
    image_size, channels : int
    weights : {"imagenet", None} or str
    seed : int

    Returns
    -------
    Blueprint
    """
    if "filters" in dict(options):
        build, arguments = (
            architectures.build_cnn,
            (image_size, channels, weights, *dict(options).values()),
        )
    else:
        build = architectures.build_application
        arguments = (name, image_size, channels, weights, options)
    return _blueprint(
        build, arguments, seed if weights is None else 0, file_state=_file_state(weights)
    )


def initial_head(n_features, n_classes, dense_units, rate, seed):
    """Build a head with random weights and a rate of dropout, as a Blueprint."""
    arguments = (n_features, n_classes, dense_units, dropout.ANY_RATE)
    head = _blueprint(architectures.build_head, arguments, seed)
    return head._replace(architecture=dropout.with_rate(head.architecture, rate))


def _file_state(weights):
    """What tells a weights file from every other, and from the one that stood there before."""
    if weights in (None, "imagenet"):
        return None
    path = Path(weights).expanduser().absolute()
    if not path.exists():
        return None
    state = path.stat()
    return str(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _blueprint(build, arguments, seed, file_state=None):
    """``build(*arguments)`` with initial weights that follow from ``seed``, as plain data."""
    return _built(build, arguments, seed, file_state)


@functools.lru_cache(maxsize=4)
def _built(build, arguments, seed, file_state):
    with distribution.use(None), pool.seeded(seed):
        network = build(*arguments)
    architecture = with_fixed_names(network.to_json())
    blueprint = Blueprint(architecture, tuple(network.get_weights()), network.output_shape[-1])
    network.last_blueprint = _Last(blueprint.weights)
    pool.offer(("forward", dropout.forward_key(architecture)), network)
    return blueprint


def with_fixed_names(architecture):
    """Keras' JSON of a network, whose automatic names follow from the network alone.

    Keras numbers the layers that are given no name through the whole process; two networks of one
    structure would not be recognised as such.
    """
    config = json.loads(architecture)
    _rename(config["config"])
    return json.dumps(config)


def _rename(config):
    new_names, counts = {}, {}
    for layer in config["layers"]:
        automatic = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", layer["class_name"]).lower()
        name = layer["config"].get("name", layer.get("name"))
        if re.fullmatch(rf"{automatic.replace('_', '_?')}(_\d+)?", name):
            number = counts[automatic] = counts.get(automatic, -1) + 1
            new_names[name] = f"{automatic}_{number}" if number else automatic
            layer["name"] = layer["config"]["name"] = new_names[name]
        if "layers" in layer["config"]:
            _rename(layer["config"])
    for layer in config["layers"]:
        layer["inbound_nodes"] = _with_new_names(layer["inbound_nodes"], new_names)
    for ends in ("input_layers", "output_layers"):
        config[ends] = _with_new_names(config[ends], new_names)


def _with_new_names(value, new_names):
    """Replace names in references, which are lists of a name and two numbers."""
    if isinstance(value, dict):
        return {key: _with_new_names(item, new_names) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], int):
        return [new_names.get(value[0], value[0]), *value[1:]]
    return [_with_new_names(item, new_names) for item in value]


def below(backbone, trainable):
    """Return the part of a backbone that never learns: what comes out of it may be kept.

    Parameters
    ----------
    backbone : Blueprint
    trainable : {"head", "last_stage"}

    Returns
    -------
    Blueprint
        For ``"head"``: all of the backbone. For ``"last_stage"``: everything before the last stage,
        as a model with one output, the concatenation of all tensors that the last stage and the
        pooled features read. One vector an image, so that the feature store can keep it.
    """
    return backbone if trainable == "head" else _part(backbone, 0)


def above(backbone):
    """Return the last stage of a backbone: the output of ``below`` goes in, features come out."""
    return _part(backbone, 1)


def with_above(backbone, above):
    """Return ``backbone`` with the weights of its last stage taken from ``above``."""
    weights = list(backbone.weights)
    _, rows, _ = _cut(backbone.architecture)[1]
    for row, weight in zip(rows, above.weights, strict=True):
        weights[row] = weight
    return backbone._replace(weights=tuple(weights))


def _part(backbone, number):
    architecture, rows, n_outputs = _cut(backbone.architecture)[number]
    return Blueprint(architecture, tuple(backbone.weights[row] for row in rows), n_outputs)


@functools.lru_cache(maxsize=8)
def _cut(architecture):
    """Architecture, numbers of the weights and length of the output of both parts."""
    with distribution.use(None), pool.seeded(0):
        network = keras.models.model_from_json(architecture)
        parts = architectures.cut(network)
    number = {id(weight): row for row, weight in enumerate(network.weights)}
    return tuple(
        (
            with_fixed_names(part.to_json()),
            tuple(number[id(weight)] for weight in part.weights),
            int(np.prod(part.output_shape[1:])),
        )
        for part in parts
    )
