"""Networks as a user would write them, and as a user should not."""

import keras
import numpy as np
from keras import layers


def small(image_size, channels, filters=4):
    """A feature map of half the size and one of a quarter; its initial weights are random."""
    inputs = x = keras.Input((image_size, image_size, channels))
    x = layers.Rescaling(2.0, offset=-1.0, name="centre")(x)
    x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu", name="fine")(x)
    x = layers.Conv2D(2 * filters, 3, strides=2, padding="same", use_bias=False, name="coarse")(x)
    x = layers.BatchNormalization(name="coarse_bn")(x)
    return keras.Model(inputs, layers.ReLU(name="coarse_relu")(x))


def wide(image_size, channels):
    """The same with more channels."""
    return small(image_size, channels, filters=8)


def trained(image_size, channels):
    """The same with weights that do not depend on the seed, as trained weights do not."""
    network = small(image_size, channels)
    for number, name in enumerate(("fine", "coarse")):
        layer = network.get_layer(name)
        initial = keras.initializers.HeNormal(seed=number)
        layer.kernel.assign(initial(layer.kernel.shape))
    return network


def vector(image_size, channels):
    """A sequential network that ends in a vector."""
    return keras.Sequential(
        [
            keras.Input((image_size, image_size, channels)),
            layers.Conv2D(4, 3, strides=2, activation="relu", name="only"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(5, activation="tanh", name="squeeze"),
        ]
    )


def dense(image_size, channels):
    """A network without feature maps."""
    inputs = keras.Input((image_size, image_size, channels))
    return keras.Model(inputs, layers.Dense(6)(layers.Flatten()(inputs)))


def nested(image_size, channels):
    """Models in models, one called in a mode of its own, and pixels' statistics as weights."""
    base = trained(image_size, channels)
    base.trainable = False
    normalise = layers.Normalization(axis=None, name="statistics")
    normalise.adapt(np.array([[0.0], [0.5], [1.0], [0.25]]))
    inputs = keras.Input((image_size, image_size, channels))
    x = keras.Sequential([normalise])(inputs)
    x = base(x, training=False)
    top = keras.Sequential([layers.Conv2D(3, 1, kernel_initializer="ones"), layers.Dropout(0.3)])
    return keras.Model(inputs, top(x, training=True))


@keras.saving.register_keras_serializable("own_networks")
class Scale(layers.Layer):
    """A layer of the user's own."""

    def __init__(self, factor, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable("own_networks")
class Forgetful(Scale):
    """A layer whose configuration lacks its parameter."""

    def __init__(self, factor=1.0, **options):
        super().__init__(factor, **options)

    def get_config(self):
        return layers.Layer.get_config(self)


class Unregistered(Scale):
    """A layer that Keras does not find."""


class OwnNorm(layers.BatchNormalization):
    """A layer that the package would take for Keras' own."""


class Subclassed(keras.Model):
    """A model whose layers nobody can see."""

    def call(self, x):
        return x


def _with(layer, image_size, channels):
    inputs = keras.Input((image_size, image_size, channels))
    return keras.Model(inputs, layer(layers.Conv2D(4, 3, strides=2)(inputs)))


def scaled(image_size, channels):
    return _with(Scale(2.0, name="twice"), image_size, channels)


def forgetful(image_size, channels):
    return _with(Forgetful(3.0), image_size, channels)


def unregistered(image_size, channels):
    return _with(Unregistered(2.0), image_size, channels)


def with_lambda(image_size, channels):
    return _with(layers.Lambda(lambda x: x * 2), image_size, channels)


def own_norm(image_size, channels):
    return _with(OwnNorm(name="mine"), image_size, channels)


def reserved_name(image_size, channels):
    return _with(layers.ReLU(name="head_relu"), image_size, channels)


def half_precision(image_size, channels):
    return _with(layers.ReLU(dtype="float16"), image_size, channels)


def sequence(image_size, channels):
    return _with(layers.Reshape((-1, 4)), image_size, channels)


def called_twice(image_size, channels):
    relu = layers.ReLU(name="shared_relu")
    inputs = keras.Input((image_size, image_size, channels))
    return keras.Model(inputs, relu(layers.Conv2D(4, 3)(relu(layers.Conv2D(4, 3)(inputs)))))


def regularized(image_size, channels):
    return _with(layers.Conv2D(2, 1, kernel_regularizer="l2"), image_size, channels)


def text(image_size, channels):
    return "no network"


def subclassed(image_size, channels):
    return Subclassed()


def unbuilt(image_size, channels):
    return keras.Sequential([layers.Conv2D(4, 3)])


def whole_numbers(image_size, channels):
    inputs = keras.Input((image_size, image_size, channels), dtype="uint8")
    return keras.Model(inputs, layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(inputs)))


def of_another_size(image_size, channels):
    return small(2 * image_size, channels)


def always_rgb(image_size, channels):
    return small(image_size, 3)


def two_inputs(image_size, channels):
    inputs = [keras.Input((image_size, image_size, channels)) for _ in range(2)]
    return keras.Model(inputs, layers.Add()(inputs))


def two_outputs(image_size, channels):
    network = small(image_size, channels)
    return keras.Model(network.inputs, [network.output, network.get_layer("fine").output])


not_at_the_top = [lambda image_size, channels: small(image_size, channels)]
