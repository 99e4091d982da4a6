"""Callbacks are called in order, see every epoch, and are torn down when a fit fails."""

import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from lungestimators.training.epochs import TrainingNetwork

from .observers import FITS, Counter, Observer, assert_same_model


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


@pytest.mark.parametrize("n_jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
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
