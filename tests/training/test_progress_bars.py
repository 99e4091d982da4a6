"""Progress bars: counts that are right, and a last line that stands there once."""

import itertools
import re

import keras
import numpy as np
import pytest
from sklearn.base import clone

from lungestimators import BackboneFeatures, DenseNetClassifier, clear_feature_cache


def lines(printed):
    """The lines that are printed, without colours; outside a terminal none is overwritten."""
    return re.sub(r"\x1b\[[0-9;]*m", "", printed).strip().splitlines()


def bars(printed):
    """The last count of each bar; no count stands there twice."""
    found = [re.match(r"(\d+)/(\d+) ━", line.strip()) for line in lines(printed)]
    counts = [(int(match[1]), int(match[2])) if match else None for match in found]
    last = []
    for before, count in itertools.pairwise([None, *counts]):
        if count is None:
            continue
        if before is None:
            last.append(count)
        else:
            assert count[0] > before[0] and count[1] == before[1]
            last[-1] = count
    return last


def test_one_bar_ends_at_all_steps(cnn, squares, capsys):
    cnn.set_params(verbose=1).fit(*squares)
    printed = capsys.readouterr().out
    assert lines(printed)[0] == "Training all: 4 epochs of 3 steps"
    assert bars(printed) == [(12, 12)]
    loss, accuracy = cnn.history_["loss"][-1], cnn.history_["accuracy"][-1]
    assert lines(printed)[-1].endswith(f"accuracy: {accuracy:.4f} - loss: {loss:.4f}")


def test_every_stage_has_its_bar(squares, capsys):
    X, y = squares
    clf = DenseNetClassifier(
        weights=None,
        blocks=(1, 1, 1, 1),
        image_size=32,
        trainable="last_stage",
        epochs=2,
        fine_tune_epochs=1,
        feature_cache=None,
        dense_units=8,
        verbose=1,
    ).fit(X, y)
    printed = capsys.readouterr().out
    assert clf.n_iter_ == 3
    assert lines(printed)[0] == "Features of 48 images"
    assert [line for line in lines(printed) if "Training" in line] == [
        "Training head: 2 epochs of 3 steps",
        "Training last stage: 1 epoch of 3 steps",
    ]
    assert bars(printed) == [(48, 48), (6, 6), (3, 3)]


def test_early_stopping_ends_the_bar_where_it_stopped(cnn, squares, capsys):
    X, y = squares
    y = np.random.default_rng(0).permutation(y)
    cnn.set_params(early_stopping=True, validation_fraction=0.25, n_iter_no_change=1, epochs=40)
    cnn.set_params(learning_rate=0.5, verbose=1).fit(X, y)
    printed = capsys.readouterr().out
    assert cnn.n_iter_ < 40
    assert bars(printed) == [(3 * cnn.n_iter_, 120)]
    assert lines(printed)[-1] == f"Stopped early, after epoch {cnn.n_iter_}"
    assert f"val_loss: {cnn.history_['val_loss'][-1]:.4f}" in lines(printed)[-2]


class StopAtBatch(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at = epoch, batch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            self.model.stop_training = True


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_callback_that_stops_inside_an_epoch_ends_the_bar_there(
    cnn, squares, capsys, monkeypatch, epoch
):
    monkeypatch.setattr("lungestimators.training.epochs._CALL_BYTES", 1)
    cnn.set_params(callbacks=[StopAtBatch(epoch, 0)], verbose=1).fit(*squares)
    printed = capsys.readouterr().out
    assert bars(printed) == [(3 * epoch + 1, 12)]
    assert lines(printed)[-1] == f"Stopped early, after epoch {epoch + 1}"


def test_partial_fit_counts_its_one_epoch(cnn, squares, capsys):
    X, y = squares
    cnn.set_params(verbose=1)
    for _ in range(3):
        cnn.partial_fit(X, y, classes=["clear", "opaque"])
        printed = capsys.readouterr().out
        assert lines(printed)[0] == "Training all: 1 epoch of 3 steps"
        assert bars(printed) == [(3, 3)]


def test_features_are_counted_without_those_that_are_known(squares, capsys):
    X, _ = squares
    features = BackboneFeatures(
        "MobileNetV3Small", weights=None, image_size=32, random_state=0, verbose=1
    )
    clear_feature_cache()
    features.fit(X).transform(X[:20])
    printed = capsys.readouterr().out
    assert lines(printed)[0] == "Features of 20 images"
    assert bars(printed) == [(20, 20)]
    expected = clone(features).set_params(feature_cache=None, verbose=0).fit_transform(X)
    np.testing.assert_array_equal(features.transform(X), expected)
    printed = capsys.readouterr().out
    assert lines(printed)[0] == "Features of 48 images, of which 20 are known"
    assert bars(printed) == [(28, 28)]
    features.transform(X)
    assert capsys.readouterr().out == ""
    twice = np.concatenate([X[:3] // 2, X[:3] // 2])
    features.transform(twice)
    assert bars(capsys.readouterr().out) == [(6, 6)]
