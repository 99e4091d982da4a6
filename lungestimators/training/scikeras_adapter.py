"""An adapter through which SciKeras runs a training; nothing else in the package uses SciKeras.

SciKeras runs a compiled Keras network on checked arrays. It is never inherited from, never given a
``random_state`` (which would switch TensorFlow's determinism on for the whole process) and never
handed to scikit-learn.
"""

import types

import numpy as np
import sklearn

from ..backends.startup import quiet_startup
from .epochs import TrainingNetwork

with quiet_startup():  # it imports TensorFlow under every backend
    from scikeras.wrappers import BaseWrapper


class SciKerasNetwork(TrainingNetwork):
    """A TrainingNetwork with the method ``fit`` that SciKeras calls."""

    def fit(
        self,
        x,
        y,
        sample_weight,
        *,
        source,
        batch_size,
        epochs,
        initial_epoch,
        seed,
        callbacks,
        validation_data,
        **unused,
    ):
        """Call :meth:`train_epochs`.

        Parameters
        ----------
        x : ndarray of shape (n, 1)
            Not used: SciKeras wants an array, and the images may be files.
        y, sample_weight : ndarray of shape (n,)
        source : ndarray, DiskArray or PreparedImages
            The images or vectors.
        batch_size, epochs, initial_epoch, seed, callbacks, validation_data
            As for :meth:`train_epochs`.
        **unused
            Further arguments of Keras' ``fit``, which SciKeras always passes.

        Returns
        -------
        types.SimpleNamespace
            An empty ``history``: SciKeras reads it; the real one is a callback's.
        """
        self.train_epochs(
            source,
            y,
            sample_weight,
            batch_size=batch_size,
            epochs=epochs,
            initial_epoch=initial_epoch,
            seed=seed,
            callbacks=callbacks,
            validation_data=validation_data,
        )
        return types.SimpleNamespace(history={})


def train_with_scikeras(network, source, y, sample_weight, *, callbacks, **arguments):
    """Train a network through SciKeras.

    Parameters
    ----------
    network : SciKerasNetwork
        Compiled.
    source, y, sample_weight, callbacks, **arguments
        As for :meth:`TrainingNetwork.train_epochs`, but ``epochs`` is how many epochs are trained:
        SciKeras adds ``initial_epoch``.
    """
    wrapper = BaseWrapper(network, callbacks=callbacks, verbose=0)
    rows = np.arange(len(y))[:, None]
    # SciKeras sends y through transformers, which warn if the user wants data frames.
    with sklearn.config_context(transform_output="default"):
        wrapper.fit(rows, y, sample_weight, source=source, **arguments)
