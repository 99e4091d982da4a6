"""The feature store: what a frozen network made of an image, kept under a key, in bounded space.

A store maps keys to bytes and knows nothing of networks. There are two: a dictionary in this
process, and a SQLite file in a directory that several processes may share.
"""

import os
import sqlite3
import threading
import time
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import xxhash

MEMORY_BYTES = 512 * 2**20
DIRECTORY_BYTES = 10 * 2**30

# What an entry costs beside its value: the key, and the dictionary's or the table's own records.
_ENTRY_BYTES = 200

_FILE = "features.sqlite"
_APPLICATION_ID = 0x4C554E47  # "LUNG"
_VERSION = 1
# An entry's time of last use is written at most this often, so that reading seldom writes.
_USED_SECONDS = 600


class FeatureCacheInfo(NamedTuple):
    """What a feature cache holds, and what became of the look-ups of this process.

    Attributes
    ----------
    hits, misses : int
        Look-ups of an image's features by this process that found them, and that did not.
    bytes : int
        Space that the entries take now.
    max_bytes : int
        Beyond it the least recently used entries leave.
    """

    hits: int
    misses: int
    bytes: int
    max_bytes: int


def feature_cache_info(cache="memory"):
    """Say how well a feature cache serves.

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
    return _existing(cache).info()


def clear_feature_cache(cache="memory"):
    """Forget all features, and start counting anew.

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
    _existing(cache).clear()


def limit_feature_cache(max_bytes, cache="memory"):
    """Set the space that a feature cache may take.

    Parameters
    ----------
    max_bytes : int
        Size in bytes; 512 MiB in memory and 10 GiB in a directory unless set. What is over it
        leaves at once. A directory remembers its own limit.
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
    open_store(os.fspath(cache)).limit(int(max_bytes))


def open_store(cache):
    """Return the store that an estimator's ``feature_cache`` names; the same one every time.

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
        if path not in _directories or not (path / _FILE).exists():
            _directories[path] = DirectoryStore(path)
        return _directories[path]


def close_store(cache):
    """Close and forget a directory's store in this process, where it is open.

    Parameters
    ----------
    cache : str
    """
    with _directories_lock:
        store = _directories.pop(Path(cache).expanduser().absolute(), None)
    if store is not None:
        store.close()


def _existing(cache):
    if cache != "memory" and not (Path(cache).expanduser() / _FILE).is_file():
        raise ValueError(f"{os.fspath(cache)!r} holds no feature cache: it has no {_FILE}")
    return open_store(os.fspath(cache))


class _Counts:
    """Hits and misses of this process, and whose turn it is to compute what is missing."""

    def __init__(self):
        self.hits = self.misses = 0
        self.renew_locks()

    def renew_locks(self):
        """Make new locks: those that came through a fork may be held by nobody for ever."""
        self.computing = threading.Lock()
        self._counting = threading.Lock()
        self._lock = threading.RLock()

    def count(self, hits, misses):
        """Add to what has been found and what has not."""
        with self._counting:
            self.hits += hits
            self.misses += misses


class MemoryStore(_Counts):
    """A bounded dictionary in this process, the least recently used entries leaving first."""

    def __init__(self, max_bytes):
        super().__init__()
        self.max_bytes = max_bytes
        self._entries = OrderedDict()
        self._bytes = 0

    def get(self, keys):
        """Return a dictionary of those keys that are known, and their values."""
        found = {}
        with self._lock:
            for key in keys:
                if key in self._entries:
                    self._entries.move_to_end(key)
                    found[key] = self._entries[key]
        return found

    def put(self, entries):
        """Keep values under their keys."""
        with self._lock:
            for key, value in entries.items():
                self._drop(key)
                self._entries[key] = value
                self._bytes += len(value) + _ENTRY_BYTES
            self._shrink()

    def info(self):
        """Return a FeatureCacheInfo."""
        return FeatureCacheInfo(self.hits, self.misses, self._bytes, self.max_bytes)

    def clear(self):
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = self.hits = self.misses = 0

    def limit(self, max_bytes):
        """Set the bound."""
        with self._lock:
            self.max_bytes = max_bytes
            self._shrink()

    def _drop(self, key):
        value = self._entries.pop(key, None)
        if value is not None:
            self._bytes -= len(value) + _ENTRY_BYTES

    def _shrink(self):
        while self._bytes > self.max_bytes:
            self._drop(next(iter(self._entries)))


class DirectoryStore(_Counts):
    """A SQLite file in a directory; processes may share it, and be killed at any moment.

    SQLite keeps what was committed whole. Every entry has a checksum besides: one that does not
    fit is dropped, as if it had never been there. The rollback journal is used rather than the
    write-ahead log, which a read-only directory or a network file system does not allow.

    What goes wrong once the store is open, a full disk say, is warned of; the entry is then not
    kept, and no work is lost.

    Parameters
    ----------
    path : Path
        Created where it does not exist. Otherwise empty, or a feature cache of this version.

    Raises
    ------
    ValueError
        The directory cannot be used, or holds something else.
    """

    def __init__(self, path):
        super().__init__()
        self._path = path
        self._database = None
        self._process = None
        self._writable = True
        self._refuse_foreign()
        try:
            self._connection()
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"feature_cache={str(path)!r}: {_FILE} in it cannot be used ({error}). Name "
                "another directory; delete that file only if nobody needs it"
            ) from error

    def get(self, keys):
        """Return a dictionary of those keys that are known, and their values."""
        keys = list(keys)
        rows = []
        with self._lock, self._warning("read from"):
            for start in range(0, len(keys), 500):
                some = keys[start : start + 500]
                rows += self._connection().execute(
                    "SELECT key, value, checksum, used FROM entry "
                    f"WHERE key IN ({','.join('?' * len(some))})",
                    some,
                )
        found = {
            key: value
            for key, value, checksum, used in rows
            if isinstance(value, bytes) and isinstance(used, int) and checksum == _sum(key, value)
        }
        damaged = [row[0] for row in rows if row[0] not in found]
        if damaged:
            self.drop(damaged)
        stale = time.time() - _USED_SECONDS
        old = [(int(time.time()), row[0]) for row in rows if row[0] in found and row[3] < stale]
        if old:
            self._write("UPDATE entry SET used = ? WHERE key = ?", old)
        return found

    def put(self, entries):
        """Keep values under their keys, all of them or, where the process is killed, none."""
        now = int(time.time())
        rows = [(key, value, _sum(key, value), now) for key, value in entries.items()]
        self._write("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?)", rows)

    def drop(self, keys):
        """Forget these keys."""
        self._write("DELETE FROM entry WHERE key = ?", [(key,) for key in keys])

    def info(self):
        """Return a FeatureCacheInfo."""
        with self._lock:
            return FeatureCacheInfo(self.hits, self.misses, self._bytes(), self._max_bytes())

    def clear(self):
        """Forget everything."""
        self._refuse_read_only()
        self._write("DELETE FROM entry WHERE key IS NOT ?", [(None,)])
        self._give_back_space()
        self.hits = self.misses = 0

    def limit(self, max_bytes):
        """Set the bound."""
        self._refuse_read_only()
        self._write("UPDATE setting SET max_bytes = ?", [(max_bytes,)])
        self._give_back_space()

    def close(self):
        """Close this process's connection."""
        with self._lock:
            if self._process == os.getpid():
                self._database.close()
                self._database = self._process = None

    def _refuse_read_only(self):
        if not self._writable:
            raise ValueError(f"The feature cache {str(self._path)!r} may not be written to")

    def _give_back_space(self):
        with self._lock, self._warning("shrink the file of"):
            self._connection().execute("VACUUM")

    def _write(self, statement, rows):
        """Run a statement over rows in one transaction, and keep the bound."""
        if not self._writable:
            return
        with self._lock, self._warning("write to"):
            database = self._connection()
            try:
                database.execute("BEGIN IMMEDIATE")
                database.executemany(statement, rows)
                self._shrink(database)
                database.execute("COMMIT")
            except BaseException:
                # A full disk has ended the transaction already.
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    def _shrink(self, database):
        max_bytes = self._max_bytes()
        if self._bytes() <= max_bytes:
            return
        # Down to nine tenths, so that not every later entry must make room for itself.
        while self._bytes() > 0.9 * max_bytes:
            deleted = database.execute(
                "DELETE FROM entry WHERE rowid IN (SELECT rowid FROM entry ORDER BY used, rowid "
                "LIMIT 1 + (SELECT count(*) / 20 FROM entry))"
            )
            if deleted.rowcount == 0:
                return

    def _bytes(self):
        def pragma(name):
            return self._connection().execute(f"PRAGMA {name}").fetchone()[0]

        empty = 5  # pages of a store without entries
        return max(0, pragma("page_count") - pragma("freelist_count") - empty) * pragma("page_size")

    def _max_bytes(self):
        return self._connection().execute("SELECT max_bytes FROM setting").fetchone()[0]

    def _warning(self, doing):
        return _Warning(self._path, doing)

    def _refuse_foreign(self):
        """Raise where the directory cannot be one of ours."""
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            others = [name for name in os.listdir(self._path) if not name.startswith(_FILE)]
        except OSError as error:
            raise ValueError(
                f"feature_cache={str(self._path)!r} must be a directory: {error.strerror}"
            ) from error
        known = (self._path / _FILE).exists()
        if others and not known:
            raise ValueError(
                f"feature_cache={str(self._path)!r} holds other files, such as {others[0]!r}: name "
                "a new or empty directory, or one that has been a feature cache before"
            )
        self._writable = os.access(self._path, os.W_OK) and (
            not known or os.access(self._path / _FILE, os.W_OK)
        )
        if not self._writable:
            if not known:
                raise ValueError(f"feature_cache={str(self._path)!r} may not be written to")
            warnings.warn(
                f"The feature cache {str(self._path)!r} may not be written to: what is in it is "
                "used, and nothing is added.",
                UserWarning,
                stacklevel=2,
            )

    def _connection(self):
        """Return this process's own connection: SQLite forbids to carry one through a fork."""
        if self._process != os.getpid():
            mode = "rwc" if self._writable else "ro"
            database = sqlite3.connect(
                f"{(self._path / _FILE).as_uri()}?mode={mode}",
                uri=True,
                timeout=60,
                isolation_level=None,
                check_same_thread=False,
            )
            database.execute("PRAGMA synchronous = NORMAL")
            self._prepare(database)
            if self._database is not None:
                # Closing the parent's connection here could roll back what the parent is writing.
                _inherited.append(self._database)
            self._database, self._process = database, os.getpid()
        return self._database

    def _prepare(self, database):
        """Create the tables in an empty file, and refuse any other that is not of this version."""

        def marks():
            return [
                database.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("application_id", "user_version", "schema_version")
            ]

        if self._writable and marks() == [0, 0, 0]:
            database.execute("BEGIN IMMEDIATE")
            if marks() == [0, 0, 0]:  # still, now that no other process is at it
                database.execute(
                    "CREATE TABLE entry (key BLOB PRIMARY KEY, value BLOB, checksum BLOB, "
                    "used INTEGER)"
                )
                database.execute("CREATE INDEX least_recent ON entry (used)")
                database.execute("CREATE TABLE setting (max_bytes INTEGER)")
                database.execute("INSERT INTO setting VALUES (?)", (DIRECTORY_BYTES,))
                database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                database.execute(f"PRAGMA user_version = {_VERSION}")
            database.execute("COMMIT")
        application, version, _ = marks()
        if application != _APPLICATION_ID:
            raise sqlite3.DatabaseError("it is not a feature cache")
        if version != _VERSION:
            raise sqlite3.DatabaseError(f"it has version {version}, not {_VERSION}")


class _Warning:
    """Turn what SQLite raises into a warning: a cache that fails costs time, never results."""

    def __init__(self, path, doing):
        self._path = path
        self._doing = doing

    def __enter__(self):
        pass

    def __exit__(self, kind, error, traceback):
        if isinstance(error, sqlite3.Error):
            warnings.warn(
                f"Could not {self._doing} the feature cache {str(self._path)!r} ({error}): these "
                "features are computed and not kept.",
                UserWarning,
                stacklevel=4,
            )
            return True
        return False


def _sum(key, value):
    return xxhash.xxh3_64_digest(key + value)


_memory = MemoryStore(MEMORY_BYTES)
_directories = {}
_directories_lock = threading.Lock()
_inherited = []


def _after_fork():
    global _directories_lock
    _directories_lock = threading.Lock()
    for some in (_memory, *_directories.values()):
        some.renew_locks()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
