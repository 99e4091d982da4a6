"""Estimators as plain data: a tree for JSON, and arrays beside it.

None, True, False, whole numbers, finite floats, text and lists stand for themselves. Everything
else is a dict with a ``type``. ``decoding`` is the way back.
"""

import inspect
import json
import math
import pathlib

import numpy as np
import xxhash
from sklearn.base import BaseEstimator

from .. import _compat
from ..networks.blueprints import Blueprint
from . import classes
from .architecture_checks import shapes_of_network

# The types of arrays in safetensors that NumPy has.
ARRAY_TYPES = frozenset(
    {
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
    }
)
# Whole numbers of so many or fewer stand in the JSON, where a person can read them: class labels.
MOST_INLINE = 1000
# Bytes by which texts of an array may be shorter than its type.
MOST_PADDING = 2**16
# Attributes that follow from others, and are made anew.
DERIVED = {
    "TunedThresholdClassifierCV": {"_curve_scorer"},
    "VotingClassifier": {"named_estimators_"},
}


class Encoder:
    """Turns estimators into plain data.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Arrays that the tree refers to. Weights are float16 where this changes none of their bits.
    architectures : list of dict
        Networks that the tree refers to, each once.
    class_names : set of str
        Classes that the tree names.
    """

    def __init__(self):
        self.arrays = {}
        self.architectures = []
        self.class_names = set()
        self._numbers = {}
        self._weights = {}

    def encode(self, value, where):
        """Return a value as plain data.

        Parameters
        ----------
        value : object
        where : str
            Where the value stands, for errors: ``"CNNClassifier.callbacks"``.

        Raises
        ------
        ValueError
            A file cannot hold the value.
        """
        if value is None or type(value) in (bool, str):
            return value
        if type(value) is int:
            if value.bit_length() > 1024:
                raise ValueError(f"{where} is a number of {value.bit_length()} bits")
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"type": "float", "value": str(value)}
        if type(value) is list:
            return [self.encode(item, f"{where}[{n}]") for n, item in enumerate(value)]
        if type(value) is tuple:
            if len(value) == 2 and isinstance(value[1], BaseEstimator):  # a step of a Pipeline
                step = f"{where.rpartition('.')[0]}[{value[0]!r}]"
                items = [self.encode(value[0], where), self.encode(value[1], step)]
                return {"type": "tuple", "items": items}
            return {"type": "tuple", "items": self.encode(list(value), where)}
        if type(value) is dict:
            items = [
                [self.encode(key, f"a key of {where}"), self.encode(item, f"{where}[{key!r}]")]
                for key, item in value.items()
            ]
            return {"type": "dict", "items": items}
        if isinstance(value, np.ndarray):
            return self._encode_array(value, where)
        if isinstance(value, np.generic):
            return self._encode_scalar(value, where)
        if isinstance(value, np.dtype):
            return {"type": "dtype", "name": _array_type(value, where)}
        if isinstance(value, pathlib.PurePath):
            return {"type": "path", "value": str(value)}
        if type(value) is np.random.RandomState:
            return self._encode_random_state(value, where)
        if type(value) is Blueprint:
            return self._encode_blueprint(value, where)
        if (name := classes.name_on_list(type(value))) is not None:
            return self._encode_estimator(name, value, where)
        raise ValueError(_message_cannot_hold(value, where))

    def _encode_scalar(self, value, where):
        """Return a number or text of NumPy as plain data."""
        if type(value) is np.str_:
            return {"type": "scalar", "dtype": "str", "value": str(value)}
        name = _array_type(value.dtype, where)
        return {"type": "scalar", "dtype": name, "value": self.encode(value.item(), where)}

    def _encode_array(self, array, where):
        """Return an array as a reference to ``arrays``; labels as the list of their values."""
        kind = array.dtype.kind
        # Labels may be floats; what else is float is too much for JSON.
        plain = kind in "biu" or (kind == "f" and where.endswith(".classes_"))
        few = plain and array.ndim == 1 and array.size <= MOST_INLINE
        if array.ndim == 1 and (kind in "OU" or few):
            values = [self.encode(item, where) for item in array.tolist()]
            node = {"type": "array", "dtype": array.dtype.name, "values": values}
            if kind == "O":
                node["dtype"] = "object"
                if not all(map(is_inline_value, values)):
                    raise ValueError(f"{where} is an array of other objects than labels")
            if kind == "U":
                longest = max([1, *map(len, values)])
                length = array.dtype.itemsize // 4
                padding = 4 * (length - longest) * len(values)
                node["dtype"] = f"<U{length if padding <= MOST_PADDING else longest}"
            return node
        _array_type(array.dtype, where)
        node = {"type": "array", "name": f"array_{len(self.arrays)}"}
        if array.flags.f_contiguous and not array.flags.c_contiguous:
            node["order"] = "F"
        native = array.astype(array.dtype.newbyteorder("="), copy=False)
        self.arrays[node["name"]] = np.ascontiguousarray(native).reshape(array.shape)
        return node

    def _encode_random_state(self, state, where):
        """Return a generator of NumPy's older kind as plain data."""
        plain = state.get_state(legacy=False)
        if plain["bit_generator"] != "MT19937":
            raise ValueError(f"{where} is a generator of the kind {plain['bit_generator']}")
        return {
            "type": "RandomState",
            "key": self.encode(plain["state"]["key"], where),
            "pos": int(plain["state"]["pos"]),
            "has_gauss": int(plain["has_gauss"]),
            "gauss": self.encode(float(plain["gauss"]), where),
        }

    def _encode_blueprint(self, blueprint, where):
        """Return a network as the number of its architecture and the names of its weights."""
        text = blueprint.architecture
        if text not in self._numbers:
            architecture = json.loads(text)
            try:
                shapes_of_network(text)
            except ValueError as error:
                raise ValueError(f"{where}: a file cannot hold this network: {error}") from None
            if json.dumps(architecture) != text:
                raise ValueError(f"{where}: Keras' JSON of the network would change in a file")
            self._numbers[text] = len(self.architectures)
            self.architectures.append(architecture)
        names = [self._name_of_weight(weight) for weight in blueprint.weights]
        return {"type": "network", "architecture": self._numbers[text], "weights": names}

    def _name_of_weight(self, weight):
        """Return the name of a weight among the arrays; equal weights are kept once."""
        if weight.dtype != np.float32:
            raise ValueError(f"a weight of a network is {weight.dtype}, and float32 is needed")
        weight = np.ascontiguousarray(weight).reshape(weight.shape)
        key = weight.shape, xxhash.xxh3_128_digest(weight)
        if key not in self._weights:
            name = self._weights[key] = f"weight_{len(self.arrays)}"
            self.arrays[name] = _as_float16_if_exact(weight)
        return self._weights[key]

    def _encode_estimator(self, name, estimator, where):
        """Return an estimator as its class, its parameters and its fitted state."""
        self.class_names.add(name)
        if not isinstance(estimator, BaseEstimator):  # a splitter, or a part of a calibration
            return {
                "type": "estimator",
                "class": name,
                "parameters": self._encode_attributes(vars(estimator), where),
            }
        _refuse_callbacks(estimator, where)
        if hasattr(type(estimator), "_state_for_file"):  # FrozenEstimator has those of its inside
            parameters, state = estimator._parameters_for_file(), estimator._state_for_file()
        else:
            parameters = parameters_of(estimator)
            state = _sklearn_state(name, estimator, parameters)
        node = {
            "type": "estimator",
            "class": name,
            "parameters": self._encode_attributes(parameters, where),
            "state": None if state is None else self._encode_attributes(state, where),
        }
        if requests := _compat.sklearn_requests_of(estimator):
            node["requests"] = self.encode(requests, where)
        if output := _compat.sklearn_output_of(estimator):
            node["output"] = self.encode(output, where)
        return node

    def _encode_attributes(self, attributes, where):
        """Return a dict of attributes as plain data."""
        return {key: self.encode(value, f"{where}.{key}") for key, value in attributes.items()}


def is_inline_value(node):
    """Whether an item of an array of objects is a text, a number, True, False or None."""
    if isinstance(node, dict):
        return node.get("type") in ("float", "scalar")
    return not isinstance(node, list)


def parameters_of(estimator):
    """Return the parameters of an estimator itself; FrozenEstimator gives those of its inside."""
    return {
        name: getattr(estimator, name) for name in inspect.signature(type(estimator)).parameters
    }


def _array_type(dtype, where):
    """Return the name of an array's type, or raise where a file cannot hold it."""
    if dtype.name not in ARRAY_TYPES:
        raise ValueError(f"{where} is an array of the type {dtype}, which a file cannot hold")
    return dtype.name


def _as_float16_if_exact(weight):
    """Return float32 as float16 where this changes no bit; the weights of the package are such."""
    with np.errstate(over="ignore", invalid="ignore"):
        half = weight.astype(np.float16)
    exact = np.array_equal(half.astype(np.float32).view(np.uint32), weight.view(np.uint32))
    return half if exact else weight


def _sklearn_state(name, estimator, parameters):
    """Return the attributes of an estimator of scikit-learn beside its parameters.

    ``__getstate__`` leaves out what its class makes anew.
    """
    left_out = {*parameters, *_compat.SKLEARN_ATTRIBUTES, *DERIVED.get(name, ())}
    return {key: value for key, value in estimator.__getstate__().items() if key not in left_out}


def _refuse_callbacks(estimator, where):
    """Raise where callbacks of scikit-learn are set: they are objects of any class."""
    if _compat.sklearn_callbacks_of(estimator):
        raise ValueError(
            f"{where} has callbacks of scikit-learn, which a file cannot hold: remove them by "
            "set_callbacks() without arguments"
        )


def _message_cannot_hold(value, where):
    """Return the message of the error for a value that is no plain data."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    if callable(value) and hasattr(value, "__qualname__"):
        reason = f"is the function {value.__qualname__}, and a file holds no code"
    else:
        reason = f"is of the class {kind}, which is not on the list of classes that a file holds"
    way_out = "Pass another value"
    if isinstance(value, BaseEstimator):
        way_out = f"The list is: {classes.names_for_users()}. A search has best_estimator_"
    elif where.endswith((".callbacks", ".augment")):
        name = where.rsplit(".", 1)[1]
        other = "None" if name == "callbacks" else "False"
        way_out = f"No prediction depends on it: set_params({name}={other}) before saving"
    return (
        f"{where} {reason}. {way_out}. joblib.dump saves anything; such a file runs code when it "
        "is loaded"
    )
