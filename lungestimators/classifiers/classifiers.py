"""The four classifiers: parameters, docstring, which network; no logic."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..backends.startup import keras
from ..validation import PathLike
from .base import LungClassifier
from .docstrings import with_shared_docstring
from .parameters import ClassifierParameters


@dataclass(kw_only=True, eq=False, repr=False)
class CNNParameters(ClassifierParameters):
    image_size: int = 64
    weights: PathLike | None = None
    filters: Sequence[int] = (32, 64, 128)
    epochs: int = 20


@with_shared_docstring(epochs=20)
class CNNClassifier(CNNParameters, LungClassifier):
    """The custom convolutional network, which is trained from random weights by default.

    Blocks of 3x3 convolution, batch normalisation, ReLU and 2x2 pooling, then a dense layer with
    batch normalisation and dropout.

    Parameters
    ----------
    image_size : int, default=64
        Side in pixels of the square the network sees; every image is resized to it.
    weights : {"chest", None} or path, default=None
        Weights of the convolution blocks: those that come with the package, learnt from chest
        radiographs at 64 pixels (for the default ``filters``), of which only the head learns unless
        ``trainable`` says otherwise; random ones; or those of a file.
    filters : tuple of int, default=(32, 64, 128)
        Channels of each convolution block.
    {shared}

    See Also
    --------
    DenseNetClassifier : A network with pre-trained weights.

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

    def _backbone(self):
        return "CNN", (("filters", tuple(map(int, self.filters))),)


@dataclass(kw_only=True, eq=False, repr=False)
class MobileNetParameters(ClassifierParameters):
    alpha: float = 1.0


@with_shared_docstring(epochs=60)
class MobileNetClassifier(MobileNetParameters, LungClassifier):
    """MobileNet with pre-trained weights, under a trained head.

    The frozen network is run once for each image; the head learns from what it saw.

    Parameters
    ----------
    image_size : int, default=128
        Side in pixels of the square the network sees; every image is resized to it. At least 32.
    weights : {"chest", "imagenet", None} or path, default="chest"
        - ``"chest"``: those that come with the package, learnt from chest radiographs at 128
          pixels; for ``alpha=0.25`` and 1.
        - ``"imagenet"``: ImageNet weights, learnt at 128, 160, 192 or 224 pixels if ``image_size``
          is one of these, else at 224; Keras downloads them once.
        - ``None``: random weights.
        - A path: weights of Keras without the top (``.h5``, ``.weights.h5``), or a
          ``.safetensors`` file of ``benchmarks/pretrain.py``. Pass the ``image_size`` that they
          were learnt at.
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

    def _backbone(self):
        return "MobileNet", (("alpha", float(self.alpha)),)


@dataclass(kw_only=True, eq=False, repr=False)
class DenseNetParameters(ClassifierParameters):
    blocks: Sequence[int] = (6, 12, 24, 16)


@with_shared_docstring(epochs=60)
class DenseNetClassifier(DenseNetParameters, LungClassifier):
    """DenseNet121, or another DenseNet, with pre-trained weights under a trained head.

    The frozen network is run once for each image; the head learns from what it saw.

    Parameters
    ----------
    image_size : int, default=128
        Side in pixels of the square the network sees; every image is resized to it. At least 32.
    weights : {"chest", "imagenet", "torchxrayvision", None} or path, default="chest"
        - ``"chest"``: those that come with the package, learnt from chest radiographs at 128
          pixels; of DenseNet121.
        - ``"imagenet"``: ImageNet weights, learnt at 224 pixels; Keras downloads them once. Pass
          ``image_size=224``.
        - ``"torchxrayvision"``: those of torchxrayvision's DenseNet121, learnt from radiographs of
          224 pixels; downloaded once. Pass ``image_size=224``.
        - ``None``: random weights.
        - A path: weights of Keras without the top (``.h5``, ``.weights.h5``), or a
          ``.safetensors``, ``.pt`` or ``.pth`` file of a DenseNet of torchvision, timm or
          torchxrayvision, which is read without running code.
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

    def _backbone(self):
        return "DenseNet", (("blocks", tuple(map(int, self.blocks))),)


@dataclass(kw_only=True, eq=False, repr=False)
class BackboneParameters(ClassifierParameters):
    backbone: "str | Callable[[int, int], keras.Model]" = field(
        default="DenseNet121", kw_only=False
    )
    alpha: float = 1.0


@with_shared_docstring(epochs=60)
class BackboneClassifier(BackboneParameters, LungClassifier):
    """Any network under the same trained head: by name, or of your own.

    Parameters
    ----------
    backbone : str or callable, default="DenseNet121"
        Name of the network in :mod:`keras.applications`; ``"keras_hub:"`` and a preset of keras-hub
        or a folder that holds one (extra ``hub``); or a function ``(image_size, channels) ->
        keras.Model``, defined at the top level of a module. Its model takes images of shape
        ``(image_size, image_size, channels)`` in 0..1, grey ones with one channel, and returns a
        feature map, of whose last three resolutions the global averages are joined, or a vector.
    image_size : int, default=128
        Side in pixels of the square the network sees; every image is resized to it. At least 32 for
        networks of :mod:`keras.applications`.
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

    def _backbone(self):
        return self.backbone, (("alpha", float(self.alpha)),)
