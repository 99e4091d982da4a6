"""info: what is in the file of a saved classifier?"""

import textwrap

from ..saving import describe_file
from ..text_tables import counted, printable
from .results import DONE, Result

_WIDTH = 79


def run(arguments):
    """Describe the file ``arguments.model``."""
    found = describe_file(arguments.model)
    lines = [f"{printable(arguments.model)}: a {found['class']}"]
    if found["description"]:
        lines += ["", *textwrap.wrap(printable(found["description"]), _WIDTH)]
    for classifier in found["classifiers"]:
        lines += ["", *_lines_of_classifier(classifier)]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    lines += ["", *textwrap.wrap(f"Saved by {printable(versions)}.", _WIDTH)]
    return Result(DONE, "\n".join(lines), {"file": arguments.model, **found})


def _lines_of_classifier(found):
    """Return what is known of one fitted classifier as lines of text."""
    height, width, channels = found["image_shape"]
    images = "files of images of any size"
    if height is not None:
        kind = "grey" if channels == 1 else "colour"
        images = f"arrays of {kind} images, {height} pixels high and {width} wide"
    learnt = (
        f"{counted(found['n_training_images'], 'image')}, in {counted(found['n_epochs'], 'epoch')}"
    )
    rows = {
        "classifier": found["class"],
        "classes": ", ".join(printable(str(name)) for name in found["classes"]),
        "learnt from": learnt,
        "takes": images,
    }
    if found["n_networks"] > 1:
        rows["networks"] = str(found["n_networks"])
    return [
        line
        for name, text in rows.items()
        for line in textwrap.wrap(
            text, _WIDTH, initial_indent=f"{name:<13}", subsequent_indent=" " * 13
        )
    ]
