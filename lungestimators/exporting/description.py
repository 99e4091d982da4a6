"""What a user of an exported network must know, as plain data, in the file itself."""

import importlib.metadata

import numpy as np

from .. import __version__

# Under this name each format keeps the JSON of the description.
KEY = "lungestimators"
# Names of the input and the output of an exported network, in all formats.
PIXELS, PROBABILITIES = "pixels", "probabilities"


def describe_export(parts):
    """Return the description of an exported network.

    Parameters
    ----------
    parts : steps.Parts

    Returns
    -------
    dict
        Plain data, as JSON has it.
    """
    classifier = parts.classifier
    labels = [
        label.item() if isinstance(label, np.generic) else label for label in classifier.classes_
    ]
    black, white = classifier._pixel_range
    *_, channels = parts.image_shape
    return {
        "classifier": type(classifier).__name__,
        "input": {
            "name": PIXELS,
            "shape": [None, *parts.image_shape],
            "axes": ["image", "height", "width", "channel"],
            "dtype": "float32",
            "channels": ["grey"] if channels == 1 else ["red", "green", "blue"],
            "black": black,
            "white": white,
            "files_read_by": parts.reader,
        },
        "output": {
            "name": PROBABILITIES,
            "shape": [None, len(labels)],
            "axes": ["image", "class"],
            "dtype": "float32",
        },
        "labels": labels,
        "label_type": type(labels[0]).__name__,
        "versions": {
            "lungestimators": __version__,
            "keras": importlib.metadata.version("keras"),
            "tensorflow": importlib.metadata.version("tensorflow"),
        },
    }
