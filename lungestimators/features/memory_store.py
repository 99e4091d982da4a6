"""The feature store of one process: a dictionary in bounded space, and what every store counts."""

import threading
from collections import OrderedDict
from typing import NamedTuple

# What an entry costs beside its value: the key, and the dictionary's own records.
_ENTRY_BYTES = 200


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


class Counts:
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


class MemoryStore(Counts):
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
