"""Synthetic radiographs with the outlines of their lungs."""

from functools import partial
from itertools import repeat

import numpy as np
from joblib import Parallel, delayed

from lungestimators.datasets.radiographs import draw_radiographs

from .images import FIRST_RANDOM_STATE

N_SYNTHETIC = 9000
N_AT_ONCE = 50
# Every other chunk varies twice as much as make_chest_xrays, in anatomy, position and exposure:
# real patients, children among them, do.
SPREADS = (1.0, 2.0)


def draw_lungs(side, seed):
    """Draw synthetic radiographs of lungs of all shapes, and the outlines of the lungs.

    Parameters
    ----------
    side : int
        Height and width in pixels.
    seed : int

    Returns
    -------
    images : ndarray of shape (N_SYNTHETIC, side, side), uint8
    masks : ndarray of the same shape, bool
    """
    generators = np.random.default_rng([FIRST_RANDOM_STATE, seed]).spawn(N_SYNTHETIC // N_AT_ONCE)
    classes = np.arange(N_AT_ONCE) % 3
    difficulties = np.linspace(0.2, 0.8, len(generators))
    spreads = [SPREADS[number % len(SPREADS)] for number in range(len(generators))]
    drawn = Parallel(n_jobs=-1, prefer="threads")(
        map(
            delayed(partial(draw_radiographs, vary_shape=True)),
            repeat(classes),
            difficulties,
            repeat(side),
            generators,
            spreads,
        )
    )
    return tuple(map(np.concatenate, zip(*drawn, strict=True)))
