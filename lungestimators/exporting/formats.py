"""The formats of an export, and the files or folder that each of them writes."""

import importlib.util
import os
from typing import NamedTuple


class Format(NamedTuple):
    """A format of an export.

    Attributes
    ----------
    name : str
        Also of the extra of the package that installs what the format needs.
    suffix : str
        Of its file; empty for a folder.
    needs : tuple of str
        Packages that write it, beside the package's own dependencies; as they are imported.
    runtime_checks_images : bool
        Whether its runtime refuses images of another size or depth than the input has.
    """

    name: str
    suffix: str
    needs: tuple
    runtime_checks_images: bool

    def paths(self, path):
        """Return the paths of all files, or of the folder, that an export to ``path`` writes."""
        if self.name == "openvino":
            # Its runtime looks for the weights under this name, and the model is complete last.
            return [os.path.splitext(path)[0] + ".bin", path]
        return [path]


FORMATS = {
    each.name: each
    for each in (
        Format("onnx", ".onnx", ("onnx", "tf2onnx"), True),
        Format("litert", ".tflite", ("ai_edge_litert",), False),
        Format("openvino", ".xml", ("openvino",), True),
        Format("saved_model", "", (), False),
    )
}

# What a SavedModel consists of: a folder that holds anything else is not replaced.
_OF_SAVED_MODEL = {
    *("saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra"),
    *("saved_model.pbtxt", "keras_metadata.pb", "debug"),
}


def find_format(path, name):
    """Return the Format of an export.

    Parameters
    ----------
    path : str
    name : str or None
        None takes the format from the suffix of the path.

    Raises
    ------
    ValueError
        There is no such format, or no such suffix; the error lists them.
    """
    suffix = os.path.splitext(path)[1].lower()
    by_suffix = {each.suffix: each for each in FORMATS.values()}
    if name is None:
        if suffix not in by_suffix:
            raise ValueError(
                f"{path!r}: no format has the suffix {suffix!r}. {_list_of_suffixes()}. Change the "
                f"suffix, or pass format={' or '.join(map(repr, FORMATS))}"
            )
        return by_suffix[suffix]
    if not isinstance(name, str) or name not in FORMATS:
        raise ValueError(f"format={name!r} must be {', '.join(map(repr, FORMATS))} or None")
    format = FORMATS[name]
    other = by_suffix.get(suffix, format)
    if other is not format and other.suffix:
        raise ValueError(
            f"{path!r} has the suffix of another format than format={name!r}. {_list_of_suffixes()}"
        )
    if name == "openvino" and suffix != format.suffix:
        raise ValueError(f"{path!r}: the name of a file of OpenVINO ends with .xml")
    return format


def _list_of_suffixes():
    suffixes = [f"{each.suffix or 'no suffix'} ({each.name})" for each in FORMATS.values()]
    return f"Formats are told by {', '.join(suffixes)}"


def check_packages_of_format(format):
    """Raise an ImportError unless the packages that write a format are installed."""
    missing = [name for name in format.needs if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"An export to {format.name!r} needs {' and '.join(missing).replace('_', '-')}: "
            f"pip install 'lungestimators[{format.name}]'"
        )


def check_target_of_export(path, format):
    """Raise if an export cannot be written to a path, or would replace what is no export.

    Parameters
    ----------
    path : str
        Absolute, without links.
    format : Format

    Raises
    ------
    FileNotFoundError, IsADirectoryError, NotADirectoryError, ValueError
    """
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"There is no folder {folder!r} to export {name!r} to: make it first"
        )
    if format.suffix:
        for each in format.paths(path):
            if os.path.isdir(each):
                raise IsADirectoryError(f"{each!r} is a folder: pass the path of a file in it")
        return
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path):
        raise NotADirectoryError(f"{path!r} is a file, and a SavedModel is a folder")
    found = set(os.listdir(path))
    others = found if "saved_model.pb" not in found else found - _OF_SAVED_MODEL
    if others:
        raise ValueError(
            f"The folder {path!r} would be replaced, and holds {min(others)!r}, which is no part "
            "of a SavedModel: pass the path of a new folder"
        )
