"""A fit as scikit-learn's callbacks see it: one task, and in it one for each epoch."""

from .. import _compat


class FitTask:
    """Announce a fit and its epochs to the callbacks of an estimator.

    Without callbacks nothing is computed: what they may ask for is handed over as a function.

    Parameters
    ----------
    estimator : LungClassifier
        All its checks are done.
    n_epochs : int
        At most, over all stages; they are numbered through.
    X, y, sample_weight : array-like
        As ``fit`` got them, without rows that were left out.

    Attributes
    ----------
    stopped : bool
        Whether a callback ended the fit.
    """

    def __init__(self, estimator, n_epochs, X, y, sample_weight):
        self.stopped = False
        # Patients are no metadata here: a scorer that is handed more than weights raises.
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._arguments = dict(estimator=estimator, X=X, y=y, metadata=metadata)
        self._context = _compat.begin_callbacks(estimator, n_epochs)
        self._context.call_on_fit_task_begin(**self._arguments)

    def begin_epoch(self, learnt):
        """Announce an epoch; ``learnt`` is as for :meth:`end_epoch`."""
        self._epoch = self._context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(
            **self._arguments, reconstruction_attributes=lambda: _attributes(*learnt())
        )

    def end_epoch(self, learnt):
        """Announce the end of an epoch.

        Parameters
        ----------
        learnt : callable
            Returns the parts and the history of a fit that were to stop here.

        Returns
        -------
        bool
            Whether it is to stop here.
        """
        self.stopped = self._epoch.call_on_fit_task_end(
            **self._arguments, reconstruction_attributes=lambda: _attributes(*learnt())
        )
        return self.stopped

    def end(self):
        """Announce the end of the fit; the estimator is fitted."""
        self._context.call_on_fit_task_end(**self._arguments, reconstruction_attributes={})


def _attributes(parts, history):
    """What a fit sets on its estimator when its epochs are over."""
    return {"_parts": parts, "history_": history, "n_iter_": len(history.get("loss", []))}
