"""Arrays of features: small ones in memory, large ones in a temporary file."""

import math
import tempfile
import threading
import weakref

import numpy as np

# The largest array that is kept in memory.
MOST_BYTES = 128 * 2**20


def allocate_memory_or_disk_array(shape):
    """Return an empty float32 array, in memory or on disk, to be indexed by ``[rows, columns]``.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns, length of a vector).

    Returns
    -------
    ndarray or DiskArray
    """
    if 4 * math.prod(shape) <= MOST_BYTES:
        return np.empty(shape, np.float32)
    return DiskArray(shape)


class DiskArray:
    """An array of vectors in a file without a name, which is deleted with the object.

    The file lies in the folder that the environment variable TMPDIR names. A memory map would do
    the same, but its pages count as the process's memory.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns, length of a vector).
    """

    def __init__(self, shape):
        self.shape = shape
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (it is this object)
        self._lock = threading.Lock()
        weakref.finalize(self, self._file.close)

    def __len__(self):
        return self.shape[0]

    def __setitem__(self, position, vectors):
        """Write vectors at ``rows, columns``."""
        for place, vector in zip(self._places(position), vectors, strict=True):
            with self._lock:
                self._file.seek(place)
                written = self._file.write(np.ascontiguousarray(vector, np.float32).data)
            if written != 4 * len(vector):
                raise OSError(f"{tempfile.gettempdir()!r} has no room for features (see TMPDIR)")

    def __getitem__(self, position):
        """Read the vectors at ``rows, columns``, an array of shape (n, length of a vector)."""
        places = self._places(position)
        vectors = np.empty((len(places), self.shape[2]), np.float32)
        for place, vector in zip(places, vectors, strict=True):
            with self._lock:
                self._file.seek(place)
                if self._file.readinto(vector.data) != vector.nbytes:
                    raise OSError("a temporary file of features is shorter than it was written")
        return vectors

    def _places(self, position):
        """Return where the vectors at ``rows, columns`` begin in the file, in bytes."""
        rows, columns = np.broadcast_arrays(*position)
        return ((rows.astype(np.int64) * self.shape[1] + columns) * 4 * self.shape[2]).tolist()
