"""The closed list of Keras layers that a file may hold, and the shapes that each of them makes.

Nothing here imports Keras. A shape is a tuple of int without the dimension of the batch.
"""

import math

# A dimension of a map or of a weight is not larger.
LARGEST_SIDE = 2**24
# Numbers in the output of a layer for one image, at most: a CNN of 32 channels at 1024 pixels.
_LARGEST_MAP = 2**25

_ACTIVATIONS = frozenset(
    {
        "elu",
        "gelu",
        "hard_sigmoid",
        "hard_silu",
        "leaky_relu",
        "linear",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "softmax",
        "softplus",
        "tanh",
    }
)
_INITIALIZERS = frozenset(
    {
        "GlorotNormal",
        "GlorotUniform",
        "HeNormal",
        "HeUniform",
        "LecunNormal",
        "LecunUniform",
        "Ones",
        "RandomNormal",
        "RandomUniform",
        "TruncatedNormal",
        "VarianceScaling",
        "Zeros",
    }
)


def _is_number(value):
    """Whether a value of JSON is a number; true and false are none."""
    return type(value) in (int, float) and abs(value) < 1e38


def _is_no_negative_number(value):
    """Whether a value of JSON is a number from 0 on."""
    return _is_number(value) and value >= 0


def _is_size(value):
    """Whether a value is a whole number from 1 on."""
    return type(value) is int and 1 <= value <= LARGEST_SIDE


def _is_pair(value):
    """Whether a value is two sizes."""
    return isinstance(value, list) and len(value) == 2 and all(map(_is_size, value))


def _is_border(value):
    """Whether a value is the pixels at the top, bottom, left and right, of a padding or crop."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(side, list) and len(side) == 2 for side in value)
        and all(type(n) is int and 0 <= n <= 1024 for side in value for n in side)
    )


def _is_number_or_numbers(value):
    """Whether a value is a number, or a list of one for each channel."""
    if isinstance(value, list):
        return 0 < len(value) <= LARGEST_SIDE and all(map(_is_number, value))
    return _is_number(value)


def _is_initializer(value):
    """Whether a value is one of Keras' own random or constant initial weights."""
    return (
        isinstance(value, dict)
        and set(value) <= {"module", "class_name", "config", "registered_name"}
        and value.get("module") == "keras.initializers"
        and isinstance(value.get("class_name"), str)
        and value["class_name"] in _INITIALIZERS
        and value.get("registered_name") is None
        and isinstance(value.get("config"), dict)
        and not any(isinstance(item, dict | list) for item in value["config"].values())
    )


def _is_float32(value):
    """Whether a value is the policy float32, in either of Keras' forms."""
    return value in (
        "float32",
        {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": {"name": "float32"},
            "registered_name": None,
        },
    )


def _is_name(value):
    """Whether a value is a text that can name a layer."""
    return isinstance(value, str) and 0 < len(value) <= 200


def _one_of(*values):
    """Return a check that a value is one of these, of the same type."""
    return lambda value: any(type(value) is type(each) and value == each for each in values)


_is_flag = _one_of(True, False)
_is_none = _one_of(None)

# What the configuration of a layer may hold under each name. A name means the same in all layers.
_KEYS = {
    "name": _is_name,
    "trainable": _is_flag,
    "dtype": _is_float32,
    "activation": _one_of(*_ACTIVATIONS),
    "data_format": _one_of("channels_last"),
    "padding": lambda value: value in ("same", "valid") or _is_border(value),
    "cropping": _is_border,
    "filters": _is_size,
    "units": _is_size,
    "groups": _is_size,
    "depth_multiplier": _is_size,
    "projection_dim": _is_size,
    "kernel_size": _is_pair,
    "strides": _is_pair,
    "pool_size": _is_pair,
    "dilation_rate": _is_pair,
    "target_shape": lambda value: isinstance(value, list) and all(map(_is_size, value)),
    "axis": _one_of(-1, 1, 3, [-1], [3]),
    "scale": lambda value: _is_flag(value) or _is_number_or_numbers(value),
    "offset": _is_number_or_numbers,
    "mean": _is_number_or_numbers,
    "variance": _is_number_or_numbers,
    "seed": lambda value: value is None or type(value) is int,
    "noise_shape": lambda value: value is None or _one_of([None, 1, 1, 1])(value),
    "renorm_clipping": _is_none,
    "quantization_config": _is_none,
    "max_value": lambda value: value is None or _is_no_negative_number(value),
    **dict.fromkeys(
        ["epsilon", "rate", "negative_slope", "threshold"],
        _is_no_negative_number,
    ),
    **dict.fromkeys(["momentum", "init_values", "renorm_momentum"], _is_number),
    **dict.fromkeys(["use_bias", "center", "keepdims"], _is_flag),
    **dict.fromkeys(
        ["renorm", "synchronized", "rms_scaling", "invert", "sparse", "ragged", "optional"],
        _one_of(False),
    ),
}


def check_layer_config(config, name):
    """Raise a ValueError unless each entry of a layer's configuration has a value that is known."""
    for key, value in config.items():
        if key.endswith("_initializer"):
            right = _is_initializer(value)
        elif key.endswith(("_regularizer", "_constraint")):
            right = value is None
        else:
            right = key in _KEYS and _KEYS[key](value)
        if not right:
            raise ValueError(f"the layer {name!r} has {key}={str(value)[:80]}, which is not known")


def shapes_of_layer(kind, config, inputs):
    """Return what a layer makes of its inputs.

    Parameters
    ----------
    kind : tuple of (str or None, str)
        Module and class of the layer.
    config : dict
        Its configuration, which ``check_layer_config`` has seen.
    inputs : list of tuple of int

    Returns
    -------
    output : tuple of int
    weights : list of tuple of int
        In the order of Keras.

    Raises
    ------
    ValueError
        The layer cannot take these inputs, or its output is too large.
    """
    function, n_inputs = _LAYERS[kind]
    if n_inputs is not None and len(inputs) != n_inputs:
        raise ValueError(f"it has {len(inputs)} inputs, and takes {n_inputs}")
    try:
        output, weights = function(config, *inputs)
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"its configuration is incomplete ({error!r})") from None
    if not all(_is_size(side) for side in output) or math.prod(output) > _LARGEST_MAP:
        raise ValueError(f"its output would have the shape {output}")
    return tuple(output), weights


def is_known_layer(kind):
    """Return whether a layer of this module and class may stand in a file."""
    return kind in _LAYERS


def broadcast_shapes(*shapes):
    """Return the shape of a sum of maps, some of whose sides may be 1."""
    length = max(map(len, shapes))
    padded = [(1,) * (length - len(shape)) + shape for shape in shapes]
    sides = []
    for some in zip(*padded, strict=True):
        others = set(some) - {1}
        if len(others) > 1:
            raise ValueError(f"its inputs have the shapes {', '.join(map(str, shapes))}")
        sides.append(others.pop() if others else 1)
    return tuple(sides)


def _same(config, shape):
    return shape, []


def _map_of(shape):
    """Return height, width and channels."""
    if len(shape) != 3:
        raise ValueError(f"it needs a feature map, and its input has the shape {shape}")
    return shape


def _scaled(config, shape):
    for key in ("scale", "offset", "mean", "variance"):
        if isinstance(config.get(key), list) and len(config[key]) not in (1, shape[-1]):
            raise ValueError(f"{key} has {len(config[key])} numbers for {shape[-1]} channels")
    return shape, []


def _normalised_by_constants(config, shape):
    if "mean" not in config or "variance" not in config or config.get("axis") not in ([-1], [3]):
        raise ValueError("its mean and variance are not part of it")
    return _scaled(config, shape)


def _merged(config, *shapes):
    return broadcast_shapes(*shapes), []


def _joined(config, *shapes):
    if config["axis"] not in (-1, len(shapes[0])) or len({shape[:-1] for shape in shapes}) != 1:
        raise ValueError(f"it cannot join the shapes {', '.join(map(str, shapes))}")
    return (*shapes[0][:-1], sum(shape[-1] for shape in shapes)), []


def _length_after(size, kernel, stride, padding, dilation=1):
    """Return how many positions a window has along one side."""
    if padding == "same":
        return -(-size // stride)
    if padding != "valid":
        raise ValueError(f"padding={padding!r} is none of a window")
    return (size - dilation * (kernel - 1) - 1) // stride + 1


def _sides_after(config, shape, kernel):
    """Return height and width behind a convolution or pooling."""
    height, width, _ = _map_of(shape)
    dilation = config.get("dilation_rate", [1, 1])
    return tuple(
        _length_after(size, kernel[i], config["strides"][i], config["padding"], dilation[i])
        for i, size in enumerate((height, width))
    )


def _pooled(config, shape):
    return (*_sides_after(config, shape, config["pool_size"]), shape[-1]), []


def _averaged(config, shape):
    channels = _map_of(shape)[-1]
    return ((1, 1, channels) if config["keepdims"] else (channels,)), []


def _bias(config, n):
    return [(n,)] if config["use_bias"] else []


def _convolved(config, shape):
    filters, groups = config["filters"], config["groups"]
    channels = _map_of(shape)[-1]
    if channels % groups or filters % groups:
        raise ValueError(f"{channels} channels and {filters} filters do not form {groups} groups")
    kernel = (*config["kernel_size"], channels // groups, filters)
    output = (*_sides_after(config, shape, config["kernel_size"]), filters)
    return output, [kernel, *_bias(config, filters)]


def _convolved_by_channel(config, shape):
    channels = _map_of(shape)[-1]
    kernel = (*config["kernel_size"], channels, config["depth_multiplier"])
    n = channels * config["depth_multiplier"]
    return (*_sides_after(config, shape, config["kernel_size"]), n), [kernel, *_bias(config, n)]


def _convolved_separably(config, shape):
    output, (kernel, *_) = _convolved_by_channel(config, shape)
    filters = config["filters"]
    weights = [kernel, (1, 1, output[-1], filters), *_bias(config, filters)]
    return (*output[:-1], filters), weights


def _dense(config, shape):
    units = config["units"]
    return (*shape[:-1], units), [(shape[-1], units), *_bias(config, units)]


def _batch_normalised(config, shape):
    if config["axis"] not in (-1, len(shape)):
        raise ValueError(f"axis={config['axis']} is not that of the channels")
    channels = (shape[-1],)
    n = 2 + _flag(config, "center") + _flag(config, "scale")
    return shape, [channels] * n


def _layer_normalised(config, shape):
    if config["axis"] not in (-1, [-1]):
        raise ValueError(f"axis={config['axis']} is not that of the channels")
    return shape, [(shape[-1],)] * (_flag(config, "center") + _flag(config, "scale"))


def _flag(config, key):
    """Return a flag of a configuration; ``scale`` is a number elsewhere."""
    if not isinstance(config[key], bool):
        raise ValueError(f"{key}={config[key]!r} must be true or false")
    return config[key]


def _scaled_by_weights(config, shape):
    if config["projection_dim"] != shape[-1]:
        raise ValueError(f"projection_dim={config['projection_dim']} for {shape[-1]} channels")
    return shape, [(shape[-1],)]


def _padded(config, shape):
    (top, bottom), (left, right) = _border_of(config["padding"])
    height, width, channels = _map_of(shape)
    return (height + top + bottom, width + left + right, channels), []


def _cropped(config, shape):
    (top, bottom), (left, right) = _border_of(config["cropping"])
    height, width, channels = _map_of(shape)
    return (height - top - bottom, width - left - right, channels), []


def _border_of(value):
    if not _is_border(value):
        raise ValueError(f"{value!r} is no border")
    return value


def _flattened(config, shape):
    return (math.prod(shape),), []


def _reshaped(config, shape):
    target = tuple(config["target_shape"])
    if not target or math.prod(target) != math.prod(shape):
        raise ValueError(f"{shape} cannot become {target}")
    return target, []


def _mean_of_channels(config, shape):
    if config["axis"] not in (-1, 3, [-1], [3]) or config["keepdims"] is not True:
        raise ValueError("it is no mean over the channels")
    return (*_map_of(shape)[:-1], 1), []


def _stacked(config, *shapes):
    if config["axis"] != -1 or len(set(shapes)) != 1 or not shapes[0]:
        raise ValueError(f"it cannot stack the shapes {', '.join(map(str, shapes))}")
    return (*shapes[0], len(shapes)), []


# Function and number of inputs; None: any.
_LAYERS = {
    ("keras.layers", "Activation"): (_same, 1),
    ("keras.layers", "Add"): (_merged, None),
    ("keras.layers", "AveragePooling2D"): (_pooled, 1),
    ("keras.layers", "BatchNormalization"): (_batch_normalised, 1),
    ("keras.layers", "Concatenate"): (_joined, None),
    ("keras.layers", "Conv2D"): (_convolved, 1),
    ("keras.layers", "Cropping2D"): (_cropped, 1),
    ("keras.layers", "Dense"): (_dense, 1),
    ("keras.layers", "DepthwiseConv2D"): (_convolved_by_channel, 1),
    ("keras.layers", "Dropout"): (_same, 1),
    ("keras.layers", "Flatten"): (_flattened, 1),
    ("keras.layers", "GlobalAveragePooling2D"): (_averaged, 1),
    ("keras.layers", "LayerNormalization"): (_layer_normalised, 1),
    ("keras.layers", "MaxPooling2D"): (_pooled, 1),
    ("keras.layers", "Multiply"): (_merged, None),
    ("keras.layers", "Normalization"): (_normalised_by_constants, 1),
    ("keras.layers", "ReLU"): (_same, 1),
    ("keras.layers", "Rescaling"): (_scaled, 1),
    ("keras.layers", "Reshape"): (_reshaped, 1),
    ("keras.layers", "SeparableConv2D"): (_convolved_separably, 1),
    ("keras.layers", "ZeroPadding2D"): (_padded, 1),
    ("keras.src.applications.convnext", "LayerScale"): (_scaled_by_weights, 1),
    ("keras.src.applications.inception_resnet_v2", "CustomScaleLayer"): (_merged, 2),
    ("keras.src.ops.numpy", "Add"): (_merged, 2),
    ("keras.src.ops.numpy", "GetItem"): (lambda config, shape: (shape[:-1], []), 1),
    ("keras.src.ops.numpy", "Mean"): (_mean_of_channels, 1),
    ("keras.src.ops.numpy", "Multiply"): (_merged, 2),
    ("keras.src.ops.numpy", "Stack"): (_stacked, None),
    ("keras.src.ops.numpy", "Subtract"): (_merged, 2),
    ("keras.src.ops.numpy", "TrueDivide"): (_merged, 2),
}
