"""Keras' global settings: networks are built under one set of them, whatever the user's are."""

import contextlib

from .startup import keras


def check():
    """Raise unless a network can be trained under the settings that hold.

    Keras reads them again and again while a network learns. They are the whole process's, so they
    cannot be others for the while. The dtype policy is read when a network is built, and is of no
    account.

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
def defaults():
    """Build inside under Keras' defaults: float32, and channels last.

    They are the whole process's, except for the dtype policy, which is this thread's: the caller
    sees to it that one thread at a time is in here.
    """
    from keras.src.backend.common import global_state

    config = keras.config
    before = config.image_data_format(), config.floatx()
    policy = global_state.get_global_attribute("dtype_policy")  # None: not asked for so far
    try:
        config.set_image_data_format("channels_last")
        config.set_floatx("float32")
        config.set_dtype_policy("float32")
        yield
    finally:
        config.set_image_data_format(before[0])
        config.set_floatx(before[1])
        global_state.set_global_attribute("dtype_policy", policy)
