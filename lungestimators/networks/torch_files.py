"""Weights in files of PyTorch: safetensors, and both formats of ``torch.save``."""

import zipfile

import safetensors

from .chest_weights import FORMAT_KEY
from .torch_pickles import (
    BFLOAT16,
    InertObject,
    StoredTensor,
    TensorUnpickler,
    array_of_bytes,
    itemsize_of_type,
)

TORCH_SUFFIXES = (".pt", ".pth")

_TYPES_OF_SAFETENSORS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": BFLOAT16,
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
# Under these keys a training script keeps the weights beside its own state.
_WRAPPERS = ("model", "state_dict", "model_state_dict")


def is_torch_file(path):
    """Return whether a weights file is read as PyTorch's, by its suffix and its metadata.

    Metadata say which safetensors files are in the format of this package. One that cannot be
    opened is left to the reader of that format, which says so.
    """
    if path.suffix != ".safetensors":
        return path.suffix in TORCH_SUFFIXES
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return FORMAT_KEY not in (file.metadata() or {})
    except (safetensors.SafetensorError, OSError):
        return False


def read_torch_file(path):
    """Read the weights of a PyTorch network, without PyTorch and without running code.

    Parameters
    ----------
    path : Path
        A safetensors file, or a file that ``torch.save`` wrote: of a state dict, of a whole
        network, or of a checkpoint that holds one of these as ``model``, ``state_dict`` or
        ``model_state_dict``. Both formats are read, the zip file and the one before PyTorch 1.6.

    Returns
    -------
    dict of str to ndarray
        Names as in the network's ``state_dict()``.

    Raises
    ------
    ValueError
        The file is damaged, is of another kind, or holds no weights.
    """
    try:
        tensors = _read_safetensors(path) if path.suffix == ".safetensors" else _read_saved(path)
    except _OtherKindOfFileError as error:
        raise ValueError(f"weights={str(path)!r} {error}") from None
    except Exception as error:  # a damaged pickle raises errors of any kind
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"weights={str(path)!r} is damaged, or is no file of PyTorch: {reason}"
        ) from None
    if not tensors:
        raise ValueError(
            f"weights={str(path)!r} holds no weights: pass a file of a network's state_dict()"
        )
    return tensors


class _OtherKindOfFileError(Exception):
    """The file is whole, and of a kind that is not read."""


def _read_safetensors(path):
    """Read all tensors of a safetensors file."""
    tensors = {}
    for name, stored in safetensors.deserialize(path.read_bytes()):
        type_name = _TYPES_OF_SAFETENSORS.get(stored["dtype"])
        if type_name is None:
            raise _OtherKindOfFileError(f"holds {name!r} as {stored['dtype']}: save it as float32")
        tensors[name] = array_of_bytes(stored["data"], type_name).reshape(stored["shape"])
    return tensors


def _read_saved(path):
    """Read the weights in a file that ``torch.save`` wrote."""
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
        file.seek(0)
        return _read_zip(file) if is_zip else _read_legacy(file)


def _read_zip(file):
    """Read the format since PyTorch 1.6: a zip file of a pickle and of the storages."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        pickled = next((name for name in names if name.endswith("/data.pkl")), None)
        if pickled is None:
            raise _OtherKindOfFileError("is a zip file that torch.save did not write")
        folder = pickled.removesuffix("data.pkl")
        if f"{folder}constants.pkl" in names:
            raise _OtherKindOfFileError(
                "is a TorchScript program: load it with torch.jit.load, and save its state_dict()"
            )
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise _OtherKindOfFileError("is compressed, which torch.save never does: save it again")
        if f"{folder}byteorder" in names:
            _check_byte_order(archive.read(f"{folder}byteorder") == b"little")
        with archive.open(pickled) as stream:
            weights = _find_weights(TensorUnpickler(stream).load())
        keys = {tensor.storage.key for tensor in weights.values()}
        storages = {key: archive.read(f"{folder}data/{key}") for key in keys}
    return {name: tensor.read(storages) for name, tensor in weights.items()}


def _read_legacy(file):
    """Read the format before PyTorch 1.6: five pickles, then the storages one after the other."""
    if TensorUnpickler(file).load() != _LEGACY_MAGIC:
        raise _OtherKindOfFileError(
            "is a pickle that torch.save did not write: save the network's state_dict() with it"
        )
    if TensorUnpickler(file).load() != _LEGACY_PROTOCOL:
        raise _OtherKindOfFileError("is of an unknown version of PyTorch's format: save it again")
    _check_byte_order(TensorUnpickler(file).load()["little_endian"])
    unpickler = TensorUnpickler(file)
    weights = _find_weights(unpickler.load())
    storages = {}
    for key in TensorUnpickler(file).load():
        n_values = int.from_bytes(file.read(8), "little")
        storages[key] = file.read(n_values * itemsize_of_type(unpickler.types_of_storages[key]))
    return {name: tensor.read(storages) for name, tensor in weights.items()}


def _check_byte_order(is_little):
    """Raise if a file has the highest byte of each number first."""
    if not is_little:
        raise _OtherKindOfFileError("is of a big-endian machine: save it again on another")


def _find_weights(saved):
    """Return the tensors of a state dict, of a network, or of a checkpoint, by name."""
    for key in _WRAPPERS:
        if isinstance(saved, dict) and isinstance(saved.get(key), dict | InertObject):
            saved = saved[key]
    if isinstance(saved, InertObject):
        return dict(_walk_module(saved, ""))
    tensors = saved.items() if isinstance(saved, dict) else ()
    return {name: value for name, value in tensors if isinstance(value, StoredTensor)}


def _walk_module(module, prefix):
    """Yield the tensors of a pickled network and of its modules, with their names."""
    state = module.state if isinstance(module, InertObject) else None
    if not isinstance(state, dict):
        return
    for kind in ("_parameters", "_buffers"):
        for name, value in (state.get(kind) or {}).items():
            if isinstance(value, StoredTensor):
                yield f"{prefix}{name}", value
    for name, child in (state.get("_modules") or {}).items():
        yield from _walk_module(child, f"{prefix}{name}.")
