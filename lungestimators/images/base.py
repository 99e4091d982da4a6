"""ImageInput: what X may be, and how an estimator remembers what it was fitted on."""

import contextlib
import warnings

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_consistent_length, validate_data

from . import checking, columns, decoding
from .prepared import PreparedImages


class ImageInput(BaseEstimator):
    """Common part of all estimators whose X is images.

    A child has the parameters ``image_size`` and ``image_shape``.
    """

    # Parameters that change no answer of a fitted estimator.
    _AT_ONCE = frozenset()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    @contextlib.contextmanager
    def _as_it_was_on_failure(self):
        """Undo everything when the block fails or is interrupted."""
        before = self.__dict__.copy()
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _leave_out_unreadable(self, X, *columns):
        """Return X and all that belongs to its rows without the files that cannot be read.

        With ``on_error="raise"`` nothing is left out here: ``_check_X`` will raise.
        """
        self.skipped_ = dict(getattr(self, "skipped_", {}))
        if self.on_error == "raise" or not checking.holds_paths(X):
            return X, *columns
        check_consistent_length(X, *columns)
        paths = checking.as_paths(X)
        reasons = decoding.unreadable(paths)
        if len(reasons) == len(set(paths)):
            raise decoding.error(reasons)
        if reasons:
            warnings.warn(f"Left out: {decoding.error(reasons)}", UserWarning, stacklevel=5)
        self.skipped_.update(reasons)
        kept = np.array([path not in reasons for path in paths])
        return np.array(paths, object)[kept].tolist(), *(
            column if column is None else np.asarray(column)[kept] for column in columns
        )

    def _check_X(self, X, reset):
        """Return X as a list of paths or as an array of shape (n, height, width, channels).

        Where the fit was on RGB or on files, ``channels`` may be 1: grey is repeated later.
        """
        if checking.holds_paths(X):
            if self.image_shape is not None:
                raise ValueError(
                    f"image_shape={self.image_shape} is for flat rows, but X holds paths: leave "
                    "image_shape=None"
                )
            if reset:
                self.image_shape_ = (None, None, 3)
            return checking.check_paths(X)
        X = checking.stack(X)
        if self.image_shape is not None or len(columns.shape_of(X)) <= 2:
            X = validate_data(self, X, reset=reset, dtype="numeric", allow_nd=True)
        else:
            X = checking.check_pixels(X)
        X = checking.as_images(X, self.image_shape)
        if reset:
            self.image_shape_ = X.shape[1:]
        sizes = zip(self.image_shape_[:2], X.shape[1:3], strict=True)
        if any(size not in (None, got) for size, got in sizes):
            raise ValueError(
                f"X holds images of shape {X.shape[1:]}, but {type(self).__name__} was fitted on "
                f"images of shape {self.image_shape_} (height, width, channels): resize X, or "
                "pass the paths of files, which are resized"
            )
        return checking.with_channels(X, self._channels())

    def _remember_parameters(self):
        """Keep the parameters that answers depend on: one that is set later waits for a fit."""
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
        """Keep which pixel values are black and white."""
        self._pixel_range, self._pixel_dtype = (0.0, 1.0), None
        if not isinstance(X, list):
            self._pixel_range, self._pixel_dtype = checking.pixel_range(X), X.dtype

    def _images(self, X, rows=None):
        """Checked X as the network sees it; nothing is read yet."""
        pixel_range = None  # files know their own
        if not isinstance(X, list):
            pixel_range = checking.range_like_fit(X, self._pixel_range, self._pixel_dtype)
        return PreparedImages(X, self.image_size, self._channels(), pixel_range, rows)

    def _channels(self):
        return self.image_shape_[2]
