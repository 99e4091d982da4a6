"""Each private name of another library still does what the package uses it for.

A test that fails here alone says that a release has moved its name; ``lungestimators/_compat.py``
is then the only file to change.
"""

import random
import subprocess
import sys

import keras
import numpy as np
import optuna
import pytest
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from lungestimators import CNNClassifier, _compat
from lungestimators.saving import classes

tensorflow_only = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="TensorFlow runs under its own backend"
)


@pytest.fixture
def study():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(study_name="study")


# scikit-learn


def test_rows_of_any_container_are_taken():
    np.testing.assert_array_equal(
        _compat.sklearn_take_rows(np.arange(6).reshape(3, 2), [2]), [[4, 5]]
    )
    assert _compat.sklearn_take_rows(["a", "b", "c"], [0, 2]) == ["a", "c"]


def test_a_precomputed_kernel_loses_columns_with_its_rows():
    kernel, y = np.arange(16).reshape(4, 4), np.arange(4)
    X, labels = _compat.sklearn_take_rows_of_xy(SVC(kernel="precomputed"), kernel, y, [3], [0, 1])
    np.testing.assert_array_equal(X, [[12, 13]])
    np.testing.assert_array_equal(labels, [3])


def test_parameters_with_a_value_an_image_are_cut():
    given = {"sample_weight": np.arange(3.0), "flag": True}
    cut = _compat.sklearn_take_rows_of_parameters(np.zeros((3, 1)), given, [0, 2])
    np.testing.assert_array_equal(cut["sample_weight"], [0, 2])
    assert cut["flag"] is True


def test_sample_weights_are_ones_or_not_negative():
    np.testing.assert_array_equal(
        _compat.sklearn_check_sample_weight(None, np.zeros((2, 1))), [1, 1]
    )
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        _compat.sklearn_check_sample_weight([1, -1], np.zeros((2, 1)))


def test_estimators_of_one_class_are_numbered():
    named = _compat.sklearn_name_estimators([LogisticRegression(), LogisticRegression()])
    assert [name for name, _ in named] == ["logisticregression-1", "logisticregression-2"]


def test_a_scorer_says_whether_it_takes_weights():
    assert _compat.sklearn_scorer_accepts_weight(make_scorer(accuracy_score)) is True
    assert _compat.sklearn_scorer_accepts_weight(make_scorer(lambda y, predicted: 0)) is False
    assert _compat.sklearn_scorer_accepts_weight(lambda estimator, X, y: 0) is None


def test_requests_for_metadata_are_read_and_set_again():
    with config_context(enable_metadata_routing=True):
        asked = LogisticRegression().set_fit_request(sample_weight=True)
        assert _compat.sklearn_requests_of(LogisticRegression()) == {}
        requests = _compat.sklearn_requests_of(asked)
        assert requests["fit"] == {"sample_weight": True}
        again = LogisticRegression()
        _compat.sklearn_set_requests(again, requests)
        assert again.get_metadata_routing().fit.requests == {"sample_weight": True}
        for wrong in ({"x": {}}, {"fit": {"x": True}}, {"fit": {"sample_weight": "1 2"}}):
            with pytest.raises(ValueError):
                _compat.sklearn_set_requests(again, wrong)


def test_the_container_that_was_asked_for_is_read():
    assert _compat.sklearn_output_of(StandardScaler()) is None
    asked = StandardScaler().set_output(transform="pandas")
    assert _compat.sklearn_output_of(asked) == "pandas"
    assert set(vars(asked)) & _compat.SKLEARN_ATTRIBUTES == {"_sklearn_output_config"}
    assert "_sklearn_version" in asked.__getstate__()


def test_invalid_parameters_are_an_error_before_any_fit():
    _compat.sklearn_check_parameters(LogisticRegression())
    with pytest.raises(ValueError, match="The 'C' parameter"):
        _compat.sklearn_check_parameters(LogisticRegression(C="x"))


def test_a_tuned_threshold_predicts_with_a_scorer_that_is_made_again():
    X, y = np.arange(20.0)[:, None], np.arange(20) > 12
    tuned = TunedThresholdClassifierCV(LogisticRegression(), cv=2).fit(X, y)
    expected = tuned.predict(X)
    del tuned._curve_scorer
    _compat.sklearn_make_curve_scorer(tuned)
    np.testing.assert_array_equal(tuned.predict(X), expected)


@pytest.mark.parametrize("name", ["CalibratedClassifier", "SigmoidCalibration"])
def test_parts_of_a_calibration_have_the_names_that_files_name(name):
    assert classes.find_class(f"_{name}").__module__ == "sklearn.calibration"


class Callback:
    """A callback of scikit-learn's that does nothing."""

    def setup(self, estimator, context):
        self.is_set_up = True

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **others):
        pass

    def on_fit_task_end(self, estimator, context, **others):
        pass


def test_callbacks_that_were_set_are_returned_and_set_up():
    callback, clf = Callback(), CNNClassifier()
    assert _compat.sklearn_callbacks_of(clf) is None
    clf.set_callbacks(callback)
    assert list(_compat.sklearn_callbacks_of(clf)) == [callback]
    context = _compat.sklearn_begin_callbacks(clf, 3)
    assert context.max_subtasks == 3
    assert callback.is_set_up


# Keras


def test_all_layers_has_the_layers_in_layers():
    pipeline = keras.layers.Pipeline([keras.layers.RandomContrast(0.1)])
    inner = keras.Sequential([keras.Input((4, 4, 1)), pipeline])
    layers = list(_compat.keras_layers_of(keras.Sequential([keras.Input((4, 4, 1)), inner])))
    assert any(isinstance(layer, keras.layers.RandomContrast) for layer in layers)


def test_the_layers_of_a_model_are_called_one_by_one_within_another_graph():
    inner_input = keras.Input((2,))
    x = keras.layers.Dense(3, name="first")(inner_input)
    inner = keras.Model(inner_input, keras.layers.Dense(4, name="second")(x))
    called = []

    def call(layer, *args, **kwargs):
        called.append(layer.name)
        return layer(*args, **kwargs)

    inputs = keras.Input((2,))
    before = keras.layers.Rescaling(2.0)
    outer = keras.Model(inputs, _compat.keras_call_layers_of(inner, before(inputs), call))
    assert called == ["first", "second"]
    assert not any(isinstance(layer, keras.Model) for layer in outer.layers)
    rows = np.ones((5, 2), np.float32)
    np.testing.assert_allclose(outer(rows), inner(2 * rows), rtol=1e-6)


def test_initial_weights_follow_from_the_generator_that_is_lent():
    def kernel(seed):
        with _compat.keras_draws_initial_seeds_from(random.Random(seed)):
            layer = keras.layers.Dense(3)
            layer.build((None, 2))
        return layer.get_weights()[0]

    state = random.getstate()
    np.testing.assert_array_equal(kernel(0), kernel(0))
    assert not np.array_equal(kernel(0), kernel(1))
    assert random.getstate() == state


def test_the_dtype_policy_is_put_back():
    before = keras.config.dtype_policy().name
    with _compat.keras_dtype_policy_put_back():
        keras.config.set_dtype_policy("mixed_bfloat16")
    assert keras.config.dtype_policy().name == before == "float32"


def test_the_module_of_an_application_has_its_preprocessing_and_any_densenet():
    module = _compat.keras_application_module(keras.applications.DenseNet121)
    assert module.preprocess_input is not None
    network = module.DenseNet(
        (1, 1, 1, 1), include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    assert network.output_shape[:3] == (None, 1, 1)


@pytest.mark.parametrize("name", ["MobileNet", "MobileNetV2", "DenseNet121", "EfficientNetV2B0"])
def test_the_folder_of_weights_is_an_address(name):
    url = _compat.keras_folder_of_weights(getattr(keras.applications, name))
    assert url.startswith("https://storage.googleapis.com/tensorflow/keras-applications/")
    assert url.endswith("/")


def test_the_averages_of_adam_have_the_shape_of_the_variable():
    variables = [keras.Variable(np.zeros(shape, "float32")) for shape in ((3, 2), (5,))]
    optimizer = keras.optimizers.Adam()
    optimizer.build(variables)
    for variable in variables:
        momentum, velocity = _compat.keras_adam_averages(optimizer, variable)
        assert tuple(momentum.shape) == tuple(velocity.shape) == tuple(variable.shape)
        assert momentum is not velocity


# Optuna


def test_a_study_has_its_storage(study):
    assert isinstance(_compat.optuna_storage_of(study), optuna.storages.BaseStorage)


def test_a_trial_is_added_with_attributes_and_failed_with_others(study):
    running = optuna.trial.TrialState.RUNNING
    template = optuna.create_trial(state=running, user_attrs={"host": "here"})
    trial = _compat.optuna_add_trial(study, template)
    assert study.trials[0].state == running
    assert trial.user_attrs == {"host": "here"}
    _compat.optuna_fail_trial(study, trial, {"error": "lost"})
    assert study.trials[0].state == optuna.trial.TrialState.FAIL
    assert study.trials[0].user_attrs == {"host": "here", "error": "lost"}


def test_enqueued_values_are_encoded(study):
    study.enqueue_trial({"x": "a"})
    trial = study.ask()
    _compat.optuna_encode_enqueued_values(trial, lambda name, value: f"{name}={value}")
    assert trial.suggest_categorical("x", ["x=a", "x=b"]) == "x=a"


def test_a_copied_grid_sampler_draws_encoded_values():
    sampler = optuna.samplers.GridSampler({"x": ["a", "b"]}, seed=0)
    copied = optuna.samplers.GridSampler({"x": ["a", "b"]}, seed=0)
    _compat.optuna_encode_grid(copied, sampler, lambda name, value: f"{name}={value}")
    study = optuna.create_study(sampler=copied)
    study.optimize(lambda trial: trial.suggest_categorical("x", ["x=a", "x=b"]) == "x=a")
    assert sorted(trial.params["x"] for trial in study.trials) == ["x=a", "x=b"]


def test_a_copied_partial_sampler_fixes_encoded_values_and_asks_another_sampler():
    random_sampler, other = (optuna.samplers.RandomSampler(seed=seed) for seed in (0, 1))
    sampler = optuna.samplers.PartialFixedSampler({"x": "a"}, random_sampler)
    copied = optuna.samplers.PartialFixedSampler({"x": "a"}, random_sampler)
    assert _compat.optuna_base_sampler(sampler) is random_sampler
    _compat.optuna_encode_fixed_values(copied, sampler, lambda name, value: f"{name}={value}")
    _compat.optuna_set_base_sampler(copied, other)
    assert _compat.optuna_base_sampler(copied) is other
    study = optuna.create_study(sampler=copied)
    assert study.ask().suggest_categorical("x", ["x=a", "x=b"]) == "x=a"


# TensorFlow and JAX


def printed(program):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.slow
@tensorflow_only
def test_tensorflow_has_run_when_it_has_computed_something():
    program = """
from lungestimators import _compat
print(_compat.tensorflow_has_run())
import tensorflow as tf
print(_compat.tensorflow_has_run())
tf.constant(1) + 1
print(_compat.tensorflow_has_run())
"""
    assert printed(program) == ["False", "False", "True"]


def test_jax_has_run_when_it_has_computed_something():
    pytest.importorskip("jax")
    program = """
from lungestimators import _compat
print(_compat.jax_has_run())
import jax.numpy as jnp
print(_compat.jax_has_run())
jnp.ones(1) + 1
print(_compat.jax_has_run())
"""
    assert printed(program) == ["False", "False", "True"]
