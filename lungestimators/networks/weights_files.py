"""What the shapes in a Keras weights file say of the network that was saved."""

import itertools
import re

import h5py

DENSENETS = {
    "DenseNet121": (6, 12, 24, 16),
    "DenseNet169": (6, 12, 32, 32),
    "DenseNet201": (6, 12, 48, 32),
}


def check(path, name, options):
    """Raise where the shapes in a weights file show that a parameter should be another.

    Parameters
    ----------
    path : path
    name : str
        As in :func:`describe`.
    options : dict
        How the network was built.

    Raises
    ------
    ValueError
        The file holds a network of the same kind that was built otherwise.
    """
    stored = describe(path, name)
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


def describe(path, network):
    """Return the parameters with which the network of a file was built, as far as they show.

    Parameters
    ----------
    path : path
    network : {"MobileNet", "MobileNetV2", "DenseNet", "CNN"} or str
        What the file is meant to hold.

    Returns
    -------
    dict
        ``alpha``, ``blocks``, or ``filters`` and ``channels``; empty for a damaged file, one of
        another kind of network, or a network whose shapes tell nothing.
    """
    read = _READERS.get("DenseNet" if network.startswith("DenseNet") else network)
    if read is None:
        return {}
    try:
        kernels = _kernels(path)
    except (OSError, RuntimeError):  # no HDF5, or a damaged one
        return {}
    return read(kernels) if kernels else {}


def _kernels(path):
    """The shapes of the kernels of all convolutions but depthwise ones, by name, in order."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and item.ndim == 4 and not name.startswith("optimizer"):
            is_depthwise = item.shape[2] > item.shape[3] == 1
            if not is_depthwise:
                found[name] = item.shape

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return {name: found[name] for name in sorted(found, key=_natural)}


def _natural(name):
    """Sort conv2d_10 after conv2d_9, and conv2d before conv2d_1."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _mobilenet(kernels):
    """The last of 13 pointwise convolutions has 1024 channels on both sides at alpha=1."""
    widths = [shape[2] for shape in kernels.values() if shape[2] == shape[3]]
    fits = widths and len(kernels) in (14, 15)  # with the first convolution, and maybe the top
    return {"alpha": max(widths) / 1024} if fits else {}


def _mobilenet_v2(kernels):
    """The last convolution, the largest, takes 320 channels at alpha=1, and gives four times that.

    Below alpha=1 it gives 1280 all the same.
    """
    *size, width, n_outputs = max(kernels.values(), key=lambda shape: shape[2] * shape[3])
    fits = size == [1, 1] and n_outputs == max(1280, 4 * width)
    return {"alpha": width / 320} if fits else {}


def _densenet(kernels):
    """A layer of a block is a convolution of 1x1 and one of 3x3; between blocks there is a 1x1."""
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


def _cnn(kernels):
    shapes = list(kernels.values())
    chained = all(a[3] == b[2] for a, b in itertools.pairwise(shapes))
    if not chained or any(shape[:2] != (3, 3) for shape in shapes):
        return {}
    return {"filters": tuple(shape[3] for shape in shapes), "channels": shapes[0][2]}


_READERS = {
    "MobileNet": _mobilenet,
    "MobileNetV2": _mobilenet_v2,
    "DenseNet": _densenet,
    "CNN": _cnn,
}
