"""Training one network on several devices: ``keras.distribution.DataParallel``, on JAX.

The devices may be those of several processes, on several machines, each of which calls ``fit`` with
the same arguments: it is given all images, and hands its own devices their parts of each batch.

Only what learns is spread. Frozen layers and predictions run on this process's own device, so that
an image's features do not depend on how many devices there are, and that processes need not agree
on which of them are known.
"""

import contextlib
import hashlib
import math

import numpy as np

from .startup import keras


def current():
    """Return the distribution that the user has set, or None.

    Raises
    ------
    ValueError
        It is one under which nothing here can train.
    """
    backend = keras.backend.backend()
    found = keras.distribution.distribution()
    if found is not None and not (
        backend == "jax" and isinstance(found, keras.distribution.DataParallel)
    ):
        raise ValueError(
            f"{type(found).__name__} on {backend}: only keras.distribution.DataParallel on JAX "
            "(KERAS_BACKEND=jax) trains here on several devices. Leave the scope, or call "
            "keras.distribution.set_distribution(None)"
        )
    if backend == "tensorflow":
        import tensorflow as tf

        if tf.distribute.has_strategy():
            raise ValueError(
                "tf.distribute strategies are not supported: leave the strategy's scope, or train "
                "on several devices by keras.distribution.DataParallel and KERAS_BACKEND=jax"
            )
    return found


def check(batch_size):
    """Raise unless a network can be trained, in batches of that size, as the user has set."""
    devices = n_devices(current())
    if batch_size < devices:
        raise ValueError(
            f"batch_size={batch_size} is less than the {devices} devices that share a batch: each "
            "needs an image at least"
        )


def check_agreement(arrays, *settings):
    """Raise in all processes that train one network unless they were given the same.

    They would wait for each other for ever, or learn from images of one and labels of another.

    Parameters
    ----------
    arrays : sequence of ndarray
        Labels and weights of the images; images themselves may have to be read.
    *settings : object
        What is trained and how; their ``str`` is compared.
    """
    if current() is None:
        return

    import jax

    if jax.process_count() == 1:
        return

    from jax.experimental import multihost_utils

    digest = hashlib.blake2b(str(settings).encode(), digest_size=16)
    for array in arrays:
        digest.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    own = np.frombuffer(digest.digest(), np.uint8)
    if (multihost_utils.process_allgather(own) != own).any():
        raise ValueError(
            f"the {jax.process_count()} processes that train one network were given different y, "
            "sample_weight or parameters: all must call fit alike, with all images and an integer "
            "as random_state"
        )


@contextlib.contextmanager
def use(distribution):
    """Build and train inside under ``distribution``; under none, on this process's own device."""
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(distribution)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def key(distribution):
    """Return what tells a network built under one distribution from those of another."""
    return distribution and tuple(map(str, distribution.device_mesh.devices.flat))


def n_devices(distribution):
    """Return on how many devices a network learns."""
    return 1 if distribution is None else distribution.num_model_replicas


def deal(rows, batch_size):
    """Deal rows into batches of nearly equal size, which divide among the devices.

    A last batch of a single image would break normalisation. What is left over when all rows are
    divided makes a small last batch with one row more for each device; every device computes it
    whole.

    Parameters
    ----------
    rows : ndarray
    batch_size : int
        Of all devices together, at most; the last batch may be up to twice the devices less one.

    Returns
    -------
    list of ndarray
    """
    devices = n_devices(current())
    n_rest = len(rows) % devices
    n_whole = max(len(rows) - n_rest - devices, 0) if n_rest else len(rows)
    whole, last = np.split(rows, [n_whole])
    shares = whole.reshape(-1, devices)
    n_batches = math.ceil(len(shares) / max(batch_size // devices, 1))
    batches = [batch.ravel() for batch in np.array_split(shares, n_batches)] if n_batches else []
    return [*batches, last] if n_rest else batches


def spread(batch, distribution):
    """Hand each device its part of a batch, or all of it where it cannot be divided.

    Parameters
    ----------
    batch : ndarray
        All of it, in every process.
    distribution : keras.distribution.DataParallel or None

    Returns
    -------
    jax.Array or, without distribution, ``batch``
    """
    if distribution is None:
        return batch

    import jax

    if len(batch) % n_devices(distribution) == 0:
        layout = distribution.get_data_layout(batch.shape)
    else:
        layout = keras.distribution.TensorLayout([None] * batch.ndim, distribution.device_mesh)
    return jax.make_array_from_callback(
        batch.shape, layout.backend_layout, lambda part: batch[part]
    )
