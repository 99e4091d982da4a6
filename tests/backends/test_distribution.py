"""One network learns on several devices what it learns on one.

JAX makes two devices of one CPU, or two processes one machine; each test reads what such a process
found.
"""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from lungestimators.backends import distribution

pytestmark = pytest.mark.slow

pytest.importorskip("jax")

SQUARES = """
import json, sys
import joblib, numpy as np
import jax, keras
from sklearn.base import clone
from lungestimators import CNNClassifier, backends

rng = np.random.default_rng(0)
X = rng.integers(0, 60, size=(48, 16, 16), dtype=np.uint8)
y = np.tile(["clear", "opaque"], 24)
X[y == "opaque", 4:12, 4:12] += 120
cnn = CNNClassifier(
    image_size=16, filters=(4, 8), dense_units=16, epochs=3, learning_rate=0.01, random_state=0
)
DataParallel = keras.distribution.DataParallel
"""

TWO_DEVICES = """
alone = clone(cnn).fit(X, y)  # a network that was built outside is not used inside
batches = []
split = backends.jax.split_over_jax_devices
def watched(batch, distribution):
    placed = split(batch, distribution)
    batches.append([len(batch), [len(s.data) for s in placed.addressable_shards]])
    return placed
backends.jax.split_over_jax_devices = watched
before = keras.distribution.distribution()
with DataParallel().scope():
    together = clone(cnn).fit(X, y)
    predicted = together.predict_proba(X)
    head = clone(cnn).set_params(trainable="head", early_stopping=True).fit(X, y)
    once = clone(cnn).partial_fit(X[:45], y[:45], classes=["clear", "opaque"])
    try:
        clone(cnn).set_params(batch_size=1).fit(X, y)
    except ValueError as error:
        refused = str(error)
again = clone(cnn).fit(X, y)
backends.jax.split_over_jax_devices = split

def apart(one, other):
    return max(
        float(np.abs(a - b).max())
        for ours, theirs in zip(one._networks[0].parts, other._networks[0].parts)
        for a, b in zip(ours.weights, theirs.weights)
    )

print(json.dumps(dict(
    n_devices=len(jax.devices()),
    batches=batches,
    score=together.score(X, y),
    weights_apart=apart(alone, together),
    probabilities_apart=float(np.abs(alone.predict_proba(X) - predicted).max()),
    outside_the_same=apart(alone, again),
    head_score=head.score(X, y),
    n_iter=once.n_iter_,
    refused=refused,
    left=keras.distribution.distribution() is before,
)))
"""


TWO_PROCESSES = """
process, port = int(sys.argv[1]), sys.argv[2]
keras.distribution.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=process)
alone = clone(cnn).fit(X, y)
keras.distribution.set_distribution(DataParallel())
together = clone(cnn).fit(X, y)
probabilities = together.predict_proba(X)
head = clone(cnn).set_params(trainable="head", early_stopping=True).fit(X, y)
once = clone(cnn).partial_fit(X[:45], y[:45], classes=["clear", "opaque"])
refused = []
changes = dict(random_state=process), dict(epochs=3 + process), dict(dense_units=16 + process)
for change in (*changes, dict(verbose=process)):
    try:
        clone(cnn).set_params(**change).fit(X, y)
    except ValueError as error:
        refused.append(str(error))
try:
    clone(cnn).fit(X[process:], y[process:])
except ValueError as error:
    refused.append(str(error))

print(json.dumps(dict(
    devices=[len(jax.local_devices()), len(jax.devices())],
    score=together.score(X, y),
    apart=float(np.abs(alone.predict_proba(X) - probabilities).max()),
    models=[joblib.hash(fit._networks[0].parts) for fit in (together, head, once)],
    head_score=head.score(X, y),
    refused=refused,
)), flush=True)
"""


def start(program, *arguments, **environment):
    """Start a Python process under JAX, without XLA's optimisations: they take longest."""
    environment |= {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"} | environment,
    )


def finish(process):
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def two_devices():
    """What a process with two devices found."""
    flags = "--xla_force_host_platform_device_count=2"
    return finish(start(SQUARES + TWO_DEVICES, XLA_FLAGS=flags))


def test_each_device_learns_from_half_of_every_batch(two_devices):
    assert two_devices["n_devices"] == 2
    whole = [parts for rows, parts in two_devices["batches"] if rows % 2 == 0]
    rows = [rows for rows, _ in two_devices["batches"] if rows % 2 == 0]
    assert len(whole) > 20
    assert whole == [[n // 2, n // 2] for n in rows]


def test_two_devices_learn_what_one_does(two_devices):
    assert two_devices["score"] > 0.9
    assert two_devices["weights_apart"] < 1e-3
    assert two_devices["probabilities_apart"] < 1e-4


def test_a_network_built_outside_the_scope_is_not_used_inside_nor_the_reverse(two_devices):
    assert two_devices["outside_the_same"] == 0
    assert two_devices["left"]


def test_what_cannot_be_divided_is_learnt_by_every_device(two_devices):
    odd = [parts for rows, parts in two_devices["batches"] if rows % 2]
    assert odd
    assert all(parts[0] == parts[1] for parts in odd)


def test_heads_and_partial_fit_learn_on_two_devices(two_devices):
    assert two_devices["head_score"] > 0.8
    assert two_devices["n_iter"] == 1


def test_a_batch_smaller_than_the_number_of_devices_is_refused(two_devices):
    assert "batch_size=1 is less than the 2 devices" in two_devices["refused"]


@pytest.fixture(scope="module")
def two_processes():
    """What each of two processes found that train one network, as on two machines."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    started = [start(SQUARES + TWO_PROCESSES, n, port) for n in range(2)]
    return [finish(process) for process in started]


def test_two_processes_learn_one_network(two_processes):
    one, other = two_processes
    assert one["devices"] == other["devices"] == [1, 2]
    assert one["models"] == other["models"]
    assert one["score"] > 0.9
    assert one["head_score"] > 0.8


def test_two_processes_learn_what_one_does(two_processes):
    assert max(found["apart"] for found in two_processes) < 1e-4


def test_processes_that_were_given_different_things_are_told_so(two_processes):
    for found in two_processes:
        assert len(found["refused"]) == 4  # another verbosity is none of them
        assert all("all must call fit alike" in message for message in found["refused"])


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "n_devices"),
    [(48, 16, 2), (45, 16, 2), (7, 8, 8), (9, 8, 8), (100, 8, 3), (1027, 256, 4), (13, 4, 4)],
)
def test_every_row_is_dealt_once_and_few_are_for_every_device(
    n_rows, batch_size, n_devices, monkeypatch
):
    monkeypatch.setattr(distribution, "count_devices_of_distribution", lambda found: n_devices)
    rows = np.random.default_rng(0).permutation(n_rows)
    batches = distribution.split_into_distributed_batches(rows, batch_size)
    np.testing.assert_array_equal(np.concatenate(batches), rows)
    assert all(len(batch) % n_devices == 0 for batch in batches[:-1])
    assert all(0 < len(batch) <= batch_size for batch in batches[:-1])
    assert 1 < len(batches[-1]) <= max(batch_size, 2 * n_devices - 1)
    if n_rows % n_devices:
        assert len(batches[-1]) < 2 * n_devices


def test_one_device_deals_as_numpy_splits():
    rows = np.arange(45)
    for ours, theirs in zip(
        distribution.split_into_distributed_batches(rows, 16), np.array_split(rows, 3), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
