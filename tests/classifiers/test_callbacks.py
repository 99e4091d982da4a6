"""Callbacks see every epoch, stop what they are asked to stop, and change nothing else."""

import io
import pickle
import warnings
from collections import OrderedDict

import joblib
import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from lungestimators import (
    BackboneClassifier,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
)
from lungestimators.networks import architectures, pool
from lungestimators.training.callbacks import release_callbacks
from lungestimators.training.epochs import TrainingNetwork

SMALL = dict(weights=None, image_size=32, dense_units=8, epochs=3, random_state=0)
DENSENET = DenseNetClassifier(**SMALL, blocks=(1, 1, 1, 1), learning_rate=0.01)
FITS = {
    "CNN": CNNClassifier(**{**SMALL, "image_size": 16}, filters=(4, 8), learning_rate=0.01),
    "MobileNet, head": MobileNetClassifier(**SMALL, alpha=0.25, trainable="head"),
    "DenseNet, last stage": clone(DENSENET).set_params(
        trainable="last_stage", epochs=2, fine_tune_epochs=2
    ),
    "Backbone, head": BackboneClassifier("MobileNetV3Small", **SMALL, trainable="head"),
    "CNN, early stopping": CNNClassifier(
        **{**SMALL, "image_size": 16, "epochs": 20},
        filters=(4, 8),
        learning_rate=0.5,
        early_stopping=True,
        validation_fraction=0.25,
        n_iter_no_change=2,
    ),
}


class Observer:
    """Keep all that the hooks are given; stop after some number of epochs."""

    def __init__(self, stop_after=None):
        self.events = []
        self.fitted = []
        self.begun_with = []
        self.stop_after = stop_after

    def setup(self, estimator, context):
        self.events.append(("setup", context.max_subtasks))

    def teardown(self, estimator, context):
        self.events.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.events.append(("begin", context.task_name, context.task_id))
        if context.task_name == "epoch":
            self.begun_with.append(fitted_estimator)

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.events.append(("end", context.task_name, context.task_id))
        self.given = dict(X=X, y=y, metadata=metadata)
        if context.task_name == "epoch":
            self.fitted.append(fitted_estimator)
            return len(self.fitted) == self.stop_after


class Counter:
    """Count the epochs, and ask for nothing."""

    def __init__(self):
        self.n_epochs = 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.n_epochs += context.task_name == "epoch"


def assert_same_model(first, second, X):
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    for part, other in zip(first._parts, second._parts, strict=True):
        for weight, other_weight in zip(part.weights, other.weights, strict=True):
            np.testing.assert_array_equal(weight, other_weight)
    assert first.history_ == second.history_
    assert first.n_iter_ == second.n_iter_


@pytest.mark.parametrize("name", FITS)
def test_an_observed_fit_is_bitwise_the_fit_that_nobody_sees(name, squares):
    X, y = squares
    expected = clone(FITS[name]).fit(X, y)
    observer = Observer()
    observed = clone(FITS[name]).set_callbacks(observer).fit(X, y)
    assert_same_model(observed, expected, X)
    assert_same_model(observer.fitted[-1], expected, X)


def test_an_observed_fit_is_the_same_where_dropout_comes_before_batch_normalisation(
    cnn, squares, monkeypatch
):
    """Settling the statistics draws from the generator of the dropout below."""

    def build(image_size, channels, weights, filters):
        inputs = keras.Input((image_size, image_size, channels), name="image")
        x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
        x = keras.layers.Dropout(0.5, seed=1, name="noise")(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name="normalise")(x)
        x = keras.layers.GlobalAveragePooling2D(name="average")(x)
        return keras.Model(inputs, x, name="backbone")

    monkeypatch.setattr(architectures, "build_cnn", build)
    X, y = squares
    observer = Observer()
    assert_same_model(
        clone(cnn).set_callbacks(observer).fit(X, y), expected := clone(cnn).fit(X, y), X
    )
    assert_same_model(observer.fitted[-1], expected, X)


@pytest.mark.parametrize("name", FITS)
def test_a_callback_that_stops_leaves_the_estimator_that_it_was_shown(name, squares):
    X, y = squares
    observer = Observer(stop_after=1)
    stopped = clone(FITS[name]).set_callbacks(observer).fit(X, y)
    assert stopped.n_iter_ == 1
    assert_same_model(stopped, observer.fitted[0], X)


def test_a_later_stop_leaves_what_was_shown_in_a_longer_fit(cnn, squares):
    X, y = squares
    whole, stopping = Observer(), Observer(stop_after=3)
    clone(cnn).set_callbacks(whole).fit(X, y)
    stopped = clone(cnn).set_callbacks(stopping).fit(X, y)
    assert stopped.n_iter_ == 3
    assert_same_model(stopped, whole.fitted[2], X)


def test_stopping_in_the_first_stage_ends_the_fit(squares):
    X, y = squares
    observer = Observer(stop_after=2)
    stopped = clone(FITS["DenseNet, last stage"]).set_callbacks(observer).fit(X, y)
    head_only = clone(FITS["DenseNet, last stage"]).set_params(fine_tune_epochs=0).fit(X, y)
    assert_same_model(stopped, head_only, X)


def test_an_epoch_shows_the_model_of_a_fit_of_so_many_epochs(cnn, squares):
    """In its first epoch a fit of any length has the same learning rate."""
    X, y = squares
    observer = Observer()
    clone(cnn).set_callbacks(observer).fit(X, y)
    assert_same_model(observer.fitted[0], clone(cnn).set_params(epochs=1).fit(X, y), X)
    assert [fitted.n_iter_ for fitted in observer.fitted] == [1, 2, 3, 4]
    assert [fitted.n_iter_ for fitted in observer.begun_with] == [0, 1, 2, 3]
    assert [len(fitted.history_["loss"]) for fitted in observer.fitted] == [1, 2, 3, 4]
    assert_same_model(observer.begun_with[2], observer.fitted[1], X)
    assert not np.array_equal(
        observer.fitted[2].predict_proba(X), observer.fitted[3].predict_proba(X)
    )


def test_with_early_stopping_an_epoch_shows_the_best_so_far(squares):
    X, y = squares
    y = np.random.default_rng(0).permutation(y)
    observer = Observer()
    clf = clone(FITS["CNN, early stopping"]).set_callbacks(observer).fit(X, y)
    losses = clf.history_["val_loss"]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1
    for fitted in observer.fitted[best:]:
        np.testing.assert_array_equal(
            fitted.predict_proba(X), observer.fitted[best].predict_proba(X)
        )


def test_hooks_are_called_in_order_and_given_what_fit_was_given(cnn, squares):
    X, y = squares
    weight = np.linspace(0.5, 1, 48)
    observer = Observer()
    cnn.set_params(epochs=2).set_callbacks(observer).fit(X, y, sample_weight=weight)
    assert observer.events == [
        ("setup", 2),
        ("begin", "fit", 0),
        ("begin", "epoch", 0),
        ("end", "epoch", 0),
        ("begin", "epoch", 1),
        ("end", "epoch", 1),
        ("end", "fit", 0),
        ("teardown", "fit"),
    ]
    assert observer.given["X"] is X
    assert observer.given["y"] is y
    assert observer.given["metadata"] == {"sample_weight": weight}


def test_epochs_of_two_stages_are_numbered_through(squares):
    observer = Observer()
    clf = clone(FITS["DenseNet, last stage"]).set_callbacks(observer).fit(*squares)
    assert observer.events[0] == ("setup", 4)
    ends = [event for event in observer.events if event[:2] == ("end", "epoch")]
    assert ends == [("end", "epoch", number) for number in range(4)]
    assert [fitted.n_iter_ for fitted in observer.fitted] == [1, 2, 3, 4]
    assert observer.fitted[-1].history_ == clf.history_


def test_hooks_do_not_see_files_that_were_left_out(cnn, squares, tmp_path):
    X, y = squares
    paths = [str(tmp_path / f"{number}.png") for number in range(48)]
    for path, image in zip(paths[1:], X[1:], strict=True):
        Image.fromarray(image).save(path)
    observer = Observer()
    monitor = ScoringMonitor(scoring="accuracy")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cnn.set_params(on_error="skip").set_callbacks(observer, monitor).fit(paths, y)
    assert [w.filename for w in caught if "Left out" in str(w.message)] == [__file__]
    assert observer.given["X"] == paths[1:]
    np.testing.assert_array_equal(observer.given["y"], y[1:])
    assert len(monitor.get_logs().data) == 5


def test_nothing_is_computed_that_no_callback_asks_for(cnn, squares, monkeypatch):
    averaged = []
    average = TrainingNetwork.average_batch_norm
    monkeypatch.setattr(
        TrainingNetwork,
        "average_batch_norm",
        lambda self, *arguments: averaged.append(1) or average(self, *arguments),
    )
    counter = Counter()
    clone(cnn).set_callbacks(counter).fit(*squares)
    assert counter.n_epochs == 4
    assert len(averaged) == 1
    clone(cnn).set_callbacks(ScoringMonitor(scoring="accuracy")).fit(*squares)
    assert len(averaged) == 1 + 4 + 1


def test_a_snapshot_shares_the_frozen_backbone_and_owns_its_head(squares):
    X, y = squares
    observer = Observer()
    clf = clone(FITS["MobileNet, head"]).set_callbacks(observer).fit(X, y)
    for fitted in observer.fitted:
        for weight, other in zip(
            fitted._parts.backbone.weights, clf._parts.backbone.weights, strict=True
        ):
            assert weight is other
    heads = [fitted._parts.head.weights[0] for fitted in observer.fitted]
    assert not any(np.shares_memory(heads[0], head) for head in heads[1:])


def test_scoring_monitor_logs_the_scores_of_every_epoch(cnn, squares):
    X, y = squares
    weight = np.where(y == "opaque", 1.0, 0.1)
    observer = Observer()
    monitor = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    clf = cnn.set_callbacks(monitor, observer).fit(X, y, sample_weight=weight)
    whole, *epochs = sorted(monitor.get_logs().data, key=lambda row: row["task_id_path"])
    for row, fitted in zip([whole, *epochs], [clf, *observer.fitted], strict=True):
        probabilities = fitted.predict_proba(X)
        expected = -log_loss(y, probabilities, sample_weight=weight)
        assert row["neg_log_loss"] == pytest.approx(expected, rel=1e-12)
        predicted = clf.classes_[probabilities.argmax(axis=1)]
        expected = accuracy_score(y, predicted, sample_weight=weight)
        assert row["accuracy"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_reports_progress_and_scores_of_every_fit(cnn, squares, n_jobs, capsys):
    X, y = squares
    monitor = ScoringMonitor(scoring="accuracy")
    cnn.set_params(epochs=2).set_callbacks(monitor)
    grid = {"learning_rate": [0.01, 0.001]}
    search = GridSearchCV(cnn, grid, cv=2, n_jobs=n_jobs).set_callbacks(ProgressBar())
    search.fit(X, y)
    plain = GridSearchCV(clone(cnn).set_callbacks(), grid, cv=2).fit(X, y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"]
    )
    data = monitor.get_logs().data
    # Four folds and the refit, each of two epochs and the fit itself.
    assert len(data) == 5 * 3
    assert sum(row["task_name"] == "epoch" for row in data) == 5 * 2
    printed = capsys.readouterr().out
    assert "GridSearchCV - refit-with-best-params | CNNClassifier - fit" in printed
    assert "100%" in printed


def test_a_pipeline_hands_its_callbacks_on(cnn, squares, capsys):
    X, y = squares
    monitor = ScoringMonitor(scoring="accuracy")
    cnn.set_callbacks(monitor)
    pipeline = make_pipeline(FunctionTransformer(), cnn).set_callbacks(ProgressBar())
    with pytest.warns(UserWarning, match="FunctionTransformer does not support callbacks"):
        pipeline.fit(X, y)
    assert len(monitor.get_logs().data) == 5
    assert "Pipeline - fit-final-estimator | CNNClassifier - fit" in capsys.readouterr().out


def test_partial_fit_is_one_task(cnn, squares):
    X, y = squares
    expected = clone(cnn).partial_fit(X, y, classes=np.unique(y)).partial_fit(X, y)
    observer = Observer()
    monitor = ScoringMonitor(scoring="accuracy")
    clf = clone(cnn).set_callbacks(observer, monitor)
    clf.partial_fit(X, y, classes=np.unique(y)).partial_fit(X, y)
    once = [("setup", 0), ("begin", "fit", 0), ("end", "fit", 0), ("teardown", "fit")]
    assert observer.events == once * 2
    assert len(monitor.get_logs(select="all")) == 2
    assert_same_model(clf, expected, X)


class Failing(Observer):
    def __init__(self, hook, error):
        super().__init__()
        self.hook, self.error = hook, error

    def setup(self, estimator, context):
        super().setup(estimator, context)
        if self.hook == "setup":
            raise self.error

    def on_fit_task_begin(self, estimator, context):
        if self.hook == "begin":
            raise self.error

    def on_fit_task_end(self, estimator, context):
        if self.hook == "end" and context.task_id == 1:
            raise self.error

    def teardown(self, estimator, context):
        super().teardown(estimator, context)
        if self.hook == "teardown":
            raise self.error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("hook", ["setup", "begin", "end", "teardown"])
def test_a_failing_callback_is_torn_down_and_the_estimator_is_as_before(cnn, squares, hook, error):
    X, y = squares
    expected = cnn.fit(X, y).predict_proba(X)
    failing = Failing(hook, error("by the callback"))
    before = cnn.set_callbacks(failing).__dict__.copy()
    with pytest.raises(error, match="by the callback"):
        cnn.set_params(random_state=1).fit(X, y)
    assert [event[0] for event in failing.events] == ["setup", "teardown"]
    assert cnn.__dict__ == {**before, "random_state": 1}
    np.testing.assert_array_equal(cnn.predict_proba(X), expected)
    again = clone(cnn).set_params(random_state=0).set_callbacks().fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), expected)


def test_a_fit_that_fails_tears_its_callbacks_down(cnn, squares, tmp_path):
    X, y = squares
    observer = Observer()
    cnn.set_params(weights=tmp_path / "missing.weights.h5").set_callbacks(observer)
    with pytest.raises(FileNotFoundError):
        cnn.fit(X, y)
    assert observer.events[-1] == ("teardown", "fit")
    assert not [name for name in vars(cnn) if name.startswith("_callback")]
    observer.events.clear()
    with pytest.raises(ValueError, match="one class only"):
        cnn.fit(X, ["clear"] * 48)
    assert observer.events == []


def test_callbacks_survive_clone_fit_and_pickle(cnn, squares, tmp_path):
    X, y = squares
    monitor = ScoringMonitor(scoring="accuracy")
    clf = clone(cnn.set_callbacks(monitor))
    assert clf.fit(X, y).fit(X, y)._skl_callbacks == [monitor]
    assert len(monitor.get_logs(select="all")) == 2
    joblib.dump(clf, tmp_path / "clf.joblib")
    for restored in (pickle.loads(pickle.dumps(clf)), joblib.load(tmp_path / "clf.joblib")):
        assert_same_model(restored, clf, X)
        (copied,) = restored.fit(X, y)._skl_callbacks
        assert len(copied.get_logs(select="all")) == 3


def test_verbose_prints_the_same_with_callbacks(cnn, squares, capsys):
    def printed(*callbacks):
        clone(cnn).set_params(verbose=1).set_callbacks(*callbacks).fit(*squares)
        lines = io.StringIO(capsys.readouterr().out).readlines()
        return [line for line in lines if "Training" in line or "Stopped" in line]

    assert printed() == printed(Observer())
    assert "Stopped early, after epoch 2\n" in printed(Observer(stop_after=2))


# Keras callbacks


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
