"""Networks as Keras models: pixels go in, probabilities come out.

A network has three parts, so that frozen parts need not run twice:

- *preprocessing*: pixels as the caller has them -> a square image in 0..1;
- *backbone*: that image -> a vector (with the backbone's own normalisation inside);
- *head*: that vector -> class probabilities.
"""

import inspect

from .. import _compat
from ..backends.startup import keras
from .chest_weights import find_chest_weights, read_chest_weights
from .keras_weights import DENSENETS, load_keras_weights
from .weights import (
    NAMED_WEIGHTS,
    build_with_weights,
    existing_weights_file,
    warn_of_another_image_size,
)

# Keras' default of 0.99 needs hundreds of steps before the moving statistics mean anything; a
# small data set has a dozen an epoch, and the network would predict one class in inference mode.
BATCH_NORM_MOMENTUM = 0.9

_NAMES_OF_DENSENETS = {blocks: name for name, blocks in DENSENETS.items()}


def build_cnn(image_size, channels, weights, filters):
    """Build the custom CNN: blocks of convolution, batch normalisation, ReLU and pooling.

    Parameters
    ----------
    image_size, channels : int
        Of the images in 0..1.
    weights : {"chest", None} or path
    filters : sequence of int
        Channels of each block's convolution.

    Returns
    -------
    keras.Model
        Image -> vector.
    """
    if weights in NAMED_WEIGHTS and weights != "chest":
        raise ValueError(
            f"There are no weights={weights!r} of the custom CNN: pass weights='chest', None or "
            "the path of a weights file of the same CNN"
        )
    _check_size_for_architecture("the custom CNN", image_size, 2 ** len(filters))
    options = {"filters": tuple(filters)}
    if weights == "chest":
        weights = find_chest_weights("CNN", options)
    file = None if weights is None else existing_weights_file(weights)
    if file is None or file.suffix != ".safetensors":
        network = _graph_of_cnn(image_size, channels, channels, filters)
        if file is not None:
            load_keras_weights(network, file, "CNN", options | {"channels": channels})
        return network
    kept = read_chest_weights(file, "CNN", options)
    warn_of_another_image_size("the custom CNN", image_size, kept.image_size)
    return kept.load(_graph_of_cnn(image_size, channels, 1, filters))


def _graph_of_cnn(image_size, channels, seen_channels, filters):
    """Build the custom CNN with random weights; it may see the mean of an image's channels."""
    inputs = x = keras.Input((image_size, image_size, channels), name="image")
    if seen_channels != channels:
        x = keras.ops.mean(x, axis=-1, keepdims=True)
    x = _batch_norm_of_small_data("normalise", center=False, scale=False)(x)
    for number, n_filters in enumerate(filters, start=1):
        x = _block_of_cnn(x, n_filters, name=f"conv{number}")
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, x, name="backbone")


def _block_of_cnn(x, filters, name):
    """Add a convolution, batch normalisation, ReLU and pooling to a graph."""
    x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = _batch_norm_of_small_data(f"{name}_bn")(x)
    x = keras.layers.ReLU(name=f"{name}_relu")(x)
    return keras.layers.MaxPooling2D(name=f"{name}_pool")(x)


def _batch_norm_of_small_data(name, **options):
    """Return a new layer of batch normalisation with the momentum for small data sets."""
    return keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=name, **options)


def build_application(backbone, image_size, channels, weights, options):
    """Build a network of ``keras.applications`` that returns one vector an image.

    The vector joins the global averages of the last three resolutions: the coarsest one alone has
    lost the texture. The preparation of pixels is part of the graph.

    Parameters
    ----------
    backbone : str
        A name in ``keras.applications``, or ``"DenseNet"`` with ``blocks`` in ``options``.
    image_size, channels : int
        Of the images in 0..1. Grey ones are repeated to RGB; a network of torchxrayvision gets the
        mean of an image's channels.
    weights : {"chest", "imagenet", "torchxrayvision", None} or path
    options : dict
        Further arguments of the Keras function (``alpha``, ``blocks``).

    Returns
    -------
    keras.Model
        Image -> vector.
    """
    options = dict(options)
    builder = _find_application(backbone, options)
    _check_size_for_architecture(backbone, image_size, 32)
    shape = (image_size, image_size, 3)
    try:
        application, pixels = build_with_weights(builder, backbone, shape, weights, options)
    except ValueError as error:
        if "Input size must be at least" in str(error):
            raise ValueError(
                f"image_size={image_size} is too small for {backbone}: {error}"
            ) from None
        raise
    application = _application_with_constant_norm(application)
    application = vector_of_application(application)

    inputs = keras.Input((image_size, image_size, channels), name="image")
    x = _pixels_for_application(inputs, pixels, builder)
    return keras.Model(inputs, application(x), name="backbone")


def _pixels_for_application(x, pixels, builder):
    """Add to a graph what turns images in 0..1 into the pixels that a network learnt from.

    Parameters
    ----------
    x : keras.KerasTensor
    pixels : {"keras", "imagenet", "torchxrayvision"}
        As :func:`build_with_weights` returns it.
    builder : callable
        The function of ``keras.applications`` that built the network.
    """
    if pixels == "torchxrayvision":
        if x.shape[-1] != 1:
            x = keras.ops.mean(x, axis=-1, keepdims=True)
        return keras.layers.Rescaling(2048.0, -1024.0, name="to_1024")(x)
    if x.shape[-1] == 1:
        x = keras.layers.Concatenate(name="grey_to_rgb")([x, x, x])
    x = keras.layers.Rescaling(255.0, name="to_255")(x)
    if pixels == "imagenet":
        return keras.applications.imagenet_utils.preprocess_input(x, mode="torch")
    return _compat.keras_application_module(builder).preprocess_input(x)


def vector_of_application(application):
    """Return a network that gives one vector an image, with the momentum for small data sets.

    Parameters
    ----------
    application : keras.Model
        Image -> feature map or vector.

    Returns
    -------
    keras.Model
        Image -> the global averages of the last three resolutions, joined; with the same layers. A
        network of vectors keeps its output.
    """
    for layer in _compat.keras_layers_of(application):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    features = application.output
    if len(features.shape) == 4:
        names = {layer.name for layer in application.layers}
        pooled = [
            _layer_of_free_name(keras.layers.GlobalAveragePooling2D, f"pool_{number}", names)(map_)
            for number, map_ in enumerate(_last_resolutions_of_application(application), start=1)
        ]
        join = _layer_of_free_name(keras.layers.Concatenate, "features", names)
        features = join(pooled) if len(pooled) > 1 else pooled[0]
    return keras.Model(application.inputs, features, name="application")


def _layer_of_free_name(cls, name, names):
    """Return a new layer with a name, or without one of its own where the name is taken."""
    return cls(name=None if name in names else name)


def _find_application(backbone, options):
    """Return the function that builds a backbone; drop options from ``options`` that it lacks."""
    if "blocks" in options:
        name = _NAMES_OF_DENSENETS.get(tuple(options["blocks"]))
        if name is None:
            # keras.applications exports only the three standard depths; the general function
            # stands beside them.
            return _compat.keras_application_module(keras.applications.DenseNet121).DenseNet
        del options["blocks"]
        return getattr(keras.applications, name)
    builder = getattr(keras.applications, str(backbone), None)
    if not callable(builder):
        known = ", ".join(name for name in dir(keras.applications) if name[0].isupper())
        raise ValueError(f"backbone={backbone!r} is not in keras.applications, which has: {known}")
    if "alpha" not in inspect.signature(builder).parameters and options.pop("alpha", 1.0) != 1:
        raise ValueError(
            f"{backbone} has no alpha: it is the width of MobileNet, MobileNetV2, MobileNetV3Small "
            "and MobileNetV3Large. Leave alpha=1.0"
        )
    return builder


def _application_with_constant_norm(application):
    """Return a network that holds its mean and variance of pixels as constants, not as weights.

    EfficientNet has them as weights. Keras computes with copies of these weights, and updates the
    copies only when it loads a file: equal weights, set by ``set_weights``, would give different
    features.
    """
    adapted = [
        layer
        for layer in application.layers
        if isinstance(layer, keras.layers.Normalization) and layer.weights
    ]
    if not adapted:
        return application

    def clone(layer):
        config = layer.get_config()
        if layer in adapted:
            mean, variance, _ = layer.get_weights()
            config.update(mean=mean.tolist(), variance=variance.tolist())
        return type(layer).from_config(config)

    clones = keras.models.clone_model(application, clone_function=clone)
    for layer in application.layers:
        if layer.weights and layer not in adapted:
            clones.get_layer(layer.name).set_weights(layer.get_weights())
    return clones


def _check_size_for_architecture(network, image_size, smallest):
    """Raise if images are smaller than a network can take."""
    if image_size < smallest:
        raise ValueError(
            f"image_size={image_size} is too small for {network}: it needs at least {smallest} "
            "pixels"
        )


def _last_resolutions_of_application(application, count=3):
    """Return the last output of each of the ``count`` coarsest resolutions, finest first."""
    last, layers = {}, application.layers
    # What stands before all weights are pixels, not features.
    first = next((number for number, layer in enumerate(layers) if layer.weights), len(layers))
    for layer in layers[first:]:
        if isinstance(layer, keras.layers.ZeroPadding2D):
            continue
        shape = getattr(layer.output, "shape", ())
        # 1x1 maps belong to squeeze-and-excitation all through the network: they are no resolution.
        if len(shape) == 4 and shape[1] > 1:
            last[shape[1:3]] = layer.output
    last[application.output.shape[1:3]] = application.output
    return list(last.values())[-count:]


def build_head(n_features, n_classes, dense_units, dropout):
    """Build a head, a small dense network: feature vector -> class probabilities."""
    inputs = keras.Input((n_features,), name="features")
    x = _batch_norm_of_small_data("normalise", center=False, scale=False)(inputs)
    x = keras.layers.Dense(dense_units, use_bias=False, name="dense")(x)
    x = _batch_norm_of_small_data("dense_bn")(x)
    x = keras.layers.ReLU(name="dense_relu")(x)
    # Without a seed, Keras' dropout draws from PyTorch's global generator under PyTorch. The number
    # does not matter: every epoch sets a seed of its own.
    x = keras.layers.Dropout(dropout, seed=0, name="dropout")(x)
    x = keras.layers.Dense(n_classes, activation="softmax", dtype="float32", name="probabilities")(
        x
    )
    return keras.Model(inputs, x, name="head")
