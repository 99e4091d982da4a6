"""Keras callbacks that a user passes: what they may be, and a copy of them for every fit."""

import copy
import io

import keras
from sklearn.callback import FitCallback

_PART_ONLY = (
    "it would save the part of the network that learns, not the model. early_stopping=True goes "
    "back to the best epoch; a scikit-learn callback (set_callbacks) is handed the whole estimator "
    "after every epoch, as fitted_estimator"
)
_REFUSED = {
    "ModelCheckpoint": _PART_ONLY,
    "OrbaxCheckpoint": _PART_ONLY,
    "BackupAndRestore": _PART_ONLY,
    "ReduceLROnPlateau": (
        "every epoch begins at its own learning rate, which falls along a cosine, so that a "
        "reduction would be undone at once. A keras.callbacks.LearningRateScheduler replaces the "
        "cosine"
    ),
    "SwapEMAWeights": (
        "it swaps weights for a test or a prediction, whose hooks are not called here"
    ),
}


def check(callbacks):
    """Raise unless ``callbacks`` is None or a list of Keras callbacks that can do their work.

    Raises
    ------
    TypeError
        It is no list, or holds something else.
    ValueError
        A callback would not do here what it is for.
    """
    if callbacks is None:
        return
    if not isinstance(callbacks, list | tuple):
        raise TypeError(
            f"callbacks={callbacks!r} must be None or a list of keras.callbacks.Callback instances"
        )
    for callback in callbacks:
        if isinstance(callback, type):
            raise TypeError(
                f"callbacks holds the class {callback.__name__}: pass an instance of it"
            )
        if not isinstance(callback, keras.callbacks.Callback):
            problem = f"callbacks holds {callback!r}, which is no keras.callbacks.Callback"
            if isinstance(callback, FitCallback):
                problem += ": a callback of scikit-learn goes through set_callbacks()"
            raise TypeError(problem)
        for name, reason in _REFUSED.items():
            if isinstance(callback, getattr(keras.callbacks, name, ())):
                raise ValueError(f"{name} is of no use in callbacks: {reason}")


def copied(callbacks):
    """Return a copy of each callback, for one fit, or raise.

    Raises
    ------
    TypeError
        A callback cannot be copied.
    """
    copies = []
    for callback in callbacks or ():
        try:
            copies.append(copy.deepcopy(callback))
        except Exception as error:  # whatever its attributes raise
            raise TypeError(
                f"callbacks holds {callback!r}, which cannot be copied, and fit trains with copies "
                f"so that no parameter is changed: {error}"
            ) from error
    return copies


def release(callbacks):
    """Let callbacks go of what ends with a training: the network, and files that they closed."""
    for callback in callbacks:
        network = callback._model
        for name, value in vars(callback).items():  # its set_model may do more than keep a model
            if value is network or (isinstance(value, io.IOBase) and value.closed):
                vars(callback)[name] = None
