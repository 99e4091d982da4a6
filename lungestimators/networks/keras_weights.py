"""Weights files of Keras: loaded whole or refused.

A file that does not fit is described: the shapes in it say with which parameters its network was
built.
"""

import itertools
import re
import warnings

import numpy as np

from ..backends.startup import keras

# The DenseNets with ImageNet weights, and their layers in each of four blocks.
DENSENETS = {
    "DenseNet121": (6, 12, 24, 16),
    "DenseNet169": (6, 12, 32, 32),
    "DenseNet201": (6, 12, 48, 32),
}


def load_keras_weights(network, path, name, options):
    """Load all weights of a network from a file, or raise.

    Keras only warns if a file lacks some layers, so every weight is set to NaN first.

    Parameters
    ----------
    network : keras.Model
    path : path
    name : str
        Name of the function that built the network, or ``"CNN"``.
    options : dict
        The arguments that it was built with, to compare with the shapes in the file.

    Raises
    ------
    ValueError
        The file is damaged or holds another network's weights.
    """
    for weight in network.weights:
        weight.assign(np.full(weight.shape, np.nan))
    problem = None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Skipping nested container")
            network.load_weights(path)
    except Exception as error:  # h5py and Keras raise errors of many kinds
        problem = str(error).strip().splitlines()[0]
    missing = [w.path for w in network.weights if np.isnan(keras.ops.convert_to_numpy(w)).any()]
    if problem or missing:
        _check_parameters_of_weights_file(path, name, options)
        problem = problem or f"it lacks {len(missing)} weights, among them {missing[0]}"
        raise ValueError(
            f"weights={str(path)!r} could not be loaded into {network.name}: the file is damaged "
            f"or holds the weights of another network ({problem})"
        )
    return network


def _check_parameters_of_weights_file(path, name, options):
    """Raise if the shapes in a weights file show that a parameter should have another value.

    Parameters
    ----------
    path : path
    name : str
        As in :func:`parameters_of_weights_file`.
    options : dict
        The arguments that the network was built with.

    Raises
    ------
    ValueError
        The file holds a network of the same kind that was built with other arguments.
    """
    stored = parameters_of_weights_file(path, name)
    if name in DENSENETS:
        options = {"blocks": DENSENETS[name]}
    if abs(stored.get("alpha", 1.0) - options.get("alpha", 1.0)) < 0.02:
        stored.pop("alpha", None)  # the number of channels is rounded
    other = {key: value for key, value in stored.items() if value != options.get(key)}
    channels = other.pop("channels", None)
    if other:
        found = ", ".join(f"{key}={value}" for key, value in other.items())
        asked = ", ".join(f"{key}={options[key]}" for key in other)
        raise ValueError(
            f"weights={str(path)!r} holds a {name} of {found}, and the parameter is {asked}: set "
            f"{found}, or pass the weights of another file"
        )
    if channels is not None:
        raise ValueError(
            f"weights={str(path)!r} holds a {name} for images of {channels} channels, and X has "
            f"{options['channels']}: pass images as the file's network saw them, or another file"
        )


def parameters_of_weights_file(path, network):
    """Return the parameters that the network in a weights file was built with.

    Parameters
    ----------
    path : path
    network : {"MobileNet", "MobileNetV2", "DenseNet", "CNN"} or str
        The kind of network that the file should hold.

    Returns
    -------
    dict
        ``alpha``, ``blocks``, or ``filters`` and ``channels``. Empty if the file is damaged or
        holds another kind of network, or if nothing follows from its shapes.
    """
    read = _READERS.get("DenseNet" if network.startswith("DenseNet") else network)
    if read is None:
        return {}
    try:
        kernels = _kernels_in_weights_file(path)
    except (OSError, RuntimeError):  # no HDF5, or a damaged one
        return {}
    return read(kernels) if kernels else {}


def _kernels_in_weights_file(path):
    """Return the shapes of the kernels of all but depthwise convolutions, by name, in order."""
    import h5py  # it comes with TensorFlow, without which files of ``save`` can still be used

    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and item.ndim == 4 and not name.startswith("optimizer"):
            is_depthwise = item.shape[2] > item.shape[3] == 1
            if not is_depthwise:
                found[name] = item.shape

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return {name: found[name] for name in sorted(found, key=_sort_key_of_weights_name)}


def _sort_key_of_weights_name(name):
    """Return a key that sorts conv2d_10 after conv2d_9, and conv2d before conv2d_1."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _mobilenet_of_weights_file(kernels):
    """Return ``alpha``: the last pointwise convolution takes and gives 1024 * alpha channels."""
    widths = [shape[2] for shape in kernels.values() if shape[2] == shape[3]]
    fits = widths and len(kernels) in (14, 15)  # with the first convolution, and maybe the top
    return {"alpha": max(widths) / 1024} if fits else {}


def _mobilenet_v2_of_weights_file(kernels):
    """Return ``alpha``: the last convolution, the largest, takes 320 * alpha channels.

    It gives four times as many, and never less than 1280.
    """
    *size, width, n_outputs = max(kernels.values(), key=lambda shape: shape[2] * shape[3])
    fits = size == [1, 1] and n_outputs == max(1280, 4 * width)
    return {"alpha": width / 320} if fits else {}


def _densenet_of_weights_file(kernels):
    """Return ``blocks``, the numbers of layers in each block.

    A layer is a convolution of 1x1 and one of 3x3; between two blocks stands one more of 1x1.
    """
    named = [re.search(r"conv(\d)_block(\d+)_2_conv", name) for name in kernels]
    if any(named):
        stages = [int(match[1]) for match in named if match]
        return {"blocks": tuple(stages.count(stage) for stage in sorted(set(stages)))}
    blocks, before = [0], None
    for height, *_ in list(kernels.values())[1:]:
        if height == 3:
            blocks[-1] += 1
        elif before == 1:
            blocks.append(0)
        before = height
    return {"blocks": tuple(blocks)} if len(blocks) == 4 and min(blocks) else {}


def _cnn_of_weights_file(kernels):
    """Return ``filters`` and ``channels``, the outputs and the first input of the convolutions."""
    shapes = list(kernels.values())
    chained = all(a[3] == b[2] for a, b in itertools.pairwise(shapes))
    if not chained or any(shape[:2] != (3, 3) for shape in shapes):
        return {}
    return {"filters": tuple(shape[3] for shape in shapes), "channels": shapes[0][2]}


_READERS = {
    "MobileNet": _mobilenet_of_weights_file,
    "MobileNetV2": _mobilenet_v2_of_weights_file,
    "DenseNet": _densenet_of_weights_file,
    "CNN": _cnn_of_weights_file,
}
