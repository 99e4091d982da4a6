"""Keras' global settings: networks are built under the same ones, also if the user sets others."""

import contextlib

from .. import _compat
from .startup import keras


def check_keras_settings():
    """Raise unless Keras' global settings have the defaults that training needs.

    Keras reads the settings again and again while a network learns. They belong to the whole
    process, so training cannot change them for its own duration. The dtype policy is read only
    when a network is built, and is not checked.

    Raises
    ------
    ValueError
        A setting is not Keras' default.
    """
    for name, default in (("image_data_format", "channels_last"), ("floatx", "float32")):
        value = getattr(keras.config, name)()
        if value != default:
            raise ValueError(
                f"keras.config.{name}() is {value!r}: networks are trained here under {default!r}. "
                f"Call keras.config.set_{name}({default!r}) before fit; what is fitted predicts "
                "under any setting"
            )
    if keras.config.epsilon() != 1e-7:
        raise ValueError(
            f"keras.config.epsilon() is {keras.config.epsilon()!r}: networks are trained here "
            "under 1e-07. Call keras.config.set_epsilon(1e-7) before fit"
        )


@contextlib.contextmanager
def default_keras_settings():
    """Set Keras' defaults, float32 and channels last, inside the block, which builds a network.

    The settings belong to the whole process, except for the dtype policy, which belongs to this
    thread. The caller makes sure that only one thread at a time is in such a block.
    """
    config = keras.config
    before = config.image_data_format(), config.floatx()
    with _compat.keras_dtype_policy_put_back():
        try:
            config.set_image_data_format("channels_last")
            config.set_floatx("float32")
            config.set_dtype_policy("float32")
            yield
        finally:
            config.set_image_data_format(before[0])
            config.set_floatx(before[1])
