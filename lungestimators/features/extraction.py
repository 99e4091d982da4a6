"""Features of images: a frozen network runs once per image, and the store keeps its outputs.

A vector is kept under a key of everything that it depends on: the pixels as the network sees them,
and the network's architecture, precision and weights. A second, quick key (a file's path, size and
times; an array's bytes) leads to the key of the pixels, so that known images are not even decoded.
"""

import functools
import operator
import os

import numpy as np
import xxhash

from .. import __version__
from ..backends.compiled import FORWARD_BATCH_SIZE as _BATCH
from ..backends.startup import keras
from ..images.hashing import digest, update_hash
from ..images.progress import ProgressBar
from ..images.reading import read_files_in_threads
from ..networks import augmentation, onnx_sessions
from .cache import open_feature_cache

# Version of the way in which networks are run: vectors of another one may have other bits.
_VERSION = 2

# Images that are looked up in the store at once.
_LOOK_UP = 64

# Added to the error if an image file cannot be read.
_GO_ON = "Features computed so far are kept: the next call goes on from there."


class _Arrays:
    """Arrays that are never written to, compared by identity, to key a cached function."""

    def __init__(self, arrays):
        self.arrays = arrays

    def __hash__(self):
        return hash(tuple(map(id, self.arrays)))

    def __eq__(self, other):
        return len(self.arrays) == len(other.arrays) and all(
            map(operator.is_, self.arrays, other.arrays)
        )


@functools.lru_cache(maxsize=2)
def _hash_of_extracting_network(versions, architecture, weights):
    """Hash of a network's architecture and weights, computed once and copied for each view."""
    weights = map(np.ascontiguousarray, weights.arrays)
    return update_hash(xxhash.xxh3_128(), versions.encode(), architecture.encode(), *weights)


def _versions_in_extraction(runtime):
    """Return the versions of the package and of what runs it: another may round differently."""
    if runtime == "onnxruntime":
        return f"{_VERSION} {__version__} onnxruntime {onnx_sessions.version_of_onnx_runtime()}"
    backend = keras.backend.backend()
    version = __import__(backend).__version__
    return f"{_VERSION} {__version__} {keras.__version__} {backend} {version}"


def stream_features(network, images, cache, *, augment=None, view=b"", verbose=0):
    """Yield the features of images: from the store if it has them, else by running the network.

    Parameters
    ----------
    network : blueprints.Blueprint
        A frozen network.
    images : Images
    cache : {"memory", None} or str
        Where features are kept: in this process, nowhere, or in a directory.
    augment : str, optional
        The result of ``augmentation.augmentation_as_json``: the network sees an augmented view.
    view : bytes
        Another value gives another view of each image.
    verbose : int
        Whether to show a progress bar.

    Yields
    ------
    rows : ndarray of int
        Numbers of images; each number is yielded once, in any order.
    vectors : ndarray of shape (len(rows), network.n_outputs), float32
        The features of these images.
    """
    kept = None if cache is None else _NetworkStore(open_feature_cache(cache), network, view)
    rows = np.arange(len(images))
    quick = [None] * len(rows)
    if kept is not None:
        for start in range(0, len(images), _LOOK_UP):
            some = rows[start : start + _LOOK_UP]
            quick[start : start + _LOOK_UP] = images.quick_keys(some)
            known = kept.look_up(quick[start : start + _LOOK_UP])
            if known:
                found = some[list(known)]
                yield found, np.stack(list(known.values()))
                rows[found] = -1
        rows = rows[rows >= 0]
        if cache != "memory":
            # Processes that share a directory begin anywhere, so that each finds others' vectors.
            rows = np.roll(rows, int.from_bytes(os.urandom(4)))

    def read(rows):
        prepared = images.prepare(rows)
        if kept is None:
            return rows, prepared, None
        # A file that changed while it was read gets no quick key.
        before = [quick[row] for row in rows]
        after = images.quick_keys(rows)
        same = [a if a == b else None for a, b in zip(before, after, strict=True)]
        return rows, prepared, same

    bar, n_done = (
        ProgressBar(len(rows), _title_of_extraction(len(images), len(rows)), verbose > 0),
        0,
    )
    batches = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    advice = "" if kept is None else _GO_ON
    for some, prepared, keys in read_files_in_threads(read, batches, images.paths(), advice):

        def compute(needed, prepared=prepared):
            images = prepared[needed]
            if augment is not None:
                images = augmentation.augment_images(images, augment, view)
            bar.start()
            return network.run(images)

        if kept is None:
            vectors = compute(slice(None))
        else:
            vectors = kept.fill([digest(image) for image in prepared], keys, compute)
        n_done += len(some)
        bar.show(n_done)
        yield some, vectors
    bar.close()


def _title_of_extraction(n_images, n_left):
    """Say how many images there are, and how many of them the store knows."""
    n_known = n_images - n_left
    known = f", of which {n_known} {'is' if n_known == 1 else 'are'} known" * (n_known > 0)
    return f"Features of {n_images} images{known}"


def extract_features(network, images, cache, *, verbose=0):
    """Return the features of images as one array, in the order of the images.

    Returns
    -------
    ndarray of shape (n, network.n_outputs), float32
    """
    vectors = np.empty((len(images), network.n_outputs), np.float32)
    for rows, some in stream_features(network, images, cache, verbose=verbose):
        vectors[rows] = some
    return vectors


class _NetworkStore:
    """The vectors of one network in a store.

    Parameters
    ----------
    store : MemoryStore or DirectoryStore
    network : Blueprint
    view : bytes
        Part of the key of each vector.
    """

    def __init__(self, store, network, view):
        self._store = store
        self._n_bytes = 4 * network.n_outputs
        network_hash = _hash_of_extracting_network(
            _versions_in_extraction(network.runtime),
            network.architecture,
            _Arrays(network.weights),
        )
        self._network = update_hash(network_hash.copy(), view).digest()

    def look_up(self, quick):
        """Return the vectors that are known, by their positions in a list of quick keys."""
        contents = self._store.get({key for key in quick if key is not None})
        vectors = self._vectors(contents.values())
        found = {
            number: vectors[contents[key]]
            for number, key in enumerate(quick)
            if contents.get(key) in vectors
        }
        self._store.count(hits=len(found), misses=0)
        return found

    def fill(self, contents, quick, compute):
        """Return the vectors of prepared images; missing vectors are computed and kept.

        Parameters
        ----------
        contents : list of bytes
            A digest of each prepared image.
        quick : list of (bytes or None)
            The quick key of each image, under which its digest is kept.
        compute : callable
            Positions in the list -> vectors.
        """
        # One thread computes at a time, and the others then find its vectors.
        with self._store.computing:
            vectors = self._vectors(contents)
            positions = {content: number for number, content in enumerate(contents)}
            missing = {content: n for content, n in positions.items() if content not in vectors}
            entries = {
                key: content
                for key, content in zip(quick, contents, strict=True)
                if key is not None
            }
            if missing:
                computed = dict(zip(missing, compute(list(missing.values())), strict=True))
                vectors.update(computed)
                entries |= {self._key(content): v.tobytes() for content, v in computed.items()}
            if entries:
                self._store.put(entries)
        self._store.count(hits=len(contents) - len(missing), misses=len(missing))
        return np.stack([vectors[content] for content in contents])

    def _key(self, content):
        """Return the key of a vector: of the network and of the prepared image."""
        return digest(self._network, content)

    def _vectors(self, contents):
        """Return the known vectors, by the digests of their prepared images."""
        keys = {self._key(content): content for content in contents}
        found = self._store.get(keys)
        # A value of another length is no vector of this network; it is computed again.
        return {
            keys[key]: np.frombuffer(value, np.float32)
            for key, value in found.items()
            if len(value) == self._n_bytes
        }
