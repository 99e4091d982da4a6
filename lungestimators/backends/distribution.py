"""Distributed training of one network on several devices: ``DataParallel`` of Keras, on JAX.

That is ``keras.distribution.DataParallel``. The devices may belong to several processes, on several
machines. Each process calls ``fit`` with the same arguments and all images, and gives its own
devices their parts of each batch.

Only the layers that learn are spread over the devices. Frozen layers and predictions run on this
process's own device, so that an image's features do not depend on the number of devices, and
processes need not agree on which features are in the store.
"""

import contextlib
import hashlib
import math

import numpy as np

from .. import backends
from .startup import keras


def current_distribution():
    """Return the ``keras.distribution`` that the user has set, or None.

    Raises
    ------
    ValueError
        Networks cannot be trained here under that distribution, or under the strategy of
        TensorFlow that is in use.
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
    if backend == "tensorflow" and backends.tensorflow.is_under_tensorflow_strategy():
        raise ValueError(
            "tf.distribute strategies are not supported: leave the strategy's scope, or train "
            "on several devices by keras.distribution.DataParallel and KERAS_BACKEND=jax"
        )
    return found


def check_batch_size_under_distribution(batch_size):
    """Raise unless a batch has an image at least for each device of the user's distribution."""
    devices = count_devices_of_distribution(current_distribution())
    if batch_size < devices:
        raise ValueError(
            f"batch_size={batch_size} is less than the {devices} devices that share a batch: each "
            "needs an image at least"
        )


def check_distributed_fits_agree(arrays, *settings):
    """Raise in all processes that train one network together unless all pass equal arguments.

    Otherwise they would wait for each other for ever, or learn from the images of one process and
    the labels of another.

    Parameters
    ----------
    arrays : sequence of ndarray
        Labels and weights of the images. The images are not compared: they may be files.
    *settings : object
        What is trained and how; their ``str`` is compared.
    """
    if current_distribution() is None or backends.jax.count_jax_processes() == 1:
        return
    digest = hashlib.blake2b(str(settings).encode(), digest_size=16)
    for array in arrays:
        digest.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    if not backends.jax.is_same_in_all_jax_processes(np.frombuffer(digest.digest(), np.uint8)):
        raise ValueError(
            f"the {backends.jax.count_jax_processes()} processes that train one network were given "
            "different y, sample_weight or parameters: all must call fit alike, with all images "
            "and an integer as random_state"
        )


@contextlib.contextmanager
def use_distribution(distribution):
    """Set Keras' distribution inside the block; None: this process's own device alone."""
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(distribution)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def distribution_key(distribution):
    """Return the names of a distribution's devices: networks with other devices differ in it."""
    return distribution and tuple(map(str, distribution.device_mesh.devices.flat))


def count_devices_of_distribution(distribution):
    """Return the number of devices on which a network learns, 1 without a distribution."""
    return 1 if distribution is None else distribution.num_model_replicas


def split_into_distributed_batches(rows, batch_size):
    """Split rows into batches of nearly equal size that can be divided among the devices.

    If the rows cannot be divided among the devices, the rest and one more row for each device make
    a small last batch, which every device computes whole. A last batch of a single image would
    break normalisation.

    Parameters
    ----------
    rows : ndarray
    batch_size : int
        The most rows of a batch, over all devices. The last batch may have more: twice the number
        of devices less one.

    Returns
    -------
    list of ndarray
    """
    devices = count_devices_of_distribution(current_distribution())
    n_rest = len(rows) % devices
    n_whole = max(len(rows) - n_rest - devices, 0) if n_rest else len(rows)
    whole, last = np.split(rows, [n_whole])
    shares = whole.reshape(-1, devices)
    n_batches = math.ceil(len(shares) / max(batch_size // devices, 1))
    batches = [batch.ravel() for batch in np.array_split(shares, n_batches)] if n_batches else []
    return [*batches, last] if n_rest else batches
