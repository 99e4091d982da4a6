"""Texts that describe the content of values: equal in every process, without addresses."""

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


def content_text(value):
    """Describe the content of a value by a text that is the same in every process.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
        Numbers, strings and containers of them are written as Python prints them. Objects are
        described by their type and their attributes, functions by their name, lambdas and local
        functions by a digest of their code, Keras objects by their configuration without the names
        that Keras numbers. An object that shows no content, such as a lock, is described by its
        type alone.
    """
    try:
        return _content_text_inside(value, ())
    except RecursionError:
        return _content_of_type(value)


def shortened_content_text(value, length=100):
    """Return :func:`content_text`; if it is longer than ``length``, its end becomes a digest."""
    whole = content_text(value)
    if len(whole) <= length:
        return whole
    return f"{whole[: length - 15]}... {joblib.hash(whole)[:8]}"


def digest_of_searched_content(array):
    """Return a digest of an array's type, shape and values, for any memory layout."""
    array = np.asarray(array)
    values = array.tolist() if array.dtype.hasobject else np.ascontiguousarray(array)
    return joblib.hash((array.dtype.str, array.shape, values))


def _content_text_inside(value, around):
    """Describe a value; ``around`` holds the ids of the values that it lies in, to end loops."""
    if isinstance(value, np.generic) and not isinstance(value, np.void):
        value = value.item()
    if value is None or type(value) in (bool, int, float, complex, str, range, slice):
        return repr(value)
    if id(value) in around:
        return "..."
    text_of = functools.partial(_content_text_inside, around=(*around, id(value)))
    if type(value) in (bytes, bytearray):
        return repr(value) if len(value) <= 32 else f"bytes of digest {joblib.hash(value)}"
    if isinstance(value, enum.Enum):
        return f"{_content_of_type(value)}.{value.name}"
    if isinstance(value, os.PathLike):
        return repr(os.fspath(value))
    if type(value) in (list, tuple, dict, set, frozenset):
        return _content_of_container(value, text_of)
    if isinstance(value, types.ModuleType):
        return value.__name__
    if inspect.isclass(value):
        return f"{value.__module__}.{value.__qualname__}"
    if inspect.isroutine(value):
        return _content_of_function(value, text_of)
    if isinstance(value, functools.partial):
        return _content_of_call("partial", [value.func, *value.args], value.keywords, text_of)
    if type(value) in (np.ndarray, np.memmap):
        return _content_of_array(value, text_of)
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(value, "get_config"):
        found = _content_of_keras_object(keras, value, text_of)
        if found is not None:
            return found
    if hasattr(value, "get_params"):
        return _content_of_estimator(value, text_of)
    return _content_of_other_object(value, text_of)


def _content_of_estimator(value, text_of):
    """Describe an estimator by its parameters and callbacks; a frozen one by a digest as well."""
    usual = BaseEstimator.__sklearn_clone__
    attributes = value.get_params(deep=False)
    attributes["set_callbacks"] = _compat.sklearn_callbacks_of(value)
    if getattr(type(value), "__sklearn_clone__", usual) is not usual:
        attributes["digest"] = joblib.hash(value)
    return _content_of_constructor_call(value, attributes, text_of)


def _content_of_type(value):
    """Return the name of the type of a value."""
    return type(value).__qualname__


def _content_of_constructor_call(value, attributes, text_of):
    """Write an object as the call of its class: parameters first, without defaults."""
    try:
        parameters = inspect.signature(type(value)).parameters.values()
    except (TypeError, ValueError):  # its class is not written in Python
        parameters = ()
    defaults = {parameter.name: parameter.default for parameter in parameters}
    names = [*filter(attributes.__contains__, defaults), *sorted(set(attributes) - set(defaults))]
    texts = {name: text_of(attributes[name]) for name in names}
    shown = [
        f"{name}={texts[name]}" for name in names if texts[name] != text_of(defaults.get(name))
    ]
    return f"{_content_of_type(value)}({', '.join(shown)})"


def _content_of_call(name, arguments, keywords, text_of):
    """Write a call as Python writes it."""
    parts = [text_of(argument) for argument in arguments]
    parts += [f"{key}={text_of(item)}" for key, item in keywords.items()]
    return f"{name}({', '.join(parts)})"


def _content_of_container(value, text_of):
    """Write a container as Python writes it; dicts and sets in sorted order."""
    if isinstance(value, dict):
        items = sorted(f"{text_of(key)}: {text_of(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    items = [text_of(item) for item in value]
    if isinstance(value, tuple):
        return f"({', '.join(items)}{',' * (len(items) == 1)})"
    if isinstance(value, list):
        return f"[{', '.join(items)}]"
    return f"{_content_of_type(value)}({{{', '.join(sorted(items))}}})"


def _content_of_array(value, text_of):
    """Describe a small array by its values, a large one by its shape and a digest."""
    if value.dtype.hasobject:
        return f"array({text_of(value.tolist())}, object)"
    if value.size <= _LARGEST_SHOWN_ARRAY:
        return f"array({value.tolist()}, {value.dtype})"
    return (
        f"array(shape {value.shape}, {value.dtype}, digest {digest_of_searched_content(value)[:8]})"
    )


def _content_of_function(value, text_of):
    """Describe a function by its name; a lambda or a local one by its code, too."""
    name = getattr(value, "__qualname__", None) or value.__name__
    owner = getattr(value, "__self__", None)
    if owner is not None and not isinstance(owner, types.ModuleType):
        return f"{text_of(owner)}.{value.__name__}"
    named = f"{getattr(value, '__module__', None)}.{name}"
    code = getattr(value, "__code__", None)
    if code is None or not ("<lambda>" in name or "<locals>" in name):
        return named
    held = [_content_of_closure_cell(cell, text_of) for cell in value.__closure__ or ()]
    rest = [held, text_of(value.__defaults__), text_of(value.__kwdefaults__)]
    return f"{named} of digest {joblib.hash([_content_of_code(code), *rest])[:8]}"


def _content_of_closure_cell(cell, text_of):
    """Describe a variable of a closure; a container by its type alone, as calls may change it."""
    try:
        value = cell.cell_contents
    except ValueError:  # not set yet
        return ""
    return _content_of_type(value) if isinstance(value, list | dict | set) else text_of(value)


def _content_of_code(code):
    """Return the instructions, names and constants of code, without its file and lines."""
    constants = [
        _content_of_code(constant)
        if isinstance(constant, types.CodeType)
        else content_text(constant)
        for constant in code.co_consts
    ]
    return [code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants]


def _content_of_keras_object(keras, value, text_of):
    """Describe a Keras object by its configuration; None if it has none."""
    name = _content_of_type(value)
    if isinstance(value, keras.layers.Lambda):  # its configuration names the file of the function
        return _content_of_call(name, [value.function, value.arguments], {}, text_of)
    if isinstance(value, keras.Sequential):
        return _content_of_call(name, value.layers, {}, text_of)
    try:
        config = value.get_config()
    except Exception:  # a layer of the user's may have none, or fail
        if not isinstance(value, keras.optimizers.Optimizer):
            return None
        # The user's schedule has no configuration. Other attributes may hold addresses.
        config = _content_of_constructor_arguments(value)
    config = _content_of_keras_config(config, type(value).__name__)
    if isinstance(value, keras.layers.Layer) and value.weights:
        config["weights"] = value.get_weights()
    if isinstance(value, keras.losses.Loss):  # Keras leaves parameters out of some configurations
        config = {**{key: item for key, item in vars(value).items() if key != "name"}, **config}
    return _content_of_constructor_call(value, config, text_of)


def _content_of_constructor_arguments(value):
    """Return the arguments that an object was made with, from its attributes of these names."""
    held = {name.removeprefix("_"): item for name, item in vars(value).items()}
    return {name: held[name] for name in inspect.signature(type(value)).parameters if name in held}


def _content_of_keras_config(config, class_name):
    """Replace names that Keras numbers, such as ``dense_3``, by their order in a configuration."""
    automatic = {}

    def collect(part, of_class):
        if isinstance(part, dict):
            name = part.get("name")
            if isinstance(name, str) and re.fullmatch(
                rf"{_content_of_keras_class(of_class)}(_\d+)?", name
            ):
                automatic.setdefault(name, f"{_content_of_keras_class(of_class)} {len(automatic)}")
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


def _content_of_keras_class(class_name):
    """Return the name that Keras gives an object of a class, without a number."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _content_of_other_object(value, text_of):
    """Describe an object by its fields, or by what pickle would make a copy from."""
    name = _content_of_type(value)
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _content_of_call(name, [], fields, text_of)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _content_of_call(name, [], value._asdict(), text_of)
    reduce = copyreg.dispatch_table.get(type(value))
    try:
        reduced = value.__reduce_ex__(4) if reduce is None else reduce(value)
    except Exception:  # an object that cannot be pickled may raise anything
        if not hasattr(value, "__dict__"):
            return name
        return _content_of_constructor_call(value, vars(value), text_of)
    if isinstance(reduced, str):  # the name of an object in its module
        return f"{name} {reduced}"
    maker, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    if maker is copyreg.__newobj__ and len(arguments) == 1 and isinstance(state, dict):
        attributes = {str(key): item for key, item in state.items()}
        return _content_of_constructor_call(value, attributes, text_of)
    parts = [p for p in (maker, *arguments) if p is not copyreg.__newobj__ and p is not type(value)]
    parts += [part for part in (state, items and list(items), pairs and list(pairs)) if part]
    return _content_of_call(name, parts, {}, text_of)
