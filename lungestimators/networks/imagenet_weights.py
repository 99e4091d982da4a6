"""ImageNet weights: found in Keras' cache folder or downloaded by Keras."""

import os
import re
import socket
import threading
import urllib.request
import warnings
from pathlib import Path

from .. import _compat
from .keras_weights import DENSENETS, load_keras_weights

# The files of keras.applications whose names depend on parameters of ours. A file that is in
# Keras' cache folder under one of these names is used as it is.
_CACHED_FILES = {
    "MobileNet": "mobilenet_{alpha}_{rows}_tf_no_top.h5",
    "DenseNet121": "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "DenseNet169": "densenet169_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "DenseNet201": "densenet201_weights_tf_dim_ordering_tf_kernels_notop.h5",
}
HOST = "storage.googleapis.com"  # from which Keras downloads weights
_PATIENCE = 0.8  # seconds to wait for a connection
# What to do where weights cannot be had.
OTHER_WEIGHTS = (
    "weights='chest' come with the package, for the networks that docs/weights.md names: pass "
    "image_size=128, too. weights=None starts from random weights instead: everything is trained, "
    "which takes hours on a CPU, and a few hundred images are not enough for it"
)


def build_with_imagenet_weights(builder, backbone, shape, options):
    """Build a network of ``keras.applications`` without its top, with ImageNet weights.

    Parameters
    ----------
    builder : callable
        The function that builds the network.
    backbone : str
        The user's name for it, for errors.
    shape : tuple of int
        (height, width, channels) of the images.
    options : dict
        Further arguments of ``builder`` (``alpha``, ``blocks``).

    Returns
    -------
    keras.Model

    Raises
    ------
    FileNotFoundError
        The weights are not in Keras' cache folder, and cannot be downloaded. The network has not
        been built then.
    ValueError
        There are no ImageNet weights of a DenseNet with these blocks.
    """
    if builder.__name__ == "DenseNet":
        raise ValueError(
            f"There are no ImageNet weights of a DenseNet with blocks={options['blocks']}: "
            f"choose one of {sorted(DENSENETS.values())}, or pass the path of a weights file. "
            f"{OTHER_WEIGHTS}"
        )
    cached = _cached_weights_file(builder.__name__, shape[0], options)
    if cached is not None and cached.exists():
        network = builder(include_top=False, weights=None, input_shape=shape, **options)
        return load_keras_weights(network, cached, builder.__name__, options)
    # Of other networks Keras knows the file; of another width it knows that there is none.
    keras_knows = cached is None and (
        builder.__name__ in _CACHED_FILES or _may_be_cached(builder.__name__)
    )
    if not (keras_knows or can_connect(HOST)):
        file = (
            "the file that Keras would download" if cached is None else f"the file {cached.name!r}"
        )
        raise FileNotFoundError(
            f"The ImageNet weights of {backbone} are not in Keras' cache folder and cannot be "
            f"downloaded: {HOST} does not answer within {_PATIENCE} seconds. Put {file} from "
            f"{_compat.keras_folder_of_weights(builder)} into {folder_of_downloaded_weights()}, or "
            f"pass its path as weights=. {OTHER_WEIGHTS}"
        )
    try:
        with warnings.catch_warnings():
            # MobileNet warns that it loads the weights of 224 px for another size, as it should.
            warnings.filterwarnings("ignore", "`input_shape` is undefined")
            return builder(include_top=False, weights="imagenet", input_shape=shape, **options)
    except Exception as error:
        url = re.search(r"https?://[^\s:]+", str(error))
        if url is None:
            raise
        raise FileNotFoundError(
            f"The ImageNet weights of {backbone} are not in Keras' cache folder and could not be "
            f"downloaded. Put the file {url[0].rsplit('/', 1)[1]!r} from {url[0]} into "
            f"{folder_of_downloaded_weights()}, or pass its path as weights=. {OTHER_WEIGHTS}. "
            f"(Keras said: {error})"
        ) from error


def folder_of_downloaded_weights():
    """Return the folder in which Keras keeps files of weights."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"


def _cached_weights_file(name, image_size, options):
    """Return where a file of ImageNet weights would be in Keras' folder, None if unknown."""
    if name not in _CACHED_FILES:
        return None
    rows = image_size if image_size in (128, 160, 192, 224) else 224
    alpha = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}.get(options.get("alpha"))
    if alpha is None and "alpha" in options:  # Keras has none, and says so
        return None
    return folder_of_downloaded_weights() / _CACHED_FILES[name].format(alpha=alpha, rows=rows)


def _may_be_cached(name):
    """Return whether a file in Keras' folder has a network's name in its own.

    Keras spells the names of its files in many ways.
    """
    plain = name.lower()
    files = folder_of_downloaded_weights().glob("*")
    return any(plain in re.sub("[^a-z0-9]", "", file.name.lower()) for file in files)


def can_connect(host):
    """Return whether a host answers, or a proxy stands in between, which is not asked.

    Looking up a name may hang, and the time limit of a socket does not count for it: the connection
    is tried in a thread.
    """
    if urllib.request.getproxies():
        return True
    opened = threading.Event()

    def connect():
        try:
            socket.create_connection((host, 443), _PATIENCE).close()
            opened.set()
        except OSError:
            pass

    threading.Thread(target=connect, daemon=True).start()
    return opened.wait(_PATIENCE)
