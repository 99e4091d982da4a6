"""ImageTransformer: the base class of transformers from images to images, and its check of X."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from ..images import checking, columns
from ..validation import ImagesLike


class ImageTransformer(TransformerMixin, BaseEstimator):
    """Base class of transformers from images to images that learn nothing."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False  # flat rows are no images
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: ImagesLike, y=None):
        """Check the parameters and X. Nothing is learnt.

        Parameters
        ----------
        X : array-like or list of paths
            The same images or files as for ``transform``.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer itself.

        Raises
        ------
        ValueError, TypeError
            A parameter has an invalid value, or X is of the wrong kind.
        """
        self._check_parameters()
        self._check_X(X)
        return self


def check_images_to_preprocess(X):
    """Return X as an array of three or four dimensions; raise where it is not pixels.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width) or (n_samples, height, width, channels)

    Returns
    -------
    ndarray of the shape of X

    Raises
    ------
    TypeError
        X holds paths.
    ValueError
        X holds flat rows, NaN, no images, or images of several shapes.
    """
    if columns.is_column_of_paths(X):
        raise TypeError(
            "X holds paths, and pixels are needed: put ImageReader() in front, as in "
            "make_pipeline(ImageReader(), ...)"
        )
    X = checking.check_pixels_of_x(checking.check_and_stack_x(X))
    if X.ndim == 2:
        raise ValueError(
            f"X has the shape {X.shape}: these are flat rows. Images are (n, height, width) or "
            "(n, height, width, channels): reshape X"
        )
    checking.check_image_shape_of_x(X, None)
    return X


def stack_images(images, names):
    """Return images as one array, which is filled while they are read.

    Parameters
    ----------
    images : iterable of ndarray of shape (height, width, channels), float32
    names : list of str
        Of each image, for the error.

    Returns
    -------
    ndarray of shape (n, height, width, channels), float32

    Raises
    ------
    ValueError
        Two images differ in size.
    """
    stacked = None
    for row, image in enumerate(images):
        if stacked is None:
            stacked = np.empty((len(names), *image.shape), np.float32)
        elif image.shape != stacked.shape[1:]:
            first, other = ("{}x{}".format(*each.shape) for each in (stacked[0], image))
            raise ValueError(
                f"{names[0]} has {first} and {names[row]} has {other} pixels (height x width): say "
                "by image_size to what they shall be resized"
            )
        stacked[row] = image
    return stacked
