"""Images as a network sees them: read, resized and scaled only when they are asked for."""

import contextlib
import functools
import importlib.metadata
import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL
import xxhash

from .. import __version__
from . import checking, decoding
from . import pixels as ranges

# Counts the ways in which pixels have been prepared: what another way made is not taken for ours.
_PREPARED = 3

# Images that a thread prepares at once.
_BATCH = 16

# A file that was changed a moment ago could be changed again without another time stamp: its quick
# key is not trusted until the file system's clock has ticked (ten milliseconds at most; two seconds
# where stamps are whole seconds).
_TICK = 0.1
_COARSE_TICK = 2.0


class PreparedImages:
    """Checked images, and how a network sees them. Nothing is read before it is asked for.

    Parameters
    ----------
    X : ndarray of shape (n, height, width, channels) or list of str
        Pixels, or paths.
    image_size, channels : int
        What a network takes.
    pixel_range : tuple of (float, float) or None
        The pixel values of an array that become 0 and 1; None for files, which know their own.
    rows : array of int, optional
        Which of them; all by default.
    """

    def __init__(self, X, image_size, channels, pixel_range, rows=None):
        self._X = X
        self._image_size = image_size
        self._channels = channels
        self._pixel_range = pixel_range
        self._rows = np.arange(len(X)) if rows is None else rows

    def __len__(self):
        return len(self._rows)

    @property
    def shape(self):
        """Shape of all of them when prepared."""
        return (len(self), self._image_size, self._image_size, self._channels)

    def __getitem__(self, rows):
        return self.prepare(rows)

    def paths(self):
        """The files; pixels have none."""
        return [self._X[row] for row in self._rows]

    def prepare(self, rows=None):
        """Read images and bring them to the size and the range of a network.

        Parameters
        ----------
        rows : array of int, optional
            Which of these images; all by default.

        Returns
        -------
        ndarray of shape (n, image_size, image_size, channels), float32, in 0..1
        """
        rows = self._rows if rows is None else self._rows[rows]
        size = self._image_size
        prepared = np.empty((len(rows), size, size, self._channels), np.float32)
        for number, row in enumerate(rows):
            if isinstance(self._X, list):
                pixels, low, high = checking.decode(self._X[row], self._channels)
            else:
                pixels, (low, high) = self._X[row], self._pixel_range
                if ranges.needs_float64(pixels.dtype, low, high):
                    pixels, (low, high) = ranges.to_unit(pixels, low, high), (0.0, 1.0)
                pixels = pixels.astype(np.float32)
            # Scaled last, when there are the fewest pixels.
            pixels = checking.resize(pixels, size)
            prepared[number] = (pixels - np.float32(low)) / np.float32(high - low)
        return prepared

    def quick_keys(self, rows):
        """Return what tells an image from others before it is prepared, or None where nothing does.

        A file's key changes when the file does.
        """
        versions = f"{_PREPARED} {__version__} {PIL.__version__}"
        how = f"{versions} {self._image_size} {self._channels} {self._pixel_range}"
        if isinstance(self._X, list):
            how = f"{how} {_decoders()}"
            return [_file_key(self._X[row], how) for row in self._rows[rows]]
        how = f"{how} {self._X.dtype.str} {self._X.shape[1:]}".encode()
        return [
            digest(b"array", how, np.ascontiguousarray(self._X[row])) for row in self._rows[rows]
        ]


def _file_key(path, how):
    path = os.path.abspath(path)
    try:
        state = os.stat(path)
    except OSError:
        return None  # whoever reads the file says what is wrong with it
    changed = max(state.st_mtime_ns, state.st_ctime_ns)
    tick = _TICK if changed % 10**9 else _COARSE_TICK
    if time.time() - changed / 1e9 < tick:
        return None
    stamp = f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"
    return digest(b"file", f"{how} {stamp} {path}".encode(errors="surrogateescape"))


def digest(*parts):
    return hashed(xxhash.xxh3_128(), *parts).digest()


def hashed(digest, *parts):
    for part in parts:
        digest.update(part)
        digest.update(b"/")
    return digest


@functools.cache
def _decoders():
    """Versions of what may be there to decode files."""
    found = []
    for name in ("pydicom", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pyjpegls"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return " ".join(found)


def prepare_all(images):
    """Return ``images.prepare()``, read by several threads."""
    prepared = np.empty(images.shape, np.float32)

    def read(start):
        rows = np.arange(start, min(start + _BATCH, len(images)))
        prepared[rows] = images.prepare(rows)

    for _ in ahead(read, range(0, len(images), _BATCH), images):
        pass
    return prepared


def ahead(function, items, images, advice=""):
    """Yield ``function(item)`` in order, run by threads a few items ahead of who takes them.

    Where a file turns out to be damaged, all the others of ``images`` are looked at as well, so
    that one error names every bad one, and says by ``advice`` what to do.
    """
    pool = ThreadPoolExecutor(decoding.READERS)
    waiting = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > decoding.READERS + 2:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except decoding.ImageReadError as error:
        raise decoding.with_all_others(error, images.paths(), advice) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
