"""LungClassifier: fit, partial_fit and predictions of all classifiers, as scikit-learn has them."""

from abc import abstractmethod
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from .. import exporting, saving, training
from ..backends.startup import keras
from ..features.parameters import check_feature_cache_parameter
from ..images.base import ImageInput
from ..networks import flat_mean
from ..training import callbacks as keras_callbacks
from ..training import stages
from ..validation import ImagesLike, PathLike, check_groups, check_whole_number, check_y
from . import class_labels, fitted_networks, fitted_state, parameters, training_data, weighting
from .fit_task import FitTask
from .mean_probabilities import mean_probabilities
from .validation_split import split_off_validation_rows

# Attributes of a fitted classifier, beside those that end with an underscore.
_FITTED_ATTRIBUTES = (
    "_networks",
    "_model",
    "_pixel_range",
    "_pixel_dtype",
    "_fit_parameters",
    "_was_loaded",
)


class LungClassifier(CallbackSupportMixin, ClassifierMixin, ImageInput):
    """Common part of the classifiers: all but the parameters and the name of the network.

    A child inherits from a ``ClassifierParameters`` first, and names its network in ``_backbone``.
    """

    _AT_ONCE = parameters.TRAINING_PARAMETERS | parameters.PREDICTION_PARAMETERS

    @abstractmethod
    def _backbone(self):
        """Return the backbone's name and a tuple of its own parameters, each (name, value)."""

    def fit(
        self,
        X: ImagesLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Train on images.

        Callbacks of scikit-learn (``set_callbacks``) see one task for the fit, and in it one task
        for each epoch. The fit ends where a callback ends an epoch, also in the first of two
        stages or of several networks. The estimator is then bitwise the ``fitted_estimator`` that
        the callback has seen, unless callbacks of Keras change weights in ``on_train_end``.

        Parameters
        ----------
        X : array-like or list of paths
            Images as an array of shape (n_samples, height, width) or (n_samples, height, width,
            channels), uint8, uint16 or float; flat rows of shape (n_samples, n_features) with
            ``image_shape``; or the paths of n_samples image files, as a list, a Series or the one
            column of an array or DataFrame.
        y : array-like of shape (n_samples,)
            Class labels: strings, integers or booleans; two classes or more.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each image in the loss; images of weight 0 are left out.
        groups : array-like of shape (n_samples,), default=None
            Patient of each image. Early stopping keeps a patient's images on one side of its
            split; without ``early_stopping`` nothing depends on ``groups``.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            A parameter, X, y, a weight or a group is not as described. These errors come before
            any training, and leave an earlier fit of the estimator as it was.
        ImageReadError
            Image files cannot be read; the error names all of them.
        FileNotFoundError
            An image file or the file of weights does not exist.
        RuntimeError
            The process was forked, as by joblib's ``multiprocessing`` backend, after TensorFlow or
            JAX had run: the threads of TensorFlow and JAX do not survive a fork. Use joblib's
            default backend.
        """
        with self._input_as_it_was_on_failure():
            return self._fit(X, y, sample_weight, groups)

    def partial_fit(
        self,
        X: ImagesLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train every network for exactly one epoch, from where the last call stopped.

        The learning rate is constant. With ``trainable="last_stage"`` or ``"all"`` and pre-trained
        weights the first ``epochs`` calls train the head, later ones fine-tune. Callbacks of
        scikit-learn see one task; callbacks of Keras are not used.

        A call uses the values of the moment of all parameters that say how to train: rates,
        ``epochs``, ``batch_size``, ``class_weight``, ``augment``, and ``optimizer``, whose state
        begins anew with another optimizer. Parameters of the network must stay as they were at the
        first call: ``image_size``, ``weights``, ``trainable``, ``dense_units``, ``dropout``,
        ``n_networks``, ``random_state`` and the like.

        Parameters
        ----------
        X : array-like or list of paths
            As in :meth:`fit`.
        y : array-like of shape (n_samples,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All classes that y of any call may hold; required by the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            As in :meth:`fit`.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            ``classes`` is missing, differs from the first call's, or lacks a label of y; a
            parameter of the network has changed since the first call; or ``early_stopping=True``:
            one epoch has no validation images.
        """
        with self._input_as_it_was_on_failure():
            return self._partial_fit(X, y, classes, sample_weight)

    def predict_proba(self, X: ImagesLike) -> np.ndarray:
        """Return the probability of each class.

        It is the mean over the networks and over ``n_views`` views of each image. It follows from
        the image alone, not from the other images or their order.

        Parameters
        ----------
        X : array-like or list of paths
            Images of the height and width that ``fit`` saw, or files. After a fit on RGB images or
            on files, grey images are repeated as three channels; after a fit on grey images, RGB
            images must have three equal channels.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            Columns in the order of ``classes_``; rows sum to 1.
        """
        check_is_fitted(self)
        check_whole_number("n_views", self.n_views, 1)  # it may have been set after the fit
        if self.n_views > 1 and self._networks[0].parts.backbone.runtime != "keras":
            raise ValueError(
                f"n_views={self.n_views}: only Keras makes further views of images. Load the file "
                "with runtime='keras', or call set_params(n_views=1)"
            )
        fitted = self._as_fitted()
        X = fitted._check_X(X, reset=False)
        # Of a classifier out of a file, nobody may know what it learnt from. To score the images
        # of the fit in the same program is nothing to warn of.
        if getattr(self, "_was_loaded", False):
            training_data.warn_of_training_images(self.training_data_, X, type(self).__name__)
        images = fitted._input_images(X)
        trained = parameters.trained_layers_from_parameters(fitted)
        return mean_probabilities(
            [network.parts for network in self._networks],
            trained,
            fitted.weights is not None,
            images,
            check_feature_cache_parameter(self.feature_cache),
            int(self.n_views),
        )

    def predict(self, X: ImagesLike) -> np.ndarray:
        """Return the most probable class.

        Parameters
        ----------
        X : array-like or list of paths
            Images of the shape that ``fit`` saw, or files.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels out of ``classes_``.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def save(self, path: PathLike, *, description: str | None = None) -> None:
        """Write the fitted classifier to a file, which :func:`lungestimators.load` reads.

        The file holds parameters, classes, history, networks and digests of the training images,
        as JSON and arrays in a zip, and no code. The same classifier gives the same bytes. A file
        of this name is replaced, whole or not at all.

        Parameters
        ----------
        path : path
            By custom it ends with ``.lung``.
        description : str, default=None
            Free text: what the classifier was learnt from, what it is for and what it is not for.

        Raises
        ------
        ValueError
            The classifier is not fitted, or has something that a file cannot hold: the function
            of a network of your own, callbacks, a layer as ``augment``. Nothing is written.
        FileNotFoundError
            There is no such folder.

        See Also
        --------
        lungestimators.save : The same for a Pipeline around a classifier.
        """
        saving.save(self, path, description=description)

    def export(
        self,
        path: PathLike,
        *,
        format: Literal["onnx", "litert", "openvino", "saved_model"] | None = None,
    ) -> None:
        """Write the fitted classifier as a network for another runtime, without this package.

        Pixels go in, as :meth:`predict_proba` takes them, in an array of any number of images of
        one size; probabilities come out, the same within 1e-5. Labels, the shape of the images and
        the pixel values of black and white stand in the file.

        Parameters
        ----------
        path : path
            The file, or the folder of a SavedModel. An export that is there is replaced, whole or
            not at all; OpenVINO writes a second file, with the suffix ``.bin``.
        format : {"onnx", "litert", "openvino", "saved_model"}, default=None
            None takes it from the suffix: ``.onnx``, ``.tflite``, ``.xml``, and none for a
            SavedModel. Each but the last needs the extra of its name.

        Raises
        ------
        ValueError
            The classifier is not fitted; ``n_views`` is not 1; there is no such format; Keras runs
            on another backend than TensorFlow; the runtime lacks an operation of the network.
        ImportError
            The extra of the format is not installed.
        FileNotFoundError
            There is no folder for the file.

        See Also
        --------
        lungestimators.export : The same for a Pipeline, with more details.
        """
        exporting.export(self, path, format=format)

    @property
    def model_(self) -> "keras.Model":
        """The fitted classifier as a ``keras.Model``: pixels in, probabilities out.

        Its outputs are those of :meth:`predict_proba` with ``n_views=1`` within 1e-5, whether it is
        called or by its ``predict``; a deep network that learnt whole from random weights enlarges
        rounding, to about 1e-4. It sees the plain image only, no augmented views. It runs where
        this package is not installed. It is built at first use, with a copy of the weights.

        - After a fit on arrays its input is images of shape (n_samples, ``*image_shape_``) with the
          pixel values that ``fit`` saw. It resizes and scales them itself.
        - After a fit on files its input is RGB images of ``image_size``, in 0..1, as
          ``ImageReader(image_size=image_size, channels=3)`` reads them.

        Pixels clearly of another range, such as 0..255 for 0..1, are scaled by ``predict_proba``;
        the model warns of them and does not scale them. Images of another shape are an error. In a
        ``tf.data`` data set, in a function that a framework compiles, and after it was saved and
        loaded, the model cannot check pixels.

        It is one graph: layers of the backbone have the names that Keras gives them
        (``"conv_pw_13_relu"``), others begin with ``preprocessing_``, ``backbone_`` (grey to RGB,
        the backbone's own scaling) and ``head_``. With several networks, layers that are the same
        in all of them, such as a frozen backbone, stand in it once; the names of the others begin
        with the number of their network, as ``network_0_``, and the last layer,
        ``mean_of_networks``, averages the probabilities.
        """
        if not hasattr(self, "_networks"):
            raise NotFittedError(f"This {type(self).__name__} is not fitted yet: call fit first")
        if not hasattr(self, "_model"):
            self._model = flat_mean.build_flat_mean_model(
                [network.parts for network in self._networks],
                self.image_shape_,
                self._pixel_range,
                type(self).__name__,
            )
        return self._model

    def __getstate__(self):
        state = super().__getstate__().copy()
        state.pop("_model", None)
        if state.get("callbacks_"):
            state["callbacks_"] = keras_callbacks.picklable_callbacks(state["callbacks_"])
        return state

    def _state_for_file(self):
        """Return the fitted state as plain data and networks, None before a fit."""
        if not hasattr(self, "classes_"):
            return None
        state = self._image_state_for_file() | {
            "classes_": self.classes_,
            "skipped_": self.skipped_,
            "training_data_": fitted_state.training_data_for_file(self.training_data_),
            "networks": fitted_state.networks_for_file(self._networks),
        }
        # What Keras' callbacks hold may be of any class.
        return state | ({"callbacks_": []} if hasattr(self, "callbacks_") else {})

    def _check_parameters_from_file(self):
        super()._check_parameters_from_file()
        whole = isinstance(self.n_views, int | np.integer) and not isinstance(self.n_views, bool)
        if not whole or not 1 <= self.n_views <= fitted_state.MOST_VIEWS:
            raise ValueError(f"n_views={self.n_views!r} must be 1 to {fitted_state.MOST_VIEWS}")

    def _restore_state_from_file(self, state):
        self._restore_image_state(state)
        fitted_state.restore_state(self, state)
        self._was_loaded = True

    # The callbacks end in ``_fit`` and ``_partial_fit``, before a failure is undone.

    @with_callbacks
    def _fit(self, X, y, sample_weight, groups):
        parameters.check_classifier_parameters(self)
        n_networks = int(self.n_networks)
        callbacks = [
            keras_callbacks.callbacks_for_one_fit(self.callbacks) for _ in range(n_networks)
        ]

        self._forget_earlier_fit()
        X, y, sample_weight, groups = self._leave_out_unreadable_input(X, y, sample_weight, groups)
        given = X, y, sample_weight
        X = self._check_X(X, reset=True)
        self.classes_, y = class_labels.number_class_labels(check_y(X, y))
        weighting.check_weighted_classes(self.class_weight, self.classes_, all_known=False)
        sample_weight = weighting.check_weighting_of_images(
            X, y, sample_weight, self.class_weight, self.classes_
        )
        rows, groups = np.flatnonzero(sample_weight), check_groups(y, groups)
        fraction = self.validation_fraction if self.early_stopping else None
        random_states = fitted_networks.random_states_of_networks(self.random_state, n_networks)
        splits = [
            split_off_validation_rows(rows, y, groups, fraction, seed=int(state.randint(2**31)))
            for state in random_states
        ]

        self.training_data_ = training_data.digest_training_data(X, self.classes_[y], rows)
        plan = parameters.training_stages_from_parameters(self)
        n_epochs = n_networks * sum(stage.epochs for stage in plan)
        task = FitTask(self, n_epochs, *given)
        fitted = []
        for number, network in self._each_network(self._initial_networks(X, random_states)):
            task.begin_network(fitted, network)
            train, validation = (
                None if part is None else self._training_data(X, y, sample_weight, part)
                for part in splits[number]
            )
            options = parameters.training_options_from_parameters(self, network.seed)
            parts, history = training.fit_all_stages(
                network.parts, plan, train, validation, options, callbacks[number], task
            )
            fitted.append(network._replace(parts=parts, history=history))
            if task.stopped:
                break
        vars(self).update(fitted_networks.attributes_of_networks(fitted, n_networks))
        self.callbacks_ = [each for some in callbacks[: len(fitted)] for each in some]
        keras_callbacks.release_callbacks(self.callbacks_)
        task.end()
        return self

    @with_callbacks
    def _partial_fit(self, X, y, classes, sample_weight):
        parameters.check_classifier_parameters(self)
        if self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: it trains one epoch on all "
                "images. Set early_stopping=False, or call fit"
            )
        first = not hasattr(self, "classes_")
        if not first:
            parameters.check_network_parameters(self, self._fit_parameters)

        X, y, sample_weight = self._leave_out_unreadable_input(X, y, sample_weight)
        given = X, y, sample_weight
        X = self._check_X(X, reset=first)
        y = check_y(X, y)
        self.classes_ = class_labels.check_partial_fit_classes(
            classes, known=None if first else self.classes_
        )
        y = class_labels.number_known_class_labels(y, self.classes_)
        weighting.check_weighted_classes(self.class_weight, self.classes_, all_known=True)
        sample_weight = weighting.check_weighting_of_images(
            X, y, sample_weight, self.class_weight, self.classes_
        )

        self.training_data_ = training_data.digest_training_data(
            X,
            self.classes_[y],
            np.flatnonzero(sample_weight),
            None if first else self.training_data_,
        )
        task = FitTask(self, 0, *given)  # one task without parts, as in StandardScaler
        if first:
            random_states = fitted_networks.random_states_of_networks(
                self.random_state, int(self.n_networks)
            )
            for state in random_states:
                state.randint(2**31)  # the seed of the split that only fit needs
            self._networks = self._initial_networks(X, random_states)
        train = self._training_data(X, y, sample_weight, np.flatnonzero(sample_weight))
        fitted = [
            fitted_networks.train_network_for_one_epoch(network, self, train)
            for _, network in self._each_network(self._networks)
        ]
        vars(self).update(fitted_networks.attributes_of_networks(fitted, int(self.n_networks)))
        self.__dict__.pop("_model", None)
        task.end()
        return self

    def _forget_earlier_fit(self):
        """Remove all fitted attributes: X may be of another kind than in the earlier fit."""
        for name in list(self.__dict__):
            if name in _FITTED_ATTRIBUTES or (name.endswith("_") and not name.startswith("_")):
                del self.__dict__[name]

    def _initial_networks(self, X, random_states):
        """Return untrained networks, and remember what a network for these pixels depends on."""
        networks = [
            fitted_networks.initial_network(self, self._channels(), len(self.classes_), state)
            for state in random_states
        ]
        self._remember_range(X)
        self._remember_parameters()
        return networks

    def _each_network(self, networks):
        """Yield the number of each network and the network; with ``verbose`` say which it is."""
        for number, network in enumerate(networks):
            if self.verbose and len(networks) > 1:
                print(f"Network {number + 1} of {len(networks)}")
            yield number, network

    def _training_data(self, X, y, sample_weight, rows):
        """Return the images, class numbers and weights in the loss of some rows."""
        weights = weighting.weights_in_loss(
            sample_weight[rows], self.class_weight, y[rows], self.classes_
        )
        return stages.Data(self._input_images(X, rows), y[rows], weights)
