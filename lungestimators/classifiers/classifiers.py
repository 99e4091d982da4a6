"""The four classifiers: parameters, docstring, which network; no logic."""

from .base import LungClassifier
from .docstrings import with_shared_parameters


@with_shared_parameters(epochs=20)
class CNNClassifier(LungClassifier):
    """The custom convolutional network, trained from random weights.

    Blocks of 3x3 convolution, batch normalisation, ReLU and 2x2 pooling, then a dense layer with
    batch normalisation and dropout.

    Parameters
    ----------
    image_size : int, default=64
        Side in pixels of the square the network sees; every image is resized to it.
    weights : path or None, default=None
        Weights of the convolution blocks (a file of the same blocks), or random ones.
    filters : tuple of int, default=(32, 64, 128)
        Channels of each convolution block.
    {shared}

    See Also
    --------
    MobileNetClassifier : A pre-trained network, better on few images.

    Examples
    --------
    >>> import numpy as np
    >>> from lungestimators import CNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 60, size=(40, 32, 32), dtype=np.uint8)
    >>> y = np.repeat(["clear", "opaque"], 20)
    >>> X[20:, 8:24, 8:24] += 120
    >>> clf = CNNClassifier(image_size=32, epochs=5, random_state=0).fit(X, y)
    >>> clf.predict(X[[0, -1]])
    array(['clear', 'opaque'], dtype='<U6')
    """

    def __init__(
        self,
        *,
        image_size=64,
        image_shape=None,
        weights=None,
        filters=(32, 64, 128),
        trainable="auto",
        feature_cache="memory",
        epochs=20,
        batch_size=16,
        optimizer="adam",
        learning_rate=1e-3,
        fine_tune_epochs=10,
        fine_tune_learning_rate=1e-4,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        class_weight=None,
        augment=False,
        dense_units=512,
        dropout=0.5,
        on_error="raise",
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        self.image_size = image_size
        self.image_shape = image_shape
        self.weights = weights
        self.filters = filters
        self.trainable = trainable
        self.feature_cache = feature_cache
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.fine_tune_epochs = fine_tune_epochs
        self.fine_tune_learning_rate = fine_tune_learning_rate
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.augment = augment
        self.dense_units = dense_units
        self.dropout = dropout
        self.on_error = on_error
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    def _backbone(self):
        return "CNN", (("filters", tuple(map(int, self.filters))),)


@with_shared_parameters(epochs=60)
class MobileNetClassifier(LungClassifier):
    """MobileNet with ImageNet weights, under a trained head.

    The frozen network is run once for each image; the head learns from what it saw.

    Parameters
    ----------
    image_size : int, default=224
        Side in pixels of the square the network sees; every image is resized to it. At least 32.
    weights : {"imagenet", None} or path, default="imagenet"
        ImageNet weights (downloaded by Keras once), random ones, or the path of a weights file
        without the top.
    alpha : float, default=1.0
        Width of the network, between 1/32 and 4; ImageNet weights exist for 0.25, 0.5, 0.75 and 1,
        and a file of weights must be of the same width.
    {shared}

    References
    ----------
    Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
    Applications", 2017, arXiv:1704.04861.

    Examples
    --------
    >>> import numpy as np
    >>> from lungestimators import MobileNetClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 60, size=(40, 32, 32), dtype=np.uint8)
    >>> y = np.repeat(["clear", "opaque"], 20)
    >>> X[20:, 8:24, 8:24] += 120
    >>> clf = MobileNetClassifier(
    ...     weights=None, alpha=0.25, image_size=32, epochs=5, random_state=0
    ... )
    >>> clf.fit(X, y).predict_proba(X[:3]).shape
    (3, 2)
    """

    def __init__(
        self,
        *,
        image_size=224,
        image_shape=None,
        weights="imagenet",
        alpha=1.0,
        trainable="auto",
        feature_cache="memory",
        epochs=60,
        batch_size=16,
        optimizer="adam",
        learning_rate=1e-3,
        fine_tune_epochs=10,
        fine_tune_learning_rate=1e-4,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        class_weight=None,
        augment=False,
        dense_units=512,
        dropout=0.5,
        on_error="raise",
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        self.image_size = image_size
        self.image_shape = image_shape
        self.weights = weights
        self.alpha = alpha
        self.trainable = trainable
        self.feature_cache = feature_cache
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.fine_tune_epochs = fine_tune_epochs
        self.fine_tune_learning_rate = fine_tune_learning_rate
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.augment = augment
        self.dense_units = dense_units
        self.dropout = dropout
        self.on_error = on_error
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    def _backbone(self):
        return "MobileNet", (("alpha", float(self.alpha)),)


@with_shared_parameters(epochs=60)
class DenseNetClassifier(LungClassifier):
    """DenseNet121, or another DenseNet, with ImageNet weights under a trained head.

    The frozen network is run once for each image; the head learns from what it saw.

    Parameters
    ----------
    image_size : int, default=224
        Side in pixels of the square the network sees; every image is resized to it. At least 32.
    weights : {"imagenet", None} or path, default="imagenet"
        ImageNet weights (downloaded by Keras once), random ones, or the path of a weights file
        without the top.
    blocks : tuple of int, default=(6, 12, 24, 16)
        Layers of the four dense blocks: the default is DenseNet121, ``(6, 12, 32, 32)`` is
        DenseNet169, ``(6, 12, 48, 32)`` is DenseNet201.
    {shared}

    References
    ----------
    Huang et al., "Densely Connected Convolutional Networks", CVPR 2017, arXiv:1608.06993.

    Examples
    --------
    >>> import numpy as np
    >>> from lungestimators import DenseNetClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 60, size=(40, 32, 32), dtype=np.uint8)
    >>> y = np.repeat(["clear", "opaque"], 20)
    >>> X[20:, 8:24, 8:24] += 120
    >>> clf = DenseNetClassifier(
    ...     weights=None, blocks=(1, 1, 1, 1), image_size=32, epochs=5, random_state=0
    ... )
    >>> clf.fit(X, y).predict_proba(X[:3]).shape
    (3, 2)
    """

    def __init__(
        self,
        *,
        image_size=224,
        image_shape=None,
        weights="imagenet",
        blocks=(6, 12, 24, 16),
        trainable="auto",
        feature_cache="memory",
        epochs=60,
        batch_size=16,
        optimizer="adam",
        learning_rate=1e-3,
        fine_tune_epochs=10,
        fine_tune_learning_rate=1e-4,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        class_weight=None,
        augment=False,
        dense_units=512,
        dropout=0.5,
        on_error="raise",
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        self.image_size = image_size
        self.image_shape = image_shape
        self.weights = weights
        self.blocks = blocks
        self.trainable = trainable
        self.feature_cache = feature_cache
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.fine_tune_epochs = fine_tune_epochs
        self.fine_tune_learning_rate = fine_tune_learning_rate
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.augment = augment
        self.dense_units = dense_units
        self.dropout = dropout
        self.on_error = on_error
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    def _backbone(self):
        return "DenseNet", (("blocks", tuple(map(int, self.blocks))),)


@with_shared_parameters(epochs=60)
class BackboneClassifier(LungClassifier):
    """Any network of ``keras.applications``, by name, under the same trained head.

    Parameters
    ----------
    backbone : str, default="EfficientNetV2B0"
        Name of the network in :mod:`keras.applications`.
    image_size : int, default=224
        Side in pixels of the square the network sees; every image is resized to it. At least 32.
    weights : {"imagenet", None} or path, default="imagenet"
        ImageNet weights (downloaded by Keras once), random ones, or the path of a weights file
        without the top.
    alpha : float, default=1.0
        Width of a MobileNet, MobileNetV2, MobileNetV3Small or MobileNetV3Large, whose weights must
        be of the same width; other networks have none.
    {shared}

    Examples
    --------
    >>> import numpy as np
    >>> from lungestimators import BackboneClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(0, 60, size=(40, 32, 32), dtype=np.uint8)
    >>> y = np.repeat(["clear", "opaque"], 20)
    >>> X[20:, 8:24, 8:24] += 120
    >>> clf = BackboneClassifier(
    ...     "MobileNetV3Small", weights=None, trainable="head", image_size=32, random_state=0
    ... )
    >>> clf.fit(X, y).predict_proba(X[:3]).shape
    (3, 2)
    """

    def __init__(
        self,
        backbone="EfficientNetV2B0",
        *,
        image_size=224,
        image_shape=None,
        weights="imagenet",
        alpha=1.0,
        trainable="auto",
        feature_cache="memory",
        epochs=60,
        batch_size=16,
        optimizer="adam",
        learning_rate=1e-3,
        fine_tune_epochs=10,
        fine_tune_learning_rate=1e-4,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        class_weight=None,
        augment=False,
        dense_units=512,
        dropout=0.5,
        on_error="raise",
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        self.backbone = backbone
        self.image_size = image_size
        self.image_shape = image_shape
        self.weights = weights
        self.alpha = alpha
        self.trainable = trainable
        self.feature_cache = feature_cache
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.fine_tune_epochs = fine_tune_epochs
        self.fine_tune_learning_rate = fine_tune_learning_rate
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.augment = augment
        self.dense_units = dense_units
        self.dropout = dropout
        self.on_error = on_error
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    def _backbone(self):
        return self.backbone, (("alpha", float(self.alpha)),)
