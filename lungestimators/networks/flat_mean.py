"""``model_`` of several networks: one flat graph of all, whose output is their mean.

Layers that do the same in all networks, such as those of a frozen backbone, stand in it once.
"""

import numpy as np

from ..backends.startup import keras
from . import flat_model, pool


def build_flat_mean_model(all_parts, image_shape, pixel_range, name):
    """Build the Keras model that gives the mean of the probabilities of networks.

    One network is built by :func:`flat_model.build_flat_model`. Of several, layers that are the
    same in all keep their names, and the names of others begin with ``network_0_``, ``network_1_``
    and so on. The last layer is ``mean_of_networks``.

    Parameters
    ----------
    all_parts : list of blueprints.Parts
        Networks of one architecture.
    image_shape, pixel_range, name
        As for :func:`flat_model.build_flat_model`.

    Returns
    -------
    keras.Model
    """
    if len(all_parts) == 1:
        return flat_model.build_flat_model(all_parts[0], image_shape, pixel_range, name)
    with pool.seeded_building(0):
        graphs = [flat_model.flat_graph(parts, image_shape, pixel_range) for parts in all_parts]
        layers, output = graphs[0].layers, graphs[0].output
        one = flat_model.build_flat_layers(layers, [output], name)
        weights = [flat_model.split_flat_weights(one, layers, graph.weights) for graph in graphs]
        own = _names_of_layers_that_differ(layers, weights)

        joined = [layer for layer in layers if layer["name"] not in own]
        outputs = []
        all_weights = {layer["name"]: weights[0].get(layer["name"], []) for layer in joined}
        for number, of_network in enumerate(weights):
            new_names = {name: f"network_{number}_{name}" for name in own}
            joined += [
                _renamed_flat_layer(layer, new_names) for layer in layers if layer["name"] in own
            ]
            all_weights |= {new: of_network.get(old, []) for old, new in new_names.items()}
            outputs.append(_renamed_reference(output, new_names))
        side_by_side = flat_model.build_flat_layers(joined, outputs, name)
        mean = keras.layers.Average(name="mean_of_networks", dtype="float32")
        (pixels,) = side_by_side.inputs  # as a list, Keras would warn of an input that is none
        model = keras.Model(pixels, mean(side_by_side.outputs), name=name)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(all_weights[layer.name])
    return flat_model.finish_flat_model(model, graphs[0].image_shape, pixel_range)


def _names_of_layers_that_differ(layers, weights):
    """Return the names of the layers that do not do the same in all networks.

    Their weights differ, or those of a layer that they read from.

    Parameters
    ----------
    layers : list of dict
        Each comes after the layers that it reads from.
    weights : list of dict of {str: list of ndarray}
        The weights of each network, by the name of their layer.
    """
    own = set()
    for layer in layers:
        read = set()

        def note(reference, read=read):
            read.add(reference[0])
            return reference

        flat_model.rewire_flat_layers(layer["inbound_nodes"], note)
        first, *others = (of_network.get(layer["name"], []) for of_network in weights)
        same = all(
            np.array_equal(weight, other_weight)
            for other in others
            for weight, other_weight in zip(first, other, strict=True)
        )
        if not same or read & own:
            own.add(layer["name"])
    return own


def _renamed_flat_layer(layer, new_names):
    """Return the configuration of a layer under its new name, reading from the new names."""
    name = new_names[layer["name"]]
    nodes = flat_model.rewire_flat_layers(
        layer["inbound_nodes"], lambda reference: _renamed_reference(reference, new_names)
    )
    return {
        **layer,
        "name": name,
        "config": {**layer["config"], "name": name},
        "inbound_nodes": nodes,
    }


def _renamed_reference(reference, new_names):
    """Return a reference to the output of a layer, with the layer's new name if it has one."""
    name, call, number = reference
    return [new_names.get(name, name), call, number]
