"""Built networks are used again, by one fit at a time, and cost no memory."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from lungestimators import DenseNetClassifier
from lungestimators.backends import compiled
from lungestimators.networks import pool


@pytest.fixture
def fresh():
    """No built network is left over from earlier, nor after."""
    pool._idle.clear()
    yield
    pool._idle.clear()


@pytest.mark.core
def test_a_reused_network_gives_bitwise_the_model_of_a_new_one(cnn, squares, fresh):
    X, y = squares
    expected = clone(cnn).fit(X, y).predict_proba(X)
    assert pool._idle
    clone(cnn).set_params(random_state=5, learning_rate=0.1, epochs=7).fit(X[:24], y[:24])
    again = clone(cnn).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), expected)


@pytest.mark.parametrize(
    "trainable", ["head", *(pytest.param(t, marks=pytest.mark.slow) for t in ("last_stage", "all"))]
)
def test_every_fitted_classifier_owns_its_weights(squares, trainable):
    X, y = squares
    first, second = (
        DenseNetClassifier(
            weights=None,
            blocks=(1, 1, 1, 1),
            image_size=32,
            trainable=trainable,
            epochs=2,
            fine_tune_epochs=2,
            random_state=seed,
        )
        for seed in (0, 1)
    )
    expected = first.fit(X, y).predict_proba(X)
    second.fit(X, y)
    np.testing.assert_array_equal(first.predict_proba(X), expected)
    for weight in first.model_.weights:
        weight.assign(np.zeros(weight.shape))
    np.testing.assert_array_equal(first.predict_proba(X), expected)


@pytest.mark.core
def test_a_network_whose_borrower_failed_is_thrown_away(cnn, squares, fresh, monkeypatch):
    X, y = squares
    expected = clone(cnn).fit(X, y).predict_proba(X)

    def fail(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(compiled._running_backend().training_steps, "train", fail)
        with pytest.raises(KeyboardInterrupt):
            clone(cnn).fit(X, y)
    np.testing.assert_array_equal(clone(cnn).fit(X, y).predict_proba(X), expected)


@pytest.mark.core
def test_threads_give_the_models_of_a_single_one(cnn, squares):
    X, y = squares
    expected = {seed: clone(cnn).set_params(random_state=seed).fit(X, y) for seed in range(4)}
    found = {}

    def fit(seed):
        found[seed] = clone(cnn).set_params(random_state=seed).fit(X, y)

    threads = [threading.Thread(target=fit, args=(seed,)) for seed in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, clf in expected.items():
        np.testing.assert_array_equal(found[seed].predict_proba(X), clf.predict_proba(X))


def test_joblib_threads_give_the_scores_of_a_single_one(cnn, squares):
    X, y = squares
    expected = cross_val_score(cnn, X, y, cv=4, scoring="neg_log_loss")
    with parallel_config("threading"):
        found = cross_val_score(cnn, X, y, cv=4, scoring="neg_log_loss", n_jobs=2)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_few_networks_are_kept(cnn, squares, fresh):
    X, y = squares
    for units in range(3, 15):
        clone(cnn).set_params(dense_units=units, epochs=1).fit(X, y).predict(X)
    assert sum(map(len, pool._idle.values())) <= pool.MAX_IDLE


HUNDRED_FITS = """
import gc, os
import numpy as np
from lungestimators import CNNClassifier

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

rng = np.random.default_rng(0)
X = rng.integers(0, 255, size=(32, 16, 16), dtype=np.uint8)
y = np.arange(32) % 2
for number in range(100):
    CNNClassifier(
        image_size=16, filters=(4, 8), epochs=2, random_state=number
    ).fit(X, y).predict(X)
    if number in (9, 99):
        print(resident())
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
def test_a_hundred_fits_do_not_grow_memory():
    done = subprocess.run(
        [sys.executable, "-c", HUNDRED_FITS], capture_output=True, text=True, check=True
    )
    after_10, after_100 = map(int, done.stdout.split())
    assert after_100 < 1.1 * after_10
