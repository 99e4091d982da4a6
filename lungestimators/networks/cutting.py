"""Backbones cut before their last stage: the part that stays frozen, and the part that learns.

A *cut* is where the last stage begins: the layers behind the last reduction of the resolution.
"""

import functools

import numpy as np

from ..backends import distribution
from ..backends.startup import keras
from . import pool
from .blueprints import Blueprint, blueprint_with_fixed_names


def cut_frozen_part(backbone, trainable):
    """Return the part of a backbone that stays frozen in all stages of a fit.

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
    return backbone if trainable == "head" else _part_of_cut_backbone(backbone, 0)


def cut_last_stage(backbone):
    """Return the last stage of a backbone: output of ``cut_frozen_part`` -> features."""
    return _part_of_cut_backbone(backbone, 1)


def join_cut_last_stage(backbone, last_stage):
    """Return ``backbone`` with the weights of ``last_stage``, which was cut from it and learnt."""
    weights = list(backbone.weights)
    _, rows, _ = _cut_architecture(backbone.architecture)[1]
    for row, weight in zip(rows, last_stage.weights, strict=True):
        weights[row] = weight
    return backbone._replace(weights=tuple(weights))


def _part_of_cut_backbone(backbone, number):
    """Return the frozen part (0) or the last stage (1) of a backbone as a Blueprint."""
    architecture, rows, n_outputs = _cut_architecture(backbone.architecture)[number]
    return Blueprint(architecture, tuple(backbone.weights[row] for row in rows), n_outputs)


@functools.lru_cache(maxsize=8)
def _cut_architecture(architecture):
    """Cut an architecture; return, for both parts, architecture, weights and length of the output.

    The weights are given as their numbers among the weights of the whole network.
    """
    with distribution.use_distribution(None), pool.seeded_building(0):
        network = keras.models.model_from_json(architecture)
        parts = _cut_network(network)
    number = {id(weight): row for row, weight in enumerate(network.weights)}
    return tuple(
        (
            blueprint_with_fixed_names(part.to_json()),
            tuple(number[id(weight)] for weight in part.weights),
            int(np.prod(part.output_shape[1:])),
        )
        for part in parts
    )


def _cut_network(backbone):
    """Cut a Keras network where its last stage begins.

    Returns
    -------
    below : keras.Model
        Image -> one vector, the concatenation of all tensors that the other part reads: the input
        of the last stage, and the averages of the finer resolutions.
    above : keras.Model
        That vector -> features. It is the last stage, and shares its weights with ``backbone``.
    """
    nested = [layer for layer in backbone.layers if isinstance(layer, keras.Model)]
    graph = nested[0] if nested else backbone
    tensors = _crossing_of_cut(graph)
    vectors = [
        tensor if len(tensor.shape) == 2 else keras.layers.Flatten()(tensor) for tensor in tensors
    ]
    vector = keras.layers.Concatenate(name="cut")(vectors) if len(vectors) > 1 else vectors[0]
    below = keras.Model(graph.inputs, vector, name="below_graph")
    if nested:
        # The layers before the application are a chain, and its end is the application's input.
        before = backbone.operations[backbone.operations.index(graph) - 1].output
        below = keras.Model(backbone.inputs, below(before), name="below")

    # The name of the images' input tells networks apart whose layers have the same configuration.
    inputs = keras.Input((vector.shape[1],), name=f"cut_{graph.inputs[0].name}")
    pieces, start = [], 0
    for tensor, flat in zip(tensors, vectors, strict=True):
        piece = inputs[:, start : start + flat.shape[1]]
        pieces.append(keras.layers.Reshape(tensor.shape[1:])(piece))
        start += flat.shape[1]
    last = keras.Model(tensors, graph.output, name="last_stage")
    return below, keras.Model(inputs, last(pieces), name="above")


def _crossing_of_cut(graph):
    """Return the tensors that the last stage, or an operation behind it, reads from before it."""
    last = _last_stage_to_cut([layer for layer in graph.layers if layer.weights])
    above, crossing = set(), {}
    for operation in graph.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        inputs = keras.tree.flatten(operation.input)
        if operation in last or any(id(tensor) in above for tensor in inputs):
            crossing.update({id(t): t for t in inputs if id(t) not in above})
            above |= {id(tensor) for tensor in keras.tree.flatten(operation.output)}
    return list(crossing.values())


def _last_stage_to_cut(layers):
    """Return, of layers with weights, those behind the last reduction of the resolution."""
    sizes = [_height_of_map_at_cut(layer) for layer in layers]
    if not any(sizes):
        raise ValueError(
            "trainable='last_stage' needs a network with a layer that has weights and gives a "
            "feature map, and this one has none: use trainable='head' or 'all'"
        )
    final = next(size for size in reversed(sizes) if size)
    before = [number for number, size in enumerate(sizes) if size > final]
    return layers[before[-1] + 1 :] if before else layers


def _height_of_map_at_cut(layer):
    """Return the height of the feature map that a layer gives, 0 if it gives none."""
    shape = keras.tree.flatten(layer.output)[0].shape
    return shape[1] if len(shape) == 4 else 0
