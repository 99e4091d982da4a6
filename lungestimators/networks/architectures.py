"""Networks as pure functions: pixels go in, probabilities come out.

A network has three parts, so that what does not learn need not run twice:

- *preprocessing*: pixels as the caller has them -> a square image in 0..1;
- *backbone*: that image -> a vector (with the backbone's own normalisation inside);
- *head*: that vector -> class probabilities.
"""

import inspect
import os
import re
import sys
import warnings
from pathlib import Path

import numpy as np

from ..backends.startup import keras
from . import weights_files

# Keras' default of 0.99 needs hundreds of steps before the moving statistics mean anything; a
# small data set has a dozen an epoch, and the network would predict one class in inference mode.
BATCH_NORM_MOMENTUM = 0.9

# The files of keras.applications whose names depend on parameters of ours. A file that is in
# Keras' cache folder under one of these names is used as it is.
_CACHED_FILES = {
    "MobileNet": "mobilenet_{alpha}_{rows}_tf_no_top.h5",
    "DenseNet121": "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "DenseNet169": "densenet169_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "DenseNet201": "densenet201_weights_tf_dim_ordering_tf_kernels_notop.h5",
}
_WHAT_RANDOM_WEIGHTS_COST = (
    "weights=None starts from random weights instead: everything is trained, which takes hours on "
    "a CPU, and a few hundred images are not enough for it (with ImageNet weights a MobileNet was "
    "right on 0.97 of 300 synthetic images of three classes, from random weights on 0.39)"
)
_DENSENETS = {blocks: name for name, blocks in weights_files.DENSENETS.items()}


def build_cnn(image_size, channels, weights, filters):
    """Build the custom CNN: blocks of convolution, batch normalisation, ReLU and pooling."""
    _check_size("the custom CNN", image_size, 2 ** len(filters))
    inputs = keras.Input((image_size, image_size, channels), name="image")
    x = _batch_norm("normalise", center=False, scale=False)(inputs)
    for number, n_filters in enumerate(filters, start=1):
        x = _conv_block(x, n_filters, name=f"conv{number}")
    x = keras.layers.Flatten(name="flatten")(x)
    network = keras.Model(inputs, x, name="backbone")
    if weights == "imagenet":
        raise ValueError(
            "There are no ImageNet weights of the custom CNN: pass weights=None or the path of a "
            "weights file of the same CNN"
        )
    if weights is None:
        return network
    return load_weights(network, weights, "CNN", {"filters": tuple(filters), "channels": channels})


def _conv_block(x, filters, name):
    x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = _batch_norm(f"{name}_bn")(x)
    x = keras.layers.ReLU(name=f"{name}_relu")(x)
    return keras.layers.MaxPooling2D(name=f"{name}_pool")(x)


def _batch_norm(name, **options):
    return keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=name, **options)


def build_application(backbone, image_size, channels, weights, options):
    """Build a network of ``keras.applications`` that returns one vector an image.

    The vector joins the global averages of the last three resolutions: texture is lost in the
    coarsest one alone. The network's own ``preprocess_input`` is part of the graph.

    Parameters
    ----------
    backbone : str
        A name in ``keras.applications``; ``"DenseNet"`` takes ``blocks`` in ``options``.
    image_size, channels : int
        Of the images in 0..1; grey ones are repeated to RGB.
    weights : {"imagenet", None} or path
    options : dict
        Further arguments of the Keras function (``alpha``, ``blocks``).

    Returns
    -------
    keras.Model
    """
    options = dict(options)
    builder = _application(backbone, options)
    _check_size(backbone, image_size, 32)
    shape = (image_size, image_size, 3)
    try:
        application = _pretrained(builder, backbone, shape, weights, options)
    except ValueError as error:
        if "Input size must be at least" in str(error):
            raise ValueError(
                f"image_size={image_size} is too small for {backbone}: {error}"
            ) from None
        raise
    application = _with_constant_normalization(application)
    for layer in application.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    pooled = [
        keras.layers.GlobalAveragePooling2D(name=f"pool_{number}")(output)
        for number, output in enumerate(_last_resolutions(application), start=1)
    ]
    features = keras.layers.Concatenate(name="features")(pooled) if len(pooled) > 1 else pooled[0]
    application = keras.Model(application.inputs, features, name="application")

    inputs = keras.Input((image_size, image_size, channels), name="image")
    x = inputs
    if channels == 1:
        x = keras.layers.Concatenate(name="grey_to_rgb")([x, x, x])
    x = keras.layers.Rescaling(255.0, name="to_255")(x)
    x = sys.modules[builder.__module__].preprocess_input(x)
    return keras.Model(inputs, application(x), name="backbone")


def _application(backbone, options):
    """The function of ``keras.applications`` of that name; ``options`` keeps what it takes."""
    if "blocks" in options:
        name = _DENSENETS.get(tuple(options["blocks"]))
        if name is None:
            # keras.applications exports only the three standard depths; the general function
            # stands beside them.
            return sys.modules[keras.applications.DenseNet121.__module__].DenseNet
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


def _with_constant_normalization(application):
    """Return a network whose mean and variance of pixels (EfficientNet's) are no weights.

    Keras computes with copies of these weights, and only its own loading of a file brings the
    copies up to date: the same weights, set in another way, would give other features.
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


def _check_size(network, image_size, smallest):
    if image_size < smallest:
        raise ValueError(
            f"image_size={image_size} is too small for {network}: it needs at least {smallest} "
            "pixels"
        )


def _last_resolutions(application, count=3):
    """The last output of each of the ``count`` coarsest resolutions, finest first."""
    last = {}
    for layer in application.layers:
        if isinstance(layer, keras.layers.InputLayer | keras.layers.ZeroPadding2D):
            continue
        shape = getattr(layer.output, "shape", ())
        # Squeeze-and-excitation works on 1x1 maps all through the network: no resolution of it.
        if len(shape) == 4 and shape[1] > 1:
            last[shape[1:3]] = layer.output
    last[application.output.shape[1:3]] = application.output
    return list(last.values())[-count:]


def _pretrained(builder, backbone, shape, weights, options):
    def build(weights):
        return builder(include_top=False, weights=weights, input_shape=shape, **options)

    if weights is None:
        return build(None)
    if weights != "imagenet":
        return load_weights(build(None), weights, builder.__name__, options)
    if builder.__name__ == "DenseNet":
        raise ValueError(
            f"There are no ImageNet weights of a DenseNet with blocks={options['blocks']}: "
            f"choose one of {sorted(_DENSENETS)}, or pass the path of a weights file. "
            f"{_WHAT_RANDOM_WEIGHTS_COST}"
        )
    cached = _cached_file(builder.__name__, shape[0], options)
    if cached is not None and cached.exists():
        return load_weights(build(None), cached, builder.__name__, options)
    try:
        with warnings.catch_warnings():
            # MobileNet warns that the 224 px weights serve every other size; they do.
            warnings.filterwarnings("ignore", "`input_shape` is undefined")
            return build("imagenet")
    except Exception as error:
        url = re.search(r"https?://[^\s:]+", str(error))
        if url is None:
            raise
        raise FileNotFoundError(
            f"The ImageNet weights of {backbone} are not in Keras' cache folder and could not be "
            f"downloaded. Put the file {url[0].rsplit('/', 1)[1]!r} from {url[0]} into "
            f"{_cache_folder()}, or pass its path as weights=. {_WHAT_RANDOM_WEIGHTS_COST}. "
            f"(Keras said: {error})"
        ) from error


def _cache_folder():
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"


def _cached_file(name, image_size, options):
    if name not in _CACHED_FILES:
        return None
    rows = image_size if image_size in (128, 160, 192, 224) else 224
    alpha = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}.get(options.get("alpha"))
    return _cache_folder() / _CACHED_FILES[name].format(alpha=alpha, rows=rows)


def load_weights(network, path, name, options):
    """Load a weights file whole, or raise.

    Keras only warns of some layers that a file does not hold, so every weight is made NaN first.

    Parameters
    ----------
    network : keras.Model
    path : path
    name : str
        Of the function that built the network, or ``"CNN"``.
    options : dict
        How it was built, to compare with what the file says.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is damaged or holds another network's weights.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"weights={str(path)!r}: there is no such file. Pass the path of a Keras weights file "
            f"without the top (.h5 or .weights.h5)"
            + ("" if name == "CNN" else f" or 'imagenet'. {_WHAT_RANDOM_WEIGHTS_COST}")
        )
    for weight in network.weights:
        weight.assign(np.full(weight.shape, np.nan))
    problem = None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Skipping nested container")
            network.load_weights(path)
    except Exception as error:  # h5py and Keras raise whatever they happen to meet
        problem = str(error).strip().splitlines()[0]
    missing = [w.path for w in network.weights if np.isnan(keras.ops.convert_to_numpy(w)).any()]
    if problem or missing:
        weights_files.check(path, name, options)
        problem = problem or f"it lacks {len(missing)} weights, among them {missing[0]}"
        raise ValueError(
            f"weights={str(path)!r} could not be loaded into {network.name}: the file is damaged "
            f"or holds the weights of another network ({problem})"
        )
    return network


def build_head(n_features, n_classes, dense_units, dropout):
    """Feature vector -> class probabilities."""
    inputs = keras.Input((n_features,), name="features")
    x = _batch_norm("normalise", center=False, scale=False)(inputs)
    x = keras.layers.Dense(dense_units, use_bias=False, name="dense")(x)
    x = _batch_norm("dense_bn")(x)
    x = keras.layers.ReLU(name="dense_relu")(x)
    # Without a seed, Keras' dropout draws from PyTorch's global generator there. Which seed it is
    # does not matter: every epoch sets its own.
    x = keras.layers.Dropout(dropout, seed=0, name="dropout")(x)
    x = keras.layers.Dense(n_classes, activation="softmax", dtype="float32", name="probabilities")(
        x
    )
    return keras.Model(inputs, x, name="head")


def unfreeze(network, keep_batch_norm):
    """Let a network learn, its batch normalisation excepted where that is to stay as it was.

    Parameters
    ----------
    network : keras.Model
    keep_batch_norm : bool
        Whether batch normalisation stays frozen, that is, in inference mode with the statistics
        it was pre-trained with.
    """
    network.trainable = True
    for layer in _leaves(network):
        if keep_batch_norm and isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def cut(backbone):
    """Cut a backbone where its last stage begins.

    Returns
    -------
    below : keras.Model
        Image -> one vector, which joins every tensor that the other part takes: what enters the
        last stage, and the averages of the finer resolutions.
    above : keras.Model
        That vector -> features. It holds the last stage, and shares its weights with ``backbone``.
    """
    nested = [layer for layer in backbone.layers if isinstance(layer, keras.Model)]
    graph = nested[0] if nested else backbone
    tensors = _crossing(graph)
    vectors = [
        tensor if len(tensor.shape) == 2 else keras.layers.Flatten()(tensor) for tensor in tensors
    ]
    vector = keras.layers.Concatenate(name="cut")(vectors) if len(vectors) > 1 else vectors[0]
    below = keras.Model(graph.inputs, vector, name="below_graph")
    if nested:
        # What comes before the application is a chain: its end is what the application takes.
        before = backbone.operations[backbone.operations.index(graph) - 1].output
        below = keras.Model(backbone.inputs, below(before), name="below")

    inputs = keras.Input((vector.shape[1],), name="cut")
    pieces, start = [], 0
    for tensor, flat in zip(tensors, vectors, strict=True):
        piece = inputs[:, start : start + flat.shape[1]]
        pieces.append(keras.layers.Reshape(tensor.shape[1:])(piece))
        start += flat.shape[1]
    last = keras.Model(tensors, graph.output, name="last_stage")
    return below, keras.Model(inputs, last(pieces), name="above")


def _crossing(graph):
    """The tensors that the last stage, or what depends on it, takes from the rest of a network."""
    last = _last_stage([layer for layer in graph.layers if layer.weights])
    above, crossing = set(), {}
    for operation in graph.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        inputs = keras.tree.flatten(operation.input)
        if operation in last or any(id(tensor) in above for tensor in inputs):
            crossing.update({id(t): t for t in inputs if id(t) not in above})
            above |= {id(tensor) for tensor in keras.tree.flatten(operation.output)}
    return list(crossing.values())


def _leaves(network):
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer


def _last_stage(layers):
    """The layers with weights behind the last reduction of the resolution."""
    sizes = [layer.output.shape[1] if len(layer.output.shape) == 4 else 0 for layer in layers]
    final = next(size for size in reversed(sizes) if size)
    before = [number for number, size in enumerate(sizes) if size > final]
    return layers[before[-1] + 1 :] if before else layers
