"""export: check everything, write the network beside its place, and move it there."""

import contextlib
import json
import logging
import os
import shutil
import uuid
from typing import Any, Literal

from sklearn.base import BaseEstimator

from ..backends.startup import keras, quiet_conversion
from ..validation import PathLike
from .description import describe_export
from .formats import check_packages_of_format, check_target_of_export, find_format
from .network import build_network_to_export
from .steps import parts_to_export
from .writers import WRITERS


def export(
    estimator: Any,
    path: PathLike,
    *,
    format: Literal["onnx", "litert", "openvino", "saved_model"] | None = None,
) -> None:
    """Write a fitted classifier as a network for another runtime, without this package.

    Pixels go in, as ``predict_proba`` takes them, in an array of any number of images of one size;
    probabilities come out. The input is named ``pixels``, the output ``probabilities``. Resizing,
    cropping and scaling are inside. The probabilities are those of ``predict_proba`` within 1e-5.

    The file has a description in JSON: ``labels`` in the order of the probabilities; under
    ``input`` the ``shape``, the ``channels`` and the pixel values that are ``black`` and ``white``,
    and, after a fit on files, ``files_read_by``; versions.

    Parameters
    ----------
    estimator : estimator
        A CNNClassifier, MobileNetClassifier, DenseNetClassifier or BackboneClassifier, or a
        Pipeline of it behind ImageReader and BorderCrop. ImageReader is left out: the network takes
        what it returns.
    path : path
        The file, or the folder of a SavedModel. An export that is there is replaced, whole or not
        at all; OpenVINO writes a second file, with the suffix ``.bin``.
    format : {"onnx", "litert", "openvino", "saved_model"}, default=None
        None takes it from the suffix: ``.onnx``, ``.tflite``, ``.xml``, and none for a SavedModel.
        Each but the last needs the extra of its name: ``pip install 'lungestimators[onnx]'``.

    Raises
    ------
    ValueError
        The estimator is not fitted, or has a step that no network can do, which the error names;
        ``n_views`` is not 1; there is no such format; Keras runs on another backend than
        TensorFlow; the runtime lacks an operation of the network.
    ImportError
        The extra of the format is not installed.
    FileNotFoundError
        There is no folder for the file.

    See Also
    --------
    save : A file that this package reads, with all that a further fit needs.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> import tensorflow as tf
    >>> from sklearn.pipeline import make_pipeline
    >>> from lungestimators import BorderCrop, CNNClassifier, export, make_chest_xrays
    >>> X, y = make_chest_xrays(40, image_size=48, random_state=0)
    >>> clf = CNNClassifier(image_size=32, filters=(4, 8), epochs=2, random_state=0)
    >>> pipeline = make_pipeline(BorderCrop(), clf).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export(pipeline, Path(folder, "lungs"))
    ...     network = tf.saved_model.load(str(Path(folder, "lungs")))
    ...     text = Path(folder, "lungs", "assets.extra", "lungestimators.json").read_text()
    >>> answers = network.serve(X[..., None].astype("float32"))["probabilities"].numpy()
    >>> bool(abs(answers - pipeline.predict_proba(X)).max() < 1e-5)
    True
    >>> description = json.loads(text)
    >>> description["input"]["shape"], description["input"]["white"]
    ([None, 48, 48, 1], 255.0)
    """
    if not isinstance(estimator, BaseEstimator):
        raise TypeError(f"estimator={estimator!r} is no fitted estimator")
    given = os.fspath(path)
    chosen = find_format(given, format)
    path = os.path.realpath(given)
    check_target_of_export(path, chosen)
    parts = parts_to_export(estimator)
    check_packages_of_format(chosen)
    if keras.config.backend() != "tensorflow":
        raise ValueError(
            f"Keras runs on {keras.config.backend()} here, and exports from TensorFlow. Save the "
            "classifier, and export the file: lungestimators export model.lung "
            f"{os.path.basename(path)}"
        )
    description = json.dumps(describe_export(parts), allow_nan=False)
    folder = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{uuid.uuid4().hex}")
    os.mkdir(folder)
    try:
        new = os.path.join(folder, f"network{chosen.suffix}")  # the suffix that exporters ask for
        with quiet_conversion(), _root_logger_as_found():
            network = build_network_to_export(parts, not chosen.runtime_checks_images)
            WRITERS[chosen.name](network, description, new)
        for source, target in zip(chosen.paths(new), chosen.paths(path), strict=True):
            _move_to_its_place(source, target, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_to_its_place(source, target, folder):
    """Give a file or folder its name; a folder of before is first moved to ``folder``."""
    if not os.path.isdir(target):
        os.replace(source, target)
        return
    before = os.path.join(folder, "before")
    os.replace(target, before)
    try:
        os.replace(source, target)
    except BaseException:
        os.replace(before, target)
        raise


@contextlib.contextmanager
def _root_logger_as_found():
    """Remove the handler that absl gives Python's root logger when it first logs."""
    before = logging.root.handlers[:]
    try:
        yield
    finally:
        logging.root.handlers[:] = before
