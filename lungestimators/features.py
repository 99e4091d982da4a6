"""What does not learn runs once: prepared images, and the features of frozen backbones."""

import hashlib
import os
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path

import keras
import numpy as np

from . import images, networks, reuse

# Every forward pass has this many rows, the last batch being padded: a convolution may round
# differently in a batch of another size, and an image's features must not depend on its company.
FORWARD_BATCH_SIZE = 16


def prepare(X, image_size, channels, pixel_range):
    """Pixels or paths -> images as a backbone takes them.

    Parameters
    ----------
    X : ndarray of shape (n, height, width, channels) or list of str
    image_size, channels : int
    pixel_range : tuple of (float, float) or None
        The pixel values of an array that become 0 and 1; None for files, which know their own.

    Returns
    -------
    ndarray of shape (n, image_size, image_size, channels), float32, in 0..1
    """
    prepared = np.empty((len(X), image_size, image_size, channels), np.float32)
    if isinstance(X, list):
        preprocess = networks.build_preprocessing((None, None, channels), image_size, (0, 1))
        for row, path in enumerate(X):
            image = images.read_image(path, channels)
            prepared[row] = keras.ops.convert_to_numpy(preprocess(image[None]))[0]
        return prepared
    preprocess = networks.build_preprocessing(X.shape[1:], image_size, pixel_range)
    for start in range(0, len(X), 64):
        batch = X[start : start + 64].astype(np.float32)
        prepared[start : start + 64] = keras.ops.convert_to_numpy(preprocess(batch))
    return prepared


def forward(network, inputs):
    """Run ``network`` over ``inputs`` at the fixed batch size.

    Returns
    -------
    ndarray of shape (n, outputs), float32
    """
    outputs = np.empty((len(inputs), network.output_shape[-1]), np.float32)
    for start in range(0, len(inputs), FORWARD_BATCH_SIZE):
        batch = inputs[start : start + FORWARD_BATCH_SIZE]
        padding = FORWARD_BATCH_SIZE - len(batch)
        padded = np.pad(batch, [(0, padding)] + [(0, 0)] * (batch.ndim - 1))
        outputs[start : start + len(batch)] = network.predict_on_batch(padded)[: len(batch)]
    return outputs


def run(blueprint, inputs):
    """Run the network of a blueprint over ``inputs``, in a network borrowed for it."""
    key = ("forward", blueprint.architecture)
    with reuse.borrow(key, blueprint.build) as network:
        network.set_weights(blueprint.weights)
        return forward(network, inputs)


def extract(backbone, prepared, cache):
    """Features of prepared images, each computed once and then kept.

    Parameters
    ----------
    backbone : reuse.Blueprint
        The frozen network.
    prepared : ndarray of shape (n, image_size, image_size, channels), float32
    cache : {"memory", None} or path
        Where features are kept: in this process, nowhere, or in a directory.

    Returns
    -------
    ndarray of shape (n, n_features), float32
    """
    if cache is None:
        return run(backbone, prepared)
    store = _memory if cache == "memory" else DirectoryStore(cache)
    network = _digest(backbone.architecture.encode(), *backbone.weights)
    keys = [_digest(network, image) for image in prepared]
    found = {key: store.get(key) for key in dict.fromkeys(keys)}
    missing = {key: row for row, key in enumerate(keys) if found[key] is None}
    if missing:
        computed = run(backbone, prepared[list(missing.values())])
        for key, features in zip(missing, computed, strict=True):
            found[key] = features
            store.put(key, features)
    return np.stack([found[key] for key in keys])


def _digest(*parts):
    digest = hashlib.blake2b(digest_size=20)
    for part in parts:
        digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part))
    return digest.digest()


class MemoryStore:
    """Features in this process, the least recently used leaving first."""

    def __init__(self, max_bytes):
        self.max_bytes = max_bytes
        self._entries = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key):
        """Return the features kept under ``key``, or None."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key, features):
        """Keep a copy of ``features``."""
        with self._lock:
            if key in self._entries:
                return
            self._entries[key] = features.copy()
            self._bytes += features.nbytes
            while self._bytes > self.max_bytes:
                self._bytes -= self._entries.popitem(last=False)[1].nbytes


_memory = MemoryStore(512 * 2**20)


class DirectoryStore:
    """Features in a directory, one file an image; a file appears whole or not at all."""

    def __init__(self, path):
        self._path = Path(path).expanduser()
        self._path.mkdir(parents=True, exist_ok=True)

    def get(self, key):
        """Return the features kept under ``key``, or None: not there, or damaged."""
        try:
            return np.load(self._file(key), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None

    def put(self, key, features):
        """Keep ``features``."""
        with tempfile.NamedTemporaryFile(dir=self._path, suffix=".part", delete=False) as part:
            np.save(part, features)
        os.replace(part.name, self._file(key))

    def _file(self, key):
        return self._path / f"{key.hex()}.npy"
