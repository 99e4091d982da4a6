"""Workers of joblib and Dask: the same numbers to the bit, on cores and GPUs of their own."""

import multiprocessing
import os
import random
import subprocess
import sys
import threading
from collections import OrderedDict

import joblib
import keras
import numpy as np
import pytest
import tensorflow as tf
from dask.distributed import Client, LocalCluster
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.backend.process import LokyProcess
from optuna.distributions import FloatDistribution
from optuna.pruners import NopPruner
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict, cross_val_score

from lungestimators import (
    BackboneFeatures,
    CNNClassifier,
    DenseNetClassifier,
    OptunaSearch,
    make_chest_xrays,
)
from lungestimators.backends import devices
from lungestimators.networks import blueprints, pool

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    """Two processes of Dask, whose change of our environment is undone."""
    get_reusable_executor().shutdown(wait=True)  # other tests' workers have cores of their own
    environment = dict(os.environ)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        os.environ.clear()
        os.environ.update(environment)
        yield client


def used_by_worker():
    """What a worker's framework may use: the cores of each of its threads, and how many threads."""
    devices.prepare_devices()
    cores = {frozenset(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")}
    return cores, os.sched_getaffinity(os.getppid())


@pytest.mark.skipif(os.cpu_count() < 2, reason="two workers share the only core there is")
def test_all_threads_of_a_worker_stay_on_a_core_that_no_other_has(cluster):
    found = cluster.run(used_by_worker)
    first, second = (cores for cores, _ in found.values())
    assert len(first) == len(second) == 1
    assert [*map(len, first | second)] == [1, 1]
    assert all(parent == os.sched_getaffinity(0) for _, parent in found.values())


@pytest.fixture(params=["loky", "dask"])
def backend(request):
    """Each way to have two worker processes, as a context."""
    if request.param == "dask":
        request.getfixturevalue("cluster")
    with joblib.parallel_config(request.param):
        yield request.param


@pytest.fixture(scope="module")
def chests():
    """Images of which joblib makes a read-only memory map: they have more than a megabyte."""
    X, y = make_chest_xrays(72, image_size=64, random_state=0)
    X = X.astype(np.float32)
    assert X.nbytes > 2**20
    return X, y


@pytest.fixture(scope="module")
def sequential(chests):
    """Probabilities and scores of a CNN, of two folds each, in this process."""
    return folds(chests, None)


def folds(chests, n_jobs):
    clf = CNNClassifier(image_size=32, filters=(16, 32), epochs=2, random_state=0)
    return (
        cross_val_predict(clf, *chests, cv=2, method="predict_proba", n_jobs=n_jobs),
        cross_val_score(clf, *chests, cv=2, scoring="neg_log_loss", n_jobs=n_jobs),
    )


def test_folds_in_workers_are_those_of_one_process_to_the_bit(backend, chests, sequential):
    environment, cores = dict(os.environ), os.sched_getaffinity(0)
    probabilities, scores = folds(chests, 2)
    np.testing.assert_array_equal(probabilities, sequential[0])
    np.testing.assert_array_equal(scores, sequential[1])
    assert dict(os.environ) == environment
    assert os.sched_getaffinity(0) == cores


def test_workers_share_a_directory_of_features_of_files(backend, chests, tmp_path):
    X, y = chests
    paths = [tmp_path / f"{number}.png" for number in range(24)]
    for path, pixels in zip(paths, X, strict=False):
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    clf = DenseNetClassifier(
        blocks=(1, 1, 1, 1),
        image_size=32,
        weights=None,
        trainable="head",
        epochs=2,
        random_state=0,
    )

    def scores(cache, n_jobs):
        clf.set_params(feature_cache=cache)
        return cross_val_score(clf, paths, y[:24], cv=2, scoring="neg_log_loss", n_jobs=n_jobs)

    np.testing.assert_array_equal(scores(tmp_path / "features", 2), scores(None, None))


def test_trials_of_a_search_in_workers_are_those_of_one_process_to_the_bit(backend, squares, cnn):
    def trials(n_jobs):
        search = OptunaSearch(
            cnn,
            {"learning_rate": FloatDistribution(1e-3, 1e-1, log=True)},
            cv=2,
            scoring="neg_log_loss",
            n_trials=4,  # the default sampler begins with trials that do not depend on others
            pruner=NopPruner(),
            n_jobs=n_jobs,
            random_state=0,
        ).fit(*squares)
        names = ["number", "param_learning_rate", "split0_test_score", "split1_test_score"]
        rows = np.stack([np.asarray(search.cv_results_[name], float) for name in names])
        return rows[:, rows[0].argsort()], search.predict_proba(squares[0])

    for found, expected in zip(trials(2), trials(None), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_network_does_not_depend_on_what_other_threads_draw():
    def weights():
        blueprints.build_blueprint.cache_clear()
        return blueprints.initial_head_blueprint(64, 3, 16, 0.5, 0).weights[4]

    expected = weights()
    stop = threading.Event()

    def draw():
        while not stop.is_set():
            random.random()

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        for _ in range(5):
            np.testing.assert_array_equal(weights(), expected)
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def claimer(request):
    """Start a process that claims a number of four names, and say which it has."""
    kind = f"test {os.getpid()} {request.node.name}"
    processes = []

    def start(number):
        program = (
            "import signal; from lungestimators.backends import devices\n"
            f"print(*devices._claim_cores_or_gpus({kind!r}, list('abcd'), {number}), flush=True)\n"
            "signal.pause()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        return process, process.stdout.readline().split()

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_what_a_killed_worker_had_is_free_again(claimer):
    first, names = claimer(2)
    assert sorted(names + claimer(2)[1]) == ["a", "b", "c", "d"]
    first.kill()
    first.wait()
    assert sorted(claimer(2)[1]) == sorted(names)


def test_more_workers_than_cores_share_them_evenly(claimer):
    claims = [claimer(2)[1] for _ in range(4)]
    assert sorted(np.concatenate(claims)) == sorted("abcd" * 2)
    assert all(len(set(names)) == 2 for names in claims)


@pytest.mark.parametrize(
    ("threads", "cores", "n_own"),
    [
        ("1", {0, 1, 2, 3}, 1),
        ("3", {0, 2, 4, 6}, 3),
        ("4", {0, 1, 2, 3}, None),
        ("1", {5}, None),
        ("2,1", {0, 1, 2, 3}, None),
        (None, {0, 1, 2, 3}, None),
    ],
)
def test_a_worker_takes_as_many_cores_as_it_was_told(monkeypatch, threads, cores, n_own):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    taken = {}
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: cores)
    monkeypatch.setattr(os, "sched_setaffinity", taken.__setitem__)
    monkeypatch.setattr(devices, "_claims", [])
    devices._confine_to_own_cpu_cores()
    if n_own is None:
        assert not taken
    else:
        assert os.getpid() in taken
        assert all(len(own) == n_own and set(own) <= cores for own in taken.values())


def test_a_task_of_dask_counts_for_as_many_threads_as_its_worker_has_tasks(cluster):
    assert cluster.submit(devices._count_given_cpu_cores).result() == 1
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=3, host="127.0.0.1", dashboard_address=None
        ) as wide,
        Client(wide, set_as_default=False) as client,
    ):
        assert client.submit(devices._count_given_cpu_cores).result() == 3


def test_only_workers_of_joblib_and_dask_on_linux_are_confined(monkeypatch):
    def is_worker(process):
        monkeypatch.setattr(multiprocessing, "current_process", lambda: process)
        return devices._is_worker_with_own_devices()

    assert not devices._is_worker_with_own_devices()
    assert not is_worker(multiprocessing.Process(name="a server's"))
    loky = LokyProcess()
    assert is_worker(loky)
    assert is_worker(multiprocessing.Process(name="Dask Worker process (from Nanny)"))
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not is_worker(loky)


def test_a_worker_that_may_not_be_confined_works_on(monkeypatch):
    def refuse(*arguments):
        raise PermissionError("by the container")

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: {0, 1, 2, 3})
    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    monkeypatch.setattr(devices, "_claims", [])
    devices._confine_to_own_cpu_cores()


def test_a_worker_that_can_claim_no_gpu_takes_the_first(monkeypatch):
    def refuse(*arguments):
        raise PermissionError("by the container")

    monkeypatch.setattr(devices.socket, "socket", refuse)
    assert devices._claim_own_gpu(4) == 0


@pytest.fixture
def gpus(monkeypatch):
    """TensorFlow with two GPUs that are not there; what is asked of it is recorded."""
    asked = {"visible": None, "growing": []}
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: ["first", "second"])
    monkeypatch.setattr(
        tf.config, "set_visible_devices", lambda gpus, kind: asked.update(visible=gpus)
    )
    monkeypatch.setattr(
        tf.config.experimental,
        "set_memory_growth",
        lambda gpu, enable: asked["growing"].append(gpu),
    )
    monkeypatch.setattr(devices, "_confine_to_own_cpu_cores", lambda: None)
    monkeypatch.setattr(devices, "_claims", [])
    return asked


def test_each_worker_has_one_gpu_whose_memory_grows(gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"{os.getpid()},other{os.getpid()}")
    devices._prepare_tensorflow_devices(is_worker=True)
    first = gpus["visible"]
    devices._prepare_tensorflow_devices(is_worker=True)
    assert sorted(first + gpus["visible"]) == ["first", "second"]
    assert gpus["growing"] == first + gpus["visible"]


def test_the_main_process_keeps_all_gpus_whose_memory_grows(gpus):
    devices._prepare_tensorflow_devices(is_worker=False)
    assert gpus == {"visible": None, "growing": ["first", "second"]}


def test_gpus_that_are_in_use_are_left_as_they_are(gpus, monkeypatch):
    def refuse(gpu, enable):
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", refuse)
    devices._prepare_tensorflow_devices(is_worker=False)
    assert gpus["visible"] is None


@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict_proba", "model_", "transform"])
def test_devices_are_settled_before_keras_creates_a_variable(method, squares, cnn, monkeypatch):
    class Settled(Exception):
        pass

    def refuse(*args, **kwargs):
        raise AssertionError("a variable was created before the devices were settled")

    def settle():
        raise Settled

    X, y = squares
    clf = cnn.set_params(epochs=1).fit(X, y)
    features = BackboneFeatures("MobileNetV3Small", weights=None, image_size=32)
    monkeypatch.setattr(devices, "prepare_devices", settle)
    monkeypatch.setattr(keras.Variable, "__init__", refuse)
    monkeypatch.setattr(pool, "_idle", OrderedDict())
    calls = {
        "fit": lambda: clf.fit(X, y),
        "partial_fit": lambda: clone(clf).partial_fit(X, y, classes=np.unique(y)),
        "predict_proba": lambda: clf.predict_proba(X),
        "model_": lambda: clf.model_,
        "transform": lambda: features.fit(X),
    }
    with pytest.raises(Settled):
        calls[method]()
