"""PreparedImages: X as a network takes it, each image read and prepared when it is asked for."""

import contextlib
import functools
import importlib.metadata
import os
import warnings

import numpy as np
import PIL

from .. import __version__
from . import pixel_ranges
from .decoding import LUMINANCE
from .file_times import was_changed_a_moment_ago
from .hashing import digest
from .reading import read_files_in_threads, read_unscaled_image, resize_image

# Version of the way in which pixels are prepared: features of pixels that another version prepared
# are not taken from the feature store.
_VERSION = 3

# Images that a thread prepares at once.
_BATCH = 16

# Mean over an image of the largest difference between its channels, as a share of white: JPEG makes
# those of a grey image differ by less.
_LARGEST_DIFFERENCE_OF_GREY = 0.01


class PreparedImages:
    """Checked images, prepared for a network. Nothing is read before it is asked for.

    Parameters
    ----------
    X : ndarray of shape (n, height, width, channels) or list of str
        Pixels, or paths. Images in colour become grey where ``channels`` is 1.
    image_size : int
        Side in pixels of the network's input.
    channels : {1, 3}
        Channels of the network's input.
    pixel_range : tuple of (float, float) or None
        The pixel values of an array that become 0 and 1; None for files, which know their own.
    rows : array of int, optional
        Which images of X; all by default.
    learnt_from_grey : bool
        Whether the network's weights were learnt from grey images alone: the first image in colour
        that is prepared is then warned of.
    """

    def __init__(self, X, image_size, channels, pixel_range, rows=None, learnt_from_grey=False):
        self._X = X
        self._image_size = image_size
        self._channels = channels
        self._pixel_range = pixel_range
        self._rows = np.arange(len(X)) if rows is None else rows
        self._warns_of_colour = learnt_from_grey and channels == 3

    def __len__(self):
        return len(self._rows)

    @property
    def shape(self):
        """Shape of all images when prepared: (n, image_size, image_size, channels)."""
        return (len(self), self._image_size, self._image_size, self._channels)

    def __getitem__(self, rows):
        return self.prepare(rows)

    def paths(self):
        """Return the paths of the image files, and an empty list where X is pixels."""
        return [self._X[row] for row in self._rows] if isinstance(self._X, list) else []

    def prepare(self, rows=None):
        """Read images in this thread, and bring them to the size of the network and to 0..1.

        Parameters
        ----------
        rows : array of int, optional
            Positions among these images; all by default.

        Returns
        -------
        ndarray of shape (n, image_size, image_size, channels), float32, in 0..1
        """
        rows = self._rows if rows is None else self._rows[rows]
        size = self._image_size
        prepared = np.empty((len(rows), size, size, self._channels), np.float32)
        for number, row in enumerate(rows):
            pixels, low, high = self._unscaled_pixels(row)
            # Scaled last, when there are the fewest pixels.
            pixels = resize_image(pixels, size)
            prepared[number] = (pixels - np.float32(low)) / np.float32(high - low)
            if self._warns_of_colour and _is_in_colour(prepared[number]):
                self._warns_of_colour = False
                _warn_of_colour(self._X[row] if isinstance(self._X, list) else f"X[{row}]")
        return prepared

    def read_at_own_size(self, position):
        """Read one of these images in this thread at the size that it has.

        Parameters
        ----------
        position : int
            Position among these images.

        Returns
        -------
        ndarray of shape (height, width, 1 or channels), float32, in 0..1
        """
        pixels, low, high = self._unscaled_pixels(self._rows[position])
        return (pixels - np.float32(low)) / np.float32(high - low)

    def _unscaled_pixels(self, row):
        """Return an image of X as float32, and the values in it that become 0 and 1."""
        if isinstance(self._X, list):
            return read_unscaled_image(self._X[row], self._channels)
        pixels, (low, high) = self._X[row], self._pixel_range
        if pixels.shape[2] > self._channels:
            pixels = (pixels @ LUMINANCE)[..., None]
        if pixel_ranges.range_needs_float64(pixels.dtype, low, high):
            return pixel_ranges.scale_to_unit_range(pixels, low, high), 0.0, 1.0
        return pixels.astype(np.float32), low, high

    def quick_keys(self, rows):
        """Return a key of each image and its preparation, without reading a file.

        Parameters
        ----------
        rows : array of int
            Positions among these images.

        Returns
        -------
        list of (bytes or None)
            An array's key is a hash of its pixels. A file's key is a hash of its path, size and
            time stamps; None where the file changed a moment ago or does not exist.
        """
        versions = f"{_VERSION} {__version__} {PIL.__version__}"
        how = f"{versions} {self._image_size} {self._channels} {self._pixel_range}"
        if isinstance(self._X, list):
            how = f"{how} {_versions_in_prepared_key()}"
            return [_key_of_prepared_file(self._X[row], how) for row in self._rows[rows]]
        how = f"{how} {self._X.dtype.str} {self._X.shape[1:]}".encode()
        return [
            digest(b"array", how, np.ascontiguousarray(self._X[row])) for row in self._rows[rows]
        ]


def _is_in_colour(image):
    """Return whether the channels of an image in 0..1 differ, by more than compression explains."""
    return np.ptp(image, axis=2).mean() > _LARGEST_DIFFERENCE_OF_GREY


def _warn_of_colour(name):
    """Warn of an image in colour."""
    warnings.warn(
        f"{name} is in colour, and weights='chest' were learnt from grey radiographs: what they "
        "make of colours means little. Bring the images to grey, or choose other weights",
        stacklevel=2,
    )


def _key_of_prepared_file(path, how):
    """Return a hash of a file's path, size and time stamps, or None where these are not enough."""
    path = os.path.abspath(path)
    try:
        state = os.stat(path)
    except OSError:
        return None  # the error comes when the file is read
    if was_changed_a_moment_ago(state):
        return None
    stamp = f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"
    return digest(b"file", f"{how} {stamp} {path}".encode(errors="surrogateescape"))


@functools.cache
def _versions_in_prepared_key():
    """Return the versions of the installed packages that decode DICOM files, as a text."""
    found = []
    for name in ("pydicom", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pyjpegls"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return " ".join(found)


def read_all_prepared(prepared_images):
    """Return all of ``PreparedImages`` as one array, read in threads.

    Returns
    -------
    ndarray of shape (n, image_size, image_size, channels), float32, in 0..1
    """
    n_images = len(prepared_images)
    filled = np.empty(prepared_images.shape, np.float32)

    def fill(start):
        rows = np.arange(start, min(start + _BATCH, n_images))
        filled[rows] = prepared_images.prepare(rows)

    for _ in read_files_in_threads(fill, range(0, n_images, _BATCH), prepared_images.paths()):
        pass
    return filled
