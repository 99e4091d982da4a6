"""Check the pixels that ``model_`` is given: raise for another shape, warn of another range."""

import functools
import warnings

import numpy as np

from ..backends.startup import keras


def checking_flat_model_pixels(method, shape, pixel_range):
    """Return a model's method that first raises for another shape and warns of another range.

    Keras' own ``predict`` accepts images of any size after the first call.
    """

    @functools.wraps(method)
    def checked(*args, **kwargs):
        # Keras calls them ``inputs`` or ``x`` where they are passed by name.
        pixels = args[0] if args else kwargs.get("inputs", kwargs.get("x"))
        values = _values_of_flat_model_input(pixels)
        if values is not None and values.size:
            given = values.shape[1:]
            if given != shape and (*given, 1) != shape:
                raise ValueError(
                    f"model_ takes images of shape {shape} (height, width, channels), and these "
                    f"have the shape {given}: resize them first, or call predict_proba"
                )
            extremes = float(values.min()), float(values.max())
            if _is_other_range_than_flat_model(*extremes, *pixel_range):
                warnings.warn(
                    "model_ takes pixels from {:g} (black) to {:g} (white), as fit saw them, and "
                    "these lie in {:g}..{:g}: scale the pixels first, or call predict_proba, which "
                    "scales them".format(*pixel_range, *extremes),
                    UserWarning,
                    stacklevel=2,
                )
        return method(*args, **kwargs)

    return checked


def _values_of_flat_model_input(pixels):
    """Return an array or tensor as an array; None for data sets, and for tensors while tracing."""
    if not (isinstance(pixels, np.ndarray) or keras.ops.is_tensor(pixels)):
        return None
    try:
        if hasattr(pixels, "detach"):  # PyTorch's
            pixels = pixels.detach().cpu()
        return np.asarray(pixels)
    # Raised by TensorFlow, JAX and PyTorch, in this order, for tensors without values.
    except (NotImplementedError, TypeError, RuntimeError):
        return None


def _is_other_range_than_flat_model(smallest, largest, low, high):
    """Return whether pixels reach far beyond black or white, or lie in 0..1 below a large white."""
    span = high - low
    beyond = smallest < low - span or largest > high + span
    in_unit = span >= 255 and 0 <= smallest < largest <= 1
    return beyond or in_unit
