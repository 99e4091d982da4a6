"""Pickles of PyTorch, read without PyTorch and without running what they ask for.

Loading a pickle may call any function of any module. Here a pickle reaches nothing but tensors and
dictionaries: every other name in it stands for an object that keeps its state and does nothing.
"""

import functools
import math
import pickle
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

BFLOAT16 = "bfloat16"  # NumPy does not know it
_TYPES_OF_STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class Storage(NamedTuple):
    """The memory of one or more tensors: its name in the file, its type, and where it begins."""

    key: str
    type_name: str
    first: int


class StoredTensor(NamedTuple):
    """A tensor whose values have not been read."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple

    def read(self, storages):
        """Return the values, given the bytes of all storages by key."""
        values = array_of_bytes(storages[self.storage.key], self.storage.type_name)
        values = values[self.storage.first + self.offset :]
        if min(self.storage.first, self.offset, *self.shape, *self.strides, 0) < 0:
            raise ValueError("a tensor has a negative shape")
        # A view behind the end of the values would show other memory of this process.
        last = sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        n_values = math.prod(self.shape)
        if n_values > len(values) or (n_values and last >= len(values)):
            raise ValueError("a tensor is larger than the values that are stored for it")
        steps = [step * values.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(values, self.shape, steps).copy()


class InertObject:
    """Stands for what is no tensor in a pickle. It keeps its state, and does nothing."""

    def __new__(cls, *args, **kwargs):
        inert = super().__new__(cls)
        inert.state = {}
        return inert

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        self.state = state

    def _ignore(self, *args):
        return InertObject()

    __call__ = __setitem__ = append = extend = add = _ignore


class TensorUnpickler(pickle.Unpickler):
    """Reads a pickle of tensors, dictionaries and lists; all else in it becomes inert.

    Attributes
    ----------
    types_of_storages : dict
        Types of the values in each storage, by key.
    """

    def __init__(self, file):
        super().__init__(file, encoding="utf-8")
        self.types_of_storages = {}

    def find_class(self, module, name):
        """Return what a name in the pickle stands for; no module is imported."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) in _FUNCTIONS:
            # A copy: a pickle may set attributes of what it names.
            return functools.partial(_FUNCTIONS[module, name])
        if module.split(".")[0] == "torch" and name in _TYPES_OF_STORAGES:
            return _TYPES_OF_STORAGES[name]
        return InertObject

    def persistent_load(self, saved):
        """Return what ``torch.save`` keeps outside of the pickle: a storage, or a class."""
        if saved[0] == "module":
            return saved[1]
        _, type_name, key, _, _, *view = saved
        if not isinstance(type_name, str):
            raise pickle.UnpicklingError("its numbers are of an unknown type; save them as float32")
        self.types_of_storages[key] = type_name
        # Old files have storages that are views of others: their key, and the first value in it.
        first = view[0][1] if view and view[0] is not None else 0
        return Storage(key, type_name, first)


def array_of_bytes(data, type_name):
    """Return stored bytes as a flat array."""
    if type_name == BFLOAT16:  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(data, type_name)


def itemsize_of_type(type_name):
    """Return the number of bytes of one stored value."""
    return 2 if type_name == BFLOAT16 else np.dtype(type_name).itemsize


def _rebuild_tensor(storage, offset, shape, strides, *_):
    """Take the place of PyTorch's functions of this name and of ``_rebuild_tensor_v2``."""
    return StoredTensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor, *_):
    """Take the place of PyTorch's function of this name: a parameter is its tensor."""
    return tensor


def _rebuild_from_type(function, _, arguments, *__):
    """Take the place of PyTorch's function for tensors with attributes, which are left out."""
    return function(*arguments)


_FUNCTIONS = {
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_from_type,
}
