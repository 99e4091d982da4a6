"""A fit that callbacks see or stop leaves the model that it would leave without them."""

import keras
import numpy as np
import pytest
from sklearn.base import clone

from lungestimators.networks import architectures

from .observers import FITS, Observer, assert_same_model


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


def test_a_snapshot_shares_the_frozen_backbone_and_owns_its_head(squares):
    X, y = squares
    observer = Observer()
    clf = clone(FITS["MobileNet, head"]).set_callbacks(observer).fit(X, y)
    for fitted in observer.fitted:
        for weight, other in zip(
            fitted._networks[0].parts.backbone.weights,
            clf._networks[0].parts.backbone.weights,
            strict=True,
        ):
            assert weight is other
    heads = [fitted._networks[0].parts.head.weights[0] for fitted in observer.fitted]
    assert not any(np.shares_memory(heads[0], head) for head in heads[1:])
