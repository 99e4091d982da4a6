"""Networks run by ONNX Runtime, where no deep-learning framework is installed."""

import functools
import importlib.metadata
import importlib.util
import os

import numpy as np

from .identity import ArraysByIdentity
from .onnx_graph import onnx_model_of_network


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
    return importlib.metadata.version("onnxruntime")


def run_in_onnx_session(architecture, weights, inputs):
    """Run a network in inference mode by ONNX Runtime.

    Inputs run one by one: their outputs do not depend on the other inputs.

    Parameters
    ----------
    architecture : str
        Keras' JSON.
    weights : tuple of ndarray
        In Keras' order.
    inputs : ndarray of shape (n, ...), float32

    Returns
    -------
    ndarray of shape (n, n_outputs), float32
    """
    session = _session_of_network(architecture, ArraysByIdentity(weights))
    outputs = np.empty((len(inputs), session.get_outputs()[0].shape[1]), np.float32)
    for row in range(len(inputs)):
        (outputs[row : row + 1],) = session.run(["outputs"], {"inputs": inputs[row : row + 1]})
    return outputs


@functools.lru_cache(maxsize=16)
def _session_of_network(architecture, weights):
    """Return a session of ONNX Runtime for a network; several threads may use it at once."""
    # From 1.29 on ONNX Runtime tells its maker which models run where, with hashes of the models
    # and a number of the computer, unless this is set before its import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(
        onnx_model_of_network(architecture, weights.arrays),
        options,
        providers=["CPUExecutionProvider"],
    )
