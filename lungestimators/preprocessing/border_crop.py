"""BorderCrop: images without their border."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from ..images.base import check_described_shape
from ..validation import ImagesLike, check_real_number
from .base import ImageTransformer, check_images_to_preprocess


class BorderCrop(ImageTransformer):
    """Cut off the border of images, where labels, arms and collimators are.

    Markers that differ between hospitals let a network read the source instead of the lung.

    Parameters
    ----------
    fraction : float, default=0.1
        Part of the height that is cut off at the top and at the bottom, and of the width at the
        left and at the right, rounded down to pixels; at least 0 and below 0.5.

    Attributes
    ----------
    image_shape_ : tuple of int
        (height, width, channels) of the images of the fit. ``transform`` takes images of any size
        and does not need it; :func:`lungestimators.export` does.

    Examples
    --------
    >>> import numpy as np
    >>> from lungestimators import BorderCrop
    >>> BorderCrop(0.25).fit_transform(np.arange(32).reshape(2, 4, 4))
    array([[[ 5,  6],
            [ 9, 10]],
    <BLANKLINE>
           [[21, 22],
            [25, 26]]])
    """

    def __init__(self, fraction: float = 0.1) -> None:
        self.fraction = fraction

    def fit(self, X: ImagesLike, y=None) -> Self:
        """Check the parameters and X, and remember the size of the images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width) or (n_samples, height, width, channels)
            The same images as for ``transform``.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer itself.

        Raises
        ------
        ValueError, TypeError
            ``fraction`` is invalid, or X is not an array of images.
        """
        self._check_parameters()
        shape = self._check_X(X).shape
        self.image_shape_ = (*shape[1:3], shape[3] if len(shape) == 4 else 1)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Crop images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width) or (n_samples, height, width, channels)
            Grey or RGB, uint8, uint16 or float.

        Returns
        -------
        ndarray of the dtype of X, and its shape but for height and width
            A view of X where X is an array.

        Raises
        ------
        ValueError, TypeError
            ``fraction`` is invalid, or X is not an array of images.
        """
        self._check_parameters()
        X = self._check_X(X)
        top, left = self._border_of(X.shape[1:3])
        return X[:, top : X.shape[1] - top, left : X.shape[2] - left]

    def _border_of(self, size):
        """Return how many rows are cut off at the top, and columns at the left, of a size."""
        return tuple(int(self.fraction * side) for side in size)

    def _check_parameters(self):
        check_real_number(
            "fraction", self.fraction, lambda x: 0 <= x < 0.5, "be at least 0 and below 0.5"
        )

    def _check_X(self, X):
        return check_images_to_preprocess(X)

    def _parameters_for_file(self):
        return self.get_params(deep=False)

    def _check_parameters_from_file(self):
        try:
            self._check_parameters()
        except TypeError as error:
            raise ValueError(f"its {error}") from None

    def _state_for_file(self):
        """Return what ``fit`` remembers, None before a fit."""
        return {"image_shape_": self.image_shape_} if hasattr(self, "image_shape_") else None

    def _restore_state_from_file(self, state):
        if not state:
            return  # of an early version, whose ``fit`` remembered nothing
        if set(state) != {"image_shape_"}:
            raise ValueError("its images are not described")
        check_described_shape(state["image_shape_"])
        self.image_shape_ = state["image_shape_"]
