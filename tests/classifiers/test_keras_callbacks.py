"""Keras callbacks see and stop the training, and change nothing else."""

import pickle
from collections import OrderedDict

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from lungestimators.networks import pool
from lungestimators.training.callbacks import release_callbacks

from .observers import FITS, Observer, assert_same_model


class Recorder(keras.callbacks.Callback):
    """Write down every call, and the weights at the end of each epoch."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.calls = []
        self.weights = []
        self.stop_at = stop_at

    def _note(self, name, *numbers):
        self.calls.append((name, *numbers))
        if self.calls[-1] == self.stop_at:
            self.model.stop_training = True

    def on_train_begin(self, logs=None):
        assert self.model.optimizer is not None
        self.started_with = dict(self.params)
        self._note("train begin")

    def on_train_end(self, logs=None):
        self._note("train end")

    def on_epoch_begin(self, epoch, logs=None):
        self._note("epoch begin", epoch)

    def on_epoch_end(self, epoch, logs=None):
        self.logs = dict(logs)
        self.weights.append(self.model.get_weights())
        self._note("epoch end", epoch)

    def on_train_batch_begin(self, batch, logs=None):
        self._note("batch begin", batch)

    def on_train_batch_end(self, batch, logs=None):
        assert logs["loss"] > 0
        self._note("batch end", batch)


def test_keras_callbacks_see_the_training_as_keras_shows_it(cnn, squares, monkeypatch):
    X, y = squares
    plain = clone(cnn).set_params(epochs=2).fit(X, y)
    given = Recorder()
    clf = clone(cnn).set_params(epochs=2, callbacks=[given], early_stopping=False)
    assert clf.fit(X, y) is clf
    assert_same_model(clf, plain, X)
    (recorder,) = clf.callbacks_
    # Three batches of 16 small images are handed over at once.
    epochs = [
        call
        for epoch in range(2)
        for call in (
            ("epoch begin", epoch),
            ("batch begin", 0),
            ("batch end", 2),
            ("epoch end", epoch),
        )
    ]
    assert recorder.calls == [("train begin",), *epochs, ("train end",)]
    assert recorder.started_with == {"epochs": 2, "steps": 3, "verbose": 0}
    assert recorder.logs["loss"] == clf.history_["loss"][-1]
    assert not np.array_equal(recorder.weights[0][2], recorder.weights[1][2])
    monkeypatch.setattr("lungestimators.training.epochs._CALL_BYTES", 1)
    one_by_one = clone(clf).fit(X, y)
    batches = [call for call in one_by_one.callbacks_[0].calls if call[0] == "batch end"]
    assert batches == [("batch end", number) for number in (0, 1, 2)] * 2
    np.testing.assert_allclose(one_by_one.predict_proba(X), plain.predict_proba(X), rtol=1e-3)


def test_fit_takes_copies_of_keras_callbacks(cnn, squares):
    given = Recorder()
    clf = clone(cnn).set_params(callbacks=[given])
    parameter = clf.callbacks
    first = clf.fit(*squares).callbacks_[0]
    second = clf.fit(*squares).callbacks_[0]
    assert clf.callbacks is parameter
    assert parameter[0] is given
    assert given.calls == []
    assert given.model is None
    assert first.calls == second.calls
    assert first is not second
    assert clone(cnn).fit(*squares).callbacks_ == []


class Tampering(keras.callbacks.Callback):
    """Change what is no weight: which layers learn, or how long a gradient may be."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def on_train_begin(self, logs=None):
        self.change(self.model)


def freeze_batch_norm(model):
    for layer in model.learning_batch_norms():
        layer.trainable = False


def clip(model):
    model.optimizer.clipnorm = 1e-6


@pytest.mark.parametrize(
    ("optimizer", "change"), [("adam", freeze_batch_norm), ("sgd", clip)], ids=["freeze", "clip"]
)
def test_what_a_keras_callback_does_to_its_network_ends_with_its_fit(
    cnn, squares, optimizer, change, monkeypatch
):
    X, y = squares
    cnn.set_params(optimizer=optimizer)
    expected = clone(cnn).fit(X, y)
    monkeypatch.setattr(pool, "_idle", OrderedDict())  # a network whose steps are not yet traced
    clone(cnn).set_params(callbacks=[Tampering(change)]).fit(X, y)
    assert_same_model(clone(cnn).fit(X, y), expected, X)


def test_a_fitted_classifier_with_keras_callbacks_is_pickled_without_the_network(
    cnn, squares, tmp_path
):
    X, y = squares
    callbacks = [
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.EarlyStopping("loss", restore_best_weights=True),
        keras.callbacks.TerminateOnNaN(),
    ]
    clf = clone(cnn).set_params(callbacks=callbacks).fit(X, y)
    assert all(callback.model is None for callback in clf.callbacks_)
    copied = pickle.loads(pickle.dumps(clf))
    assert_same_model(copied, clf, X)
    assert copied.callbacks_[1].best == clf.callbacks_[1].best
    assert_same_model(copied.fit(X, y), clf, X)


def test_callbacks_let_go_of_the_network_under_every_name():
    callback = keras.callbacks.Callback()
    callback.set_model(keras.Sequential())
    callback.net, callback.rate = callback.model, 0.5
    release_callbacks([callback])
    assert callback.model is None and callback.net is None
    assert callback.rate == 0.5


def test_a_csv_logger_writes_the_history(cnn, squares, tmp_path):
    clf = clone(cnn).set_params(callbacks=[keras.callbacks.CSVLogger(tmp_path / "log.csv")])
    clf.fit(*squares)
    header, *rows = (tmp_path / "log.csv").read_text().splitlines()
    column = header.split(",").index("loss")
    assert [float(row.split(",")[column]) for row in rows] == pytest.approx(clf.history_["loss"])


def test_keras_early_stopping_goes_back_to_its_best_epoch(cnn, squares):
    X, y = squares
    y = np.random.default_rng(0).permutation(y)
    stopping = keras.callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True)
    clf = clone(cnn).set_params(callbacks=[stopping], learning_rate=3.0, epochs=40)
    observer = Observer()
    clf.set_callbacks(observer).fit(X, y)
    losses = clf.history_["loss"]
    assert clf.n_iter_ == len(losses) < 40
    assert clf.callbacks_[0].best_epoch == np.argmin(losses) == len(losses) - 3
    assert_same_model(observer.fitted[-1], clf, X)
    np.testing.assert_array_equal(
        observer.fitted[np.argmin(losses)].predict_proba(X), clf.predict_proba(X)
    )


@pytest.mark.parametrize(
    ("stop_at", "n_iter"), [(("epoch end", 1), 2), (("batch end", 0), 1)], ids=["epoch", "batch"]
)
def test_a_keras_callback_stops_the_training(cnn, squares, stop_at, n_iter, monkeypatch):
    monkeypatch.setattr("lungestimators.training.epochs._CALL_BYTES", 1)
    clf = clone(cnn).set_params(callbacks=[Recorder(stop_at)]).fit(*squares)
    assert clf.n_iter_ == n_iter
    calls = clf.callbacks_[0].calls
    assert calls[-1] == ("train end",)
    if stop_at[0] == "batch end":
        assert calls[-4:-1] == [("batch begin", 0), ("batch end", 0), ("epoch end", 0)]


def test_each_stage_is_a_training_to_keras_callbacks(squares):
    clf = clone(FITS["DenseNet, last stage"])
    clf.set_params(callbacks=[Recorder(stop_at=("epoch end", 0))]).fit(*squares)
    assert clf.n_iter_ == 2
    calls = [call for call in clf.callbacks_[0].calls if call[0][:5] != "batch"]
    stage = [("train begin",), ("epoch begin", 0), ("epoch end", 0), ("train end",)]
    assert calls == stage * 2
    head, top = clf.callbacks_[0].weights
    assert len(top) > len(head)


def test_a_loss_that_is_not_a_number_ends_the_training(cnn, squares, capsys):
    clf = clone(cnn).set_params(learning_rate=1e30, optimizer="sgd", epochs=10)
    clf.set_params(callbacks=[keras.callbacks.TerminateOnNaN()]).fit(*squares)
    assert clf.n_iter_ < 10
    assert not np.isfinite(clf.history_["loss"][-1])


def test_a_learning_rate_scheduler_replaces_the_cosine(cnn, squares):
    """At a constant rate a short fit is the beginning of a long one."""
    X, y = squares
    constant = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.01)
    observer = Observer()
    long = clone(cnn).set_params(callbacks=[constant]).set_callbacks(observer).fit(X, y)
    assert long.history_["learning_rate"] == pytest.approx([0.01] * 4)
    for epochs in (2, 3):
        short = clone(cnn).set_params(callbacks=[constant], epochs=epochs).fit(X, y)
        assert_same_model(observer.fitted[epochs - 1], short, X)


@pytest.mark.slow
def test_grid_search_takes_keras_callbacks_as_a_parameter(cnn, squares):
    X, y = squares
    seen = []
    told = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    stopping = keras.callbacks.EarlyStopping("loss", patience=1)
    grid = {"callbacks": [None, [stopping]]}
    search = GridSearchCV(cnn.set_params(epochs=2), grid, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 2
    GridSearchCV(cnn.set_params(callbacks=[told]), {"dropout": [0.1, 0.2]}, cv=2).fit(X, y)
    assert seen == [0, 1] * 5


class NoCopy(keras.callbacks.Callback):
    def __deepcopy__(self, memo):
        raise RuntimeError("holds a lock")


@pytest.mark.parametrize(
    ("callbacks", "error", "message"),
    [
        (Recorder(), TypeError, "must be None, a list of keras.callbacks.Callback"),
        ("early", TypeError, "must be None, a list of keras.callbacks.Callback"),
        ([keras.callbacks.TerminateOnNaN], TypeError, "the class TerminateOnNaN: pass an instance"),
        ([Observer()], TypeError, r"scikit-learn goes through set_callbacks\(\)"),
        ([print], TypeError, "is no keras.callbacks.Callback"),
        ([NoCopy()], TypeError, "cannot be copied.* holds a lock"),
        ([keras.callbacks.ReduceLROnPlateau()], ValueError, "falls along a cosine"),
        ([keras.callbacks.ModelCheckpoint("a.keras")], ValueError, "the part of the network that"),
        ([keras.callbacks.SwapEMAWeights()], ValueError, "hooks are not called"),
        ([keras.callbacks.BackupAndRestore("a")], ValueError, "the part of the network that"),
    ],
)
def test_bad_keras_callbacks_are_a_clear_error_before_any_work(
    cnn, squares, callbacks, error, message
):
    X, y = squares
    expected = cnn.fit(X, y).predict_proba(X)
    observer = Observer()
    with pytest.raises(error, match=message):
        cnn.set_params(callbacks=callbacks).set_callbacks(observer).fit(X, y)
    assert observer.events == []
    np.testing.assert_array_equal(cnn.predict_proba(X), expected)


def test_a_keras_callback_is_no_callback_of_scikit_learn(cnn):
    with pytest.raises(TypeError, match="FitCallback"):
        cnn.set_callbacks(keras.callbacks.TerminateOnNaN())
