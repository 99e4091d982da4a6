"""A pool of networks, built from a seed, each lent to one borrower at a time.

Building and tracing a network may cost more than training it. A network that is not in use waits
here until the same architecture is asked for again. The borrower sets all its weights.
"""

import contextlib
import random
import threading
from collections import OrderedDict

from .. import _compat
from ..backends import devices, distribution, keras_settings
from ..backends.startup import keras

MAX_IDLE = 8

_idle = OrderedDict()
_lock = threading.Lock()
_seed_lock = threading.RLock()


@contextlib.contextmanager
def seeded_building(seed):
    """Make the initial weights of networks built in the block depend on ``seed`` alone.

    Keras draws the seeds of initializers and random layers from Python's global generator. Other
    threads draw from that generator too, Dask's at every heartbeat, so Keras gets a generator of
    its own inside the block. Keras' settings are the default ones there.
    """
    devices.prepare_devices()
    with (
        _seed_lock,
        _compat.keras_draws_initial_seeds_from(random.Random(seed)),
        keras_settings.default_keras_settings(),
    ):
        yield


@contextlib.contextmanager
def borrow_network(key, build, spread_over=None, alone=False):
    """Lend the network kept under ``key`` for the block, built by ``build()`` if none is idle.

    If the block fails or is interrupted, the network is thrown away.

    Parameters
    ----------
    key : tuple
    build : callable
        Returns a keras.Model.
    spread_over : keras.distribution.DataParallel, optional
        The network is built and used under this distribution, whichever the user has set; by
        default on this process's own device.
    alone : bool
        Always build a new network, and throw it away afterwards: the borrower may change more of
        it than weights.
    """
    devices.prepare_devices()
    key = (*key, distribution.distribution_key(spread_over))
    full_key = _pool_key_with_backend(key)
    with _lock:
        waiting = [] if alone else _idle.pop(full_key, [])
        network = waiting.pop() if waiting else None
        if waiting:
            _idle[full_key] = waiting
    with distribution.use_distribution(spread_over):
        if network is None:
            with seeded_building(0):
                network = build()
        yield network
    if not alone:
        _give_back_network(key, network)


def offer_network(key, network):
    """Add a network that was built elsewhere, unless one is idle under its key.

    The network was built on this process's own device.
    """
    key = (*key, distribution.distribution_key(None))
    if _pool_key_with_backend(key) not in _idle:
        _give_back_network(key, network)


def _give_back_network(key, network):
    """Keep a network under ``key``; the longest idle ones leave if there are too many."""
    key = _pool_key_with_backend(key)
    with _lock:
        _idle.setdefault(key, []).append(network)
        _idle.move_to_end(key)
        while sum(map(len, _idle.values())) > MAX_IDLE:
            oldest = next(iter(_idle))
            _idle[oldest].pop(0)
            if not _idle[oldest]:
                del _idle[oldest]


def _pool_key_with_backend(key):
    """Return a key with the name of Keras' backend: a network serves one backend."""
    return (*key, keras.config.backend())
