"""What a value holds, as text: equal for equal content, in every process."""

import collections
import dataclasses
import datetime
import enum
import functools
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from lungestimators import CNNClassifier
from lungestimators.search.content import (
    content_text,
    digest_of_searched_content,
    shortened_content_text,
)


class Held:
    """An object whose repr is its address."""

    def __init__(self, value):
        self.value = value
        self.lock = threading.Lock()


class Silent(Held):
    """An object whose repr says nothing of what it holds."""

    def __repr__(self):
        return "Silent()"

    def method(self):
        return self.value


@dataclasses.dataclass
class Data:
    value: object
    rest: int = 1


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


Point = collections.namedtuple("Point", "x y")


def times(factor):
    return lambda x: x * factor


def schedule(rate):
    return keras.callbacks.LearningRateScheduler(lambda epoch: rate)


def functional(units):
    inputs = keras.Input((4,))
    hidden = keras.layers.Rescaling(1 / units)(inputs)
    return keras.Model(inputs, keras.layers.Rescaling(2.0)(hidden))


class Rate(keras.optimizers.schedules.LearningRateSchedule):
    """Has no configuration, so that an optimizer that holds it has none either."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, step):
        return self.rate


class Share(keras.losses.Loss):
    """Its configuration holds nothing but the name that Keras gave it."""

    def __init__(self, share):
        super().__init__()
        self.share = share

    def call(self, y_true, y_pred):
        return self.share * keras.ops.mean(y_true - y_pred)


def fitted(C):
    return LogisticRegression(C=C).fit([[0.0], [1.0], [2.0]], [0, 1, 1])


MAKERS = {
    "an object": Held,
    "an object with a repr of its own": Silent,
    "a method": lambda value: Silent(value).method,
    "a dataclass": Data,
    "an object in containers": lambda value: ({"a": [Held(value)]},),
    "a lambda with a variable": times,
    "a partial": lambda value: functools.partial(times, value),
    "a partial of a lambda": lambda value: functools.partial(times(value), 3),
    "a default": lambda value: lambda x=value: x,
    "an array": lambda value: np.full((20, 3), value),
    "a small array": lambda value: np.array([value]),
    "an object array": lambda value: np.array([Held(value), None], dtype=object),
    "a masked array": lambda value: np.ma.masked_equal([1, 2, 3], value),
    "a NumPy generator": np.random.RandomState,
    "an enumeration": Colour,
    "a named tuple": lambda value: Point(value, Held(value)),
    "a date": lambda value: datetime.date(2026, value, 1),
    "a set": lambda value: {value, "a", "b"},
    "an estimator": lambda value: LogisticRegression(C=value),
    "an estimator in a pipeline": lambda value: make_pipeline(StandardScaler(), fitted(value)),
    "a transformer with a lambda": lambda value: FunctionTransformer(times(value)),
    "a frozen estimator": lambda value: FrozenEstimator(fitted(value)),
    "a classifier with callbacks": lambda value: CNNClassifier(callbacks=[schedule(value)]),
    "a callback of Keras": lambda value: keras.callbacks.EarlyStopping(patience=value),
    "a callback with a lambda": schedule,
    "a layer of Keras": lambda value: keras.layers.Rescaling(value),
    "layers of Keras": lambda value: keras.Sequential(
        [keras.layers.RandomFlip(), keras.layers.Rescaling(value)]
    ),
    "a lambda layer of Keras": lambda value: keras.Sequential([keras.layers.Lambda(times(value))]),
    "a model of Keras": functional,
    "an optimizer of Keras": lambda value: keras.optimizers.Adam(float(value)),
    "an optimizer of Keras with a schedule of the user's": lambda value: keras.optimizers.Adam(
        Rate(value), beta_1=0.8
    ),
    "a loss of the user's": Share,
    "a loss of Keras": lambda value: keras.losses.Huber(delta=value),
    "a schedule of Keras": lambda value: keras.optimizers.schedules.CosineDecay(0.1, value),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_text_follows_from_the_content_and_not_from_the_address(make):
    one, same, other = make(1), make(1), make(2)
    assert content_text(one) == content_text(same)
    assert content_text(one) != content_text(other)


@pytest.mark.parametrize("make", [*MAKERS.values(), lambda value: threading.Lock()])
def test_no_text_holds_an_address(make):
    value = make(1)
    assert f"{id(value):x}" not in content_text(value)
    assert " at 0x" not in content_text(value)


def test_names_that_keras_numbers_are_no_content_and_given_ones_are():
    dense = [content_text(keras.layers.Dense(3)) for _ in range(2)]
    assert keras.layers.Dense(3).name != keras.layers.Dense(3).name
    assert dense[0] == dense[1]
    assert content_text(keras.layers.Dense(3, name="mine")) != dense[0]
    assert "rescaling_" not in content_text(functional(2))


def test_functions_with_a_name_are_described_by_it():
    assert content_text(np.linalg.norm) == "numpy.linalg.norm"
    assert content_text(times) == f"{__name__}.times"
    assert content_text(np.log) != content_text(np.exp)
    assert content_text(len) == "builtins.len"


def test_lambdas_are_told_apart_by_what_they_do_and_not_by_where_they_stand():
    one = lambda x: x + 1  # noqa: E731
    same = lambda x: x + 1  # noqa: E731
    other = lambda x: x + 2  # noqa: E731
    inner = lambda x: [y + 1 for y in x if y in {1, 2}]  # noqa: E731
    texts = [content_text(each).replace("same", "one") for each in (one, same, other, inner)]
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3


def test_a_function_that_counts_its_calls_stays_the_same():
    calls = []

    def count():
        calls.append(1)

    before = content_text(count)
    count()
    assert content_text(count) == before


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((4, 8), "(4, 8)"),
        ((4,), "(4,)"),
        ([True, None], "[True, None]"),
        ({"b": 1.0, "a": "x"}, "{'a': 'x', 'b': 1.0}"),
        (np.int64(3), "3"),
        (np.float64("nan"), "nan"),
        ("1", "'1'"),
        (b"ab", "b'ab'"),
        (np.arange(3), "array([0, 1, 2], int64)"),
        (LogisticRegression(C=2), "LogisticRegression(C=2)"),
        (Data(3), "Data(value=3, rest=1)"),
        (float, "builtins.float"),
    ],
)
def test_plain_values_are_written_as_python_writes_them(value, text):
    assert content_text(value) == text


def test_values_that_hold_themselves_end():
    value = [1]
    value.append(value)
    assert content_text(value) == "[1, ...]"
    nested = []
    for _ in range(100_000):
        nested = [nested]
    assert content_text(nested) == "list"


def test_a_long_text_ends_with_a_digest():
    one, other = list(range(200)), [*range(199), 0]
    assert len(shortened_content_text(one)) <= 100
    assert shortened_content_text(one)[:80] == shortened_content_text(other)[:80]
    assert shortened_content_text(one) != shortened_content_text(other)


def test_digests_of_arrays_follow_from_the_values(tmp_path):
    values = np.arange(12.0).reshape(3, 4)
    mapped = np.memmap(tmp_path / "values", dtype=float, mode="w+", shape=values.shape)
    mapped[:] = values
    for same in (values.copy(order="F"), values[:, ::-1][:, ::-1], mapped, values.tolist()):
        assert digest_of_searched_content(same) == digest_of_searched_content(values)
    for other in (values + 1, values.astype(np.float32), values.reshape(4, 3)):
        assert digest_of_searched_content(other) != digest_of_searched_content(values)


@pytest.mark.slow
def test_another_process_writes_the_same_texts():
    program = (
        "from tests.search.test_content import MAKERS; "
        "from lungestimators.search.content import content_text; "
        "import keras; keras.layers.Rescaling(1); "
        "print([content_text(make(1)) for make in MAKERS.values()])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    here = [content_text(make(1)) for make in MAKERS.values()]
    assert done.stdout.splitlines()[-1] == str(here)
