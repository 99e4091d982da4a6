"""Weights that come with the package, learnt from chest radiographs: their files and their checks.

A file is in the safetensors format. Its metadata say what it was learnt from and by which command.
"""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

FOLDER = Path(__file__).parent.parent / "weights"
# The key of the metadata under which a file says that it is of this format, and which number.
FORMAT_KEY = "lungestimators_weights"
_FORMAT = 1


class ChestWeights(NamedTuple):
    """Weights that were read from a file, and are known to be those of a network.

    Attributes
    ----------
    tensors : dict of str to ndarray
    image_size : int
        Side in pixels of the images that they were learnt from.
    """

    tensors: dict
    image_size: int

    def load(self, network):
        """Load all weights of a network, and return it.

        Raises
        ------
        ValueError
            The network has other weights than the file.
        """
        shapes = {
            f"{layer.name}/{weight.name}": tuple(weight.shape)
            for layer in network.layers
            for weight in layer.weights
        }
        found = {key: tensor.shape for key, tensor in self.tensors.items()}
        differing = {key for key, _ in shapes.items() ^ found.items()}
        if differing:
            raise ValueError(
                f"The weights file and the network differ in {len(differing)} weights, such as "
                f"{min(differing)!r}: this version of Keras builds another network of this name"
            )
        for layer in network.layers:
            keys = [f"{layer.name}/{weight.name}" for weight in layer.weights]
            layer.set_weights([self.tensors[key].astype(np.float32) for key in keys])
        return network


def find_chest_weights(network, options):
    """Return the path of the weights of a network that come with the package.

    Parameters
    ----------
    network : str
        Name of the function that builds the network.
    options : dict
        Its further arguments, such as ``alpha``.

    Raises
    ------
    ValueError
        The package has no weights of this network.
    """
    path = FOLDER / f"{_file_stem(network, options)}.safetensors"
    if path.is_file():
        return path
    available = ", ".join(sorted(file.stem for file in FOLDER.glob("*.safetensors"))) or "none yet"
    way_out = "the path of a weights file, or weights=None (random weights"
    if network != "CNN":
        way_out += ": everything is trained, which takes hours on a CPU"
    if network not in ("CNN", "DenseNet"):  # of a DenseNet with blocks of its own there are none
        way_out = (
            "weights='imagenet' (where Keras has them for this network and width; downloaded once, "
            f"pass image_size=224, too), {way_out}"
        )
    raise ValueError(
        f"There are no weights='chest' of {_file_stem(network, options)}: the package has those of "
        f"{available}. Choose one of these networks, {way_out})"
    )


def _file_stem(network, options):
    """Return the name of a weights file without its suffix: the network, and its widths."""
    parts = [network]
    for name in sorted(options):
        value = options[name]
        parts += value if isinstance(value, list | tuple) else [value]
    return "-".join(map(str, parts))


def save_chest_weights(path, network, name, options, card):
    """Write the weights of a network: kernels as float16, batch normalisation as float32.

    Parameters
    ----------
    path : path
    network : keras.Model
        A network of ``keras.applications`` without its top.
    name : str
        Name of the function that built it.
    options : dict
        Its further arguments, such as ``alpha``; ``filters`` of the custom CNN.
    card : dict of str to str
        What else the metadata say: ``version``, ``image_size``, ``pixels``, ``sources`` (JSON),
        ``command``.
    """
    tensors = {}
    for layer in network.layers:
        for weight, value in zip(layer.weights, layer.get_weights(), strict=True):
            small = value.astype(np.float16) if value.ndim == 4 else value
            tensors[f"{layer.name}/{weight.name}"] = np.ascontiguousarray(small)
    metadata = {
        FORMAT_KEY: str(_FORMAT),
        "network": name,
        "options": json.dumps(options),
        "sha256": _digest_of_tensors(tensors),
    }
    safetensors.numpy.save_file(tensors, path, card | metadata)


def read_chest_weights(path, name, options):
    """Read the weights of a network from a file in the format of the package.

    Parameters
    ----------
    path : path
    name : str
        Name of the function that builds the network.
    options : dict
        Its further arguments, such as ``alpha``.

    Returns
    -------
    ChestWeights

    Raises
    ------
    ValueError
        The file is damaged, of a later format, or holds the weights of another network.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata, names = file.metadata() or {}, file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"weights={str(path)!r} is damaged: {error}") from None
    if FORMAT_KEY not in metadata:
        raise ValueError(
            f"weights={str(path)!r} is not a file of this package: its metadata lack {FORMAT_KEY!r}"
        )
    if int(metadata[FORMAT_KEY]) > _FORMAT:
        raise ValueError(
            f"weights={str(path)!r} is of format {metadata[FORMAT_KEY]}, and this version of the "
            f"package reads format {_FORMAT}: update lungestimators"
        )
    if _digest_of_tensors(tensors) != metadata["sha256"]:
        raise ValueError(
            f"weights={str(path)!r} is damaged: its SHA-256 is not the one that it states. Install "
            "the package anew, or copy the file again"
        )
    found = metadata["network"], json.loads(metadata["options"])
    if found != (name, json.loads(json.dumps(options))):
        raise ValueError(
            f"weights={str(path)!r} holds a {_file_stem(*found)}, and the parameters ask for a "
            f"{_file_stem(name, options)}: set the parameters, or pass the weights of another file"
        )
    return ChestWeights(tensors, int(metadata["image_size"]))


def _digest_of_tensors(tensors):
    """Return the SHA-256 of the names, types, shapes and values of tensors."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(f"{key} {tensors[key].dtype} {tensors[key].shape} ".encode())
        digest.update(np.ascontiguousarray(tensors[key]).data)
    return digest.hexdigest()
