"""Built networks, lent to one user at a time.

Building and tracing a network costs more than many a training. A network that is not in use
waits here for the next one who asks for the same architecture; its weights are the borrower's
business: whoever borrows sets them all.
"""

import contextlib
import random
import threading
from collections import OrderedDict

from ..backends import devices, distribution, keras_settings
from ..backends.startup import keras

MAX_IDLE = 8

_idle = OrderedDict()
_lock = threading.Lock()
_seed_lock = threading.RLock()


@contextlib.contextmanager
def seeded(seed):
    """Make the initial weights of what is built inside depend on ``seed`` alone.

    Keras draws the seed of every initializer and of every random layer that is given none from
    Python's global generator. Other threads draw from it too, Dask's at every heartbeat: Keras is
    given one of its own for the while, and its default settings.
    """
    devices.prepare()
    from keras.src.random import seed_generator

    with _seed_lock:
        shared = seed_generator.python_random
        seed_generator.python_random = random.Random(seed)
        try:
            with keras_settings.defaults():
                yield
        finally:
            seed_generator.python_random = shared


@contextlib.contextmanager
def borrow(key, build, spread_over=None, alone=False):
    """Lend the network kept under ``key``, built by ``build()`` if none is idle.

    It is built and used under the distribution ``spread_over``, whichever the user has set; by
    default on this process's own device. A network whose borrower failed or was interrupted is
    thrown away, and so is one that is to be used ``alone``, which is always new: its borrower may
    change more of it than weights.
    """
    devices.prepare()
    key = (*key, distribution.key(spread_over))
    full_key = _full(key)
    with _lock:
        waiting = [] if alone else _idle.pop(full_key, [])
        network = waiting.pop() if waiting else None
        if waiting:
            _idle[full_key] = waiting
    with distribution.use(spread_over):
        if network is None:
            with seeded(0):
                network = build()
        yield network
    if not alone:
        _give_back(key, network)


def offer(key, network):
    """Keep a network that was built for another purpose, unless one of its kind is idle.

    It was built on this process's own device.
    """
    key = (*key, distribution.key(None))
    if _full(key) not in _idle:
        _give_back(key, network)


def _give_back(key, network):
    """Keep a network for whoever asks for ``key`` next; the longest idle ones leave."""
    key = _full(key)
    with _lock:
        _idle.setdefault(key, []).append(network)
        _idle.move_to_end(key)
        while sum(map(len, _idle.values())) > MAX_IDLE:
            oldest = next(iter(_idle))
            _idle[oldest].pop(0)
            if not _idle[oldest]:
                del _idle[oldest]


def _full(key):
    """A network serves one backend."""
    return (*key, keras.config.backend())
