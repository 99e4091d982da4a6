"""Cores and GPUs: each worker process of joblib or Dask keeps to cores of its own and one GPU.

A worker's framework starts as many threads as the main process's, and only then the worker is
confined to its cores: the number of threads decides how sums are split, and so the last bits of a
model. If the system forbids it, the worker uses all cores. Processes that were started in another
way, such as by ``multiprocessing``, are left as they are.

Frameworks are imported only inside functions: this module is imported with every estimator, to
notice from then on that a process was forked.
"""

import contextlib
import errno
import itertools
import multiprocessing
import os
import socket
import sys
import threading

from .. import _compat
from .startup import keras, quiet_startup

_lock = threading.Lock()
_prepared = False
_claims = []

# Frameworks that had run before this process was forked: a fork copies no threads.
_lost = set()


def prepare_devices():
    """Set, once in a process and before its first use of the framework, which devices it uses.

    A worker process gets cores of its own and one GPU. The main process keeps all. TensorFlow
    takes the memory of GPUs as it needs it, unless the GPUs are in use already.

    Raises
    ------
    RuntimeError
        This process was forked after the framework had run. The framework's threads do not exist
        here, and it would wait for them for ever.
    """
    global _prepared
    if _lost:
        _refuse_devices_lost_by_fork()
    with _lock:
        if not _prepared:
            start = {
                "tensorflow": _prepare_tensorflow_devices,
                "jax": _prepare_jax_devices,
                "torch": _prepare_torch_devices,
            }
            with quiet_startup():
                start[keras.config.backend()](_is_worker_with_own_devices())
            _prepared = True


def _refuse_devices_lost_by_fork():
    """Raise if the framework in use had run before this process was forked."""
    backend = keras.config.backend()
    if backend in _lost:
        name = {"tensorflow": "TensorFlow", "jax": "JAX"}[backend]
        raise RuntimeError(
            f"this process was forked from one in which {name} had run, and {name}'s threads do "
            "not survive a fork: it would wait for them for ever. Use joblib's default backend "
            "(loky) or Dask instead of joblib's 'multiprocessing', and the context 'spawn' or "
            "'forkserver' for processes of your own"
        )


def _note_devices_lost_by_fork():
    """Remember, in a process that was just forked, which frameworks cannot run in it."""
    global _lock
    _lock = threading.Lock()  # another thread may have held it
    if _compat.tensorflow_has_run():
        _lost.add("tensorflow")
    if _compat.jax_has_run():
        _lost.add("jax")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_devices_lost_by_fork)


def _is_worker_with_own_devices():
    """Return whether joblib (loky) or Dask started this process, on Linux."""
    process = multiprocessing.current_process()
    is_loky = any(cls.__name__ == "LokyProcess" for cls in type(process).__mro__)
    is_dask = process.name.startswith("Dask Worker process")
    return sys.platform == "linux" and (is_loky or is_dask)


def _prepare_tensorflow_devices(is_worker):
    """Let GPU memory grow; confine a worker to one GPU and its own cores."""
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    # TensorFlow raises it if the devices are in use: they are as the user has set them.
    with contextlib.suppress(RuntimeError):
        if is_worker and len(gpus) > 1:
            gpus = [gpus[_claim_own_gpu(len(gpus))]]
            tf.config.set_visible_devices(gpus, "GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    if is_worker:
        tf.config.list_logical_devices()  # starts the threads
        _confine_to_own_cpu_cores()


def _prepare_jax_devices(is_worker):
    """Confine a worker to one GPU, whose memory grows, and to its own cores."""
    if not is_worker:
        return
    import jax

    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    devices = jax.local_devices()  # starts the threads
    if len(devices) > 1 and devices[0].platform == "gpu":
        jax.config.update("jax_default_device", devices[_claim_own_gpu(len(devices))])
    _confine_to_own_cpu_cores()


def _prepare_torch_devices(is_worker):
    """Confine a worker to one GPU; PyTorch starts no more threads than OMP_NUM_THREADS says."""
    import torch

    n_gpus = torch.cuda.device_count()
    if is_worker and n_gpus > 1:
        torch.cuda.set_device(_claim_own_gpu(n_gpus))


def _claim_own_gpu(n_gpus):
    """Claim the GPU that the fewest workers of this machine have claimed; return its number."""
    # Each worker of dask-cuda sees the GPUs in a different order.
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[:n_gpus]
    if len(names) < n_gpus:
        names = list(range(n_gpus))
    try:
        [own] = _claim_cores_or_gpus("gpu", names, 1)
    except OSError:  # no such sockets here
        return 0
    return names.index(own)


def _confine_to_own_cpu_cores():
    """Confine a worker to the number of cores that joblib or Dask gave it, and to its own ones."""
    cores = sorted(os.sched_getaffinity(0))
    n_given = _count_given_cpu_cores()
    if n_given is None or n_given >= len(cores):
        return
    with contextlib.suppress(OSError):  # forbidden, as in some containers
        own = _claim_cores_or_gpus("core", cores, n_given)
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.sched_setaffinity(int(thread), own)


def _count_given_cpu_cores():
    """Return how many cores joblib or Dask gave this process, None if they set no number."""
    try:
        n_threads = int(os.environ["OMP_NUM_THREADS"])
    except (KeyError, ValueError):  # one number for each level of nesting is allowed as well
        return None
    n_tasks = 1
    if "distributed" in sys.modules:
        # Dask sets one thread for each of the tasks that a worker runs at once.
        with contextlib.suppress(ValueError):  # no worker of Dask
            n_tasks = sys.modules["distributed"].get_worker().state.nthreads
    return max(1, n_threads * n_tasks)


def _claim_cores_or_gpus(kind, names, number):
    """Claim the ``number`` of names that the fewest processes hold, until this process ends.

    A claim is a bound socket, in Linux's name space without files: workers of all users see it,
    and it is gone when its process ends, however that happens.
    """
    # Claims of other containers cannot be seen: begin anywhere, so that not all take the first.
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
