"""Keras callbacks that a user passes: what they may be, and new ones for every fit."""

import copy
import io
import pickle

from sklearn.callback import FitCallback

from ..backends.startup import keras

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
    """Raise unless ``callbacks`` is None, a list of usable Keras callbacks, or a function.

    What the function returns is checked by :func:`for_one_fit`.

    Raises
    ------
    TypeError
        It is none of these, or the list holds something else.
    ValueError
        A callback would not do here what it is for.
    """
    if not _is_function(callbacks):
        _check_list(callbacks, f"callbacks={callbacks!r}", "callbacks")


def _is_function(callbacks):
    return callable(callbacks) and not isinstance(callbacks, type | keras.callbacks.Callback)


def _check_list(callbacks, given, name):
    if callbacks is None:
        return
    if not isinstance(callbacks, list | tuple):
        raise TypeError(
            f"{given} must be None, a list of keras.callbacks.Callback instances, or a function "
            "without arguments that returns one"
        )
    for callback in callbacks:
        if isinstance(callback, type):
            raise TypeError(f"{name} holds the class {callback.__name__}: pass an instance of it")
        if not isinstance(callback, keras.callbacks.Callback):
            problem = f"{name} holds {callback!r}, which is no keras.callbacks.Callback"
            if isinstance(callback, FitCallback):
                problem += ": a callback of scikit-learn goes through set_callbacks()"
            raise TypeError(problem)
        for refused, reason in _REFUSED.items():
            if isinstance(callback, getattr(keras.callbacks, refused, ())):
                raise ValueError(f"{refused} is of no use in {name}: {reason}")


def for_one_fit(callbacks):
    """Return the callbacks of one fit: new ones by the function, or a copy of each, or raise.

    Raises
    ------
    TypeError
        A callback cannot be copied, or the function returns no list of callbacks.
    """
    if _is_function(callbacks):
        made = callbacks()
        _check_list(made, f"callbacks() returned {made!r}, which", "the list of callbacks()")
        return list(made or ())
    copies = []
    for callback in callbacks or ():
        try:
            copies.append(copy.deepcopy(callback))
        except Exception as error:  # whatever its attributes raise
            raise TypeError(
                f"callbacks holds {callback!r}, which cannot be copied: {error}. Since fit trains "
                "with copies so that no parameter is changed, pass a function that makes it, such "
                f"as callbacks=lambda: [{type(callback).__name__}()]"
            ) from error
    return copies


def picklable(callbacks):
    """Return those of the callbacks that can be pickled: some hold open files or locks."""
    kept = []
    for callback in callbacks:
        try:
            pickle.dumps(callback)
        except Exception:  # whatever its attributes raise
            continue
        kept.append(callback)
    return kept


def release(callbacks):
    """Let callbacks go of what ends with a training: the network, and files that they closed."""
    for callback in callbacks:
        network = callback._model
        for name, value in vars(callback).items():  # its set_model may do more than keep a model
            if value is network or (isinstance(value, io.IOBase) and value.closed):
                vars(callback)[name] = None
