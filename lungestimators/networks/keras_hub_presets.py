"""Backbones of keras-hub: from a preset by name, or from a folder that ``save_to_preset`` wrote."""

import importlib.util
from pathlib import Path

import numpy as np

from ..backends.startup import keras
from .architectures import vector_of_application
from .plain_network import build_plain_network
from .weights import existing_weights_file

# Begins the parameter ``backbone``; the preset follows, as keras-hub's ``from_preset`` takes it.
PREFIX = "keras_hub:"


def is_keras_hub_preset(backbone):
    """Return whether a parameter ``backbone`` names a preset of keras-hub."""
    return isinstance(backbone, str) and backbone.startswith(PREFIX)


def check_keras_hub_is_installed(backbone):
    """Raise ImportError unless keras-hub, which a backbone needs, is installed."""
    if importlib.util.find_spec("keras_hub") is None:
        raise ImportError(
            f"backbone={backbone!r} needs keras-hub: pip install 'lungestimators[hub]'"
        )


def _keras_hub_preset_of(backbone):
    """Return the preset that a parameter ``backbone`` names, a folder with ``~`` replaced."""
    preset = backbone.removeprefix(PREFIX)
    folder = Path(preset).expanduser()
    return str(folder) if folder.is_dir() else preset


def state_of_keras_hub_preset(backbone):
    """Return path, size and times of each file of a preset in a folder; of others, nothing."""
    folder = Path(_keras_hub_preset_of(backbone))
    if not folder.is_dir():
        return ()
    files = sorted(path for path in folder.absolute().iterdir() if path.is_file())
    states = ((path, path.stat()) for path in files)
    return tuple((str(path), s.st_size, s.st_mtime_ns, s.st_ctime_ns) for path, s in states)


def build_keras_hub_network(backbone, image_size, channels, weights):
    """Build a backbone of keras-hub, with one vector an image as its output.

    Pixels are scaled as the preset's image converter does it; a preset without one gets them in
    0..1.

    Parameters
    ----------
    backbone : str
        ``"keras_hub:"`` and a preset.
    image_size, channels : int
        Of the images in 0..1; grey ones are repeated to RGB.
    weights : {"pretrained", None} or path
        ``"pretrained"``: the weights of the preset.

    Returns
    -------
    keras.Model
        Image -> vector: the averages of the last three resolutions, joined.

    Raises
    ------
    FileNotFoundError
        The preset is neither here nor can it be downloaded.
    ValueError
        There is no such preset, or it is none of images with a feature map.
    """
    file = None if weights in (None, "pretrained") else existing_weights_file(weights)
    preset = _keras_hub_preset_of(backbone)
    network, scale, offset = _load_keras_hub_preset(preset, weights == "pretrained")
    shape, origin = (image_size, image_size, 3), f"backbone={backbone!r}"
    application = vector_of_application(build_plain_network(network, shape, file, origin))

    inputs = x = keras.Input((image_size, image_size, channels), name="image")
    if channels == 1:
        x = keras.layers.Concatenate(name="grey_to_rgb")([x, x, x])
    x = keras.layers.Rescaling(scale, offset, name="as_converted")(x)
    return keras.Model(inputs, application(x), name="backbone")


def _load_keras_hub_preset(preset, load_weights):
    """Return a backbone of keras-hub, and what turns pixels in 0..1 into its input.

    Returns
    -------
    network : keras.Model
    scale, offset : float or list of float
        Factor and summand of all channels, or of each.
    """
    import keras_hub

    try:
        try:
            converter = keras_hub.layers.ImageConverter.from_preset(preset)
        except FileNotFoundError:
            if not Path(preset).is_dir():
                raise
            converter = None
        network = keras_hub.models.Backbone.from_preset(preset, load_weights=load_weights)
    except (OSError, ValueError) as error:
        kind = ValueError if isinstance(error, ValueError) else FileNotFoundError
        raise kind(
            f"backbone='{PREFIX}{preset}' could not be loaded: {str(error).strip()}\n"
            f"Without a network connection pass backbone='{PREFIX}FOLDER', a folder that "
            "save_to_preset of keras-hub wrote elsewhere, of the backbone and of its ImageConverter"
        ) from error
    if converter is None:
        return network, 1.0, 0.0
    # The converter takes pixels in 0..255.
    scale = np.multiply(1.0 if converter.scale is None else converter.scale, 255.0)
    offset = np.asarray(0.0 if converter.offset is None else converter.offset)
    return network, scale.tolist(), offset.tolist()
