"""Networks of the user's own, which a function ``(image_size, channels) -> keras.Model`` builds."""

import functools
import pickle

from ..backends.startup import keras
from .architectures import vector_of_application
from .plain_network import build_plain_network
from .weights import existing_weights_file


def name_of_own_network(function):
    """Return where a function stands, for errors: ``"networks.tiny"``."""
    if isinstance(function, functools.partial):
        return f"partial of {name_of_own_network(function.func)}"
    module = getattr(function, "__module__", None)
    return f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def check_own_network(function):
    """Raise unless a function can be found again by other processes and in a saved classifier.

    Parameters
    ----------
    function : callable

    Raises
    ------
    ValueError
        It is a lambda or stands inside another function, or it is one of keras.applications.
    """
    name = name_of_own_network(function)
    if getattr(keras.applications, getattr(function, "__name__", ""), None) is function:
        raise ValueError(
            f"backbone={name} is a function of keras.applications: pass its name, "
            f"backbone={function.__name__!r}"
        )
    try:
        pickle.dumps(function)
    except Exception as error:  # pickle raises errors of several kinds
        raise ValueError(
            f"backbone={name} cannot be imported, by other processes or for a saved classifier: "
            "define the function with def at the top level of a module. For parameters of its own, "
            "pass functools.partial of such a function"
        ) from error


def build_own_network(function, image_size, channels, weights):
    """Build the network of a user's function, with one vector an image as its output.

    Parameters
    ----------
    function : callable
        ``(image_size, channels) -> keras.Model``: a functional or sequential model that takes
        images in 0..1 and returns a feature map or a vector.
    image_size, channels : int
        Of the images in 0..1.
    weights : {"pretrained", None} or path
        ``"pretrained"`` and None: as the function returns them.

    Returns
    -------
    keras.Model
        Image -> vector: the averages of the last three resolutions, joined, or the network's own
        vector.
    """
    origin = f"backbone={name_of_own_network(function)}"
    file = None if weights in (None, "pretrained") else existing_weights_file(weights)
    network = function(image_size, channels)
    shape = (image_size, image_size, channels)
    application = vector_of_application(build_plain_network(network, shape, file, origin))
    inputs = keras.Input(shape, name="image")
    return keras.Model(inputs, application(inputs), name="backbone")
