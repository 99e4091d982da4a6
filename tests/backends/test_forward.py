"""An image's outputs do not depend on the images beside it, nor on their number."""

import numpy as np
import pytest

from lungestimators.backends import compiled
from lungestimators.backends.forward import AnySizeForward, PaddedForward
from lungestimators.networks import architectures, blueprints


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
    return AnySizeForward(function, lambda two: function_for_one, batch_size=8, n_threads=2)


def test_few_rows_are_padded_at_first_and_then_run_in_a_batch_of_their_own():
    function = RoundingFunction()
    forward = forward_of(function)
    for expected in ([8], [8, 4, 4, 4], [4]):
        function.seen.clear()
        np.testing.assert_array_equal(forward(ROWS[:3]), SUMS[:3])
        assert function.seen == expected  # the second time, a batch of 8 and two of 4 are noise


def test_a_size_that_rounds_differently_is_not_used():
    function = RoundingFunction(1, 4)
    forward = forward_of(function, function_for_one=RoundingFunction(1))
    for n in (1, 2, 3, 4, 7, 8, 9, 21):
        for _ in range(3):
            np.testing.assert_array_equal(forward(ROWS[:n]), SUMS[:n])
    function.seen.clear()
    forward(ROWS[:1])
    forward(ROWS[:3])
    assert function.seen == [2, 8]


def test_another_function_serves_one_row_where_it_has_the_same_bits():
    function, for_one = RoundingFunction(1), RoundingFunction()
    forward = forward_of(function, for_one)
    for _ in range(3):
        np.testing.assert_array_equal(forward(ROWS[:1]), SUMS[:1])
    assert set(for_one.seen) == {1}
    assert len(for_one.seen) == 8 + 2  # noise, and the second and third call


def test_sizes_are_forgotten_with_the_weights():
    function = RoundingFunction()
    forward = forward_of(function, function_for_one=RoundingFunction(1))
    for _ in range(2):
        forward(ROWS[:1])
    function.sizes_that_differ = (1,)
    forward.forget_sizes()
    for _ in range(2):
        np.testing.assert_array_equal(forward(ROWS[:1]), SUMS[:1])


def test_padded_batches_have_one_size():
    function = RoundingFunction()
    forward = PaddedForward(function, 4)
    np.testing.assert_array_equal(forward(ROWS[:9]), SUMS[:9])
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


@pytest.mark.core
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_do_not_depend_on_company(name):
    build, arguments, shape = NETWORKS[name]
    network = vary_weights(build(*arguments))
    inputs = np.random.default_rng(1).random((70, *shape), np.float32)
    expected = compiled.forward_by_backend(network, inputs)
    np.testing.assert_allclose(expected, network.predict(inputs, verbose=0), rtol=1e-4, atol=1e-5)
    for n in (1, 2, 3, 5, 8, 11, 16, 17, 30):
        for start in (0, 7, 40):  # the first few inputs are padded, the second are tried
            found = compiled.forward_by_backend(network, inputs[start : start + n])
            np.testing.assert_array_equal(found, expected[start : start + n])


@pytest.mark.core
def test_no_inputs_have_no_outputs():
    network = architectures.build_cnn(16, 1, None, (4,))
    inputs = np.empty((0, 16, 16, 1), np.float32)
    assert compiled.forward_by_backend(network, inputs).shape == (0, network.output_shape[-1])


def test_new_weights_are_tried_anew(monkeypatch):
    network = vary_weights(architectures.build_cnn(16, 1, None, (4,)))
    weights = tuple(network.get_weights())
    first = blueprints.Blueprint(network.to_json(), weights, network.output_shape[-1])
    second = first._replace(weights=tuple(w * 2 for w in weights))
    forgotten = []
    forget = AnySizeForward.forget_sizes

    def noting_forget(forward):
        forgotten.append(forward)
        forget(forward)

    monkeypatch.setattr(AnySizeForward, "forget_sizes", noting_forget)
    image = np.random.default_rng(0).random((1, 16, 16, 1), np.float32)
    for blueprint, times in ((first, 1), (first, 1), (second, 2)):
        blueprint.run(image)
        assert len(forgotten) == times
