"""Networks as ONNX models, from their architecture and weights, without Keras.

Each model is made of the layers that a file may hold, the closed list of ``saving.layer_shapes``,
and of those of the lung network.
"""

import json

import numpy as np

from .onnx_layers import LAYERS, Graph

# ONNX Runtime 1.18 reads both; the operator Gelu is new in this version of the operators.
_OPERATORS_VERSION = 20
_FORMAT_VERSION = 9


def onnx_model_of_network(architecture, weights):
    """Return a network as an ONNX model in inference mode.

    Parameters
    ----------
    architecture : str
        Keras' JSON of a functional model, which ``saving.architecture_checks`` accepts.
    weights : sequence of ndarray, float32
        In Keras' order.

    Returns
    -------
    bytes
        A serialised model with the input ``"inputs"``, whose shape is that of the network, and the
        output ``"outputs"``. Both are float32, feature maps have their channels last, and the
        number of images is free.

    Raises
    ------
    ValueError
        A layer is not known, or the weights are not those of the architecture.
    """
    import onnx

    config = json.loads(architecture)["config"]
    graph = Graph(weights)
    (shape,) = [
        layer["config"]["batch_shape"][1:]
        for layer in config["layers"]
        if layer["class_name"] == "InputLayer"
    ]
    outputs = _add_functional(graph, config, graph.from_keras_order("inputs", shape))
    if graph.weights:
        raise ValueError("the network has more weights than its layers need")
    last = graph.in_keras_order(outputs)

    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node(operator, names, [output], **attributes)
        for operator, names, output, attributes in graph.nodes
    ]
    nodes.append(helper.make_node("Identity", [last], ["outputs"]))
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "network",
            [helper.make_tensor_value_info("inputs", float32, ["batch", *shape])],
            [helper.make_tensor_value_info("outputs", float32, ["batch", *outputs.shape])],
            [onnx.numpy_helper.from_array(array, name) for name, array in graph.constants.items()],
        ),
        producer_name="lungestimators",
        opset_imports=[helper.make_opsetid("", _OPERATORS_VERSION)],
        ir_version=_FORMAT_VERSION,
    )
    return model.SerializeToString()


def _add_functional(graph, config, x):
    """Add the layers of a functional model with one input and output to a graph."""
    known = {}
    for layer in config["layers"]:
        name = layer["config"]["name"]
        if layer["class_name"] == "InputLayer":
            known[name] = x
            continue
        (node,) = layer["inbound_nodes"]
        arguments = node["args"][0] if isinstance(node["args"][0], list) else node["args"]
        known[name] = _add_layer(graph, layer, [_value_of(each, known) for each in arguments])
    end = config["output_layers"]
    return known[end[0] if isinstance(end[0], str) else end[0][0]]


def _value_of(argument, known):
    """Return an argument of a layer: a tensor of an earlier layer, or a constant."""
    if not isinstance(argument, dict):
        return argument
    if argument["class_name"] == "__keras_tensor__":
        return known[argument["config"]["keras_history"][0]]
    return np.float32(argument["config"]["value"])


def _add_layer(graph, layer, arguments):
    """Add a layer, or a model in a model, to a graph; return its output."""
    config, kind = layer["config"], (layer["module"], layer["class_name"])
    if kind == ("keras.src.models.functional", "Functional"):
        return _add_functional(graph, config, *arguments)
    if kind == ("keras", "Sequential"):
        (x,) = arguments
        for inner in config["layers"][1:]:
            x = _add_layer(graph, inner, [x])
        return x
    if kind not in LAYERS:
        raise ValueError(
            f"the layer {config['name']!r} is of the class {kind[0]}.{kind[1]}, which has no "
            "counterpart in ONNX here"
        )
    try:
        return LAYERS[kind](graph, config, *arguments)
    except KeyError as error:
        raise ValueError(f"the layer {config['name']!r} lacks {error}") from None
