"""ImageInput: the base class of estimators whose X is images or paths of image files."""

import contextlib
import warnings

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_consistent_length, validate_data

from . import checking, columns, pixel_ranges
from .errors import image_read_error
from .file_checks import unreadable_files
from .prepared import PreparedImages


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

    def _channels(self):
        """Return the number of channels of the images of the fit: 1 or 3."""
        return self.image_shape_[2]
