"""LungClassifier: the whole scikit-learn side of the classifiers."""

import os
from abc import abstractmethod

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .. import training
from ..features import extraction
from ..features.parameters import cache_name
from ..images.base import ImageInput
from ..networks import augmentation, blueprints, cutting, flat_model
from ..training import callbacks as keras_callbacks
from ..training import stages
from ..validation import check_groups, check_y
from . import validation_split, weighting
from .fit_task import FitTask
from .parameters import TRAINING_PARAMETERS, check_parameters

# What a fit leaves behind beside the attributes that end with an underscore.
_LEARNT = (
    "_parts",
    "_model",
    "_seed",
    "_pixel_range",
    "_pixel_dtype",
    "_optimizer_state",
    "_fit_parameters",
)


class LungClassifier(CallbackSupportMixin, ClassifierMixin, ImageInput):
    """Common part of the classifiers: parameters, X, y, weights and labels.

    A child names its parameters in ``__init__`` and its network in ``_backbone``.
    """

    _AT_ONCE = TRAINING_PARAMETERS

    @abstractmethod
    def _backbone(self):
        """Return the backbone's name and a tuple of its own (parameter, value)."""

    def fit(self, X, y, sample_weight=None, groups=None):
        """Train on images.

        Callbacks of scikit-learn (``set_callbacks``) see one task, and in it one task for each
        epoch. Where one of them stops an epoch the fit ends, also in the first of two stages, and
        the estimator is bitwise the ``fitted_estimator`` that it was shown, unless callbacks of
        Keras change weights in ``on_train_end``.

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
            split; without ``early_stopping`` nothing depends on it.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            A parameter, X, y or a weight is not what it should be. Nothing has been trained then,
            and an estimator that was fitted before is still as it was.
        ImageReadError
            Image files cannot be read; it names all of them.
        FileNotFoundError
            An image file or the file of weights does not exist.
        RuntimeError
            The process was forked, as by joblib's ``multiprocessing`` backend, after TensorFlow or
            JAX had run: their threads do not survive that. The default backend is right.
        """
        with self._as_it_was_on_failure():
            return self._fit(X, y, sample_weight, groups)

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for exactly one epoch, from where the last call stopped.

        The learning rate is constant. With ``trainable="last_stage"`` or ``"all"`` and pre-trained
        weights the first ``epochs`` calls train the head, later ones fine-tune. Callbacks of
        scikit-learn see one task; those of Keras are for ``fit`` only.

        Parameters that were set since the last call count at once where they say how to train:
        rates, ``epochs``, ``batch_size``, ``class_weight``, ``augment``, and ``optimizer``, which
        begins anew when it is another one. What the network is was settled by the first call:
        ``image_size``, ``weights``, ``trainable``, ``dense_units``, ``dropout``, ``random_state``
        and the like must stay as they were.

        Parameters
        ----------
        X : array-like or list of paths
            As in :meth:`fit`.
        y : array-like of shape (n_samples,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All classes there will ever be; required by the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            As in :meth:`fit`.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            ``classes`` is missing, differs from the first call's, or lacks a label of y; a
            parameter of the network is not what it was at the first call; or
            ``early_stopping=True``, for which one epoch has no validation images.
        """
        with self._as_it_was_on_failure():
            return self._partial_fit(X, y, classes, sample_weight)

    def predict_proba(self, X):
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like or list of paths
            Images of the height and width that ``fit`` saw, or files. Grey is repeated where the
            fit was on RGB or on files; RGB must have equal channels where the fit was on grey.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            Columns in the order of ``classes_``; rows sum to 1.
        """
        check_is_fitted(self)
        fitted = self._as_fitted()
        X = fitted._check_X(X, reset=False)

        backbone, head = self._parts
        trainable = fitted._trainable()
        network, cache = backbone, None
        if trainable != "all":
            network, cache = (
                cutting.cut_frozen_part(backbone, trainable),
                cache_name(self.feature_cache),
            )
        probabilities = np.empty((len(X), len(self.classes_)))
        for rows, vectors in extraction.stream_features(network, fitted._images(X), cache):
            if trainable == "last_stage":
                vectors = cutting.cut_last_stage(backbone).run(vectors)
            probabilities[rows] = head.run(vectors)
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    def predict(self, X):
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
    def model_(self):
        """The fitted classifier as a ``keras.Model``: pixels in, probabilities out.

        It gives what :meth:`predict_proba` gives, called or by its ``predict``, and runs where this
        package is not installed. It is built when first asked for, with a copy of the weights.

        - After a fit on arrays it takes images of shape (n_samples, ``*image_shape_``) with the
          pixel values that ``fit`` saw. It resizes and scales them itself.
        - After a fit on files it takes RGB images of ``image_size``, in 0..1, as
          ``ImageReader(image_size=image_size, channels=3)`` reads them.

        Pixels clearly of another range, such as 0..255 for 0..1, are scaled by ``predict_proba``
        and not by the model, which warns of them; images of another shape are an error. The model
        cannot check a data set, or anything in a function that a framework compiles or after it
        was saved and loaded.

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

    # What fit and partial_fit do; the callbacks end before a failure is undone

    @with_callbacks
    def _fit(self, X, y, sample_weight, groups):
        check_parameters(self)

        callbacks = keras_callbacks.callbacks_for_one_fit(self.callbacks)
        self._forget()
        X, y, sample_weight, groups = self._leave_out_unreadable(X, y, sample_weight, groups)
        given = X, y, sample_weight
        X = self._check_X(X, reset=True)
        y = check_y(X, y)
        self.classes_, y = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y holds one class only ({self.classes_[0]!r}): a classifier needs two or more"
            )
        weighting.check_class_names(self.class_weight, self.classes_, all_known=False)
        sample_weight = weighting.check_sample_weight(
            X, y, sample_weight, self.class_weight, self.classes_
        )
        random_state = check_random_state(self.random_state)
        split_seed = int(random_state.randint(2**31))
        training_rows, validation_rows = validation_split.split(
            np.flatnonzero(sample_weight),
            y,
            check_groups(y, groups),
            self.validation_fraction if self.early_stopping else None,
            split_seed,
        )

        plan = self._stages()
        task = FitTask(self, sum(stage.epochs for stage in plan), *given)
        self._start(X, random_state)
        train = self._training_data(X, y, sample_weight, training_rows)
        validation = None
        if validation_rows is not None:
            validation = self._training_data(X, y, sample_weight, validation_rows)
        self._parts, self.history_ = training.fit_all_stages(
            self._parts, plan, train, validation, self._options(), callbacks, task
        )
        keras_callbacks.release_callbacks(callbacks)
        self.callbacks_ = callbacks
        self.n_iter_ = len(self.history_["loss"])
        task.end()
        return self

    @with_callbacks
    def _partial_fit(self, X, y, classes, sample_weight):
        first = not hasattr(self, "classes_")
        check_parameters(self)
        if self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: it trains one epoch on all "
                "images. Set early_stopping=False, or call fit"
            )
        if not first:
            self._check_same_network()
        X, y, sample_weight = self._leave_out_unreadable(X, y, sample_weight)
        given = X, y, sample_weight
        X = self._check_X(X, reset=first)
        y = check_y(X, y)
        y = self._number_classes(y, classes)
        weighting.check_class_names(self.class_weight, self.classes_, all_known=True)
        sample_weight = weighting.check_sample_weight(
            X, y, sample_weight, self.class_weight, self.classes_
        )

        task = FitTask(self, 0, *given)  # one task without parts, as in StandardScaler
        if first:
            random_state = check_random_state(self.random_state)
            random_state.randint(2**31)  # the seed that fit takes for its split
            self._start(X, random_state)
            self.history_, self.n_iter_ = {}, 0
        plan = self._stages()
        stage = plan[0] if self.n_iter_ < self.epochs else plan[-1]
        optimized = stage.trainable, str(self.optimizer).lower()
        self._parts, history, optimizer_state = training.fit_one_epoch(
            self._parts,
            stage,
            self._training_data(X, y, sample_weight, np.flatnonzero(sample_weight)),
            self._options(),
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

    # What fit and partial_fit share

    def _forget(self):
        """Drop what an earlier fit learnt: X may be of another kind now."""
        for name in list(self.__dict__):
            if name in _LEARNT or (name.endswith("_") and not name.startswith("_")):
                del self.__dict__[name]

    def _start(self, X, random_state):
        """Build the initial network for the pixels at hand."""
        name, options = self._backbone()
        seed = int(random_state.randint(2**31))
        backbone = blueprints.initial_backbone(
            name,
            options,
            int(self.image_size),
            self._channels(),
            None if self.weights is None else os.fspath(self.weights),
            seed,
        )
        head = blueprints.initial_head(
            backbone.n_outputs, len(self.classes_), int(self.dense_units), float(self.dropout), seed
        )
        self._parts = blueprints.Parts(backbone, head)
        self._seed = int(random_state.randint(2**31))
        self._remember_range(X)
        self._remember_parameters()

    def _check_same_network(self):
        """Raise where a parameter of the network is not what it was when the network was built."""
        for name, before in self._fit_parameters.items():
            value = getattr(self, name)
            if value is not before and not np.array_equal(value, before):
                raise ValueError(
                    f"partial_fit goes on with the network that an earlier call built with "
                    f"{name}={before!r}: {name}={value!r} counts only in a new fit, such as "
                    "partial_fit of a clone"
                )

    def _training_data(self, X, y, sample_weight, rows):
        weight = sample_weight[rows]
        if self.class_weight is not None:
            weight = weight * weighting.by_image(self.class_weight, y[rows], self.classes_)
        return stages.Data(
            self._images(X, rows), y[rows], (weight / weight.mean()).astype(np.float32)
        )

    def _stages(self):
        return stages.plan_stages(
            str(self.trainable),
            self.weights is not None,
            int(self.epochs),
            float(self.learning_rate),
            int(self.fine_tune_epochs),
            float(self.fine_tune_learning_rate),
        )

    def _options(self):
        return stages.Options(
            feature_cache=cache_name(self.feature_cache),
            batch_size=int(self.batch_size),
            optimizer=str(self.optimizer),
            augment=augmentation.augment_as_json(self.augment),
            n_iter_no_change=int(self.n_iter_no_change),
            verbose=int(self.verbose),
            seed=self._seed,
        )

    def _trainable(self):
        return stages.resolve_trainable(str(self.trainable), self.weights is not None)

    def _number_classes(self, y, classes):
        """Numbers of the labels in ``classes_``, which the first call of partial_fit sets."""
        if not hasattr(self, "classes_"):
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit")
            self.classes_ = np.unique(classes)
            if len(self.classes_) < 2:
                raise ValueError(
                    f"classes={classes!r} holds one class only: two or more are needed"
                )
        elif classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
            raise ValueError(
                f"classes={classes!r} is not the same as on the first call to partial_fit: "
                f"{self.classes_}"
            )
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y holds {unknown}, which are not among the classes {self.classes_}")
        return np.searchsorted(self.classes_, y)
