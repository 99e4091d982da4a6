"""What a worker process of joblib or Dask may use of the machine: cores of its own, one GPU.

A worker's framework starts with as many threads as the main process's, and is confined to its cores
only then: the number of threads decides how sums are split, and so the last bits of a model. Where
the system forbids it, the worker is confined to nothing. Processes that anybody else started, such
as those of ``multiprocessing``, are left as they are.

Frameworks are imported only inside functions.
"""

import contextlib
import errno
import itertools
import multiprocessing
import os
import socket
import sys
import threading

from .startup import keras, quiet

_lock = threading.Lock()
_prepared = False
_claims = []

# Frameworks that had run before this process was forked: their threads did not come along.
_lost = set()


def prepare():
    """Settle, once in the life of a process, what the framework may use; before its first use.

    The main process keeps its threads and its cores. TensorFlow takes memory of GPUs as it needs
    it, unless they are in use already.

    Raises
    ------
    RuntimeError
        The process was forked from one in which the framework had run, whose threads did not come
        along: it would wait for them for ever.
    """
    global _prepared
    if _lost:
        _check_threads()
    with _lock:
        if not _prepared:
            start = {"tensorflow": _start_tensorflow, "jax": _start_jax, "torch": _start_torch}
            with quiet():
                start[keras.config.backend()](_is_worker())
            _prepared = True


def _check_threads():
    backend = keras.config.backend()
    if backend in _lost:
        name = {"tensorflow": "TensorFlow", "jax": "JAX"}[backend]
        raise RuntimeError(
            f"this process was forked from one in which {name} had run, and {name}'s threads do "
            "not survive a fork: it would wait for them for ever. Use joblib's default backend "
            "(loky) or Dask instead of joblib's 'multiprocessing', and the context 'spawn' or "
            "'forkserver' for processes of your own"
        )


def _note_fork():
    """Remember, in a process that was just forked, what cannot run in it any more."""
    global _lock
    _lock = threading.Lock()  # another thread may have held it
    context = getattr(sys.modules.get("tensorflow.python.eager.context"), "_context", None)
    if getattr(context, "_initialized", False):
        _lost.add("tensorflow")
    if getattr(sys.modules.get("jax._src.xla_bridge"), "_backends", None):
        _lost.add("jax")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def _is_worker():
    """Whether this process was started by another's joblib (loky) or Dask."""
    process = multiprocessing.current_process()
    is_loky = any(cls.__name__ == "LokyProcess" for cls in type(process).__mro__)
    is_dask = process.name.startswith("Dask Worker process")
    return sys.platform == "linux" and (is_loky or is_dask)


def _start_tensorflow(is_worker):
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    # Raised where the devices are in use: the user has had the choice.
    with contextlib.suppress(RuntimeError):
        if is_worker and len(gpus) > 1:
            gpus = [gpus[_own_gpu(len(gpus))]]
            tf.config.set_visible_devices(gpus, "GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    if is_worker:
        tf.config.list_logical_devices()  # starts the threads
        _stay_on_own_cores()


def _start_jax(is_worker):
    if not is_worker:
        return
    import jax

    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    devices = jax.local_devices()  # starts the threads
    if len(devices) > 1 and devices[0].platform == "gpu":
        jax.config.update("jax_default_device", devices[_own_gpu(len(devices))])
    _stay_on_own_cores()


def _start_torch(is_worker):
    """Choose a GPU; PyTorch starts no more threads than OMP_NUM_THREADS says."""
    import torch

    n_gpus = torch.cuda.device_count()
    if is_worker and n_gpus > 1:
        torch.cuda.set_device(_own_gpu(n_gpus))


def _own_gpu(n_gpus):
    """Return the number of the GPU that the fewest workers of this machine have claimed."""
    # Each worker of dask-cuda sees the GPUs in another order.
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[:n_gpus]
    if len(names) < n_gpus:
        names = list(range(n_gpus))
    try:
        [own] = _claim("gpu", names, 1)
    except OSError:  # no such sockets here
        return 0
    return names.index(own)


def _stay_on_own_cores():
    """Confine this process to as many cores as it is meant to use, other workers to others."""
    cores = sorted(os.sched_getaffinity(0))
    n_meant = _cores_meant()
    if n_meant is None or n_meant >= len(cores):
        return
    with contextlib.suppress(OSError):  # forbidden, as in some containers
        own = _claim("core", cores, n_meant)
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.sched_setaffinity(int(thread), own)


def _cores_meant():
    """Return how many cores joblib or Dask gave this process, None where they said nothing."""
    try:
        n_threads = int(os.environ["OMP_NUM_THREADS"])
    except (KeyError, ValueError):  # one number for each level of nesting is allowed as well
        return None
    n_tasks = 1
    if "distributed" in sys.modules:
        # Dask says one thread, and means each of the tasks that a worker runs at once.
        with contextlib.suppress(ValueError):  # no worker of Dask
            n_tasks = sys.modules["distributed"].get_worker().state.nthreads
    return max(1, n_threads * n_tasks)


def _claim(kind, names, number):
    """Claim ``number`` of the names, those that the fewest processes hold, for as long as we live.

    A claim is a bound socket, in Linux's name space that has no files: it is seen by the workers
    of all users, and is gone with its process, however that ends.
    """
    # Other containers' claims cannot be seen: begin anywhere, so that not all take the first.
    start = int.from_bytes(os.urandom(2)) % len(names)
    own = []
    for layer in itertools.count():
        for name in names[start:] + names[:start]:
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind(f"\0lungestimators {kind} {name} {layer}")
            except OSError as error:
                claim.close()
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            _claims.append(claim)
            own.append(name)
            if len(own) == number:
                return own
