"""The fitted state of a classifier as plain data and networks, for a file, and back."""

import itertools

import numpy as np

from ..networks.blueprints import Parts
from ..saving.architecture_checks import shapes_of_network
from . import fitted_networks, training_data

# ``n_views`` makes as many passes over the images; a file cannot ask for hours by one digit.
MOST_VIEWS = 1000


def networks_for_file(networks):
    """Return fitted networks as a list of dict of plain data and Blueprints."""
    return [
        {
            "backbone": network.parts.backbone,
            "head": network.parts.head,
            "seed": network.seed,
            "history": network.history,
            "optimizer_state": network.optimizer_state,
        }
        for network in networks
    ]


def training_data_for_file(data):
    """Return digests of training data as a dict of plain data."""
    return data._asdict()


def restore_state(classifier, state):
    """Give a classifier, whose images are known, the attributes that a file states.

    Parameters
    ----------
    classifier : LungClassifier
        ``_restore_image_state`` has been called.
    state : dict
        As ``LungClassifier._state_for_file`` returns it, decoded, without what describes images.

    Raises
    ------
    ValueError
        It cannot be the state of a fit.
    """
    wanted = {"classes_", "networks", "skipped_", "training_data_"}
    if not wanted <= set(state) <= wanted | {"callbacks_"}:
        raise ValueError(f"its fitted state has the entries {sorted(map(str, state))}")
    classifier.classes_ = _check_classes(state["classes_"])
    classifier.skipped_ = _check_skipped(state["skipped_"])
    if "callbacks_" in state:
        if state["callbacks_"] != []:
            raise ValueError("callbacks_ of a file is empty")
        classifier.callbacks_ = []
    data = state["training_data_"]
    if not isinstance(data, dict) or set(data) != {"n_images", "labels", "images"}:
        raise ValueError("the digests of its training data are damaged")
    classifier.training_data_ = training_data.check_training_data(**data)
    networks = _check_networks(state["networks"], classifier)
    n_networks = int(classifier._fit_parameters["n_networks"])
    vars(classifier).update(fitted_networks.attributes_of_networks(networks, n_networks))


def _check_classes(classes):
    """Return class labels, or raise unless they are two or more, different and sorted."""
    right = isinstance(classes, np.ndarray) and classes.ndim == 1 and len(classes) >= 2
    try:
        right = right and all(a < b for a, b in itertools.pairwise(classes))
    except TypeError:
        right = False
    if not right:
        raise ValueError("its classes_ are no class labels")
    return classes


def _check_skipped(skipped):
    """Return a dict of text to text, or raise."""
    if not isinstance(skipped, dict) or not all(
        isinstance(text, str) for item in skipped.items() for text in item
    ):
        raise ValueError("its skipped_ names no files")
    return skipped


def _check_networks(networks, classifier):
    """Return a list of FittedNetwork, or raise unless they can be those of a classifier."""
    fit = classifier._fit_parameters
    most = fit["n_networks"]
    if type(most) is bool or not isinstance(most, int | np.integer):
        raise ValueError(f"its fit had n_networks={str(most)[:80]}")
    if not isinstance(networks, list) or not 1 <= len(networks) <= most:
        raise ValueError(f"it has not 1 to {most} networks")
    if not isinstance(fit["trainable"], str) or fit["trainable"] not in (
        "auto",
        "head",
        "last_stage",
        "all",
    ):
        raise ValueError(f"its fit had trainable={str(fit['trainable'])[:80]}")
    fitted = [_check_network(network) for network in networks]
    size = int(fit["image_size"])
    for network in fitted:
        backbone, head = (shapes_of_network(part.architecture) for part in network.parts)
        ends = (backbone.name, backbone.input, backbone.output, head.name, head.input, head.output)
        vector = backbone.output
        images, n_classes = (size, size, classifier._channels()), (len(classifier.classes_),)
        if ends != ("backbone", images, vector, "head", vector, n_classes):
            raise ValueError("its networks do not lead from its images to its classes")
        if network.parts[0].architecture != fitted[0].parts[0].architecture:
            raise ValueError("its networks are not of one architecture")
    return fitted


def _check_network(network):
    """Return a FittedNetwork of what a file states, or raise."""
    names = "backbone", "head", "seed", "history", "optimizer_state"
    if not isinstance(network, dict) or set(network) != set(names):
        raise ValueError("a network in it is damaged")
    backbone, head, seed, history, optimizer_state = (network[name] for name in names)
    if not all(hasattr(part, "architecture") for part in (backbone, head)):
        raise ValueError("a network in it has no layers")
    if type(seed) is not int or not 0 <= seed < 2**31:
        raise ValueError("the seed of a network in it is damaged")
    if not (
        isinstance(history, dict)
        and all(isinstance(name, str) for name in history)
        and all(isinstance(values, list) for values in history.values())
        and all(type(value) is float for values in history.values() for value in values)
    ):
        raise ValueError("the history of a network in it is damaged")
    if not (
        isinstance(optimizer_state, dict)
        and all(_is_key_of_optimizer(key) for key in optimizer_state)
        and all(isinstance(values, list) for values in optimizer_state.values())
        and all(isinstance(x, np.ndarray) for values in optimizer_state.values() for x in values)
    ):
        raise ValueError("the state of the optimizer of a network in it is damaged")
    parts = Parts(backbone, head)
    return fitted_networks.FittedNetwork(parts, seed, history, optimizer_state)


def _is_key_of_optimizer(key):
    """Return whether a key is what learnt, and the name of an optimizer."""
    return isinstance(key, tuple) and len(key) == 2 and all(isinstance(x, str) for x in key)
