"""Which images a classifier was fitted to: digests, so that a prediction on them can warn."""

import warnings
from typing import NamedTuple

import numpy as np
import xxhash

from ..images.hashing import image_digests


class TrainingData(NamedTuple):
    """Digests of the images and labels of a fit. They say nothing of what an image shows.

    Attributes
    ----------
    n_images : int
        How many images were learnt from, or validated early stopping, repeats included.
    labels : str
        Digest of their labels, in their order.
    images : ndarray of shape (n_different, 16), uint8
        Digest of each different image, sorted. The pixels and their type decide, or parts of a
        file: the same image as an array and as a file has two digests.
    """

    n_images: int
    labels: str
    images: np.ndarray


class TrainingImagesWarning(UserWarning):
    """Images that a classifier was fitted to are predicted.

    Parameters
    ----------
    n_known, n_images : int
        How many of how many images.
    name : str
        The class that was fitted.
    """

    def __init__(self, n_known, n_images, name):
        super().__init__(n_known, n_images, name)
        self.n_known = n_known
        self._n_images, self._name = n_images, name

    def __str__(self):
        return (
            f"{self.n_known} of {self._n_images} images were used to fit this {self._name}: what "
            "it says of them does not tell how good it is on others"
        )


def digest_training_data(X, labels, rows, earlier=None):
    """Return the digests of the images and labels that a fit uses.

    Parameters
    ----------
    X : ndarray of shape (n, height, width, channels) or list of str
    labels : ndarray of shape (n,)
        Class labels, not their numbers.
    rows : ndarray of int
        Images that are used.
    earlier : TrainingData, optional
        Of the calls of ``partial_fit`` before this one.

    Returns
    -------
    TrainingData
    """
    images = image_digests(X, rows)
    hasher = xxhash.xxh3_128(b"" if earlier is None else earlier.labels.encode())
    for label in labels[rows].tolist():
        hasher.update(f"{label!r}\n".encode(errors="backslashreplace"))
    n_images = len(rows)
    images = np.unique(images, axis=0)
    if earlier is not None:
        n_images += earlier.n_images
        new = images[~_are_known(earlier.images, images)]
        # In later epochs of the user's own loop there is nothing new to sort.
        images = earlier.images
        if len(new):
            images = np.unique(np.concatenate([images, new]), axis=0)
    return TrainingData(n_images, hasher.hexdigest(), images)


def warn_of_training_images(data, X, name):
    """Warn where images of X were learnt from.

    Parameters
    ----------
    data : TrainingData
    X : ndarray of shape (n, height, width, channels) or list of str
    name : str
        The class that was fitted, for the warning.
    """
    digests = image_digests(X, range(len(X)))
    n_known = int(_are_known(data.images, digests).sum())
    if n_known:
        warnings.warn(
            TrainingImagesWarning(n_known, len(X), name),
            stacklevel=3,
        )


def _are_known(known, digests):
    """Return which digests are among those that are known, which are sorted."""
    halves = _first_halves(known)
    places = np.searchsorted(halves, _first_halves(digests)).clip(max=len(halves) - 1)
    return (known[places] == digests).all(axis=1)


def _first_halves(digests):
    """Return the first eight bytes of each digest as a number; sorted digests stay sorted."""
    return np.ascontiguousarray(digests[:, :8]).view(">u8")[:, 0].astype(np.uint64)


def check_training_data(n_images, labels, images):
    """Return digests that were read from a file, or raise a ValueError where they are none."""
    if not (
        isinstance(images, np.ndarray)
        and images.dtype == np.uint8
        and images.ndim == 2
        and images.shape[1] == 16
        and type(n_images) is int
        and 1 <= len(images) <= n_images
        and isinstance(labels, str)
        and (np.diff(_first_halves(images).astype(np.float64)) >= 0).all()
    ):
        raise ValueError("the digests of its training data are damaged")
    return TrainingData(n_images, labels, images)
