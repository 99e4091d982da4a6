"""export: write a saved classifier as a network for programs that do without this package."""

import contextlib
import os
import textwrap

from ..exporting import export
from ..exporting.description import describe_export
from ..exporting.formats import find_format
from ..exporting.steps import parts_to_export
from ..text_tables import printable
from .models import load_classifier
from .results import DONE, Result, check_file_to_write

_WIDTH = 79


def run(arguments):
    """Export the classifier of ``arguments.model`` to ``arguments.out``."""
    format = find_format(arguments.out, arguments.format)
    out = arguments.out.rstrip("/" + os.sep)
    paths = format.paths(out)
    for path in paths:
        if format.name != "saved_model" or not os.path.isdir(path):
            check_file_to_write(path, arguments.force, [arguments.model])
        elif not arguments.force:
            raise ValueError(f"{path!r} is there already: name another, or replace it by --force")
    classifier = load_classifier(arguments.model)
    description = describe_export(parts_to_export(classifier))
    with _keras_on_tensorflow():
        export(classifier, out, format=format.name)
    document = {"file": arguments.model, "out": paths, "format": format.name}
    return Result(DONE, "\n".join(_lines_of_export(paths, description)), document | description)


@contextlib.contextmanager
def _keras_on_tensorflow():
    """Let Keras run on TensorFlow, from which it exports, if it is first imported in the block."""
    before = os.environ.get("KERAS_BACKEND")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        yield
    finally:
        if before is None:
            del os.environ["KERAS_BACKEND"]
        else:
            os.environ["KERAS_BACKEND"] = before


def _lines_of_export(paths, description):
    """Return what was written, and what the network takes and gives, as lines of text."""
    pixels = description["input"]
    _, height, width, _ = pixels["shape"]
    kind = "grey" if pixels["channels"] == ["grey"] else "colour"
    rows = {
        "takes": f"{kind} images, {height} pixels high and {width} wide, float32 from "
        f"{pixels['black']:g} (black) to {pixels['white']:g} (white)",
        "gives": "probabilities of " + ", ".join(printable(str(x)) for x in description["labels"]),
    }
    lines = [f"Exported: {', '.join(map(printable, paths))}", ""]
    for name, text in rows.items():
        indent = {"initial_indent": f"{name:<7}", "subsequent_indent": " " * 7}
        lines += textwrap.wrap(text, _WIDTH, **indent)
    return lines
