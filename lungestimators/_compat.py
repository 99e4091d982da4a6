"""Private names of other libraries, in functions sklearn_*, keras_*, optuna_* and *_has_run.

Optuna is imported at its first use. No public name does what a private name here does. Nothing else
in the package uses a private name of scikit-learn, Keras, Optuna, TensorFlow or JAX.
``tests/test_compat.py`` has a test for each, which fails alone when a release moves the name.
"""

import contextlib
import importlib
import sys
import types

import numpy as np
from sklearn.pipeline import _name_estimators
from sklearn.utils import _safe_indexing
from sklearn.utils._metadata_requests import SIMPLE_METHODS
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params, _check_sample_weight


class _LazyModule(types.ModuleType):
    """A module that is imported when one of its names is first used.

    ``importlib.util.LazyLoader``, and ``lazy_loader.load`` with it, lets other threads see half a
    module on Python 3.11.
    """

    def __getattr__(self, name):
        return getattr(importlib.import_module(self.__name__), name)


optuna = _LazyModule("optuna")

# scikit-learn


def sklearn_take_rows(X, rows):
    """Return rows of an array, a list, a sparse matrix or a data frame of any library.

    ``sklearn.utils.resample`` is public, and only draws at random.
    """
    return _safe_indexing(X, rows)


def sklearn_take_rows_of_xy(estimator, X, y, rows, training_rows=None):
    """Return rows of X and y for an estimator, as cross-validation does.

    Of a precomputed kernel, which has a column for each training image, it takes columns too.
    """
    return _safe_split(estimator, X, y, rows, training_rows)


def sklearn_take_rows_of_parameters(X, parameters, rows):
    """Return parameters of ``fit`` or of a scorer, of which those with a value an image are cut."""
    return _check_method_params(X, parameters, indices=rows)


def sklearn_check_sample_weight(sample_weight, X):
    """Return one weight of at least 0 for each row of X, ones for None, or raise."""
    return _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)


def sklearn_name_estimators(estimators):
    """Return (name, estimator) for each estimator, named and numbered as by ``make_pipeline``."""
    return _name_estimators(estimators)


def sklearn_scorer_accepts_weight(scorer):
    """Return whether a scorer of scikit-learn takes weights; None of any other function.

    The objects of ``make_scorer`` all have the same signature.
    """
    method = getattr(scorer, "_accept_sample_weight", None)
    return None if method is None else method()


def sklearn_callbacks_of(estimator):
    """Return the callbacks that ``set_callbacks`` gave an estimator, None where it was not called.

    There is no ``get_callbacks``.
    """
    return getattr(estimator, "_skl_callbacks", None)


def sklearn_begin_callbacks(estimator, n_subtasks):
    """Return the context through which a fit calls its callbacks.

    scikit-learn's guide for authors of estimators names this method.
    """
    return estimator._init_callback_context(max_subtasks=n_subtasks)


# Attributes that scikit-learn keeps on an estimator beside its parameters and its fitted state.
SKLEARN_ATTRIBUTES = frozenset(
    {"_metadata_request", "_skl_callbacks", "_sklearn_output_config", "_sklearn_version"}
)


def sklearn_requests_of(estimator):
    """Return the metadata that ``set_fit_request`` and the like asked for, by method.

    ``get_metadata_routing`` has them with the defaults, which cannot be told from requests.

    Returns
    -------
    dict of {str: dict}
        Empty where nothing was asked for.
    """
    asked = vars(estimator).get("_metadata_request")
    if asked is None:
        return {}
    by_method = {method: dict(getattr(asked, method).requests) for method in SIMPLE_METHODS}
    return {method: requests for method, requests in by_method.items() if requests}


def sklearn_set_requests(estimator, requests):
    """Set what :func:`sklearn_requests_of` returned; ``set_fit_request`` needs routing switched on.

    Raises
    ------
    ValueError
        The estimator has no such method or metadata, or the request is none.
    """
    asked = estimator._get_metadata_request()
    for method, some in requests.items():
        if method not in SIMPLE_METHODS:
            raise ValueError(f"there is no method {method!r} with metadata")
        known = getattr(asked, method)
        for name, alias in some.items():
            if name not in known.requests:
                raise ValueError(f"{method} takes no metadata {name!r}")
            known.add_request(param=name, alias=alias)
    estimator._metadata_request = asked


def sklearn_output_of(estimator):
    """Return the container that ``set_output`` asked for, None where it was not called."""
    return vars(estimator).get("_sklearn_output_config", {}).get("transform")


def sklearn_check_parameters(estimator):
    """Raise a ValueError unless all parameters of an estimator of scikit-learn are valid.

    ``fit`` does this first.
    """
    if hasattr(type(estimator), "_parameter_constraints"):
        estimator._validate_params()


def sklearn_make_curve_scorer(estimator):
    """Give a TunedThresholdClassifierCV the scorer that its ``fit`` made of its parameters."""
    estimator._curve_scorer = estimator._get_curve_scorer()


# Keras


def keras_layers_of(network):
    """Return a network's layers and the layers in them; ``Model.layers`` has the outer ones."""
    return network._flatten_layers()


def keras_is_functional(layer):
    """Return whether a layer or an operation is a functional model; its class is not public."""
    return hasattr(layer, "_run_through_graph")


def keras_call_layers_of(network, inputs, call):
    """Call the layers of a functional model one after another; return the output of the last one.

    ``keras.models.clone_model`` is public; where ``inputs`` are outputs of other layers, its output
    is not connected with them.

    Parameters
    ----------
    network : keras.Model
    inputs : keras.KerasTensor
    call : callable
        ``(layer, *args, **kwargs) -> outputs``.
    """
    return network._run_through_graph(inputs, call_fn=call)


@contextlib.contextmanager
def keras_draws_initial_seeds_from(generator):
    """Let Keras draw the seeds of initializers and layers from a ``random.Random``.

    It draws them from Python's global generator, which other threads use too.
    """
    seed_generator = importlib.import_module("keras.src.random.seed_generator")
    shared = seed_generator.python_random
    seed_generator.python_random = generator
    try:
        yield
    finally:
        seed_generator.python_random = shared


@contextlib.contextmanager
def keras_dtype_policy_put_back():
    """Set Keras' global dtype policy back when the block ends, or back to never asked for.

    ``keras.config.dtype_policy()`` makes a policy out of ``floatx`` when it is first asked.
    """
    global_state = importlib.import_module("keras.src.backend.common.global_state")
    before = global_state.get_global_attribute("dtype_policy")
    try:
        yield
    finally:
        global_state.set_global_attribute("dtype_policy", before)


def keras_application_module(application):
    """Return the module that a function of ``keras.applications`` is written in.

    The module's ``preprocess_input`` is public too, under a name that differs from function to
    function. DenseNet121's module has ``DenseNet`` for any number of layers, which is not public.
    """
    return sys.modules[application.__module__]


def keras_folder_of_weights(application):
    """Return the URL of the folder from which a function of ``keras.applications`` downloads."""
    module = keras_application_module(application)
    names = "BASE_WEIGHTS_PATH", "BASE_WEIGHT_PATH", "WEIGHTS_PATH_NO_TOP"
    found = [url for name in names if (url := getattr(module, name, None))]
    return found[0].rsplit("/", 1)[0] + "/" if found else "Keras' site"


def keras_adam_averages(optimizer, variable):
    """Return the two variables in which Keras' Adam averages the gradients of a variable.

    ``Optimizer.variables`` has them in an order that is not documented.
    """
    index = optimizer._get_variable_index(variable)
    return optimizer._momentums[index], optimizer._velocities[index]


# Optuna


def optuna_storage_of(study):
    """Return the storage of a study."""
    return study._storage


def optuna_add_trial(study, template):
    """Add a running trial that has attributes from its first moment on, which ``ask`` cannot."""
    return optuna.Trial(study, study._storage.create_new_trial(study._study_id, template))


def optuna_fail_trial(study, trial, attributes):
    """Fail a running trial after setting its attributes, without telling the sampler.

    ``Study.tell`` would hand the failure to the sampler.
    """
    for key, value in attributes.items():
        study._storage.set_trial_user_attr(trial._trial_id, key, value)
    study._storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.FAIL)


def optuna_encode_enqueued_values(trial, encode):
    """Encode the values that ``Study.enqueue_trial`` set for a trial, in place.

    Parameters
    ----------
    trial : optuna.Trial
        A trial without enqueued values (another class's, such as FixedTrial) is left alone.
    encode : callable
        (name of a parameter, value) -> value.
    """
    enqueued = getattr(trial, "_fixed_params", {})
    trial._fixed_params = {name: encode(name, value) for name, value in enqueued.items()}


def optuna_encode_grid(copied, sampler, encode):
    """Give a copy of a GridSampler the encoded values of the sampler's grid.

    Parameters
    ----------
    copied, sampler : optuna.samplers.GridSampler
    encode : callable
        (name of a parameter, value) -> value.
    """
    names = sampler._param_names
    copied._search_space = {
        name: [encode(name, value) for value in sampler._search_space[name]] for name in names
    }
    copied._all_grids = [tuple(map(encode, names, values)) for values in sampler._all_grids]


def optuna_encode_fixed_values(copied, sampler, encode):
    """Give a copy of a PartialFixedSampler the encoded values of the sampler's fixed parameters.

    Parameters
    ----------
    copied, sampler : optuna.samplers.PartialFixedSampler
    encode : callable
        (name of a parameter, value) -> value.
    """
    fixed = sampler._fixed_params
    copied._fixed_params = {name: encode(name, value) for name, value in fixed.items()}


def optuna_base_sampler(sampler):
    """Return the sampler that a PartialFixedSampler asks for all other parameters."""
    return sampler._base_sampler


def optuna_set_base_sampler(sampler, base):
    """Set the sampler that a PartialFixedSampler asks for all other parameters."""
    sampler._base_sampler = base


# TensorFlow and JAX


def tensorflow_has_run():
    """Return whether TensorFlow has started its threads in this process; it is not imported."""
    context = getattr(sys.modules.get("tensorflow.python.eager.context"), "_context", None)
    return bool(getattr(context, "_initialized", False))


def jax_has_run():
    """Return whether JAX has started its threads in this process; it is not imported."""
    return bool(getattr(sys.modules.get("jax._src.xla_bridge"), "_backends", None))
