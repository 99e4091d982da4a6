"""Weights files: ImageNet's, found or downloaded, and the user's, loaded whole or refused.

A file that does not fit is described: the shapes in it say with which parameters its network was
built.
"""

import itertools
import os
import re
import warnings
from pathlib import Path

import h5py
import numpy as np

from ..backends.startup import keras

# The DenseNets with ImageNet weights, and their layers in each of four blocks.
DENSENETS = {
    "DenseNet121": (6, 12, 24, 16),
    "DenseNet169": (6, 12, 32, 32),
    "DenseNet201": (6, 12, 48, 32),
}

# The files of keras.applications whose names depend on parameters of ours. A file that is in
# Keras' cache folder under one of these names is used as it is.
_CACHED_FILES = {
    "MobileNet": "mobilenet_{alpha}_{rows}_tf_no_top.h5",
    "DenseNet121": "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "DenseNet169": "densenet169_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "DenseNet201": "densenet201_weights_tf_dim_ordering_tf_kernels_notop.h5",
}
_WHAT_RANDOM_WEIGHTS_COST = (
    "weights=None starts from random weights instead: everything is trained, which takes hours on "
    "a CPU, and a few hundred images are not enough for it (with ImageNet weights a MobileNet was "
    "right on 0.97 of 300 synthetic images of three classes, from random weights on 0.39)"
)


def build_with_weights(builder, backbone, shape, weights, options):
    """Build a network of ``keras.applications`` without its top, and load its weights.

    Parameters
    ----------
    builder : callable
        The function that builds the network.
    backbone : str
        The user's name for it, for errors.
    shape : tuple of int
        (height, width, channels) of the images.
    weights : {"imagenet", None} or path
    options : dict
        Further arguments of ``builder`` (``alpha``, ``blocks``).

    Returns
    -------
    keras.Model
    """

    def build(weights):
        return builder(include_top=False, weights=weights, input_shape=shape, **options)

    if weights is None:
        return build(None)
    if weights != "imagenet":
        return load_weights(build(None), weights, builder.__name__, options)
    if builder.__name__ == "DenseNet":
        raise ValueError(
            f"There are no ImageNet weights of a DenseNet with blocks={options['blocks']}: "
            f"choose one of {sorted(DENSENETS.values())}, or pass the path of a weights file. "
            f"{_WHAT_RANDOM_WEIGHTS_COST}"
        )
    cached = _cached_weights_file(builder.__name__, shape[0], options)
    if cached is not None and cached.exists():
        return load_weights(build(None), cached, builder.__name__, options)
    try:
        with warnings.catch_warnings():
            # MobileNet warns that it loads the weights of 224 px for another size, as it should.
            warnings.filterwarnings("ignore", "`input_shape` is undefined")
            return build("imagenet")
    except Exception as error:
        url = re.search(r"https?://[^\s:]+", str(error))
        if url is None:
            raise
        raise FileNotFoundError(
            f"The ImageNet weights of {backbone} are not in Keras' cache folder and could not be "
            f"downloaded. Put the file {url[0].rsplit('/', 1)[1]!r} from {url[0]} into "
            f"{_folder_of_imagenet_weights()}, or pass its path as weights=. "
            f"{_WHAT_RANDOM_WEIGHTS_COST}. (Keras said: {error})"
        ) from error


def _folder_of_imagenet_weights():
    """Return the folder in which Keras keeps files of weights."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"


def _cached_weights_file(name, image_size, options):
    """Return where a file of ImageNet weights would be in Keras' folder, None if unknown."""
    if name not in _CACHED_FILES:
        return None
    rows = image_size if image_size in (128, 160, 192, 224) else 224
    alpha = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}.get(options.get("alpha"))
    return _folder_of_imagenet_weights() / _CACHED_FILES[name].format(alpha=alpha, rows=rows)


def load_weights(network, path, name, options):
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
    FileNotFoundError
        There is no such file.
    ValueError
        The file is damaged or holds another network's weights.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"weights={str(path)!r}: there is no such file. Pass the path of a Keras weights file "
            f"without the top (.h5 or .weights.h5)"
            + ("" if name == "CNN" else f" or 'imagenet'. {_WHAT_RANDOM_WEIGHTS_COST}")
        )
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


def state_of_weights_file(weights):
    """Return path, size and times of a weights file, in which a replaced file differs."""
    if weights in (None, "imagenet"):
        return None
    path = Path(weights).expanduser().absolute()
    if not path.exists():
        return None
    state = path.stat()
    return str(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns


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
