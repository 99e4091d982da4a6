"""Networks of Keras changed so that they compute what PyTorch's networks of the same name do."""

from ..backends.startup import keras

_EPSILON = 1e-5  # of PyTorch's batch normalisation


def with_torch_arithmetic(network):
    """Return a network with PyTorch's batch normalisation and padding.

    Keras adds another number to the variance. Where the resolution is halved, PyTorch pads all four
    sides, and Keras' MobileNetV2 the lower and the right one.

    Parameters
    ----------
    network : keras.Model
        A network of ``keras.applications`` with random weights. It is changed, and may be returned.

    Returns
    -------
    keras.Model
        A network with random weights.
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.epsilon = _EPSILON
    paddings = [x for x in network.layers if isinstance(x, keras.layers.ZeroPadding2D)]
    pad_themselves = {
        layer.name
        for layer in network.layers
        if isinstance(layer, keras.layers.Conv2D)
        and layer.padding == "same"
        and max(layer.strides) > 1
    }
    if not pad_themselves and all(_is_symmetrical(layer) for layer in paddings):
        return network

    def clone(layer):
        config = layer.get_config()
        if layer in paddings:
            config["padding"] = max(side for sides in layer.padding for side in sides)
        elif layer.name in pad_themselves:
            config["padding"] = "valid"
        return type(layer).from_config(config)

    def call(layer, *args, **kwargs):
        if layer.name in pad_themselves:
            width = layer.kernel_size[0] // 2
            args = [keras.layers.ZeroPadding2D(width, name=f"{layer.name}_pad")(*args)]
        return layer(*args, **kwargs)

    return keras.models.clone_model(network, clone_function=clone, call_function=call)


def _is_symmetrical(padding):
    """Return whether a layer pads all four sides by the same number of pixels."""
    return len({side for sides in padding.padding for side in sides}) == 1
