"""BorderCrop: images without their border."""

import numpy as np
from numpy.typing import ArrayLike

from ..validation import check_real_number
from .base import ImageTransformer, check_images_to_preprocess


class BorderCrop(ImageTransformer):
    """Cut off the border of images, where labels, arms and collimators are.

    Markers that differ between hospitals let a network read the source instead of the lung.

    Parameters
    ----------
    fraction : float, default=0.1
        Part of the height that is cut off at the top and at the bottom, and of the width at the
        left and at the right, rounded down to pixels; at least 0 and below 0.5.

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
        top, left = (int(self.fraction * side) for side in X.shape[1:3])
        return X[:, top : X.shape[1] - top, left : X.shape[2] - left]

    def _check_parameters(self):
        check_real_number(
            "fraction", self.fraction, lambda x: 0 <= x < 0.5, "be at least 0 and below 0.5"
        )

    def _check_X(self, X):
        return check_images_to_preprocess(X)
