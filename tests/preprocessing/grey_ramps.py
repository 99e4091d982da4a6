"""Small images of each type of pixels."""

import numpy as np


def radiographs(dtype, channels=None):
    """Three read-only images of 40x48 pixels that are dark on the left."""
    rng = np.random.default_rng(0)
    shape = (3, 40, 48) if channels is None else (3, 40, 48, channels)
    pixels = rng.random(shape) * 0.3 + np.linspace(0, 0.7, 48).reshape(48, *(shape[3:] and (1,)))
    if dtype.startswith("uint"):
        pixels = pixels * np.iinfo(dtype).max
    pixels = pixels.astype(dtype)
    pixels.flags.writeable = False
    return pixels
