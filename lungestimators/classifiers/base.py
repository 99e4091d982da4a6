"""LungClassifier: fit, partial_fit and predictions of all classifiers, as scikit-learn has them."""

import os
from abc import abstractmethod
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .. import training
from ..backends.startup import keras
from ..features import extraction
from ..features.parameters import check_feature_cache_parameter
from ..images.base import ImageInput
from ..networks import blueprints, cutting, flat_model
from ..training import callbacks as keras_callbacks
from ..training import stages
from ..validation import ImagesLike, check_groups, check_y
from . import class_labels, parameters, weighting
from .fit_task import FitTask
from .validation_split import split_off_validation_rows

# Attributes of a fitted classifier, beside those that end with an underscore.
_FITTED_ATTRIBUTES = (
    "_parts",
    "_model",
    "_seed",
    "_pixel_range",
    "_pixel_dtype",
    "_optimizer_state",
    "_fit_parameters",
)


class LungClassifier(CallbackSupportMixin, ClassifierMixin, ImageInput):
    """Common part of the classifiers: all but the parameters and the name of the network.

    A child inherits from a ``ClassifierParameters`` first, and names its network in ``_backbone``.
    """

    _AT_ONCE = parameters.TRAINING_PARAMETERS

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
        stages. The estimator is then bitwise the ``fitted_estimator`` that the callback has seen,
        unless callbacks of Keras change weights in ``on_train_end``.

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
        """Train for exactly one epoch, from where the last call stopped.

        The learning rate is constant. With ``trainable="last_stage"`` or ``"all"`` and pre-trained
        weights the first ``epochs`` calls train the head, later ones fine-tune. Callbacks of
        scikit-learn see one task; callbacks of Keras are not used.

        A call uses the values of the moment of all parameters that say how to train: rates,
        ``epochs``, ``batch_size``, ``class_weight``, ``augment``, and ``optimizer``, whose state
        begins anew with another optimizer. Parameters of the network must stay as they were at the
        first call: ``image_size``, ``weights``, ``trainable``, ``dense_units``, ``dropout``,
        ``random_state`` and the like.

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
        fitted = self._as_fitted()
        images = fitted._input_images(fitted._check_X(X, reset=False))

        backbone, head = self._parts
        trained = parameters.trained_layers_from_parameters(fitted)
        network, cache = backbone, None
        if trained != "all":
            network = cutting.cut_frozen_part(backbone, trained)
            cache = check_feature_cache_parameter(self.feature_cache)
        probabilities = np.empty((len(images), len(self.classes_)))
        for rows, vectors in extraction.stream_features(network, images, cache):
            if trained == "last_stage":
                vectors = cutting.cut_last_stage(backbone).run(vectors)
            probabilities[rows] = head.run(vectors)
        return probabilities / probabilities.sum(axis=1, keepdims=True)

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

    @property
    def model_(self) -> "keras.Model":
        """The fitted classifier as a ``keras.Model``: pixels in, probabilities out.

        Its outputs are those of :meth:`predict_proba` within 1e-5, whether it is called or by its
        ``predict``; a deep network that learnt whole from random weights enlarges rounding, to
        about 1e-4. It runs where this package is not installed. It is built at first use, with a
        copy of the weights.

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
        the backbone's own scaling) and ``head_``.
        """
        if not hasattr(self, "_parts"):
            raise NotFittedError(f"This {type(self).__name__} is not fitted yet: call fit first")
        if not hasattr(self, "_model"):
            self._model = flat_model.build_flat_model(
                self._parts, self.image_shape_, self._pixel_range, type(self).__name__
            )
        return self._model

    def __getstate__(self):
        state = super().__getstate__().copy()
        state.pop("_model", None)
        if state.get("callbacks_"):
            state["callbacks_"] = keras_callbacks.picklable_callbacks(state["callbacks_"])
        return state

    # The callbacks end in ``_fit`` and ``_partial_fit``, before a failure is undone.

    @with_callbacks
    def _fit(self, X, y, sample_weight, groups):
        parameters.check_classifier_parameters(self)
        callbacks = keras_callbacks.callbacks_for_one_fit(self.callbacks)

        self._forget_earlier_fit()
        X, y, sample_weight, groups = self._leave_out_unreadable_input(X, y, sample_weight, groups)
        given = X, y, sample_weight
        X = self._check_X(X, reset=True)
        self.classes_, y = class_labels.number_class_labels(check_y(X, y))
        weighting.check_weighted_classes(self.class_weight, self.classes_, all_known=False)
        sample_weight = weighting.check_weighting_of_images(
            X, y, sample_weight, self.class_weight, self.classes_
        )
        random_state = check_random_state(self.random_state)
        training_rows, validation_rows = split_off_validation_rows(
            np.flatnonzero(sample_weight),
            y,
            check_groups(y, groups),
            self.validation_fraction if self.early_stopping else None,
            seed=int(random_state.randint(2**31)),
        )

        plan = parameters.training_stages_from_parameters(self)
        task = FitTask(self, sum(stage.epochs for stage in plan), *given)
        self._build_network_of_classifier(X, random_state)
        train = self._training_data(X, y, sample_weight, training_rows)
        validation = None
        if validation_rows is not None:
            validation = self._training_data(X, y, sample_weight, validation_rows)
        options = parameters.training_options_from_parameters(self, self._seed)
        self._parts, self.history_ = training.fit_all_stages(
            self._parts, plan, train, validation, options, callbacks, task
        )
        self.n_iter_ = len(self.history_["loss"])
        keras_callbacks.release_callbacks(callbacks)
        self.callbacks_ = callbacks
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

        task = FitTask(self, 0, *given)  # one task without parts, as in StandardScaler
        if first:
            random_state = check_random_state(self.random_state)
            random_state.randint(2**31)  # the seed of the split that only fit needs
            self._build_network_of_classifier(X, random_state)
            self.history_, self.n_iter_ = {}, 0
        plan = parameters.training_stages_from_parameters(self)
        stage = plan[0] if self.n_iter_ < self.epochs else plan[-1]
        optimized = stage.trainable, str(self.optimizer).lower()
        self._parts, history, optimizer_state = training.fit_stage_for_one_epoch(
            self._parts,
            stage,
            self._training_data(X, y, sample_weight, np.flatnonzero(sample_weight)),
            parameters.training_options_from_parameters(self, self._seed),
            epoch=self.n_iter_,
            optimizer_state=getattr(self, "_optimizer_state", {}).get(optimized),
        )
        self._optimizer_state = {optimized: optimizer_state}
        self.history_ = {
            name: self.history_.get(name, []) + values for name, values in history.items()
        }
        self.n_iter_ += 1
        task.end()
        return self

    def _forget_earlier_fit(self):
        """Remove all fitted attributes: X may be of another kind than in the earlier fit."""
        for name in list(self.__dict__):
            if name in _FITTED_ATTRIBUTES or (name.endswith("_") and not name.startswith("_")):
                del self.__dict__[name]

    def _build_network_of_classifier(self, X, random_state):
        """Set the initial weights and all else that a network for these pixels depends on."""
        name, own_parameters = self._backbone()
        seed = int(random_state.randint(2**31))
        backbone = blueprints.initial_backbone_blueprint(
            name,
            own_parameters,
            int(self.image_size),
            self._channels(),
            None if self.weights is None else os.fspath(self.weights),
            seed,
        )
        head = blueprints.initial_head_blueprint(
            backbone.n_outputs, len(self.classes_), int(self.dense_units), float(self.dropout), seed
        )
        self._parts = blueprints.Parts(backbone, head)
        self._seed = int(random_state.randint(2**31))
        self._remember_range(X)
        self._remember_parameters()

    def _training_data(self, X, y, sample_weight, rows):
        """Return the images, class numbers and weights in the loss of some rows."""
        weights = weighting.weights_in_loss(
            sample_weight[rows], self.class_weight, y[rows], self.classes_
        )
        return stages.Data(self._input_images(X, rows), y[rows], weights)
