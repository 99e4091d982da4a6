"""The feature store of a directory, which several processes may share: a SQLite file."""

import os
import sqlite3
import time
import warnings

import xxhash

from .memory_store import CountingStore, FeatureCacheInfo

MAX_BYTES = 10 * 2**30
FILE = "features.sqlite"
_APPLICATION_ID = 0x4C554E47  # "LUNG"
_VERSION = 1
# An entry's time of last use is written at most this often, so that reading seldom writes.
_USED_SECONDS = 600

# Connections of the process that this one was forked from.
_inherited = []


class DirectoryStore(CountingStore):
    """A SQLite file in a directory; processes may share it, and be killed at any moment.

    SQLite keeps a committed transaction whole. Every entry has a checksum besides; an entry whose
    checksum does not fit is deleted, as if it had never been there. The rollback journal is used
    rather than the write-ahead log, which a read-only directory or a network file system does not
    allow.

    An error while the store is open, such as a full disk, becomes a warning: the entry is not kept,
    and no work is lost.

    Parameters
    ----------
    path : Path
        Created if it does not exist. Otherwise empty, or a feature cache of this version.

    Raises
    ------
    ValueError
        The directory cannot be used, or holds other files.
    """

    def __init__(self, path):
        super().__init__()
        self._path = path
        self._database = None
        self._process = None
        self._writable = True
        self._refuse_foreign()
        try:
            self._database_connection()
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"feature_cache={str(path)!r}: {FILE} in it cannot be used ({error}). Name "
                "another directory; delete that file only if nobody needs it"
            ) from error

    def get(self, keys):
        """Return a dictionary of the known keys, and their values."""
        keys = list(keys)
        rows = []
        with self._lock, self._database_warning("read from"):
            for start in range(0, len(keys), 500):
                some = keys[start : start + 500]
                rows += self._database_connection().execute(
                    "SELECT key, value, checksum, used FROM entry "
                    f"WHERE key IN ({','.join('?' * len(some))})",
                    some,
                )
        found = {
            key: value
            for key, value, checksum, used in rows
            if isinstance(value, bytes)
            and isinstance(used, int)
            and checksum == _checksum_in_directory_store(key, value)
        }
        damaged = [row[0] for row in rows if row[0] not in found]
        if damaged:
            self.drop(damaged)
        stale = time.time() - _USED_SECONDS
        old = [(int(time.time()), row[0]) for row in rows if row[0] in found and row[3] < stale]
        if old:
            self._write_to_database("UPDATE entry SET used = ? WHERE key = ?", old)
        return found

    def put(self, entries):
        """Keep values under their keys; if the process is killed meanwhile, keep none of them."""
        now = int(time.time())
        rows = [
            (key, value, _checksum_in_directory_store(key, value), now)
            for key, value in entries.items()
        ]
        self._write_to_database("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?)", rows)

    def drop(self, keys):
        """Delete the entries of these keys."""
        self._write_to_database("DELETE FROM entry WHERE key = ?", [(key,) for key in keys])

    def info(self):
        """Return a FeatureCacheInfo."""
        with self._lock:
            return FeatureCacheInfo(
                self.hits, self.misses, self._bytes_of_database(), self._max_bytes_of_database()
            )

    def clear(self):
        """Delete everything, and set the counts to 0."""
        self._refuse_read_only()
        self._write_to_database("DELETE FROM entry WHERE key IS NOT ?", [(None,)])
        self._give_back_space()
        self.hits = self.misses = 0

    def limit(self, max_bytes):
        """Set the largest size."""
        self._refuse_read_only()
        self._write_to_database("UPDATE setting SET max_bytes = ?", [(max_bytes,)])
        self._give_back_space()

    def close(self):
        """Close this process's connection."""
        with self._lock:
            if self._process == os.getpid():
                self._database.close()
                self._database = self._process = None

    def _refuse_read_only(self):
        """Raise if the directory may not be written to."""
        if not self._writable:
            raise ValueError(f"The feature cache {str(self._path)!r} may not be written to")

    def _give_back_space(self):
        """Make the file as small as its entries."""
        with self._lock, self._database_warning("shrink the file of"):
            self._database_connection().execute("VACUUM")

    def _write_to_database(self, statement, rows):
        """Run a statement over rows in one transaction, and keep the file within its size."""
        if not self._writable:
            return
        with self._lock, self._database_warning("write to"):
            database = self._database_connection()
            try:
                database.execute("BEGIN IMMEDIATE")
                database.executemany(statement, rows)
                self._shrink_database(database)
                database.execute("COMMIT")
            except BaseException:
                # A full disk has ended the transaction already.
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    def _shrink_database(self, database):
        """Delete the least recently used entries if the file is beyond its largest size."""
        max_bytes = self._max_bytes_of_database()
        if self._bytes_of_database() <= max_bytes:
            return
        # Down to nine tenths, so that not every later entry must make room for itself.
        while self._bytes_of_database() > 0.9 * max_bytes:
            deleted = database.execute(
                "DELETE FROM entry WHERE rowid IN (SELECT rowid FROM entry ORDER BY used, rowid "
                "LIMIT 1 + (SELECT count(*) / 20 FROM entry))"
            )
            if deleted.rowcount == 0:
                return

    def _bytes_of_database(self):
        """Return the size of the entries in the file."""

        def pragma(name):
            return self._database_connection().execute(f"PRAGMA {name}").fetchone()[0]

        empty = 5  # pages of a store without entries
        return max(0, pragma("page_count") - pragma("freelist_count") - empty) * pragma("page_size")

    def _max_bytes_of_database(self):
        """Return the largest size, which the file itself remembers."""
        return self._database_connection().execute("SELECT max_bytes FROM setting").fetchone()[0]

    def _database_warning(self, doing):
        """Return a context in which an error of SQLite becomes a warning."""
        return _Warning(self._path, doing)

    def _refuse_foreign(self):
        """Raise if the directory cannot be a feature cache."""
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            others = [name for name in os.listdir(self._path) if not name.startswith(FILE)]
        except OSError as error:
            raise ValueError(
                f"feature_cache={str(self._path)!r} must be a directory: {error.strerror}"
            ) from error
        known = (self._path / FILE).exists()
        if others and not known:
            raise ValueError(
                f"feature_cache={str(self._path)!r} holds other files, such as {others[0]!r}: name "
                "a new or empty directory, or one that has been a feature cache before"
            )
        self._writable = os.access(self._path, os.W_OK) and (
            not known or os.access(self._path / FILE, os.W_OK)
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

    def _database_connection(self):
        """Return this process's own connection: SQLite forbids using one after a fork."""
        if self._process != os.getpid():
            mode = "rwc" if self._writable else "ro"
            database = sqlite3.connect(
                f"{(self._path / FILE).as_uri()}?mode={mode}",
                uri=True,
                timeout=60,
                isolation_level=None,
                check_same_thread=False,
            )
            database.execute("PRAGMA synchronous = NORMAL")
            self._prepare_database(database)
            if self._database is not None:
                # Closing the parent's connection here could roll back the parent's transaction.
                _inherited.append(self._database)
            self._database, self._process = database, os.getpid()
        return self._database

    def _prepare_database(self, database):
        """Create the tables in an empty file; raise for any other file not of this version."""

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
                database.execute("INSERT INTO setting VALUES (?)", (MAX_BYTES,))
                database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                database.execute(f"PRAGMA user_version = {_VERSION}")
            database.execute("COMMIT")
        application, version, _ = marks()
        if application != _APPLICATION_ID:
            raise sqlite3.DatabaseError("it is not a feature cache")
        if version != _VERSION:
            raise sqlite3.DatabaseError(f"it has version {version}, not {_VERSION}")


class _Warning:
    """Turn an error of SQLite into a warning: a cache that fails costs time, never results."""

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


def _checksum_in_directory_store(key, value):
    """Return the checksum of an entry."""
    return xxhash.xxh3_64_digest(key + value)
