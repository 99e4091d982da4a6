"""What a value holds, as text: the same for equal content in every process, without addresses."""

import copyreg
import dataclasses
import enum
import functools
import inspect
import os
import re
import sys
import types

import joblib
import numpy as np
from sklearn.base import BaseEstimator

from .. import _compat

_LARGEST_SHOWN_ARRAY = 16


def text(value):
    """Describe the content of a value.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
        Of numbers, strings, and containers of them what Python prints. Objects are described by
        their type and what they hold, functions without a name in their module by their code,
        Keras objects by their configuration without the names that Keras numbers. What cannot be
        looked into, such as a lock, is described by its type alone.
    """
    try:
        return _text(value, ())
    except RecursionError:
        return _type_name(value)


def short(value, length=100):
    """Return :func:`text`, its end replaced by a digest of the whole where it is longer."""
    whole = text(value)
    if len(whole) <= length:
        return whole
    return f"{whole[: length - 15]}... {joblib.hash(whole)[:8]}"


def digest(array):
    """Return a digest of an array's type, shape and values, wherever they lie in memory."""
    array = np.asarray(array)
    values = array.tolist() if array.dtype.hasobject else np.ascontiguousarray(array)
    return joblib.hash((array.dtype.str, array.shape, values))


def _text(value, around):
    """Describe a value that stands inside of others, some of which may hold each other."""
    if isinstance(value, np.generic) and not isinstance(value, np.void):
        value = value.item()
    if value is None or type(value) in (bool, int, float, complex, str, range, slice):
        return repr(value)
    if id(value) in around:
        return "..."
    of = functools.partial(_text, around=(*around, id(value)))
    if type(value) in (bytes, bytearray):
        return repr(value) if len(value) <= 32 else f"bytes of digest {joblib.hash(value)}"
    if isinstance(value, enum.Enum):
        return f"{_type_name(value)}.{value.name}"
    if isinstance(value, os.PathLike):
        return repr(os.fspath(value))
    if type(value) in (list, tuple, dict, set, frozenset):
        return _container(value, of)
    if isinstance(value, types.ModuleType):
        return value.__name__
    if inspect.isclass(value):
        return f"{value.__module__}.{value.__qualname__}"
    if inspect.isroutine(value):
        return _function(value, of)
    if isinstance(value, functools.partial):
        return _call("partial", [value.func, *value.args], value.keywords, of)
    if type(value) in (np.ndarray, np.memmap):
        return _array(value, of)
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(value, "get_config"):
        found = _keras_object(keras, value, of)
        if found is not None:
            return found
    if hasattr(value, "get_params"):
        return _estimator(value, of)
    return _object(value, of)


def _estimator(value, of):
    """Describe an estimator by its parameters; a frozen one keeps what it has learnt, too."""
    usual = BaseEstimator.__sklearn_clone__
    attributes = value.get_params(deep=False)
    attributes["set_callbacks"] = _compat.callbacks_of(value)
    if getattr(type(value), "__sklearn_clone__", usual) is not usual:
        attributes["digest"] = joblib.hash(value)
    return _made(value, attributes, of)


def _type_name(value):
    return type(value).__qualname__


def _made(value, attributes, of):
    """Write an object as the call that makes it: what is no default, the parameters first."""
    try:
        parameters = inspect.signature(type(value)).parameters.values()
    except (TypeError, ValueError):  # it is made by no function of Python
        parameters = ()
    defaults = {parameter.name: parameter.default for parameter in parameters}
    names = [*filter(attributes.__contains__, defaults), *sorted(set(attributes) - set(defaults))]
    texts = {name: of(attributes[name]) for name in names}
    shown = [f"{name}={texts[name]}" for name in names if texts[name] != of(defaults.get(name))]
    return f"{_type_name(value)}({', '.join(shown)})"


def _call(name, arguments, keywords, of):
    """Write as Python writes a call."""
    parts = [of(argument) for argument in arguments]
    parts += [f"{key}={of(item)}" for key, item in keywords.items()]
    return f"{name}({', '.join(parts)})"


def _container(value, of):
    if isinstance(value, dict):
        items = sorted(f"{of(key)}: {of(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    items = [of(item) for item in value]
    if isinstance(value, tuple):
        return f"({', '.join(items)}{',' * (len(items) == 1)})"
    if isinstance(value, list):
        return f"[{', '.join(items)}]"
    return f"{_type_name(value)}({{{', '.join(sorted(items))}}})"


def _array(value, of):
    if value.dtype.hasobject:
        return f"array({of(value.tolist())}, object)"
    if value.size <= _LARGEST_SHOWN_ARRAY:
        return f"array({value.tolist()}, {value.dtype})"
    return f"array(shape {value.shape}, {value.dtype}, digest {digest(value)[:8]})"


def _function(value, of):
    name = getattr(value, "__qualname__", None) or value.__name__
    owner = getattr(value, "__self__", None)
    if owner is not None and not isinstance(owner, types.ModuleType):
        return f"{of(owner)}.{value.__name__}"
    named = f"{getattr(value, '__module__', None)}.{name}"
    code = getattr(value, "__code__", None)
    if code is None or not ("<lambda>" in name or "<locals>" in name):
        return named
    held = [_held(cell, of) for cell in value.__closure__ or ()]
    rest = [held, of(value.__defaults__), of(value.__kwdefaults__)]
    return f"{named} of digest {joblib.hash([_code(code), *rest])[:8]}"


def _held(cell, of):
    """Describe a variable that a function holds; what may grow with its calls by its type alone."""
    try:
        value = cell.cell_contents
    except ValueError:  # not set yet
        return ""
    return _type_name(value) if isinstance(value, list | dict | set) else of(value)


def _code(code):
    """Return what a function does, without where it stands."""
    constants = [
        _code(constant) if isinstance(constant, types.CodeType) else text(constant)
        for constant in code.co_consts
    ]
    return [code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants]


def _keras_object(keras, value, of):
    """Describe a Keras object by its configuration; None where it has none."""
    name = _type_name(value)
    if isinstance(value, keras.layers.Lambda):  # its configuration says where the function stands
        return _call(name, [value.function, value.arguments], {}, of)
    if isinstance(value, keras.Sequential):
        return _call(name, value.layers, {}, of)
    try:
        config = value.get_config()
    except Exception:  # a layer of the user's may have none, or need what is not there
        if not isinstance(value, keras.optimizers.Optimizer):
            return None
        config = _parameters(value)  # the user's schedule has none; the rest holds addresses
    config = _without_numbers(config, type(value).__name__)
    if isinstance(value, keras.layers.Layer) and value.weights:
        config["weights"] = value.get_weights()
    if isinstance(value, keras.losses.Loss):  # Keras leaves parameters out of some configurations
        config = {**{key: item for key, item in vars(value).items() if key != "name"}, **config}
    return _made(value, config, of)


def _parameters(value):
    """Return what an object was made with, by the attributes of these names."""
    held = {name.removeprefix("_"): item for name, item in vars(value).items()}
    return {name: held[name] for name in inspect.signature(type(value)).parameters if name in held}


def _without_numbers(config, class_name):
    """Replace names such as ``dense_3`` in a configuration by their order in it."""
    automatic = {}

    def collect(part, of_class):
        if isinstance(part, dict):
            name = part.get("name")
            if isinstance(name, str) and re.fullmatch(rf"{_snake(of_class)}(_\d+)?", name):
                automatic.setdefault(name, f"{_snake(of_class)} {len(automatic)}")
            for item in part.values():
                collect(item, part.get("class_name", of_class))
        elif isinstance(part, list | tuple):
            for item in part:
                collect(item, of_class)

    def rename(part):
        if isinstance(part, dict):
            return {rename(key): rename(item) for key, item in part.items()}
        if isinstance(part, list | tuple):
            return [rename(item) for item in part]
        return automatic.get(part, part) if isinstance(part, str) else part

    collect(config, class_name)
    renamed = rename(config)
    if config.get("name") in automatic:
        del renamed["name"]
    return renamed


def _snake(class_name):
    """Name an object as Keras does that was given no name."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _object(value, of):
    """Describe any other object by what a copy of it would be made from."""
    name = _type_name(value)
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _call(name, [], fields, of)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _call(name, [], value._asdict(), of)
    reduce = copyreg.dispatch_table.get(type(value))
    try:
        reduced = value.__reduce_ex__(4) if reduce is None else reduce(value)
    except Exception:  # whatever an object raises that is not made to be copied
        return _made(value, vars(value), of) if hasattr(value, "__dict__") else name
    if isinstance(reduced, str):  # the name of something that its module holds
        return f"{name} {reduced}"
    maker, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    if maker is copyreg.__newobj__ and len(arguments) == 1 and isinstance(state, dict):
        return _made(value, {str(key): item for key, item in state.items()}, of)
    parts = [p for p in (maker, *arguments) if p is not copyreg.__newobj__ and p is not type(value)]
    parts += [part for part in (state, items and list(items), pairs and list(pairs)) if part]
    return _call(name, parts, {}, of)
