"""Networks as plain data, and built ones that are lent to one user at a time.

Building and tracing a network costs more than many a training. A network that is not in use
waits here for the next one who asks for the same architecture; its weights are the borrower's
business: whoever borrows sets them all.

Keras is imported only inside functions, so that a fitted classifier is unpickled without it.
"""

import contextlib
import functools
import random
import threading
from collections import OrderedDict
from typing import NamedTuple

MAX_IDLE = 8

_idle = OrderedDict()
_lock = threading.Lock()
_seed_lock = threading.RLock()


@contextlib.contextmanager
def seeded(seed):
    """Make the initial weights of what is built inside depend on ``seed`` alone.

    Keras draws the seed of every initializer and of every random layer that is given none from
    Python's global generator, which is left as it was found.
    """
    with _seed_lock:
        state = random.getstate()
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(state)


class Blueprint(NamedTuple):
    """A network as plain data.

    Attributes
    ----------
    architecture : str
        Keras' own JSON.
    weights : tuple of ndarray
        Never written to; several classifiers may share one array.
    n_outputs : int
        Length of the vector that comes out.
    """

    architecture: str
    weights: tuple
    n_outputs: int

    def build(self):
        """Build the network anew."""
        import keras

        with seeded(0):
            network = keras.models.model_from_json(self.architecture)
        network.set_weights(self.weights)
        return network


class Parts(NamedTuple):
    """The learnt parts of a network: image -> vector, vector -> probabilities."""

    backbone: Blueprint
    head: Blueprint


@functools.lru_cache(maxsize=4)
def blueprint(build, arguments, seed, file_state=None):
    """``build(*arguments)`` with initial weights that follow from ``seed``, as plain data.

    ``file_state`` only tells a weights file among the arguments from what it was earlier.
    """
    with seeded(seed):
        network = build(*arguments)
    # Keras numbers the layers it is given no name for; the first build's names serve all later
    # ones, or no two would be the same architecture.
    first = _first_architecture(build, arguments)
    if not first:
        first.append(network.to_json())
    return Blueprint(first[0], tuple(network.get_weights()), network.output_shape[-1])


@functools.lru_cache(maxsize=16)
def _first_architecture(build, arguments):
    return []


@contextlib.contextmanager
def borrow(key, build):
    """Lend the network kept under ``key``, built by ``build()`` if none is idle.

    A network whose borrower failed or was interrupted is thrown away.
    """
    import keras

    key = (*key, keras.config.backend(), keras.config.dtype_policy().name)
    with _lock:
        waiting = _idle.pop(key, [])
        network = waiting.pop() if waiting else None
        if waiting:
            _idle[key] = waiting
    if network is None:
        with seeded(0):
            network = build()
    yield network
    with _lock:
        _idle.setdefault(key, []).append(network)
        _idle.move_to_end(key)
        while sum(map(len, _idle.values())) > MAX_IDLE:
            oldest = next(iter(_idle))
            _idle[oldest].pop(0)
            if not _idle[oldest]:
                del _idle[oldest]
