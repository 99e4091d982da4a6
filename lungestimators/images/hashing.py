"""Hash the bytes of images: a digest, and what it is made of, one part after another."""

import functools
import os

import numpy as np
import xxhash

from .file_times import was_changed_a_moment_ago
from .threads import map_in_threads

# Bytes at the beginning, in the middle and at the end of a file that its digest is of: to read all
# of large files would take as long as to learn from them.
_PIECE = 2**16


def digest(*parts):
    """Return a 128-bit hash of byte strings or arrays."""
    return update_hash(xxhash.xxh3_128(), *parts).digest()


def update_hash(hasher, *parts):
    """Add byte strings or arrays to a hash object of xxhash, and return it."""
    for part in parts:
        hasher.update(part)
        hasher.update(b"/")
    return hasher


def image_digests(X, rows):
    """Return a digest of some images: of their pixels and type, or of parts of their files.

    A file that was read once is read again only when its size or times have changed, so that the
    folds of a cross-validation cost what one fit costs.

    Parameters
    ----------
    X : ndarray of shape (n, height, width, channels) or list of str
        Pixels, or paths.
    rows : sequence of int
        Which of them.

    Returns
    -------
    ndarray of shape (len(rows), 16), uint8
    """
    if isinstance(X, list):
        digests = map_in_threads(_digest_of_file_at, (X[row] for row in rows))
    else:
        kind = f"{X.dtype.str} {X.shape[1:]}".encode()
        digests = (digest(kind, np.ascontiguousarray(X[row])) for row in rows)
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16)


def _digest_of_file_at(path):
    """Return the digest of a file as it is now."""
    path = os.path.abspath(path)
    state = os.stat(path)
    of_file = _digest_of_file
    if was_changed_a_moment_ago(state):
        of_file = of_file.__wrapped__
    return of_file(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@functools.lru_cache(maxsize=2**17)
def _digest_of_file(path, size, *times):
    """Return the digest of a file; ``times`` are only part of the key."""
    hasher = xxhash.xxh3_128(str(size).encode())
    with open(path, "rb") as file:
        for start in sorted({0, max(0, (size - _PIECE) // 2), max(0, size - _PIECE)}):
            file.seek(start)
            hasher.update(file.read(_PIECE))
    return hasher.digest()
