"""The feature cache by its name, ``"memory"`` or a directory: information, clearing and limits.

A store maps keys to bytes and knows nothing of networks. There are two kinds: a dictionary in this
process, and a SQLite file in a directory that several processes may share.
"""

import os
import threading
from pathlib import Path

from ..validation import PathLike
from .directory_store import FILE, DirectoryStore
from .memory_store import FeatureCacheInfo, MemoryStore

MEMORY_BYTES = 512 * 2**20


def feature_cache_info(cache: PathLike = "memory") -> FeatureCacheInfo:
    """Return the hits, misses and size of a feature cache.

    Parameters
    ----------
    cache : "memory" or path, default="memory"
        The cache of this process, or a directory, as estimators take it for ``feature_cache``.

    Returns
    -------
    FeatureCacheInfo
        ``hits``, ``misses``, ``bytes`` and ``max_bytes``.

    Raises
    ------
    ValueError
        The directory holds no feature cache.

    Examples
    --------
    >>> from lungestimators import clear_feature_cache, feature_cache_info
    >>> clear_feature_cache()
    >>> feature_cache_info()
    FeatureCacheInfo(hits=0, misses=0, bytes=0, max_bytes=536870912)
    """
    return _existing_feature_cache(cache).info()


def clear_feature_cache(cache: PathLike = "memory") -> None:
    """Delete all features from a feature cache, and set its counts to 0.

    Parameters
    ----------
    cache : "memory" or path, default="memory"
        The cache of this process, or a directory, as estimators take it for ``feature_cache``.

    Raises
    ------
    ValueError
        The directory holds no feature cache.

    Examples
    --------
    >>> from lungestimators import clear_feature_cache, feature_cache_info
    >>> clear_feature_cache()
    >>> feature_cache_info().bytes
    0
    """
    _existing_feature_cache(cache).clear()


def limit_feature_cache(max_bytes: int, cache: PathLike = "memory") -> None:
    """Set the largest size of a feature cache.

    Parameters
    ----------
    max_bytes : int
        Size in bytes; 512 MiB in memory and 10 GiB in a directory unless set. The least recently
        used features beyond it are deleted at once. A directory remembers its own limit.
    cache : "memory" or path, default="memory"
        The cache of this process, or a directory, as estimators take it for ``feature_cache``.

    Raises
    ------
    ValueError
        ``max_bytes`` is negative, or the directory cannot be used.

    Examples
    --------
    >>> from lungestimators import feature_cache_info, limit_feature_cache
    >>> limit_feature_cache(2**30)
    >>> feature_cache_info().max_bytes
    1073741824
    >>> limit_feature_cache(512 * 2**20)
    """
    if max_bytes < 0:
        raise ValueError(f"max_bytes={max_bytes!r} must not be negative")
    open_feature_cache(os.fspath(cache)).limit(int(max_bytes))


def open_feature_cache(cache):
    """Return the store that an estimator's ``feature_cache`` names, the same object every time.

    Parameters
    ----------
    cache : "memory", str or None

    Returns
    -------
    MemoryStore, DirectoryStore or None

    Raises
    ------
    ValueError
        The directory cannot be used, or is not a feature cache of this version.
    """
    if cache is None:
        return None
    if cache == "memory":
        return _memory
    path = Path(cache).expanduser().absolute()
    with _directories_lock:
        if path not in _directories or not (path / FILE).exists():
            _directories[path] = DirectoryStore(path)
        return _directories[path]


def close_feature_cache(cache):
    """Close and forget a directory's store in this process, if it is open.

    Parameters
    ----------
    cache : str
    """
    with _directories_lock:
        store = _directories.pop(Path(cache).expanduser().absolute(), None)
    if store is not None:
        store.close()


def _existing_feature_cache(cache):
    """Return the store of a feature cache, or raise if a directory holds none."""
    if cache != "memory" and not (Path(cache).expanduser() / FILE).is_file():
        raise ValueError(f"{os.fspath(cache)!r} holds no feature cache: it has no {FILE}")
    return open_feature_cache(os.fspath(cache))


_memory = MemoryStore(MEMORY_BYTES)
_directories = {}
_directories_lock = threading.Lock()


def _renew_cache_locks_after_fork():
    """Make new locks in a forked process: other threads may have held the old ones."""
    global _directories_lock
    _directories_lock = threading.Lock()
    for some in (_memory, *_directories.values()):
        some.renew_locks()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_cache_locks_after_fork)
