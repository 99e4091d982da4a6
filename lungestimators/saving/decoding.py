"""Plain data of a file back as estimators; everything is checked before it is used.

The way back from ``encoding``. Every error about the file is a ValueError.
"""

import json
import math
import pathlib
import re

import numpy as np
from sklearn.base import BaseEstimator

from .. import _compat
from ..networks.blueprints import Blueprint
from ..networks.onnx_sessions import OnnxWeights
from . import classes, sklearn_checks
from .architecture_checks import shapes_of_network
from .encoding import ARRAY_TYPES, DERIVED, MOST_INLINE, MOST_PADDING, is_inline_value

_DEEPEST = 60


class Decoder:
    """Makes estimators of plain data.

    Parameters
    ----------
    arrays : dict of str to ndarray
        As ``Encoder.arrays``. Arrays are taken out of it as they are used.
    architectures : list of dict
        As ``Encoder.architectures``.
    sklearn_version : str
        That wrote the file; estimators of scikit-learn warn of another one.
    runtime : {"keras", "onnxruntime"}
        What runs the networks.
    """

    def __init__(self, arrays, architectures, sklearn_version, runtime="keras"):
        self._arrays = arrays
        self._sklearn_version = sklearn_version
        self._runtime = runtime
        self._weights = {}
        self._depth = 0
        self._networks = []
        if not isinstance(architectures, list):
            raise ValueError("its architectures are no list")
        for architecture in architectures:
            text = json.dumps(architecture)
            self._networks.append((text, shapes_of_network(text)))
        self._unused = set(range(len(architectures)))

    def decode(self, node):
        """Return the value that stands in a file as ``node``."""
        if node is None or isinstance(node, bool | int | float | str):
            return node
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError(f"its values are nested more than {_DEEPEST} deep")
        if isinstance(node, list):
            value = [self.decode(item) for item in node]
        else:
            value = self._decode_typed(node)
        self._depth -= 1
        return value

    def check_that_all_was_used(self):
        """Raise where the file has an array or an architecture that no estimator has used."""
        left = [*self._arrays, *(f"architecture {number}" for number in self._unused)]
        if left:
            raise ValueError(f"it has data that nothing refers to: {left[0]}")

    def _decode_typed(self, node):
        """Return the value of a dict with a ``type``."""
        kind = node.get("type")
        decoders = {
            "tuple": self._decode_tuple,
            "dict": self._decode_dict,
            "float": self._decode_float,
            "scalar": self._decode_scalar,
            "array": self._decode_array,
            "dtype": self._decode_dtype,
            "path": self._decode_path,
            "RandomState": self._decode_random_state,
            "network": self._decode_network,
            "estimator": self._decode_estimator,
        }
        if not isinstance(kind, str) or kind not in decoders:
            raise ValueError(f"it holds a value of the unknown type {str(kind)[:80]!r}")
        return decoders[kind](**_fields(node, kind))

    def _decode_tuple(self, items):
        return tuple(self.decode(_of_type(items, list, "a tuple")))

    def _decode_dict(self, items):
        decoded = self.decode(_of_type(items, list, "a dict"))
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in decoded):
            raise ValueError("a dict in it is damaged")
        try:
            value = dict(decoded)
        except TypeError:
            raise ValueError("a key of a dict in it is no key") from None
        if len(value) != len(decoded):
            raise ValueError("a dict in it has a key twice")
        return value

    def _decode_float(self, value):
        if value not in ("nan", "inf", "-inf"):
            raise ValueError(f"{str(value)[:80]!r} is not a number that is not finite")
        return float(value)

    def _decode_scalar(self, dtype, value):
        if dtype == "str":
            return np.str_(_of_type(value, str, "a text"))
        return _as_array([self.decode(value)], self._decode_dtype(dtype))[0]

    def _decode_dtype(self, name):
        if not isinstance(name, str) or name not in ARRAY_TYPES:
            raise ValueError(f"{str(name)[:80]!r} is no type of an array")
        return np.dtype(name)

    def _decode_path(self, value):
        return pathlib.Path(_of_type(value, str, "a path"))

    def _decode_array(self, name=None, order="C", dtype=None, values=None):
        if values is not None:
            return self._decode_labels(dtype, _of_type(values, list, "an array"))
        if dtype is not None or order not in ("C", "F"):
            raise ValueError("an array in it is damaged")
        if not isinstance(name, str) or name[:6] != "array_" or name not in self._arrays:
            raise ValueError(f"the array {str(name)[:80]!r} is missing, or is used twice")
        array = self._arrays.pop(name)
        return np.asfortranarray(array) if order == "F" else array

    def _decode_labels(self, dtype, values):
        """Return an array whose values stand in the JSON."""
        if not all(map(is_inline_value, values)):
            raise ValueError("an array of labels holds something else")
        values = self.decode(values)
        if dtype == "object":
            array = np.empty(len(values), object)
            array[:] = values
            return array
        if isinstance(dtype, str) and re.fullmatch(r"<U\d{1,6}", dtype):
            if not all(isinstance(value, str) for value in values):
                raise ValueError("an array of texts holds something else")
            padding = int(dtype[2:]) - max([1, *map(len, values)])
            if padding < 0 or 4 * padding * len(values) > MOST_PADDING:
                raise ValueError(f"an array of texts has the wrong type {dtype}")
            return np.array(values, dtype)
        if len(values) > MOST_INLINE:
            raise ValueError("an array of numbers stands in the wrong place")
        return _as_array(values, self._decode_dtype(dtype))

    def _decode_random_state(self, key, pos, has_gauss, gauss):
        key = self.decode(key)
        if not (isinstance(key, np.ndarray) and key.dtype == np.uint32 and key.shape == (624,)):
            raise ValueError("a random state in it is damaged")
        if type(pos) is not int or not 0 <= pos <= 624 or has_gauss not in (0, 1):
            raise ValueError("a random state in it is damaged")
        state = np.random.RandomState()
        gauss = float(_of_type(self.decode(gauss), float, "a random state"))
        state.set_state(("MT19937", key, pos, int(has_gauss), gauss))
        return state

    def _decode_network(self, architecture, weights):
        if type(architecture) is not int or not 0 <= architecture < len(self._networks):
            raise ValueError("it names an architecture that it lacks")
        self._unused.discard(architecture)
        text, shapes = self._networks[architecture]
        arrays = tuple(map(self._weight_named, _of_type(weights, list, "a network")))
        if [array.shape for array in arrays] != shapes.weights:
            raise ValueError(f"the weights of its {shapes.name} have other shapes than the layers")
        if len(shapes.output) != 1:
            raise ValueError(f"the output of its {shapes.name} is no vector")
        if self._runtime == "onnxruntime":
            arrays = OnnxWeights(arrays)
        return Blueprint(text, arrays, shapes.output[0])

    def _weight_named(self, name):
        """Return a weight, float32; several networks may share it."""
        if not isinstance(name, str) or name[:7] != "weight_":
            raise ValueError(f"{str(name)[:80]!r} is no weight")
        if name not in self._weights:
            if name not in self._arrays or self._arrays[name].dtype.name not in (
                "float16",
                "float32",
            ):
                raise ValueError(f"the weight {name!r} is missing, or is not float16 or float32")
            self._weights[name] = self._arrays.pop(name).astype(np.float32, copy=False)
        return self._weights[name]

    def _decode_estimator(self, parameters, state=None, requests=None, output=None, **name):
        """Return an estimator: made by its constructor, then given its fitted state."""
        if set(name) != {"class"}:
            raise ValueError("an estimator in it has no class")
        name = name["class"]
        cls = classes.find_class(name)
        parameters = self._decode_attributes(parameters, name)
        try:
            estimator = cls(**parameters)
        except TypeError as error:
            raise ValueError(f"its parameters are not those of {name}: {error}") from None
        if not isinstance(estimator, BaseEstimator):
            sklearn_checks.check_part(name, estimator)
            return estimator
        if state is not None:
            state = self._decode_attributes(state, name)
        if hasattr(cls, "_runtime"):  # it has a network of the package, which no file holds
            estimator._runtime = self._runtime
        if hasattr(cls, "_state_for_file"):
            estimator._check_parameters_from_file()
            if state is not None:
                estimator._restore_state_from_file(state)
        else:
            self._restore_sklearn_state(name, estimator, state or {})
        if requests is not None:
            requests = _of_type(self.decode(requests), dict, "a request for metadata")
            if not all(isinstance(some, dict) for some in requests.values()):
                raise ValueError("a request for metadata in it is damaged")
            _raising_value_errors(_compat.sklearn_set_requests, estimator, requests)
        if output is not None:
            if not isinstance(output, str) or not hasattr(estimator, "set_output"):
                raise ValueError("the container of an output in it is damaged")
            _raising_value_errors(estimator.set_output, transform=output)
        return estimator

    def _decode_attributes(self, attributes, name):
        """Return a dict of attributes."""
        attributes = _of_type(attributes, dict, f"a {name}")
        return {key: self.decode(value) for key, value in attributes.items()}

    def _restore_sklearn_state(self, name, estimator, state):
        """Give an estimator of scikit-learn, or a transformer of ours, its attributes."""
        forbidden = {*vars(estimator), *_compat.SKLEARN_ATTRIBUTES, *DERIVED.get(name, ())}
        for key in state:
            if key in forbidden or not key.isidentifier() or hasattr(type(estimator), key):
                raise ValueError(f"a {name} in it has the attribute {key[:80]!r}")
        if not classes.is_own_class(name):
            state["_sklearn_version"] = self._sklearn_version
        _raising_value_errors(estimator.__setstate__, state)
        sklearn_checks.check_estimator(name, estimator)


def _fields(node, kind):
    """Return the entries of a typed dict but its type, or raise where they are not the right ones.

    A value with the wrong entries is damaged.
    """
    required, optional = {
        "tuple": ({"items"}, set()),
        "dict": ({"items"}, set()),
        "float": ({"value"}, set()),
        "scalar": ({"dtype", "value"}, set()),
        "array": (set(), {"name", "order", "dtype", "values"}),
        "dtype": ({"name"}, set()),
        "path": ({"value"}, set()),
        "RandomState": ({"key", "pos", "has_gauss", "gauss"}, set()),
        "network": ({"architecture", "weights"}, set()),
        "estimator": ({"class", "parameters"}, {"state", "requests", "output"}),
    }[kind]
    fields = {key: value for key, value in node.items() if key != "type"}
    if not required <= set(fields) <= required | optional:
        raise ValueError(f"a value of the type {kind!r} in it has the entries {sorted(fields)}")
    return fields


def _of_type(value, kind, what):
    """Return a value of a type, or raise a ValueError."""
    if not isinstance(value, kind):
        raise ValueError(f"{what} in it is damaged")
    return value


def _as_array(values, dtype):
    """Return numbers as an array of a type that can hold them exactly."""
    right = {"b": bool, "i": int, "u": int, "f": float}[dtype.kind]
    if not all(type(value) is right for value in values):
        raise ValueError(f"an array of {dtype} in it holds something else")
    try:
        with np.errstate(over="ignore"):
            array = np.array(values, dtype)
    except OverflowError as error:
        raise ValueError(f"a number in it is out of range: {error}") from None
    if dtype.kind == "f" and not all(
        float(a) == b or math.isnan(b) for a, b in zip(array, values, strict=True)
    ):
        raise ValueError(f"a number in it is no {dtype}")
    return array


def _raising_value_errors(function, *args, **kwargs):
    """Call a function of scikit-learn on what a file states: any error of it is a ValueError."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        raise ValueError(f"what it states is not valid: {error}") from error
