"""An image's outputs do not depend on the images beside it, nor on their number."""

import contextlib

import keras
import numpy as np
import pytest

from lungestimators.backends import compiled, forward
from lungestimators.backends.forward import AnySizeForward, PaddedForward
from lungestimators.networks import architectures


class RoundingFunction:
    """A function of rows that rounds differently in batches of some sizes, and notes sizes."""

    def __init__(self, *sizes_that_differ):
        self.sizes_that_differ, self.seen = sizes_that_differ, []

    def __call__(self, rows):
        self.seen.append(len(rows))
        error = 1e-7 if len(rows) in self.sizes_that_differ else 0
        return rows.sum(axis=1, keepdims=True) + np.float32(error)


ROWS = np.random.default_rng(0).random((21, 3), np.float32)
SUMS = ROWS.sum(axis=1, keepdims=True)


def forward_of(function, function_for_one=None):
    return AnySizeForward(function, lambda two: function_for_one, contextlib.nullcontext)


def test_few_rows_are_padded_at_first_and_then_run_in_a_batch_of_their_own():
    function = RoundingFunction()
    run = forward_of(function)
    for expected in ([8], [8, 4, 4, 4], [4]):
        function.seen.clear()
        np.testing.assert_array_equal(run(ROWS[:3]), SUMS[:3])
        assert function.seen == expected  # the second time, a batch of 8 and two of 4 are noise


def test_a_size_that_rounds_differently_is_not_used():
    function = RoundingFunction(1, 4)
    run = forward_of(function, function_for_one=RoundingFunction(1))
    for n in (1, 2, 3, 4, 7, 8, 9, 21):
        for _ in range(3):
            np.testing.assert_array_equal(run(ROWS[:n]), SUMS[:n])
    function.seen.clear()
    run(ROWS[:1])
    run(ROWS[:3])
    assert function.seen == [2, 8]


def test_another_function_serves_one_row_where_it_has_the_same_bits():
    function, for_one = RoundingFunction(1), RoundingFunction()
    run = forward_of(function, for_one)
    for _ in range(3):
        np.testing.assert_array_equal(run(ROWS[:1]), SUMS[:1])
    assert set(for_one.seen) == {1}
    assert len(for_one.seen) == 8 + 2  # noise, and the second and third call


def test_a_network_that_tells_no_difference_is_always_padded():
    def is_silent_for_noise(rows):
        return np.maximum(rows.sum(axis=1, keepdims=True) - 3, 0)  # noise is in 0..1

    run = forward_of(is_silent_for_noise)
    sizes = []
    run._function = lambda rows: sizes.append(len(rows)) or is_silent_for_noise(rows)
    for _ in range(3):
        run(ROWS[:1])
    assert set(sizes) == {8}


def test_padded_batches_have_one_size():
    function = RoundingFunction()
    run = PaddedForward(function, 4)
    np.testing.assert_array_equal(run(ROWS[:9]), SUMS[:9])
    assert function.seen == [4, 4, 4]


def vary_weights(network):
    """Give a network weights that are not zero or one."""
    rng = np.random.default_rng(0)
    network.set_weights(
        [
            w if w.ndim > 1 else rng.uniform(0.5, 1.5, w.shape).astype(np.float32)
            for w in network.get_weights()
        ]
    )
    return network


def build_nested(size):
    """A network with a Sequential in it, two attentions and a layer with two outputs."""
    inputs = keras.Input((size, size, 3))
    stem = keras.Sequential([keras.Input((size, size, 3)), keras.layers.Conv2D(8, 3, 2, "same")])
    x = keras.layers.Reshape((-1, 8))(stem(inputs))
    x = keras.layers.MultiHeadAttention(2, 4)(x, x) + x
    x = keras.layers.MultiHeadAttention(2, 4)(query=x, value=x)
    x, state = keras.layers.GRU(8, return_state=True)(x)
    return keras.Model(inputs, keras.layers.Dense(16)(x + state), name="backbone")


def build_half_precision(size):
    """A network with a layer whose rounding to 16 bits hides most differences."""
    inputs = keras.Input((size, size, 1))
    x = keras.layers.Conv2D(8, 3, activation="relu")(inputs)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(64, dtype="mixed_float16")(x), name="backbone")


NETWORKS = {
    "cnn": (architectures.build_cnn, (32, 1, None, (8, 16)), (32, 32, 1)),
    "mobilenet": (
        architectures.build_application,
        ("MobileNet", 64, 3, None, {"alpha": 1.0}),
        (64, 64, 3),
    ),
    "densenet": (
        architectures.build_application,
        ("DenseNet", 32, 1, None, {"blocks": (1, 1, 1, 1)}),
        (32, 32, 1),
    ),
    "head": (architectures.build_head, (50, 3, 8, 0.5), (50,)),
}
OTHER_NETWORKS = {
    "nested": (build_nested, (16,), (16, 16, 3)),
    "half precision": (build_half_precision, (16,), (16, 16, 1)),
}


@pytest.mark.core
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_do_not_depend_on_company(name):
    check_company(*NETWORKS[name])


# Not on imitated processors: with AVX2 alone, a GRU rounds by an input's place in the batch.
@pytest.mark.parametrize("name", OTHER_NETWORKS)
def test_outputs_of_a_network_of_ones_own_do_not_depend_on_company(name):
    check_company(*OTHER_NETWORKS[name], is_half=name == "half precision")


def check_company(build, arguments, shape, is_half=False):
    """Compare outputs of few inputs with those of many, to the bit."""
    network = vary_weights(build(*arguments))
    weights = network.get_weights()
    inputs = np.random.default_rng(1).random((70, *shape), np.float32)
    expected = compiled.forward_by_backend(network, inputs)
    tolerances = {"rtol": 1e-2, "atol": 1e-2} if is_half else {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(expected, network.predict(inputs, verbose=0), **tolerances)
    for n in (1, 2, 3, 5, 8, 11, 16, 17, 30):
        for start in (0, 7, 40):  # the first few inputs are padded, the second are tried
            found = compiled.forward_by_backend(network, inputs[start : start + n])
            np.testing.assert_array_equal(found, expected[start : start + n])
    for before, after in zip(weights, network.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.core
def test_no_inputs_have_no_outputs():
    network = architectures.build_cnn(16, 1, None, (4,))
    inputs = np.empty((0, 16, 16, 1), np.float32)
    assert compiled.forward_by_backend(network, inputs).shape == (0, network.output_shape[-1])


@keras.saving.register_keras_serializable("lungestimators-tests")
class CountsTraining(keras.layers.Layer):
    """Counts how often it is called to train, which it is by default."""

    def build(self, shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x, training=True):
        if training:
            self.count.assign_add(1.0)
        return x


def test_a_forward_pass_never_trains():
    inputs = keras.Input((16, 16, 1))
    x = CountsTraining()(keras.layers.Conv2D(8, 3)(inputs))
    network = keras.Model(inputs, keras.layers.Flatten()(x), name="backbone")
    before = [weight.copy() for weight in network.get_weights()]
    for _ in range(4):
        compiled.forward_by_backend(network, np.ones((1, 16, 16, 1), np.float32))
    for a, b in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_interrupted_trial_leaves_the_weights(monkeypatch):
    network = vary_weights(architectures.build_cnn(16, 1, None, (4,)))
    weights = network.get_weights()
    image = np.random.default_rng(0).random((1, 16, 16, 1), np.float32)
    compiled.forward_by_backend(network, image)
    monkeypatch.setattr(forward, "_tells_differences", interrupt)
    with pytest.raises(KeyboardInterrupt):
        compiled.forward_by_backend(network, image)
    for before, after in zip(weights, network.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def interrupt(outputs):
    raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ConvNeXtTiny", "EfficientNetB0", "ResNet50", "DenseNet121"])
def test_features_of_known_networks_do_not_depend_on_company(name):
    network = architectures.build_application(name, 96, 3, None, {"alpha": 1.0})
    inputs = np.random.default_rng(1).random((20, 96, 96, 3), np.float32)
    expected = compiled.forward_by_backend(vary_weights(network), inputs)
    for rows in (range(1), range(1, 2), range(2, 5), range(5, 10), [7], [3, 4]):
        found = compiled.forward_by_backend(network, inputs[list(rows)])
        np.testing.assert_array_equal(found, expected[list(rows)])
