"""Keras, imported at first use, and without the lines that TensorFlow writes to stderr at a start.

TensorFlow's libraries write them while they are loaded, before they read any log level, and the
lines look like errors. Everything else that is written meanwhile is shown.
"""

import contextlib
import functools
import glob
import importlib
import os
import re
import sys
import tempfile
import threading
import types
from typing import TYPE_CHECKING

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_lock = threading.RLock()

# Notices of absl and of TensorFlow's older log, and two messages on libraries loaded twice.
_CHATTER = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR"
    rb"|I\d{4} |\d{4}-\d\d-\d\d [\d:.]+: I |To enable the following instructions: "
    rb"|.*Unable to register cu(FFT|DNN|BLAS) factory|.*computation placer already registered"
)
# Two settings of TensorFlow's converter to LiteRT that its own default has.
_CHATTER_OF_CONVERSION = re.compile(rb"W\d{4} .*\] Ignored (output_format|drop_control_dependency)")
# An error if there is a GPU, and not worth a line if there is none.
_NO_CUDA = re.compile(rb".*failed call to cuInit")
_GPUS = "/dev/nvidia*", "/dev/dxg"


@contextlib.contextmanager
def quiet_startup():
    """Keep the lines that TensorFlow writes at every start out of stderr.

    A user who has set ``TF_CPP_MIN_LOG_LEVEL`` to 0 sees all of them. Inside the block, stderr of
    the whole process goes to a file; at its end, stderr and the environment are as before.
    """
    if os.environ.get(_LEVEL) == "0":
        yield
        return
    with _lock, contextlib.ExitStack() as stack:
        if _LEVEL not in os.environ:
            os.environ[_LEVEL] = "1"  # read once, by the libraries that are loaded here
            stack.callback(os.environ.pop, _LEVEL, None)
        stack.enter_context(_stderr_without(_is_chatter_of_startup))
        yield


@contextlib.contextmanager
def quiet_conversion():
    """Keep the lines out of stderr that TensorFlow writes whenever it converts a network.

    They say nothing of the network. Inside the block, stderr of the whole process goes to a file.
    """
    if os.environ.get(_LEVEL) == "0":
        yield
        return
    with _lock, _stderr_without(_is_chatter_of_conversion):
        yield


def _is_chatter_of_startup(line):
    """Return whether a line that TensorFlow writes at a start says nothing."""
    if _CHATTER.match(line):
        return True
    return _NO_CUDA.match(line) is not None and not any(map(glob.glob, _GPUS))


def _is_chatter_of_conversion(line):
    """Return whether a line that TensorFlow writes in a conversion says nothing."""
    return _CHATTER_OF_CONVERSION.match(line) is not None or _is_chatter_of_startup(line)


@contextlib.contextmanager
def _stderr_without(is_chatter):
    """Write all lines of the block to stderr at its end, but those that are chatter."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # stderr is closed, or there is no room for a file
            caught = stack.enter_context(tempfile.TemporaryFile())
            stderr = os.dup(2)
            stack.callback(_restore_stderr, stderr, caught, is_chatter)
            _flush_stderr()
            os.dup2(caught.fileno(), 2)
        yield


def _restore_stderr(stderr, caught, is_chatter):
    """Make ``stderr`` the process's stderr again, and write caught lines to it, but no chatter."""
    _flush_stderr()
    os.dup2(stderr, 2)
    caught.seek(0)
    for line in caught:
        if not is_chatter(line):
            os.write(stderr, line)
    os.close(stderr)


def _flush_stderr():
    """Flush Python's stderr, which may be None."""
    if sys.stderr is not None:
        sys.stderr.flush()


@functools.cache
def _import_keras_at_first_use():
    """Import Keras, once, and TensorFlow.

    Under every backend Keras imports TensorFlow when it first writes a network as JSON.
    """
    try:
        with quiet_startup():
            keras = importlib.import_module("keras")
            importlib.import_module("tensorflow")
    except ModuleNotFoundError as error:
        if error.name not in ("keras", "tensorflow"):
            raise
        raise ImportError(
            f"{error.name} is not installed: pip install lungestimators. To predict without it, "
            "load the file with runtime='onnxruntime' (--runtime onnxruntime)"
        ) from None
    return keras


class _LazyKeras(types.ModuleType):
    """The module ``keras``, imported by ``quiet_startup`` when one of its names is first used."""

    def __getattr__(self, name):
        return getattr(_import_keras_at_first_use(), name)


if TYPE_CHECKING:
    import keras
else:
    keras = _LazyKeras("keras")

__all__ = ["keras", "quiet_startup"]
