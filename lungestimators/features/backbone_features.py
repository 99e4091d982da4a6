"""BackboneFeatures: a frozen network as a transformer."""

import os
from collections.abc import Callable
from typing import Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .. import saving
from ..backends.startup import keras
from ..images.base import ImageInput
from ..networks import blueprints
from ..saving.architecture_checks import shapes_of_network
from ..validation import ImagesLike, PathLike
from . import extraction
from .parameters import check_backbone_parameters, check_feature_cache_parameter


class BackboneFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ImageInput):
    """Turn each image into the features that a frozen network computes, one vector.

    The vector joins the global averages of the network's last three resolutions, or is the vector
    that a network of your own returns. Every image goes through the network once: folds, searches
    and the classifiers of this package share the vectors that are kept under ``feature_cache``.

    Parameters
    ----------
    backbone : str or callable, default="DenseNet121"
        Name of the network in :mod:`keras.applications`; ``"keras_hub:"`` and a preset of keras-hub
        or a folder that holds one (extra ``hub``); or a function ``(image_size, channels) ->
        keras.Model``, as :class:`BackboneClassifier` takes it.
    image_size : int, default=128
        Side in pixels of the square the network sees; every image is resized to it. At least 32 for
        networks of :mod:`keras.applications`.
    image_shape : tuple of int, default=None
        How a flat row of X becomes an image, as :func:`numpy.reshape` reads it, ``-1`` allowed.
        ``None``: X is not flat.
    weights : {"chest", "imagenet", "torchxrayvision", "pretrained", None} or path, \
default="chest"
        - ``"chest"``: those that come with the package, learnt from chest radiographs at 128
          pixels; of DenseNet121, and of MobileNet with ``alpha=0.25`` or 1.
        - ``"imagenet"``: ImageNet weights of :mod:`keras.applications`, of most networks learnt at
          224 pixels (pass ``image_size=224``); Keras downloads them once.
        - ``"torchxrayvision"``: those of torchxrayvision's DenseNet121, learnt from radiographs of
          224 pixels (pass ``image_size=224``); downloaded once.
        - ``"pretrained"``: the trained weights that a function returns or a preset has.
        - ``None``: random weights.
        - A path: weights of Keras without the top (``.h5``, ``.weights.h5``), or a
          ``.safetensors``, ``.pt`` or ``.pth`` file of a DenseNet or MobileNetV2 of torchvision or
          timm, or of a DenseNet of torchxrayvision, which is read without running code.
    alpha : float, default=1.0
        Width of a MobileNet, MobileNetV2, MobileNetV3Small or MobileNetV3Large, whose weights must
        be of the same width; other networks have none.
    feature_cache : {"memory", None} or path, default="memory"
        Where features are kept: in this process (at most 512 MiB unless
        :func:`limit_feature_cache` says otherwise), nowhere, or in a directory that processes may
        share. It changes no result.
    random_state : int, RandomState instance or None, default=None
        Random weights, with ``weights=None``.
    verbose : int, default=0
        0 is silent, 1 shows a progress bar.

    Attributes
    ----------
    image_shape_ : tuple of int
        (height, width, channels) of the images seen by ``fit``; height and width are ``None``
        where they were files.
    n_features_in_ : int
        Length of a row, for flat X only.

    See Also
    --------
    BackboneClassifier : The same network under a trained head.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from lungestimators import BackboneFeatures
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 60, size=(20, 32, 32), dtype=np.uint8)
    >>> y = np.repeat(["clear", "opaque"], 10)
    >>> X[10:, 8:24, 8:24] += 120
    >>> features = BackboneFeatures("DenseNet121", weights=None, image_size=32, random_state=0)
    >>> pipeline = make_pipeline(features, LogisticRegression()).fit(X, y)
    >>> pipeline.predict(X[[0, -1]])
    array(['clear', 'opaque'], dtype='<U6')
    >>> features.get_feature_names_out()[:2]
    array(['backbonefeatures0', 'backbonefeatures1'], dtype=object)
    """

    _AT_ONCE = frozenset({"feature_cache", "verbose"})

    def __init__(
        self,
        backbone: "str | Callable[[int, int], keras.Model]" = "DenseNet121",
        *,
        image_size: int = 128,
        image_shape: tuple[int, ...] | None = None,
        weights: PathLike | None = "chest",
        alpha: float = 1.0,
        feature_cache: PathLike | None = "memory",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ):
        self.backbone = backbone
        self.image_size = image_size
        self.image_shape = image_shape
        self.weights = weights
        self.alpha = alpha
        self.feature_cache = feature_cache
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # features are float32 always
        return tags

    def fit(self, X: ImagesLike, y: None = None) -> Self:
        """Load the network, and remember the shape and range of the images. Nothing is learnt.

        Parameters
        ----------
        X : array-like or list of paths
            Images as an array of shape (n_samples, height, width) or (n_samples, height, width,
            channels), uint8, uint16 or float; flat rows of shape (n_samples, n_features) with
            ``image_shape``; or the paths of n_samples image files, as a list, a Series or the one
            column of an array or DataFrame.
        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            A parameter or X is not what it should be.
        FileNotFoundError
            An image file or the file of weights does not exist.
        """
        with self._input_as_it_was_on_failure():
            check_backbone_parameters(self)
            for name in ("n_features_in_", "feature_names_in_"):
                vars(self).pop(name, None)  # X may be of another kind now
            X = self._check_X(X, reset=True)
            self._remember_range(X)

            random_state = check_random_state(self.random_state)
            random_state.randint(2**31)  # as a classifier does, whose second seed is its network's
            self._network = blueprints.initial_backbone_blueprint(
                self.backbone,
                (("alpha", float(self.alpha)),),
                int(self.image_size),
                self._channels(),
                None if self.weights is None else os.fspath(self.weights),
                int(random_state.randint(2**31)),
            )
            self._n_features_out = self._network.n_outputs
            self._remember_parameters()
        return self

    def transform(self, X: ImagesLike) -> np.ndarray:
        """Return the features of images.

        Parameters
        ----------
        X : array-like or list of paths
            Images of the height and width that ``fit`` saw, or files. Grey is repeated where the
            fit was on RGB or on files; RGB must have equal channels where the fit was on grey.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), float32
        """
        check_is_fitted(self, "_network")
        fitted = self._as_fitted()
        X = fitted._check_X(X, reset=False)

        cache = check_feature_cache_parameter(self.feature_cache)
        return extraction.extract_features(
            self._network, fitted._input_images(X), cache, verbose=self.verbose
        )

    def save(self, path: PathLike, *, description: str | None = None) -> None:
        """Write the fitted transformer to a file, which :func:`lungestimators.load` reads.

        Parameters
        ----------
        path : path
            By custom it ends with ``.lung``.
        description : str, default=None
            Free text.

        Raises
        ------
        ValueError
            It is not fitted, or ``backbone`` is a function: a file holds no code.
        FileNotFoundError
            There is no such folder.
        """
        saving.save(self, path, description=description)

    def _state_for_file(self):
        """Return the fitted state as plain data and a network, None before a fit."""
        if not hasattr(self, "_network"):
            return None
        return self._image_state_for_file() | {"network": self._network}

    def _restore_state_from_file(self, state):
        self._restore_image_state(state)
        if set(state) != {"network"} or not hasattr(state["network"], "architecture"):
            raise ValueError("its network is missing")
        shapes = shapes_of_network(state["network"].architecture)
        size = int(self._fit_parameters["image_size"])
        if (shapes.name, shapes.input) != ("backbone", (size, size, self._channels())):
            raise ValueError("its network does not take its images")
        self._network = state["network"]
        self._n_features_out = self._network.n_outputs
