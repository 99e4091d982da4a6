"""The networks of one classifier: their seeds, initial weights, epochs and joint history."""

import os
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from .. import training
from ..networks import blueprints
from . import parameters


class FittedNetwork(NamedTuple):
    """One of the networks of a classifier, and all that its training goes on from.

    Attributes
    ----------
    parts : blueprints.Parts
    seed : int
        Of the order of the images, dropout and augmentation.
    history : dict of list
        One value an epoch; empty before the first epoch.
    optimizer_state : dict
        After ``partial_fit`` the optimizer's variables, a list of ndarray, by what learnt and the
        optimizer's name.
    """

    parts: blueprints.Parts
    seed: int
    history: dict
    optimizer_state: dict

    @property
    def n_epochs(self):
        """Number of epochs run."""
        return len(self.history.get("loss", []))


def random_states_of_networks(random_state, n_networks):
    """Return the generator from which each network draws its seeds.

    One network takes ``random_state`` itself. Of several, each takes a seed that is drawn from it,
    as scikit-learn's ensembles do: it is the network of a classifier with that seed.

    Parameters
    ----------
    random_state : int, RandomState instance or None
    n_networks : int

    Returns
    -------
    list of numpy.random.RandomState
    """
    random_state = check_random_state(random_state)
    if n_networks == 1:
        return [random_state]
    seeds = random_state.randint(2**31, size=n_networks)
    return [np.random.RandomState(int(seed)) for seed in seeds]


def initial_network(classifier, channels, n_classes, random_state):
    """Return an untrained network of a classifier, with seeds out of a generator.

    Parameters
    ----------
    classifier : LungClassifier
        Its parameters have been checked.
    channels, n_classes : int
    random_state : numpy.random.RandomState

    Returns
    -------
    FittedNetwork
    """
    name, own_parameters = classifier._backbone()
    weights = classifier.weights
    seed = int(random_state.randint(2**31))
    backbone = blueprints.initial_backbone_blueprint(
        name,
        own_parameters,
        int(classifier.image_size),
        channels,
        None if weights is None else os.fspath(weights),
        seed,
    )
    head = blueprints.initial_head_blueprint(
        backbone.n_outputs, n_classes, int(classifier.dense_units), float(classifier.dropout), seed
    )
    parts = blueprints.Parts(backbone, head)
    return FittedNetwork(parts, int(random_state.randint(2**31)), {}, {})


def train_network_for_one_epoch(network, classifier, train):
    """Return a FittedNetwork that was trained for one epoch more, as ``partial_fit`` does.

    Parameters
    ----------
    network : FittedNetwork
    classifier : LungClassifier
        Its parameters say how to train.
    train : stages.Data

    Returns
    -------
    FittedNetwork
    """
    plan = parameters.training_stages_from_parameters(classifier)
    stage = plan[0] if network.n_epochs < classifier.epochs else plan[-1]
    optimized = stage.trainable, str(classifier.optimizer).lower()
    parts, history, optimizer_state = training.fit_stage_for_one_epoch(
        network.parts,
        stage,
        train,
        parameters.training_options_from_parameters(classifier, network.seed),
        epoch=network.n_epochs,
        optimizer_state=network.optimizer_state.get(optimized),
    )
    history = {name: network.history.get(name, []) + values for name, values in history.items()}
    return FittedNetwork(parts, network.seed, history, {optimized: optimizer_state})


def attributes_of_networks(networks, n_networks):
    """Return the attributes of an estimator that was fitted to these networks.

    Parameters
    ----------
    networks : list of FittedNetwork
        Fewer than ``n_networks`` where a callback ended the fit.
    n_networks : int
        The parameter of the estimator.

    Returns
    -------
    dict of str to object
    """
    history = networks[0].history
    if n_networks > 1:
        names = dict.fromkeys(name for network in networks for name in network.history)
        history = {
            name: [value for network in networks for value in network.history.get(name, [])]
            for name in names
        }
        history["network"] = [
            number for number, network in enumerate(networks) for _ in range(network.n_epochs)
        ]
    n_epochs = sum(network.n_epochs for network in networks)
    return {"_networks": networks, "history_": history, "n_iter_": n_epochs}
