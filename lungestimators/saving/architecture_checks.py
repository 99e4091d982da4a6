"""Check the architecture of a network, Keras' JSON, before Keras reads it.

Keras imports any module that its JSON names and calls what it finds there. So every class must be
on the list of ``layer_shapes``, every reference must lead to an earlier layer, and every shape is
computed here and compared with the one that the JSON states. The shapes of the weights follow: the
network cannot ask for more memory than the arrays of the file have.
"""

import functools
import json
from typing import NamedTuple

import numpy as np

from . import layer_shapes

_MODELS = {
    ("keras.src.models.functional", "Functional", "Functional"),
    ("keras", "Sequential", None),
}
_ENTRIES = {
    "module",
    "class_name",
    "config",
    "registered_name",
    "build_config",
    "compile_config",
    "name",
    "inbound_nodes",
}
# A backbone, the network of keras.applications in it, and a Sequential in that.
_DEEPEST = 3


class Shapes(NamedTuple):
    """What a checked architecture takes, returns and weighs.

    Attributes
    ----------
    name : str
        Of the whole network: ``"backbone"`` or ``"head"``.
    input, output : tuple of int
        Without the dimension of the batch.
    weights : list of tuple of int
        In the order of Keras.
    """

    name: str
    input: tuple
    output: tuple
    weights: list


def check_architecture(architecture):
    """Return the shapes of a network, or raise where it is not made of known layers alone.

    Parameters
    ----------
    architecture : dict
        Keras' JSON of a functional model, parsed.

    Returns
    -------
    Shapes

    Raises
    ------
    ValueError
        It names an unknown class or option, is damaged, or fits no image.
    """
    if not isinstance(architecture, dict) or _kind(architecture)[1] != "Functional":
        raise ValueError("the network is no functional model of Keras")
    given, output, weights = _check_functional(architecture, 1)
    return Shapes(architecture["config"]["name"], given, output, weights)


@functools.lru_cache(maxsize=8)
def shapes_of_network(text):
    """Return the shapes of a network whose architecture is a text, as ``Blueprint`` has it."""
    return check_architecture(json.loads(text))


def _kind(layer):
    """Return module, class and registered name of a layer."""
    kind = layer.get("module"), layer.get("class_name"), layer.get("registered_name")
    if not all(part is None or isinstance(part, str) for part in kind):
        raise ValueError("a layer has no class")
    return kind


def _check_entries(layer):
    """Return the name and the configuration of a layer, or raise where an entry is not known."""
    if not isinstance(layer, dict) or not set(layer) <= _ENTRIES:
        raise ValueError(f"a layer has unknown entries: {str(layer)[:80]}")
    config = layer.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    if not isinstance(name, str) or layer.get("name", name) != name:
        raise ValueError(f"a layer has no name, or two: {str(layer)[:80]}")
    if layer.get("compile_config") not in (None, {}):
        raise ValueError(f"the layer {name!r} has a compile_config")
    return name, config


def _check_functional(model, depth):
    """Return the input and output shape of a functional model, and the shapes of its weights."""
    name, config = _check_entries(model)
    if depth > _DEEPEST:
        raise ValueError(f"models are nested more than {_DEEPEST} deep")
    if set(config) != {"name", "trainable", "layers", "input_layers", "output_layers"}:
        raise ValueError(f"the model {name!r} has other entries than a functional model")
    if not isinstance(config["layers"], list) or not isinstance(config["trainable"], bool):
        raise ValueError(f"the model {name!r} has no layers")
    known, weights, given = {}, [], None
    for layer in config["layers"]:
        layer_name, layer_config = _check_entries(layer)
        if layer_name in known:
            raise ValueError(f"the model {name!r} has two layers named {layer_name!r}")
        if layer.get("class_name") == "InputLayer":
            if given is not None:
                raise ValueError(f"the model {name!r} has two inputs")
            given = _check_input_layer(layer, layer_config)
            known[layer_name] = given, 0
            first = layer_name
            continue
        inputs, constants = _inputs_of_layer(layer, layer_name, known)
        output, own = _check_layer(layer, layer_name, inputs, constants, depth)
        known[layer_name] = output, int(_kind(layer)[1] == "Functional")
        weights += own
    if given is None or _end(config["input_layers"]) != (first, 0):
        raise ValueError(f"the model {name!r} has no input")
    last, index = _end(config["output_layers"])
    if known.get(last, ((), None))[1] != index:
        raise ValueError(f"the model {name!r} has no output")
    _check_build_config(model, [given])
    return given, known[last][0], weights


def _end(value):
    """Return name and number of the one input or output that a model states."""
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    if not (
        isinstance(value, list)
        and len(value) == 3
        and isinstance(value[0], str)
        and [type(number) for number in value[1:]] == [int, int]
        and value[2] == 0
    ):
        raise ValueError(f"a model states the end {str(value)[:80]}: one input and output is right")
    return value[0], value[1]


def _shape_without_batch(value):
    """Return a shape of Keras' JSON as a tuple without the dimension of the batch, or raise."""
    if not (
        isinstance(value, list)
        and value[:1] == [None]
        and 2 <= len(value) <= 5
        and all(type(n) is int and 1 <= n <= layer_shapes.LARGEST_SIDE for n in value[1:])
    ):
        raise ValueError(f"{str(value)[:80]} is no shape")
    return tuple(value[1:])


def _check_input_layer(layer, config):
    """Return the shape that an input layer states."""
    if _kind(layer) != ("keras.layers", "InputLayer", None) or layer.get("inbound_nodes"):
        raise ValueError("an input layer has inputs")
    rest = {key: value for key, value in config.items() if key != "batch_shape"}
    layer_shapes.check_layer_config(rest, config["name"])
    return _shape_without_batch(config.get("batch_shape"))


def _inputs_of_layer(layer, name, known):
    """Return the shapes of a layer's inputs, and those of the constants among its arguments."""
    nodes = layer.get("inbound_nodes")
    if not (isinstance(nodes, list) and len(nodes) == 1 and isinstance(nodes[0], dict)):
        raise ValueError(f"the layer {name!r} is not called once")
    (node,) = nodes
    kwargs = node.get("kwargs")
    if set(node) != {"args", "kwargs"} or not isinstance(kwargs, dict):
        raise ValueError(f"the layer {name!r} is called in an unknown way")
    if not set(kwargs) <= {"mask", "training"} or any(kwargs.values()):
        raise ValueError(f"the layer {name!r} is called with {str(kwargs)[:80]}")
    args = node["args"]
    if not isinstance(args, list) or not args:
        raise ValueError(f"the layer {name!r} has no inputs")
    if _kind(layer)[:2] == ("keras.src.ops.numpy", "GetItem"):
        ellipsis = {"class_name": "__ellipsis__", "config": {}}
        where = args[1:]
        if not (len(where) == 1 and isinstance(where[0], list) and where[0][:1] == [ellipsis]):
            raise ValueError(f"the layer {name!r} takes an unknown part of its input")
        (shape,) = inputs = [_shape_of_tensor(args[0], name, known)]
        if len(where[0]) != 2 or type(where[0][1]) is not int or not 0 <= where[0][1] < shape[-1]:
            raise ValueError(f"the layer {name!r} takes a channel that its input lacks")
        return inputs, []
    if isinstance(args[0], list):
        if len(args) != 1:
            raise ValueError(f"the layer {name!r} is called in an unknown way")
        return [_shape_of_tensor(tensor, name, known) for tensor in args[0]], []
    if _kind(layer)[0] != "keras.src.ops.numpy":
        if len(args) != 1:
            raise ValueError(f"the layer {name!r} is called in an unknown way")
        return [_shape_of_tensor(args[0], name, known)], []
    first = _shape_of_tensor(args[0], name, known)
    return [first], [_shape_of_constant(constant, name, known, len(first)) for constant in args[1:]]


def _shape_of_tensor(tensor, name, known):
    """Return the shape of the output that an argument refers to."""
    config = tensor.get("config") if isinstance(tensor, dict) else None
    if not (
        isinstance(config, dict)
        and set(tensor) == {"class_name", "config"}
        and tensor["class_name"] == "__keras_tensor__"
        and set(config) == {"shape", "dtype", "keras_history"}
        and config["dtype"] == "float32"
    ):
        raise ValueError(f"the layer {name!r} has an unknown input: {str(tensor)[:80]}")
    source, index = _end(config["keras_history"])
    if known.get(source, ((), None))[1] != index:
        raise ValueError(f"the layer {name!r} reads from {source!r}, which is no layer before it")
    shape = known[source][0]
    if _shape_without_batch(config["shape"]) != shape:
        raise ValueError(
            f"the layer {name!r} states the shape {config['shape'][1:]} of {source!r}, which is "
            f"{list(shape)}"
        )
    return shape


def _shape_of_constant(value, name, known, rank):
    """Return the shape of a number, of a constant array, or of another layer's output.

    ``rank`` is that of the other input: another one would be broadcast over the batch.
    """
    if type(value) in (int, float):
        return (1,)
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        shape = _shape_of_tensor(value, name, known)
        if len(shape) != rank:
            raise ValueError(f"the layer {name!r} has inputs of {rank} and {len(shape)} dimensions")
        return shape
    config = value.get("config") if isinstance(value, dict) else None
    if not (
        isinstance(config, dict)
        and set(value) == {"class_name", "config"}
        and value["class_name"] == "__tensor__"
        and set(config) == {"value", "dtype"}
        and config["dtype"] == "float32"
    ):
        raise ValueError(f"the layer {name!r} has an unknown argument: {str(value)[:80]}")
    try:
        array = np.array(config["value"])
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "if" or array.size > 4096 or array.ndim > 4:
        raise ValueError(f"the layer {name!r} has a constant that is no small array")
    if array.ndim > rank:
        if array.ndim > rank + 1 or len(array) != 1:
            raise ValueError(f"the layer {name!r} has a constant for each image of a batch")
        return array.shape[1:]
    return array.shape or (1,)


def _check_layer(layer, name, inputs, constants, depth):
    """Return the output shape of a layer, and the shapes of its weights."""
    kind = _kind(layer)
    if kind in _MODELS:
        if len(inputs) != 1:
            raise ValueError(f"the model {name!r} has {len(inputs)} inputs, and takes one")
        check = _check_functional if kind[1] == "Functional" else _check_sequential
        given, output, weights = check(layer, depth + 1)
        if given != inputs[0]:
            raise ValueError(f"the model {name!r} takes {given}, and its input is {inputs[0]}")
        return output, weights
    module, class_name, registered = kind
    if not layer_shapes.is_known_layer((module, class_name)) or registered not in (
        None,
        class_name,
    ):
        raise ValueError(
            f"the layer {name!r} is of the class {module}.{class_name}, which is not on the list "
            "of layers that a file may hold"
        )
    layer_shapes.check_layer_config(layer["config"], name)
    _check_build_config(layer, inputs)
    try:
        return layer_shapes.shapes_of_layer(
            (module, class_name), layer["config"], inputs + constants
        )
    except ValueError as error:
        raise ValueError(f"the layer {name!r} is impossible: {error}") from None


def _check_sequential(model, depth):
    """Return the input and output shape of a sequential model, and the shapes of its weights."""
    name, config = _check_entries(model)
    layers = config.get("layers")
    if depth > _DEEPEST or not isinstance(layers, list) or not layers:
        raise ValueError(f"the model {name!r} has no layers")
    if not set(config) <= {"name", "trainable", "dtype", "layers", "build_input_shape"}:
        raise ValueError(f"the model {name!r} has other entries than a sequential model")
    rest = {key: value for key, value in config.items() if key in ("name", "trainable", "dtype")}
    layer_shapes.check_layer_config(rest, name)
    first_name, first_config = _check_entries(layers[0])
    given = output = _check_input_layer(layers[0], first_config)
    if "build_input_shape" in config and _shape_without_batch(config["build_input_shape"]) != given:
        raise ValueError(f"the model {name!r} was built for another shape")
    weights, names = [], {first_name}
    for layer in layers[1:]:
        layer_name, _ = _check_entries(layer)
        if layer_name in names or layer.get("inbound_nodes") or _kind(layer) in _MODELS:
            raise ValueError(f"the model {name!r} is no chain of layers")
        names.add(layer_name)
        output, own = _check_layer(layer, layer_name, [output], [], depth)
        weights += own
    _check_build_config(model, [given])
    return given, output, weights


def _check_build_config(layer, inputs):
    """Raise unless a layer states to have been built for its inputs, or states nothing."""
    build_config = layer.get("build_config")
    if build_config is None or build_config == {"input_shape": None}:
        return
    stated = [[None, *shape] for shape in inputs]
    if build_config not in ({"input_shape": stated}, {"input_shape": stated[0]}):
        raise ValueError(
            f"the layer {layer['config']['name']!r} was built for {str(build_config)[:80]}, and "
            f"its inputs are {stated}"
        )
