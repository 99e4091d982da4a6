"""The file itself: JSON and safetensors in a zip, with their digests.

The zip stores its entries and does not compress them. Its times are fixed, so that the same content
gives the same bytes. Nothing of a file is believed: each size is compared with that of the file
before anything is read, and the digests before anything is parsed.
"""

import errno
import hashlib
import json
import math
import os
import uuid
import zipfile
from typing import NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

FORMAT = 1
DOCUMENT, ARRAYS, DIGESTS = ENTRIES = "estimator.json", "arrays.safetensors", "SHA256SUMS"
# Values in the JSON, at most, counted by its commas and brackets: Python needs some 100 bytes for
# each. DenseNet121 has 30,000.
_MOST_VALUES = 400_000
# Bytes of the directory of a zip with three entries, at most; they need some 200.
_LARGEST_DIRECTORY = 1000
# Arrays of a file, at most: DenseNet121 has 700.
_MOST_ARRAYS = 20_000
_TIME = (1980, 1, 1, 0, 0, 0)
_TYPES = {
    "BOOL": np.bool_,
    "I8": np.int8,
    "I16": np.int16,
    "I32": np.int32,
    "I64": np.int64,
    "U8": np.uint8,
    "U16": np.uint16,
    "U32": np.uint32,
    "U64": np.uint64,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
}


class Content(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    document : dict
        Plain data, as JSON has it.
    arrays : dict of str to ndarray
    """

    document: dict
    arrays: dict


def write_file(path, content):
    """Write a file, whole or not at all; a file of this name is replaced.

    Parameters
    ----------
    path : path
    content : Content

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    ValueError
        The JSON has more values than a file may have.
    """
    path = os.path.realpath(os.fspath(path))
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"There is no folder {folder!r} to save {name!r} in: make it first")
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path!r} is a folder: pass the path of a file in it")
    text = json.dumps(content.document, allow_nan=False, separators=(",", ":"))
    if _count_values(text) > _MOST_VALUES:
        raise ValueError(f"The estimator has more than {_MOST_VALUES} values beside its arrays")
    parts = {DOCUMENT: text.encode(), ARRAYS: safetensors.numpy.save(content.arrays)}
    lines = [f"{hashlib.sha256(part).hexdigest()}  {entry}\n" for entry, part in parts.items()]
    parts[DIGESTS] = "".join(lines).encode()
    unfinished = os.path.join(folder, f".{name}.{uuid.uuid4().hex}")
    try:
        with open(unfinished, "xb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for entry, part in parts.items():
                    info = zipfile.ZipInfo(entry, _TIME)
                    info.create_system, info.external_attr = 3, 0o644 << 16
                    archive.writestr(info, part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        if os.path.exists(unfinished):
            os.remove(unfinished)


def read_file(path, with_arrays=True):
    """Read a file.

    Parameters
    ----------
    path : path
    with_arrays : bool
        Whether to read the arrays, too, and compare their digest.

    Returns
    -------
    Content
        Without ``with_arrays`` it has no arrays.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is of another program, of a later version, or damaged.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            _check_directory(file, size)
            with zipfile.ZipFile(file) as archive:
                return _read_archive(archive, size, with_arrays)
        except zipfile.BadZipFile as error:
            file.seek(0)
            if file.read(4) != b"PK\x03\x04":
                raise ValueError(
                    "it is a file of another program, not of save; an export is run by its runtime"
                ) from None
            raise ValueError(f"it is damaged or cut short ({error})") from None
        except (EOFError, NotImplementedError, OverflowError, RuntimeError, UnicodeError) as error:
            # zipfile itself raises these for headers that are damaged.
            raise ValueError(f"it is damaged or cut short ({error})") from None
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise  # of the disk
            # zipfile was sent to a place before the beginning.
            raise ValueError(f"it is damaged or cut short ({error})") from None


def _check_directory(file, size):
    """Raise if the directory of a zip is large: zipfile would keep all of its entries in memory."""
    file.seek(0)
    if size < 22 or file.read(4) != b"PK\x03\x04":
        raise zipfile.BadZipFile("no zip")
    file.seek(size - 22)
    end = file.read(22)
    if end[:4] != b"PK\x05\x06" or end[20:] != b"\0\0":
        raise zipfile.BadZipFile("it does not end as a zip without a comment")
    if int.from_bytes(end[12:16], "little") > _LARGEST_DIRECTORY:
        raise ValueError(f"it has other entries than {', '.join(ENTRIES)}: many")
    if end[12:16] == b"\xff" * 4 or end[16:20] == b"\xff" * 4:
        raise ValueError("it is a zip of more than 4 GB")
    file.seek(0)


def _read_archive(archive, size, with_arrays):
    """Return the content of an open zip of ``size`` bytes."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if DOCUMENT not in names:
        raise ValueError("it is a zip of another program, not of save")
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & ~0x800:
            raise ValueError(f"its entry {info.filename[:80]!r} is compressed or encrypted")
    if sum(max(info.file_size, info.compress_size) for info in infos) > size:
        raise ValueError("its entries are said to be larger than the file")
    text = archive.read(DOCUMENT)
    try:
        document = _parse(text)
        error = None
    except ValueError as caught:  # the digest says whether it is damaged
        document, error = {}, caught
    _check_format(document)
    if sorted(names) != sorted(ENTRIES):
        others = sorted(set(names) - set(ENTRIES)) or names
        raise ValueError(f"it has other entries than {', '.join(ENTRIES)}: {str(others)[:200]}")
    stated = archive.read(DIGESTS).decode("ascii").splitlines()
    contents = {DOCUMENT: text} | ({ARRAYS: archive.read(ARRAYS)} if with_arrays else {})
    for number, entry in enumerate((DOCUMENT, ARRAYS)):
        if entry in contents:
            found = f"{hashlib.sha256(contents[entry]).hexdigest()}  {entry}"
            if len(stated) != 2 or stated[number] != found:
                raise ValueError(
                    f"it is damaged: the digest of {entry} is not the one that it states"
                )
    if error is not None:
        raise error
    del text
    return Content(document, _parse_arrays(contents) if with_arrays else {})


def _check_format(document):
    """Raise for a file of a later format."""
    number = document.get("format", FORMAT) if isinstance(document, dict) else FORMAT
    if type(number) is int and number > FORMAT:
        raise ValueError(
            f"it is of format {number}, and this version of the package reads up to format "
            f"{FORMAT}: update lungestimators"
        )
    if document and (type(number) is not int or number != FORMAT):
        raise ValueError(f"it is of the format {str(number)[:80]!r}, which does not exist")


def _count_values(text):
    """Return at least how many values a text of JSON has."""
    comma, bracket, brace = (b",", b"[", b"{") if isinstance(text, bytes) else (",", "[", "{")
    return text.count(comma) + text.count(bracket) + text.count(brace)


def _parse(text):
    """Return the values of JSON, or raise a ValueError."""
    if _count_values(text) > min(_MOST_VALUES, len(text)):
        raise ValueError(f"its JSON has more than {_MOST_VALUES} values")
    try:
        document = json.loads(
            text.decode("ascii"),
            object_pairs_hook=_object_of_pairs,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
        )
    except RecursionError:
        raise ValueError("its JSON is nested too deep") from None
    except ValueError as error:
        raise ValueError(f"its JSON is damaged: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("its JSON is no object")
    return document


def _object_of_pairs(pairs):
    """Return an object of JSON as a dict; a name may stand in it once."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("an object has a name twice")
    return value


def _refuse_constant(text):
    raise ValueError(f"{text} is no number of JSON")


def _finite_float(text):
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:80]} is too large")
    return value


def _parse_arrays(contents):
    """Return the arrays of safetensors; each is copied once, and the bytes are let go."""
    data = contents.pop(ARRAYS)
    length = int.from_bytes(data[:8], "little")
    if data.count(b"{", 8, 8 + min(length, len(data))) > _MOST_ARRAYS:
        raise ValueError(f"it has more than {_MOST_ARRAYS} arrays")
    try:
        tensors = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        raise ValueError(f"its arrays are damaged: {error}") from None
    del data
    arrays = {}
    while tensors:
        name, tensor = tensors.pop()
        if tensor["dtype"] not in _TYPES:
            raise ValueError(f"its array {name[:80]!r} is of the type {tensor['dtype']}")
        array = np.frombuffer(tensor["data"], _TYPES[tensor["dtype"]])
        # An array of its own: the bytes may lie at an odd address, and cannot be written to.
        arrays[name] = array.reshape(tensor["shape"]).copy()
    return arrays
