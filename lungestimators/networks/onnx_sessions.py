"""Networks run by ONNX Runtime, where no deep-learning framework is installed."""

import importlib.util
import os
import threading
import weakref
from typing import ClassVar

import numpy as np

from .onnx_graph import onnx_model_of_network

_lock = threading.Lock()
# Sessions that a forked process has of its parent: their threads do not exist there, and to end
# such a session would wait for them for ever.
_of_parent = []


class _Holder:
    """Holds the session of a network, or None before its first run."""

    alive: ClassVar = weakref.WeakSet()

    def __init__(self):
        self.session = None
        self.alive.add(self)


class OnnxWeights(tuple):
    """Weights of a network that ONNX Runtime runs; they keep its session as long as they live."""

    def __new__(cls, arrays):
        """Return the arrays as OnnxWeights."""
        weights = super().__new__(cls, arrays)
        weights.holder = _Holder()
        return weights

    def __reduce__(self):
        return OnnxWeights, (tuple(self),)


def check_onnx_runtime():
    """Raise an ImportError unless ONNX Runtime is installed."""
    missing = [name for name in ("onnx", "onnxruntime") if not importlib.util.find_spec(name)]
    if missing:
        raise ImportError(
            f"runtime='onnxruntime' needs {' and '.join(missing)}: pip install "
            "'lungestimators[serve]'"
        )


def version_of_onnx_runtime():
    """Return the version of ONNX Runtime: another may round differently."""
    return _import_onnx_runtime().__version__


def run_in_onnx_session(architecture, weights, inputs):
    """Run a network in inference mode by ONNX Runtime.

    Inputs run one by one: their outputs do not depend on the other inputs.

    Parameters
    ----------
    architecture : str
        Keras' JSON.
    weights : OnnxWeights
        In Keras' order.
    inputs : ndarray of shape (n, ...), float32

    Returns
    -------
    ndarray of shape (n, n_outputs), float32
    """
    with _lock:
        if weights.holder.session is None:
            weights.holder.session = _new_session(architecture, weights)
        session = weights.holder.session
    outputs = np.empty((len(inputs), session.get_outputs()[0].shape[1]), np.float32)
    for row in range(len(inputs)):
        (outputs[row : row + 1],) = session.run(["outputs"], {"inputs": inputs[row : row + 1]})
    return outputs


def _new_session(architecture, weights):
    """Return a session of ONNX Runtime for a network; several threads may use it at once."""
    onnxruntime = _import_onnx_runtime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    # Threads that wait by spinning take the cores from whoever else computes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        onnx_model_of_network(architecture, weights),
        options,
        providers=["CPUExecutionProvider"],
    )


def _import_onnx_runtime():
    """Import ONNX Runtime, which reports to nobody.

    From 1.29 on it tells its maker which models run where, with hashes of the models and a number
    of the computer, unless the variable is set before its import.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def _forget_sessions_of_parent():
    """Give networks new sessions in a process that was just forked."""
    global _lock
    _lock = threading.Lock()  # another thread may have held it
    for holder in _Holder.alive:
        _of_parent.append(holder.session)
        holder.session = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_sessions_of_parent)
