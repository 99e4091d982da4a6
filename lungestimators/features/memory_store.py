"""The feature store of one process: a dictionary of bounded size; and the counts of all stores."""

import threading
from collections import OrderedDict
from typing import NamedTuple

# Bytes that an entry takes beside its value: the key, and the dictionary's own records.
_ENTRY_BYTES = 200


class FeatureCacheInfo(NamedTuple):
    """Size of a feature cache, and hits and misses of this process.

    Attributes
    ----------
    hits, misses : int
        How often this process looked up the features of an image and found them, or did not.
    bytes : int
        Present size.
    max_bytes : int
        Largest size. Beyond it the least recently used entries are deleted.
    """

    hits: int
    misses: int
    bytes: int
    max_bytes: int


class CountingStore:
    """Part of every store: hits and misses of this process, and its locks.

    Attributes
    ----------
    computing : threading.Lock
        Held by the thread that computes missing vectors.
    """

    def __init__(self):
        self.hits = self.misses = 0
        self.renew_locks()

    def renew_locks(self):
        """Make new locks: in a forked process, the old ones may be held for ever."""
        self.computing = threading.Lock()
        self._counting = threading.Lock()
        self._lock = threading.RLock()

    def count(self, hits, misses):
        """Add to the numbers of hits and misses."""
        with self._counting:
            self.hits += hits
            self.misses += misses


class MemoryStore(CountingStore):
    """A dictionary of bounded size; the least recently used entries are deleted first."""

    def __init__(self, max_bytes):
        super().__init__()
        self.max_bytes = max_bytes
        self._entries = OrderedDict()
        self._bytes = 0

    def get(self, keys):
        """Return a dictionary of the known keys, and their values."""
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
                self._drop_from_memory(key)
                self._entries[key] = value
                self._bytes += len(value) + _ENTRY_BYTES
            self._shrink_memory()

    def info(self):
        """Return a FeatureCacheInfo."""
        return FeatureCacheInfo(self.hits, self.misses, self._bytes, self.max_bytes)

    def clear(self):
        """Delete everything, and set the counts to 0."""
        with self._lock:
            self._entries.clear()
            self._bytes = self.hits = self.misses = 0

    def limit(self, max_bytes):
        """Set the largest size."""
        with self._lock:
            self.max_bytes = max_bytes
            self._shrink_memory()

    def _drop_from_memory(self, key):
        """Delete an entry, if it is there."""
        value = self._entries.pop(key, None)
        if value is not None:
            self._bytes -= len(value) + _ENTRY_BYTES

    def _shrink_memory(self):
        """Delete the least recently used entries beyond the largest size."""
        while self._bytes > self.max_bytes:
            self._drop_from_memory(next(iter(self._entries)))
