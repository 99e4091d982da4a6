"""The four classifiers: parameters, docstring, which network; no logic."""

from .base import LungClassifier

_SHARED_PARAMETERS = """\
    image_shape : tuple of int, default=None
        How a flat row of X becomes an image, as :func:`numpy.reshape` reads it, ``-1`` allowed:
        ``(28, 28)``, ``(64, 64, 3)``, ``(1, -1, 1)``. ``None``: X is not flat.
    trainable : {"auto", "head", "top", "all"}, default="auto"
        What ``fit`` trains: the head; the head, then the last stage of the backbone with it; or
        everything (with pre-trained weights the head first). ``"auto"`` is ``"head"`` with
        pre-trained weights and ``"all"`` without.
    feature_cache : {"memory", None} or path, default="memory"
        Where the outputs of frozen layers are kept, so that no image goes through them twice: in
        this process (at most 512 MiB unless :func:`limit_feature_cache` says otherwise), nowhere,
        or in a directory that processes may share. It changes no result.
    epochs : int, default={epochs}
        Passes over the training images. The learning rate falls to zero along a cosine.
    batch_size : int, default=16
        Images a step, at most.
    optimizer : str, default="adam"
        Name of a Keras optimizer.
    learning_rate : float, default=0.001
        Of the first epoch.
    fine_tune_epochs : int, default=10
        Passes of the second stage, with pre-trained weights and ``trainable`` ``"top"`` or
        ``"all"``. The backbone's batch normalisation stays in inference mode.
    fine_tune_learning_rate : float, default=0.0001
        Of the first epoch of the second stage.
    early_stopping : bool, default=False
        Whether to set aside ``validation_fraction`` of the images, stop when the loss on them has
        not fallen for ``n_iter_no_change`` epochs, and go back to the best epoch.
    validation_fraction : float, default=0.1
        Part of the images set aside: shuffled, stratified, and by ``groups`` where given.
    n_iter_no_change : int, default=10
        Epochs without a better validation loss before stopping.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss; classes that a dict leaves out have weight 1.
    augment : bool or keras.layers.Layer, default=False
        ``True``: small random shifts, rotations, zooms and changes of brightness and contrast, no
        flips. A layer is called on images in 0..1. Eight views of each image go through frozen
        layers, one of them an epoch in turn; where everything learns, every epoch makes its own.
    dense_units : int, default=512
        Units of the dense layer of the head.
    dropout : float, default=0.5
        Rate of dropout after that layer.
    on_error : {{"raise", "skip"}}, default="raise"
        What ``fit`` does with image files that cannot be read. ``"raise"`` looks at all headers
        before anything is trained and names every bad file in one error; ``"skip"`` reads every
        file once beforehand, leaves the bad ones out with one warning and records them in
        ``skipped_``. To predict an unreadable file is always an error.
    callbacks : list of keras.callbacks.Callback, default=None
        Keras callbacks, of which ``fit`` takes copies; ``partial_fit`` takes none. Each stage is a
        training to them, as each call of ``fit`` is in Keras: epochs count from 0, and
        ``stop_training`` ends the stage. Their model is the part of the network that learns; they
        may set its weights and its learning rate, but not change which layers learn. Callbacks of
        scikit-learn are set by ``set_callbacks``.
    random_state : int, RandomState instance or None, default=None
        Initial weights, order of the images, dropout, augmentation and validation split. The same
        int gives bitwise the same model.
    verbose : int, default=0
        0 is silent, 1 shows a progress bar with loss, accuracy and time left.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted.
    image_shape_ : tuple of int
        (height, width, channels) of the images seen by ``fit``; height and width are ``None``
        where they were files.
    skipped_ : dict of {{str: str}}
        The files that were left out with ``on_error="skip"``, and what is wrong with each.
    n_features_in_ : int
        Length of a row, for flat X only.
    history_ : dict of list
        ``loss``, ``accuracy``, ``learning_rate`` and, with early stopping, ``val_loss`` and
        ``val_accuracy`` of each epoch.
    n_iter_ : int
        Epochs that were run.
    callbacks_ : list of keras.callbacks.Callback
        The copies of ``callbacks`` that saw the training, without their model.
    model_ : keras.Model
        Pixels as ``fit`` saw them in, probabilities out; a copy, built when first asked for."""


def _with_shared_parameters(epochs):
    """Fill the parameters that all four classifiers share into a docstring, in one place."""

    def fill(cls):
        shared = _SHARED_PARAMETERS.replace("{epochs}", str(epochs))
        cls.__doc__ = cls.__doc__.replace("    {shared}", shared)
        return cls

    return fill


@_with_shared_parameters(epochs=20)
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
        return "CNN", (("filters", tuple(self.filters)),)


@_with_shared_parameters(epochs=60)
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
        Width of the network; ImageNet weights exist for 0.25, 0.5, 0.75 and 1.
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


@_with_shared_parameters(epochs=60)
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
        return "DenseNet", (("blocks", tuple(self.blocks)),)


@_with_shared_parameters(epochs=60)
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
        return self.backbone, ()
