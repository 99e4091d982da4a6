"""FitTask: report a fit, and each of its epochs, to scikit-learn's callbacks."""

from .. import _compat
from . import fitted_networks


class FitTask:
    """Report the begin and the end of a fit, and of its epochs, to scikit-learn's callbacks.

    An estimator without callbacks costs nothing: the fitted attributes are passed on as a function,
    which only a callback calls.

    Parameters
    ----------
    estimator : LungClassifier
        Its parameters and data have been checked.
    n_epochs : int
        The most epochs that all stages of all networks can have. Epochs count on from stage to
        stage and from network to network.
    X, y, sample_weight : array-like
        The arguments of ``fit``, without the rows of unreadable files that ``on_error="skip"``
        leaves out.

    Attributes
    ----------
    stopped : bool
        Whether a callback ended the fit.
    """

    def __init__(self, estimator, n_epochs, X, y, sample_weight):
        self.stopped = False
        # Patients are not passed on: a scorer raises where its metadata are more than weights.
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._arguments = dict(estimator=estimator, X=X, y=y, metadata=metadata)
        self._context = _compat.sklearn_begin_callbacks(estimator, n_epochs)
        self._context.call_on_fit_task_begin(**self._arguments)

    def begin_network(self, earlier, network):
        """Note which network the next epochs train.

        Parameters
        ----------
        earlier : list of fitted_networks.FittedNetwork
            Those that are trained already.
        network : fitted_networks.FittedNetwork
        """
        self._earlier, self._network = list(earlier), network

    def begin_epoch(self, learnt):
        """Report the begin of an epoch.

        Parameters
        ----------
        learnt : callable
            Returns the parts of the network and its history as they are now.
        """
        self._epoch = self._context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(
            **self._arguments,
            reconstruction_attributes=lambda: self._attributes(*learnt()),
        )

    def end_epoch(self, learnt):
        """Report the end of an epoch.

        Parameters
        ----------
        learnt : callable
            Returns the parts and the history that the network has if the fit ends here.

        Returns
        -------
        bool
            Whether a callback asks for the fit to end here.
        """
        self.stopped = self._epoch.call_on_fit_task_end(
            **self._arguments,
            reconstruction_attributes=lambda: self._attributes(*learnt()),
        )
        return self.stopped

    def end(self):
        """Report the end of the fit, when the estimator is fitted."""
        self._context.call_on_fit_task_end(**self._arguments, reconstruction_attributes={})

    def _attributes(self, parts, history):
        """Return the attributes of an estimator whose fit ends with these parts and history."""
        network = self._network._replace(parts=parts, history=history)
        n_networks = self._arguments["estimator"].n_networks
        return fitted_networks.attributes_of_networks([*self._earlier, network], n_networks)
