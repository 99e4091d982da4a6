"""Keras callbacks that cannot be copied or pickled: made by a function, left out of a pickle."""

import copy
import pickle
import threading

import joblib
import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from tqdm.keras import TqdmCallback

from lungestimators.training.callbacks import picklable_callbacks


class Locked(keras.callbacks.Callback):
    """Count epochs, and hold a lock, as what writes to one file from several threads does."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        with self.lock:
            self.epochs.append(epoch)


class Counted(keras.callbacks.Callback):
    """Count epochs."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(epoch)


class LockedLater(Counted):
    """Can be copied before the training, and not pickled after it."""

    def on_train_begin(self, logs=None):
        self.lock = threading.Lock()


def locked_and_counted():
    return [Locked(), Counted(), keras.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: None)]


def progress_bars():
    return [TqdmCallback(verbose=1)]


@pytest.fixture
def small(cnn):
    return cnn.set_params(epochs=2)


def copies(clf, folder):
    joblib.dump(clf, folder / "clf.joblib")
    return pickle.loads(pickle.dumps(clf)), joblib.load(folder / "clf.joblib"), copy.deepcopy(clf)


class Called(keras.callbacks.Callback):
    """Call the network after every epoch, as callbacks that draw predictions do."""

    def on_train_begin(self, logs=None):
        self.changes = []

    def on_epoch_end(self, epoch, logs=None):
        images = np.random.default_rng(0).uniform(size=(16, *self.model.input_shape[1:]))
        before = self.model.get_weights()
        called = keras.ops.convert_to_numpy(self.model(images.astype("float32")))
        predicted = self.model.predict(images.astype("float32"), verbose=0)
        after = self.model.get_weights()
        moved = sum(not np.array_equal(old, new) for old, new in zip(before, after, strict=True))
        self.changes.append((float(np.abs(called - predicted).max()), moved))


@pytest.mark.core
@pytest.mark.parametrize("augment", [False, True])
def test_a_callback_may_call_the_network_while_it_learns(small, squares, augment):
    X, y = squares
    small.set_params(augment=augment)
    expected = clone(small).fit(X, y).predict_proba(X)
    clf = small.set_params(callbacks=[Called()]).fit(X, y)
    for change, moved in clf.callbacks_[0].changes:
        assert change < 1e-5
        assert moved == 0
    assert len(clf.callbacks_[0].changes) == 2
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


@pytest.mark.core
def test_a_function_makes_the_callbacks_of_every_fit(small, squares, tmp_path):
    X, y = squares
    expected = clone(small).fit(X, y).predict_proba(X)
    clf = clone(small).set_params(callbacks=locked_and_counted)
    first = clf.fit(X, y).callbacks_
    assert [type(callback).__name__ for callback in first] == [
        "Locked",
        "Counted",
        "LambdaCallback",
    ]
    assert first[0].epochs == first[1].epochs == [0, 1]
    assert first[0].model is None
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    assert clf.fit(X, y).callbacks_[0] is not first[0]
    assert clf.callbacks_[0].epochs == [0, 1]
    for same in copies(clf, tmp_path):
        np.testing.assert_array_equal(same.predict_proba(X), expected)
        assert [type(callback).__name__ for callback in same.callbacks_] == ["Counted"]
        assert same.callbacks_[0].epochs == [0, 1]
        assert same.callbacks is locked_and_counted
    assert clone(clf).callbacks is locked_and_counted
    assert len(clf.callbacks_) == 3  # a copy takes nothing away


@pytest.mark.slow
def test_a_callback_that_can_no_longer_be_pickled_is_left_out(small, squares, tmp_path):
    X, y = squares
    clf = clone(small).set_params(callbacks=[LockedLater(), Counted()]).fit(X, y)
    for same in copies(clf, tmp_path):
        assert [type(callback) for callback in same.callbacks_] == [Counted]
        assert [type(callback) for callback in same.callbacks] == [LockedLater, Counted]
        np.testing.assert_array_equal(same.predict_proba(X), clf.predict_proba(X))
        np.testing.assert_array_equal(same.fit(X, y).predict_proba(X), clf.predict_proba(X))


@pytest.mark.slow
@pytest.mark.parametrize("callbacks", [locked_and_counted, [LockedLater(), Counted()]])
def test_workers_give_fitted_classifiers_back(small, squares, callbacks):
    X, y = squares
    clf = small.set_params(callbacks=callbacks)
    found = cross_validate(clf, X, y, cv=2, n_jobs=2, return_estimator=True)
    for fitted in found["estimator"]:
        assert [c.epochs for c in fitted.callbacks_ if isinstance(c, Counted)] == [[0, 1]]
    search = GridSearchCV(clf, {"dropout": [0.1, 0.2]}, cv=2, n_jobs=2, error_score="raise")
    assert search.fit(X, y).best_estimator_.n_iter_ == 2


@pytest.mark.slow
def test_the_progress_bar_of_tqdm_is_made_by_a_function(small, squares, tmp_path, capsys):
    X, y = squares
    with pytest.raises(TypeError, match=r"cannot be copied.*lambda: \[TqdmCallback\(\)\]"):
        clone(small).fit(X, y).set_params(callbacks=progress_bars()).fit(X, y)
    clf = clone(small).set_params(callbacks=progress_bars).fit(X, y)
    assert "100%" in capsys.readouterr().err
    for same in copies(clf, tmp_path):
        assert same.callbacks_ == []
        assert same.fit(X, y).n_iter_ == 2
    search = GridSearchCV(clf, {"dropout": [0.1, 0.2]}, cv=2, n_jobs=2, error_score="raise")
    assert search.fit(X, y).best_estimator_.n_iter_ == 2


@pytest.mark.slow
def test_tensorboard_writes_and_the_classifier_is_saved(small, squares, tmp_path):
    pytest.importorskip("tensorboard", reason="keras.callbacks.TensorBoard needs tensorboard")
    X, y = squares
    expected = clone(small).fit(X, y).predict_proba(X)
    clf = clone(small).set_params(callbacks=[keras.callbacks.TensorBoard(tmp_path / "logs")])
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), expected)
    assert list((tmp_path / "logs").rglob("events.out.*"))
    for same in copies(clf, tmp_path):
        np.testing.assert_array_equal(same.predict_proba(X), expected)
        assert same.fit(X, y).n_iter_ == 2
    clone(clf).fit(X, y)
    search = GridSearchCV(clf, {"dropout": [0.1, 0.2]}, cv=2, n_jobs=2, error_score="raise")
    assert search.fit(X, y).best_estimator_.n_iter_ == 2


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: 3, TypeError, r"callbacks\(\) returned 3, which must be None, a list"),
        (Counted, TypeError, "must be None, a list .* or a function without arguments"),
        (lambda: Counted(), TypeError, r"callbacks\(\) returned .*, which must be None, a list"),
        (lambda: [Counted], TypeError, r"list of callbacks\(\) holds the class Counted"),
        (lambda: [keras.callbacks.ReduceLROnPlateau()], ValueError, "falls along a cosine"),
        (lambda: 1 / 0, ZeroDivisionError, "division"),
    ],
)
def test_a_function_that_makes_no_callbacks_is_a_clear_error(small, squares, make, error, message):
    X, y = squares
    expected = small.fit(X, y).predict_proba(X)
    with pytest.raises(error, match=message):
        small.set_params(callbacks=make).fit(X, y)
    np.testing.assert_array_equal(small.predict_proba(X), expected)


def test_a_function_may_make_none(small, squares):
    for nothing in (lambda: None, lambda: []):
        assert small.set_params(callbacks=nothing).fit(*squares).callbacks_ == []


def test_only_what_pickle_refuses_is_left_out():
    kept, lost = Counted(), Locked()
    assert picklable_callbacks([lost, kept, lost]) == [kept]
