"""Processes that are forked after TensorFlow or JAX had run say so instead of waiting for ever."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(os, "fork"), reason="there are no forks on this operating system"
    ),
]

BEGIN = """
import faulthandler, os, signal, sys, time, warnings
faulthandler.register(signal.SIGUSR1)  # forked processes have it as well
import numpy as np, joblib, multiprocessing
from sklearn.base import clone
from lungestimators import BackboneFeatures, CNNClassifier
warnings.filterwarnings("ignore")
rng = np.random.default_rng(0)
X, y = rng.integers(0, 255, (12, 16, 16), dtype=np.uint8), np.tile(["a", "b"], 6)
clf = CNNClassifier(image_size=8, filters=(2,), dense_units=4, epochs=1, random_state=0)
features = BackboneFeatures("MobileNetV3Small", image_size=32, weights=None, random_state=0)

def in_a_fork(function):
    \"\"\"Say what happens to a function in a forked process that has half a minute.\"\"\"
    with multiprocessing.get_context("fork").Pool(1) as pool:
        start = time.perf_counter()
        try:
            answer = pool.apply_async(function).get(timeout=30)
        except multiprocessing.TimeoutError:
            return "hangs"
        except RuntimeError as error:
            assert time.perf_counter() - start < 10
            answer = str(error)[:70]
        pool.close()
        pool.join()  # a process that is stopped while it answers keeps a lock that others wait for
        return answer

def fit():
    return clone(clf).fit(X, y).predict_proba(X).shape

def predict():
    return clf.predict_proba(X).shape

def partial_fit():
    return clone(clf).partial_fit(X, y, classes=["a", "b"]).n_iter_

def transform():
    return clone(features).set_params(feature_cache=None).fit_transform(X).shape[0]

def model():
    return clf.model_.name
"""
REFUSED = "this process was forked from one in which {} had run, and {}'s threads"


def run(program, backend="tensorflow"):
    """Return the lines that a program writes; if it hangs, fail with where its processes stand."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-W", "ignore", "-c", BEGIN + program],
        env=os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGUSR1)
        time.sleep(5)
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        pytest.fail(f"It hangs after it wrote {output!r}:\n{errors}")
    finally:
        with contextlib.suppress(ProcessLookupError):  # all of them have ended
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, errors
    return output.splitlines()


@pytest.mark.parametrize(("backend", "name"), [("tensorflow", "TensorFlow"), ("jax", "JAX")])
def test_a_process_that_is_forked_after_a_fit_says_so(backend, name):
    if backend == "jax":
        pytest.importorskip("jax")
    program = """
clf.fit(X, y)
for function in (fit, predict, partial_fit, transform, model):
    print(in_a_fork(function))
"""
    expected = REFUSED.format(name, name)[:70]
    assert run(program, backend) == [expected] * 5


def test_joblibs_multiprocessing_backend_fails_at_once_after_a_fit():
    # Not with error_score="raise": joblib then stops the other process at the first error, and
    # waits for ever for a lock if that process was just writing an error of its own.
    program = """
from sklearn.model_selection import cross_val_score
clf.fit(X, y)
start = time.perf_counter()
with joblib.parallel_config(backend="multiprocessing"):
    try:
        cross_val_score(clf, X, y, cv=2, n_jobs=2)
    except ValueError as error:
        print("loky" in str(error), time.perf_counter() - start < 20)
print(cross_val_score(clf, X, y, cv=2, n_jobs=2, error_score="raise").shape)
"""
    assert run(program) == ["True True", "(2,)"]


def test_a_fork_before_the_first_fit_works():
    program = """
print(in_a_fork(fit), in_a_fork(transform))
from sklearn.model_selection import cross_val_score
with joblib.parallel_config(backend="multiprocessing"):
    print(cross_val_score(clf, X, y, cv=2, n_jobs=2, error_score="raise").shape)
"""
    assert run(program) == ["(12, 2) 12", "(2,)"]


def test_a_fork_after_the_user_ran_tensorflow_says_so():
    program = """
import tensorflow as tf
tf.zeros(3)
print(in_a_fork(fit))
"""
    assert run(program) == [REFUSED.format("TensorFlow", "TensorFlow")[:70]]


def test_features_that_are_known_need_no_framework_in_a_fork():
    program = """
def known():
    return features.transform(X).shape[0]
features.fit_transform(X)
print(in_a_fork(known))
"""
    assert run(program) == ["12"]


def test_a_spawned_process_works_after_a_fit(tmp_path):
    script = tmp_path / "spawned.py"
    script.write_text(
        BEGIN
        + """
if __name__ == "__main__":
    clf.fit(X, y)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply_async(fit).get(timeout=120))
"""
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == "(12, 2)\n", done.stderr
