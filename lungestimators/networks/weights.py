"""Weights of a network: the file that ``weights`` means, checked before anything is built."""

import warnings
from pathlib import Path

from . import chest_weights
from .imagenet_weights import OTHER_WEIGHTS, build_with_imagenet_weights
from .keras_weights import load_keras_weights
from .torch_files import is_torch_file
from .torch_graph import with_torch_arithmetic
from .torch_layouts import read_torch_weights
from .torchxrayvision_weights import find_torchxrayvision_weights

# Weights that are asked for by name; of the custom CNN there are the first only.
NAMED_WEIGHTS = ("chest", "imagenet", "torchxrayvision")
# Ratio of the side of the images to that of the images that a network learnt from, or the reverse,
# above which they look otherwise to it: their ribs and vessels have other widths.
_LARGEST_RATIO = 1.5


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
    weights : {"chest", "imagenet", "torchxrayvision", None} or path
    options : dict
        Further arguments of ``builder`` (``alpha``, ``blocks``).

    Returns
    -------
    network : keras.Model
    pixels : {"keras", "imagenet", "torchxrayvision"}
        The pixels that it takes: those of its own ``preprocess_input``, in units of ImageNet's
        deviation from the mean, or -1024 to 1024 and grey.

    Raises
    ------
    FileNotFoundError
        There is no such file, or ImageNet weights cannot be had.
    ValueError
        The file is damaged or holds other weights, or there are none of this network.
    """
    if weights == "imagenet":
        return build_with_imagenet_weights(builder, backbone, shape, options), "keras"
    name, file = builder.__name__, None
    if weights == "chest":
        file = chest_weights.find_chest_weights(name, options)
    elif weights == "torchxrayvision":
        file = find_torchxrayvision_weights(name)
    elif weights is not None:
        file = existing_weights_file(weights)
    if file is not None and is_torch_file(file):
        kept = read_torch_weights(file, name, options)
        if kept.image_size is not None:
            warn_of_another_image_size(backbone, shape[0], kept.image_size)
        shape = (*shape[:2], kept.channels)
        network = builder(include_top=False, weights=None, input_shape=shape, **options)
        return kept.load(with_torch_arithmetic(network)), kept.pixels
    if file is not None and file.suffix == ".safetensors":
        kept = chest_weights.read_chest_weights(file, name, options)
        warn_of_another_image_size(backbone, shape[0], kept.image_size)
        network = builder(include_top=False, weights=None, input_shape=shape, **options)
        return kept.load(network), "keras"
    network = builder(include_top=False, weights=None, input_shape=shape, **options)
    if file is not None:
        load_keras_weights(network, file, name, options)
    return network, "keras"


def existing_weights_file(weights):
    """Return the path of a user's weights file, or raise if there is none."""
    path = Path(weights).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"weights={str(path)!r}: there is no such file. Pass the path of a weights file "
            "without the top (.h5 or .weights.h5 of Keras, .safetensors, .pt or .pth of PyTorch), "
            f"or 'imagenet'. {OTHER_WEIGHTS}"
        )
    return path


def warn_of_another_image_size(backbone, image_size, learnt_size):
    """Warn if images are far smaller or larger than those that the weights were learnt from."""
    if not 1 / _LARGEST_RATIO <= image_size / learnt_size <= _LARGEST_RATIO:
        warnings.warn(
            f"image_size={image_size}: the weights of {backbone} were learnt from images of "
            f"{learnt_size} pixels, and fit images of {round(learnt_size / _LARGEST_RATIO)} to "
            f"{round(learnt_size * _LARGEST_RATIO)}",
            stacklevel=2,
        )


def state_of_weights_file(weights):
    """Return path, size and times of a weights file, in which a replaced file differs."""
    if weights is None or weights in NAMED_WEIGHTS:
        return None
    path = Path(weights).expanduser().absolute()
    if not path.exists():
        return None
    state = path.stat()
    return str(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns
