"""The user's Keras callbacks: checked, copied for every fit, and released after it."""

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


def check_callbacks(callbacks):
    """Raise unless ``callbacks`` is None, a list of usable Keras callbacks, or a function.

    :func:`callbacks_for_one_fit` calls the function and checks its result.

    Raises
    ------
    TypeError
        It is none of these, or an item of the list is no Keras callback.
    ValueError
        A callback cannot do here what it is made for.
    """
    if not _is_callback_function(callbacks):
        _check_list_of_callbacks(callbacks, f"callbacks={callbacks!r}", "callbacks")


def _is_callback_function(callbacks):
    """Return whether ``callbacks`` is a function that makes callbacks."""
    return callable(callbacks) and not isinstance(callbacks, type | keras.callbacks.Callback)


def _check_list_of_callbacks(callbacks, given, name):
    """Raise unless ``callbacks`` is None or a list of usable callbacks; errors use the texts."""
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


def callbacks_for_one_fit(callbacks):
    """Return the callbacks of one fit: the user's function makes them, or each one is copied.

    Raises
    ------
    TypeError
        A callback cannot be copied, or the function does not return a list of callbacks.
    """
    if _is_callback_function(callbacks):
        made = callbacks()
        _check_list_of_callbacks(
            made, f"callbacks() returned {made!r}, which", "the list of callbacks()"
        )
        return list(made or ())
    copies = []
    for callback in callbacks or ():
        try:
            copies.append(copy.deepcopy(callback))
        except Exception as error:  # its attributes may raise any error
            raise TypeError(
                f"callbacks holds {callback!r}, which cannot be copied: {error}. Since fit trains "
                "with copies so that no parameter is changed, pass a function that makes it, such "
                f"as callbacks=lambda: [{type(callback).__name__}()]"
            ) from error
    return copies


def picklable_callbacks(callbacks):
    """Return the callbacks that can be pickled, without those that hold open files or locks."""
    kept = []
    for callback in callbacks:
        try:
            pickle.dumps(callback)
        except Exception:  # its attributes may raise any error
            continue
        kept.append(callback)
    return kept


def release_callbacks(callbacks):
    """Set attributes of callbacks that hold the trained network, or a closed file, to None."""
    for callback in callbacks:
        network = callback.model
        for name, value in vars(callback).items():  # set_model(None) of a user's may do more
            if value is network or (isinstance(value, io.IOBase) and value.closed):
                vars(callback)[name] = None
