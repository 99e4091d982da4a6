"""ImageInput: the base class of estimators whose X is images or paths of image files."""

import contextlib
import os
import warnings

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_consistent_length, validate_data

from . import checking, columns, pixel_ranges
from .errors import image_read_error
from .file_checks import unreadable_files
from .prepared import PreparedImages

# Sides of images that a saved estimator may state: the largest radiographs have 5,000 pixels.
_LARGEST_SIDE = 2**16


class ImageInput(BaseEstimator):
    """Base class of estimators whose X is images: checks X, and remembers the X of the fit.

    A child has the parameters ``image_size`` and ``image_shape``, and ``on_error`` where it calls
    ``_leave_out_unreadable_input``.
    """

    # Parameters that are no part of what was fitted: a new value counts at once.
    _AT_ONCE = frozenset()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    @contextlib.contextmanager
    def _input_as_it_was_on_failure(self):
        """Give the estimator its old attributes back when the block fails or is interrupted."""
        before = self.__dict__.copy()
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _leave_out_unreadable_input(self, X, *values):
        """Return X, and values for each of its rows, without the files that cannot be read.

        With ``on_error="raise"`` all rows are returned: ``_check_X`` will raise.
        """
        self.skipped_ = dict(getattr(self, "skipped_", {}))
        if self.on_error == "raise" or not columns.is_column_of_paths(X):
            return X, *values
        check_consistent_length(X, *values)
        paths = columns.paths_in_column(X)
        reasons = unreadable_files(paths)
        if len(reasons) == len(set(paths)):
            raise image_read_error(reasons)
        if reasons:
            warnings.warn(f"Left out: {image_read_error(reasons)}", UserWarning, stacklevel=5)
        self.skipped_.update(reasons)
        kept = np.array([path not in reasons for path in paths])
        return np.array(paths, object)[kept].tolist(), *(
            value if value is None else np.asarray(value)[kept] for value in values
        )

    def _check_X(self, X, reset):
        """Return X as a list of paths or as an array of shape (n, height, width, channels).

        With ``reset`` the shape of its images is remembered; otherwise X must have the shape of the
        fit. Where the fit was on RGB or on files, ``channels`` may be 1: grey is repeated later.
        """
        if columns.is_column_of_paths(X):
            if self.image_shape is not None:
                raise ValueError(
                    f"image_shape={self.image_shape} is for flat rows, but X holds paths: leave "
                    "image_shape=None"
                )
            if reset:
                self.image_shape_ = (None, None, 3)
            return checking.check_paths_in_x(X)
        X = checking.check_and_stack_x(X)
        if self.image_shape is not None or len(columns.shape_of_columns(X)) <= 2:
            X = validate_data(self, X, reset=reset, dtype="numeric", allow_nd=True)
        else:
            X = checking.check_pixels_of_x(X)
        X = checking.check_image_shape_of_x(X, self.image_shape)
        if reset:
            self.image_shape_ = X.shape[1:]
        sizes = zip(self.image_shape_[:2], X.shape[1:3], strict=True)
        if any(size not in (None, got) for size, got in sizes):
            raise ValueError(
                f"X holds images of shape {X.shape[1:]}, but {type(self).__name__} was fitted on "
                f"images of shape {self.image_shape_} (height, width, channels): resize X, or "
                "pass the paths of files, which are resized"
            )
        return checking.check_channels_of_x(X, self._channels())

    def _remember_parameters(self):
        """Keep the values of the parameters that predictions depend on.

        A parameter that is set after the fit counts from the next fit on.
        """
        self._fit_parameters = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in self._AT_ONCE
        }

    def _as_fitted(self):
        """Return this estimator with the parameters that it was fitted with."""
        fitted = object.__new__(type(self))
        vars(fitted).update(vars(self) | self._fit_parameters)
        return fitted

    def _remember_range(self, X):
        """Keep which pixel values of the fit are black and white, and their type."""
        self._pixel_range, self._pixel_dtype = (0.0, 1.0), None
        if not isinstance(X, list):
            self._pixel_range, self._pixel_dtype = pixel_ranges.pixel_range(X), X.dtype

    def _input_images(self, X, rows=None):
        """Return checked X as PreparedImages; nothing is read yet."""
        pixel_range = None  # files know their own
        if not isinstance(X, list):
            pixel_range = pixel_ranges.range_like_fit(X, self._pixel_range, self._pixel_dtype)
        from_grey = getattr(self, "weights", None) == "chest"
        return PreparedImages(X, self.image_size, self._channels(), pixel_range, rows, from_grey)

    def _parameters_for_file(self):
        """Return the parameters that a file keeps.

        A directory as ``feature_cache`` is one of this computer, and becomes ``"memory"``: a file
        of a stranger must not say where features are written.
        """
        parameters = self.get_params(deep=False)
        if parameters["feature_cache"] is not None:
            parameters["feature_cache"] = "memory"
        return parameters

    def _check_parameters_from_file(self):
        """Raise a ValueError unless the parameters that count at once have values that work."""
        if self.feature_cache not in (None, "memory"):
            raise ValueError(f"its feature_cache={self.feature_cache!r} is not one of a file")
        if not isinstance(self.verbose, int | np.integer | np.bool_):
            raise ValueError(f"its verbose={self.verbose!r} is no number")

    def _image_state_for_file(self):
        """Return what is remembered of the images of the fit, as plain data.

        Parameters of the fit are left out where they are still those of the estimator.
        """
        now = vars(self)
        state = {
            "image_shape_": self.image_shape_,
            "pixel_range": self._pixel_range,
            "pixel_dtype": self._pixel_dtype,
            "fit_parameters": {
                name: value
                for name, value in self._fit_parameters.items()
                if not _is_same_parameter(value, now[name])
            },
        }
        for name in ("n_features_in_", "feature_names_in_"):
            if name in now:
                state[name] = now[name]
        return state

    def _restore_image_state(self, state):
        """Take what ``_image_state_for_file`` returned out of a state, and remember it.

        Raises
        ------
        ValueError
            It cannot be that of a fit.
        """
        try:
            shape, limits, dtype, other = (
                state.pop(name)
                for name in ("image_shape_", "pixel_range", "pixel_dtype", "fit_parameters")
            )
        except KeyError as error:
            raise ValueError(f"its images are not described: {error} is missing") from None
        check_described_shape(shape)
        check_described_pixels(limits, dtype, are_files=shape[0] is None)
        parameters = self.get_params(deep=False)
        kept = {name: value for name, value in parameters.items() if name not in self._AT_ONCE}
        if not isinstance(other, dict) or not set(other) <= set(kept):
            raise ValueError("the parameters of its fit are not described")
        self._fit_parameters = kept | other
        _check_described_parameters(self._fit_parameters)
        self.image_shape_, self._pixel_range, self._pixel_dtype = shape, limits, dtype
        n_columns = state.pop("n_features_in_", None)
        names = state.pop("feature_names_in_", None)
        if n_columns is not None:
            if type(n_columns) is not int or n_columns < 1:
                raise ValueError(f"n_features_in_={n_columns!r} is no number of columns")
            self.n_features_in_ = n_columns
        if names is not None:
            if not (
                isinstance(names, np.ndarray)
                and names.shape == (n_columns,)
                and all(isinstance(name, str) for name in names)
            ):
                raise ValueError("feature_names_in_ does not name its columns")
            self.feature_names_in_ = names

    def _channels(self):
        """Return the number of channels of the images of the fit: 1 or 3."""
        return self.image_shape_[2]


def check_described_shape(shape):
    """Raise unless a value can be ``image_shape_``: of an array of images, or of files."""
    sides_of = (int, int, int), (type(None), type(None), int)
    if not (
        isinstance(shape, tuple)
        and tuple(map(type, shape)) in sides_of
        and all(side is None or 1 <= side <= _LARGEST_SIDE for side in shape[:2])
        and shape[2] in (1, 3)
    ):
        raise ValueError(f"image_shape_={str(shape)[:80]} is no shape of images")


def check_described_pixels(limits, dtype, are_files):
    """Raise unless values can be the black and white of a fit, and the type of its pixels."""
    if not (
        isinstance(limits, tuple)
        and len(limits) == 2
        and all(type(limit) is float and np.isfinite(limit) for limit in limits)
        and limits[0] < limits[1]
    ):
        raise ValueError(f"{str(limits)[:80]} is no range of pixels")
    right = dtype is None if are_files else isinstance(dtype, np.dtype) and dtype.kind in "biuf"
    if not right:
        raise ValueError(f"{str(dtype)[:80]} is no type of the pixels of its fit")


def _check_described_parameters(parameters):
    """Raise unless the parameters of a fit that a prediction reads have values that work."""
    size, shape, weights = (parameters[name] for name in ("image_size", "image_shape", "weights"))
    if not _is_whole(size) or size < 1:
        raise ValueError(f"its fit had image_size={str(size)[:80]}")
    if shape is not None and not (
        isinstance(shape, tuple | list)
        and len(shape) in (2, 3)
        and all(_is_whole(side) and (side == -1 or 0 < side <= _LARGEST_SIDE) for side in shape)
    ):
        raise ValueError(f"its fit had image_shape={str(shape)[:80]}")
    if weights is not None and not isinstance(weights, str | os.PathLike):
        raise ValueError(f"its fit had weights={str(weights)[:80]}")


def _is_whole(value):
    """Whether a value is a whole number of Python or NumPy."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_same_parameter(a, b):
    """Return whether two values are one object, or equal and plain: a pickle copies numbers."""
    plain = bool, int, float, str, tuple
    return a is b or (type(a) is type(b) and isinstance(a, plain) and a == b)
