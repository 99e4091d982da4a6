"""Checks of the parameters of a backbone, such as ``alpha`` and ``weights``, and of its cache."""

import os

import numpy as np

from ..networks import keras_hub_presets, own_network
from ..networks.weights import NAMED_WEIGHTS
from ..validation import check_real_number, check_whole_number, is_whole_number
from . import cache

# Widths of a MobileNet: the narrowest that has a channel everywhere, and one with sixteen times the
# weights of the published network: a mistyped width far above it takes minutes to build.
_ALPHAS = 1 / 32, 4


def check_backbone_parameters(estimator):
    """Raise unless the parameters of a backbone, and ``feature_cache``, are valid."""
    check_whole_number("image_size", estimator.image_size, 1)
    if estimator.weights is not None and not isinstance(estimator.weights, str | os.PathLike):
        raise TypeError(
            f"weights={estimator.weights!r} must be 'chest', 'imagenet', 'torchxrayvision', "
            "'pretrained', None or a path"
        )
    if not isinstance(estimator.verbose, bool | np.bool_):
        check_whole_number("verbose", estimator.verbose, 0)
    _check_backbone_structure(estimator)
    if "backbone" in estimator.get_params(deep=False):
        _check_backbone_itself(estimator)
    check_feature_cache_parameter(estimator.feature_cache)


def check_feature_cache_parameter(feature_cache):
    """Return ``feature_cache`` as a str or None; open its directory, or raise if that fails."""
    if feature_cache is not None and not isinstance(feature_cache, str | os.PathLike):
        raise TypeError(f"feature_cache={feature_cache!r} must be 'memory', None or a directory")
    name = None if feature_cache is None else os.fspath(feature_cache)
    cache.open_feature_cache(name)
    return name


def _check_backbone_structure(estimator):
    """Raise unless ``alpha``, ``filters`` and ``blocks`` are in their ranges, if they exist."""
    parameters = estimator.get_params(deep=False)
    if "alpha" in parameters:
        smallest, largest = _ALPHAS
        check_real_number(
            "alpha",
            parameters["alpha"],
            lambda alpha: smallest <= alpha <= largest,
            f"lie between {smallest} and {largest}: it multiplies the number of channels, which is "
            "1 in the published network",
        )
    if "filters" in parameters and not _is_backbone_parameter_of_numbers(parameters["filters"]):
        raise ValueError(
            f"filters={parameters['filters']!r} must be a tuple of one whole number, at least 1, "
            "for each block, such as (32, 64, 128)"
        )
    if "blocks" in parameters and not (
        _is_backbone_parameter_of_numbers(parameters["blocks"]) and len(parameters["blocks"]) == 4
    ):
        raise ValueError(
            f"blocks={parameters['blocks']!r} must be a tuple of four whole numbers, at least 1, "
            "such as (6, 12, 24, 16)"
        )


def _check_backbone_itself(estimator):
    """Raise unless ``backbone`` can be built, and ``weights`` and ``alpha`` can be of it."""
    backbone, weights = estimator.backbone, estimator.weights
    if callable(backbone):
        own_network.check_own_network(backbone)
        shown = f"backbone={own_network.name_of_own_network(backbone)}"
    elif keras_hub_presets.is_keras_hub_preset(backbone):
        keras_hub_presets.check_keras_hub_is_installed(backbone)
        shown = f"backbone={backbone!r}"
    elif not isinstance(backbone, str):
        raise TypeError(
            f"backbone={backbone!r} must be the name of a network of keras.applications, "
            f"'{keras_hub_presets.PREFIX}' and a preset, or a function (image_size, channels) -> "
            "keras.Model"
        )
    elif weights == "pretrained":
        raise ValueError(
            f"weights='pretrained' is for a function or a preset of keras-hub, and "
            f"backbone={backbone!r} is of keras.applications: pass weights='chest', "
            "'imagenet', None (random ones) or a path"
        )
    else:
        return
    if weights in NAMED_WEIGHTS:
        raise ValueError(
            f"weights={weights!r} is for networks of keras.applications. For {shown} pass "
            "weights='pretrained' (the weights that it comes with, which were learnt), None "
            "(random ones) or the path of a weights file of this network"
        )
    if estimator.alpha != 1:
        raise ValueError(
            f"alpha={estimator.alpha} is the width of a MobileNet of keras.applications. For "
            f"{shown} leave alpha=1.0"
        )


def _is_backbone_parameter_of_numbers(values):
    """Return whether values are a sequence of whole numbers, at least 1."""
    return (
        isinstance(values, list | tuple | np.ndarray)
        and len(values) > 0
        and all(is_whole_number(n) and n >= 1 for n in values)
    )
