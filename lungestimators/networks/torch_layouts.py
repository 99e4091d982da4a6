"""Weights of DenseNet and MobileNetV2 under the names of torchvision, timm and torchxrayvision.

A layout says which layer of Keras' network has the weights of which module of PyTorch's. It is
recognised by the names in a file.
"""

import re
from typing import NamedTuple

import numpy as np

from .keras_weights import DENSENETS
from .torch_files import read_torch_file

# What a backbone lacks: the classifier, torchxrayvision's thresholds of it, and counts of batches.
_LEFT_OUT = re.compile(r"classifier\.|op_threshs$|.*\.num_batches_tracked$")
# Files of torchvision's first DenseNets.
_OLD_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.")
_DENSE_LAYER = re.compile(r"features\.denseblock(\d+)\.denselayer(\d+)\.")
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")  # in the order of Keras' weights
_REPEATS_OF_MOBILENET_V2 = (1, 2, 3, 4, 3, 3, 1)
_NAMES_OF_DENSENETS = {blocks: name for name, blocks in DENSENETS.items()}


class TorchWeights(NamedTuple):
    """Weights that were read from a file, and are known to be those of a network.

    Attributes
    ----------
    path : Path
    tensors : dict of str to ndarray
    layers : dict of str to str
        PyTorch's module for each layer of Keras' network that has weights.
    channels : {1, 3}
        Of the images that the network takes.
    """

    path: object
    tensors: dict
    layers: dict
    channels: int

    @property
    def pixels(self):
        """What the network takes: ``"torchxrayvision"``, or ``"imagenet"``'s mean and deviation."""
        return "torchxrayvision" if self.channels == 1 else "imagenet"

    @property
    def image_size(self):
        """Side in pixels of the images that the weights were learnt from, None if unknown."""
        return 224 if self.channels == 1 else None

    def load(self, network):
        """Load all weights of a network of Keras, and return it.

        Raises
        ------
        ValueError
            A weight of the file has another shape than the network's.
        """
        for layer in network.layers:
            if layer.weights:
                layer.set_weights(
                    [
                        self._value(name, layer, weight)
                        for name, weight in zip(
                            _names_of_weights(layer.name, self.layers[layer.name]),
                            layer.weights,
                            strict=True,
                        )
                    ]
                )
        return network

    def _value(self, name, layer, weight):
        """Return the value of one weight as Keras has it: the axes of a kernel first."""
        value = self.tensors[name].astype(np.float32)
        if value.ndim == 4:
            # A depthwise kernel has its channels first and 1; Keras' has them third, and 1 fourth.
            depthwise = "depthwise" in layer.name
            value = value.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
        if value.shape != tuple(weight.shape):
            raise ValueError(
                f"weights={str(self.path)!r} holds another network: {name} has the shape "
                f"{self.tensors[name].shape}, which as a weight of Keras is {value.shape}, and "
                f"{layer.name} takes {tuple(weight.shape)}"
            )
        return value


def read_torch_weights(path, name, options):
    """Read the weights of a network from a file of PyTorch, or raise before it is built.

    Parameters
    ----------
    path : Path
    name : str
        Name of the function that builds the network in Keras.
    options : dict
        Its further arguments, such as ``alpha``.

    Returns
    -------
    TorchWeights

    Raises
    ------
    ValueError
        The file is damaged, holds another network's weights, or not all of them.
    """
    tensors = _with_usual_names(read_torch_file(path))
    asked = "DenseNet" if name == "DenseNet" or name in DENSENETS else name
    if name in DENSENETS:
        options = {"blocks": DENSENETS[name]}
    found, found_options, layers, first = _recognise_layout(path, tensors)
    _check_that_all_fit(path, tensors, layers, _describe_network(found, found_options))
    if found == asked == "MobileNetV2" and abs(found_options["alpha"] - options["alpha"]) < 0.02:
        found_options = options  # the number of channels is rounded
    if (found, found_options) != (asked, options):
        known = (
            ""
            if asked in ("DenseNet", "MobileNetV2")
            else (". Files of PyTorch are read for DenseNet and MobileNetV2 alone")
        )
        raise ValueError(
            f"weights={str(path)!r} holds a {_describe_network(found, found_options)}, and the "
            f"parameters ask for a {_describe_network(asked, options)}: set the parameters, or "
            f"pass the weights of another file{known}"
        )
    channels = tensors[first].shape[1]
    if channels != 3 and not (channels == 1 and found == "DenseNet"):
        raise ValueError(
            f"weights={str(path)!r} holds a {found} for images of {channels} channels. What its "
            "pixels must be is known for 3 channels, and for a DenseNet of torchxrayvision with 1"
        )
    return TorchWeights(path, tensors, layers, channels)


def _with_usual_names(tensors):
    """Return tensors under today's names of torchvision and timm, without what a backbone lacks."""
    while tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    return {
        _OLD_NAME.sub(r"\1\2.", name): value
        for name, value in tensors.items()
        if not _LEFT_OUT.match(name)
    }


def _recognise_layout(path, tensors):
    """Return the network in a file, its options, its layers, and the name of its first kernel."""
    if "features.conv0.weight" in tensors:
        numbers = [map(int, m.groups()) for m in map(_DENSE_LAYER.match, tensors) if m]
        blocks = {}
        for block, layer in numbers:
            blocks[block] = max(layer, blocks.get(block, 0))
        blocks = tuple(blocks[block] for block in sorted(blocks))
        return "DenseNet", {"blocks": blocks}, _layers_of_densenet(blocks), "features.conv0.weight"
    for first, last, layers in (
        ("features.0.0.weight", "features.18.0.weight", _layers_of_torchvision_mobilenet_v2()),
        ("conv_stem.weight", "conv_head.weight", _layers_of_timm_mobilenet_v2()),
    ):
        if first in tensors and tensors.get(last, np.empty(0)).ndim == 4:
            return "MobileNetV2", {"alpha": tensors[last].shape[1] / 320}, layers, first
    some = ", ".join(map(repr, list(tensors)[:3]))
    raise ValueError(
        f"weights={str(path)!r} holds no DenseNet and no MobileNetV2 of torchvision, timm or "
        f"torchxrayvision, the only networks of PyTorch that are read. Its {len(tensors)} weights "
        f"are called {some}"
    )


def _layers_of_densenet(blocks):
    """Return torchvision's, timm's and torchxrayvision's module for each layer of Keras."""
    layers = {"conv1_conv": "features.conv0", "conv1_bn": "features.norm0"}
    for block, n_layers in enumerate(blocks, start=1):
        for layer in range(1, n_layers + 1):
            keras_name = f"conv{block + 1}_block{layer}"
            module = f"features.denseblock{block}.denselayer{layer}"
            layers |= {
                f"{keras_name}_0_bn": f"{module}.norm1",
                f"{keras_name}_1_conv": f"{module}.conv1",
                f"{keras_name}_1_bn": f"{module}.norm2",
                f"{keras_name}_2_conv": f"{module}.conv2",
            }
        if block < len(blocks):
            layers[f"pool{block + 1}_bn"] = f"features.transition{block}.norm"
            layers[f"pool{block + 1}_conv"] = f"features.transition{block}.conv"
    return layers | {"bn": f"features.norm{len(blocks) + 1}"}


def _layers_of_torchvision_mobilenet_v2():
    """Return torchvision's module for each layer of Keras."""
    layers = {"Conv1": "features.0.0", "bn_Conv1": "features.0.1"}
    for block in range(sum(_REPEATS_OF_MOBILENET_V2)):
        module = f"features.{block + 1}.conv"
        modules = ["0.0", "0.1", "1.0", "1.1", "2", "3"] if block else ["0.0", "0.1", "1", "2"]
        names = _names_in_block_of_mobilenet_v2(block)
        layers |= dict(zip(names, [f"{module}.{number}" for number in modules], strict=True))
    return layers | {"Conv_1": "features.18.0", "Conv_1_bn": "features.18.1"}


def _layers_of_timm_mobilenet_v2():
    """Return timm's module for each layer of Keras."""
    layers = {"Conv1": "conv_stem", "bn_Conv1": "bn1"}
    places = [
        (stage, number)
        for stage, repeats in enumerate(_REPEATS_OF_MOBILENET_V2)
        for number in range(repeats)
    ]
    for block, (stage, number) in enumerate(places):
        first = ["conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"]
        modules = first if block else ["conv_dw", "bn1", "conv_pw", "bn2"]
        names = _names_in_block_of_mobilenet_v2(block)
        layers |= {
            name: f"blocks.{stage}.{number}.{module}"
            for name, module in zip(names, modules, strict=True)
        }
    return layers | {"Conv_1": "conv_head", "Conv_1_bn": "bn2"}


def _names_in_block_of_mobilenet_v2(block):
    """Return Keras' names of the layers with weights in a block, in the order of computing."""
    prefix = f"block_{block}" if block else "expanded_conv"
    convolutions = ["expand", "depthwise", "project"] if block else ["depthwise", "project"]
    return [
        f"{prefix}_{convolution}{suffix}" for convolution in convolutions for suffix in ("", "_BN")
    ]


def _names_of_weights(layer, module):
    """Return PyTorch's names of the weights of a layer: four of a normalisation, or a kernel."""
    parts = _BATCH_NORM if "bn" in layer.lower() else ("weight",)
    return [f"{module}.{part}" for part in parts]


def _check_that_all_fit(path, tensors, layers, network):
    """Raise unless a file has all weights of a network, and no others."""
    needed = [name for item in layers.items() for name in _names_of_weights(*item)]
    missing = [name for name in needed if name not in tensors]
    unknown = [name for name in tensors if name not in set(needed)]
    problems = [
        f"{what} {len(names)}, among them {names[0]!r}"
        for what, names in (("lacks", missing), ("holds others,", unknown))
        if names
    ]
    if problems:
        raise ValueError(
            f"weights={str(path)!r} does not hold the {len(needed)} weights of a {network}: it "
            f"{' and '.join(problems)}. Nothing was loaded"
        )


def _describe_network(name, options):
    """Return a network's name and its parameters, in words."""
    settings = ", ".join(f"{key}={value}" for key, value in sorted(options.items()))
    name = _NAMES_OF_DENSENETS.get(options.get("blocks"), name)
    return f"{name} ({settings})" if settings else name
