"""Keras callbacks of the package itself: a progress bar, and scikit-learn's view of the epochs."""

from ..backends.startup import keras


def best_weights_from_stage_callbacks(callbacks):
    """Return the weights that early stopping would restore if training ended now, or None."""
    best = None
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.EarlyStopping) and callback.restore_best_weights:
            best = callback.best_weights or best  # the last one prevails
    return best


class StageProgress(keras.callbacks.Callback):
    """Show one progress bar for a whole stage, with loss, accuracy and the time left.

    Parameters
    ----------
    stage : Stage
    first_epoch : int
        Number of the stage's first epoch.
    """

    def __init__(self, stage, first_epoch):
        super().__init__()
        self._stage = stage
        self._first_epoch = first_epoch

    def on_train_begin(self, logs=None):
        """Print which layers are trained, and start the bar."""
        epochs, self._steps = self._stage.epochs, self.params["steps"]
        self._n_steps, self._done = epochs * self._steps, 0
        layers = self._stage.trainable.replace("_", " ")
        print(
            f"Training {layers}: {epochs} epoch{'s' * (epochs > 1)} of "
            f"{self._steps} step{'s' * (self._steps > 1)}"
        )
        self._bar = keras.utils.Progbar(
            self._n_steps, stateful_metrics=["loss", "accuracy", "val_loss", "val_accuracy"]
        )

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch - self._first_epoch

    def on_train_batch_begin(self, batch, logs=None):
        # Steps are shown only when the next ones begin, so that the last line is written once.
        if self._done:
            self._bar.update(self._done, self._values_in_progress_bar(), finalize=False)

    def on_train_batch_end(self, batch, logs=None):
        """Count the steps, and keep loss and accuracy."""
        self._done, self._logs = self._epoch * self._steps + batch + 1, logs

    def on_epoch_end(self, epoch, logs=None):
        self._logs = logs  # with those of validation

    def on_train_end(self, logs=None):
        self._bar.update(self._done, self._values_in_progress_bar(), finalize=True)
        if self._done < self._n_steps:
            print(f"Stopped early, after epoch {self._epoch + 1}")

    def _values_in_progress_bar(self):
        return [(name, value) for name, value in self._logs.items() if name != "learning_rate"]


class EpochAnnouncer(keras.callbacks.Callback):
    """Tell a fit's task for scikit-learn's callbacks of every epoch, and stop when it says so.

    This callback is the last one, so that all others have seen the epoch before.

    Parameters
    ----------
    task : fit_task.FitTask
    learnt : callable
        Returns parts and history of a fit that would end here.
    """

    def __init__(self, task, learnt):
        super().__init__()
        self._task = task
        self._learnt = learnt

    def on_epoch_begin(self, epoch, logs=None):
        self._task.begin_epoch(self._learnt)

    def on_epoch_end(self, epoch, logs=None):
        if self._task.end_epoch(self._learnt):
            self.model.stop_training = True
