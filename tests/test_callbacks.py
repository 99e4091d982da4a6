"""Callbacks see every epoch, stop what they are asked to stop, and change nothing else."""

import io
import pickle
import warnings

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
    networks,
)
from lungestimators.epochs import TrainingNetwork

SMALL = dict(weights=None, image_size=32, dense_units=8, epochs=3, random_state=0)
DENSENET = DenseNetClassifier(**SMALL, blocks=(1, 1, 1, 1), learning_rate=0.01)
FITS = {
    "CNN": CNNClassifier(**{**SMALL, "image_size": 16}, filters=(4, 8), learning_rate=0.01),
    "MobileNet, head": MobileNetClassifier(**SMALL, alpha=0.25, trainable="head"),
    "DenseNet, top": clone(DENSENET).set_params(trainable="top", epochs=2, fine_tune_epochs=2),
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
        x = keras.layers.Dropout(0.5, name="noise")(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name="normalise")(x)
        x = keras.layers.GlobalAveragePooling2D(name="average")(x)
        return keras.Model(inputs, x, name="backbone")

    monkeypatch.setattr(networks, "build_cnn", build)
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
    stopped = clone(FITS["DenseNet, top"]).set_callbacks(observer).fit(X, y)
    head_only = clone(FITS["DenseNet, top"]).set_params(fine_tune_epochs=0).fit(X, y)
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
    clf = clone(FITS["DenseNet, top"]).set_callbacks(observer).fit(*squares)
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
    settled = []
    settle = TrainingNetwork.settle_batch_norm
    monkeypatch.setattr(
        TrainingNetwork,
        "settle_batch_norm",
        lambda self, *arguments: settled.append(1) or settle(self, *arguments),
    )
    counter = Counter()
    clone(cnn).set_callbacks(counter).fit(*squares)
    assert counter.n_epochs == 4
    assert len(settled) == 1
    clone(cnn).set_callbacks(ScoringMonitor(scoring="accuracy")).fit(*squares)
    assert len(settled) == 1 + 4 + 1


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
@pytest.mark.parametrize("hook", ["begin", "end", "teardown"])
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
    assert_same_model(
        clone(cnn).set_params(random_state=0).set_callbacks().fit(X, y),
        clone(cnn).set_params(random_state=0).set_callbacks().fit(X, y),
        X,
    )


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
