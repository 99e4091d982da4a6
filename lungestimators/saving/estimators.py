"""save, load and describe_file: fitted estimators in a file that runs no code when it is loaded."""

import importlib.metadata
import platform
from typing import Any

import numpy as np
import sklearn
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .. import __version__
from ..images.base import check_described_shape
from ..networks import onnx_sessions
from ..validation import PathLike
from . import classes, lung_file
from .decoding import Decoder
from .encoding import Encoder

# Packages whose versions a file states.
_VERSIONS = "lungestimators", "python", "numpy", "scikit-learn", "keras"

# What Python raises for a value of another type than a check has thought of.
_OF_UNEXPECTED_VALUES = (
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
)


def save(estimator: Any, path: PathLike, *, description: str | None = None) -> None:
    """Write a fitted estimator to a file, which :func:`load` reads.

    The file holds plain data and arrays, as JSON and safetensors in a zip, and no code. The same
    estimator gives the same bytes. A file of this name is replaced, whole or not at all.

    Parameters
    ----------
    estimator : estimator
        A classifier or transformer of this package, or one of scikit-learn's around it: Pipeline,
        CalibratedClassifierCV, VotingClassifier, FixedThresholdClassifier,
        TunedThresholdClassifierCV, FrozenEstimator; and scalers, PCA and linear classifiers as
        steps. A directory as ``feature_cache`` is saved as ``"memory"``.
    path : path
        By custom it ends with ``.lung``.
    description : str, default=None
        Free text: what the estimator was learnt from, what it is for and what it is not for.

    Raises
    ------
    ValueError
        The estimator is not fitted, or holds something that a file cannot: a function, callbacks,
        an object of a class that is not on the list. The error says where. Nothing is written.
    FileNotFoundError
        There is no such folder.

    See Also
    --------
    load : Read the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.pipeline import make_pipeline
    >>> from lungestimators import BorderCrop, CNNClassifier, load, make_chest_xrays, save
    >>> X, y = make_chest_xrays(40, image_size=48, random_state=0)
    >>> clf = CNNClassifier(image_size=32, filters=(4, 8), epochs=2, random_state=0)
    >>> pipeline = make_pipeline(BorderCrop(), clf).fit(X, y)
    >>> new, _ = make_chest_xrays(3, image_size=48, random_state=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(pipeline, Path(folder, "lungs.lung"), description="Synthetic images only.")
    ...     again = load(Path(folder, "lungs.lung"))
    >>> bool((again.predict_proba(new) == pipeline.predict_proba(new)).all())
    True
    """
    if not isinstance(estimator, BaseEstimator):
        raise TypeError(f"estimator={estimator!r} is no fitted estimator")
    if description is not None and not isinstance(description, str):
        raise TypeError(f"description={description!r} must be text or None")
    check_is_fitted(estimator)
    encoder = Encoder()
    node = encoder.encode(estimator, type(estimator).__name__)
    document = {
        "format": lung_file.FORMAT,
        "description": description,
        "versions": _versions(),
        "architectures": encoder.architectures,
        "estimator": node,
    }
    # What is written can be read: it is read here, before anything is written.
    _decode(document, dict(encoder.arrays))
    lung_file.write_file(path, lung_file.Content(document, encoder.arrays))


def load(path: PathLike, *, runtime: str = "keras") -> Any:
    """Read a fitted estimator from a file that :func:`save` wrote.

    No code of the file is run, and nothing is imported by a name that it states; so a file of a
    stranger can be loaded. It can still answer wrongly on purpose: trust its answers as far as you
    trust its author. No deep-learning framework is imported before the first prediction, which may
    run under another backend of Keras than the fit.

    A classifier that was loaded warns when it predicts images that it was fitted to.

    Parameters
    ----------
    path : path
    runtime : {"keras", "onnxruntime"}, default="keras"
        What runs the networks. ``"onnxruntime"`` starts in a second and needs neither TensorFlow
        nor Keras to be installed; it needs ``pip install 'lungestimators[serve]'``. It predicts
        and transforms on the CPU, with ``n_views=1``; only Keras trains.

    Returns
    -------
    estimator
        With the parameters and the fitted state that it was saved with. Its predictions are the
        same to the bit, with the same versions and backend on the same kind of processor. With
        ``"onnxruntime"`` its probabilities are those of Keras within 1e-5; within 1e-4 where a deep
        network learnt whole from random weights, which enlarges rounding.

    Raises
    ------
    ValueError
        The file is of another program, of a later version of the package, damaged or cut short, or
        it names a class or a layer that is not on the list; or there is no such ``runtime``.
    FileNotFoundError
        There is no such file.
    ImportError
        ``runtime="onnxruntime"`` and ONNX Runtime is not installed.

    Warns
    -----
    InconsistentVersionWarning
        An estimator of scikit-learn in it was saved with another version of scikit-learn.

    See Also
    --------
    save : Write the file.
    lungestimators.saving.describe_file : What a file holds.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from lungestimators import CNNClassifier, load, make_chest_xrays
    >>> X, y = make_chest_xrays(40, image_size=48, random_state=0)
    >>> clf = CNNClassifier(image_size=32, filters=(4, 8), epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     clf.save(Path(folder, "lungs.lung"))
    ...     again = load(Path(folder, "lungs.lung"))
    >>> again.history_ == clf.history_
    True
    """
    if runtime not in ("keras", "onnxruntime"):
        raise ValueError(f"runtime={runtime!r} must be 'keras' or 'onnxruntime'")
    if runtime == "onnxruntime":
        onnx_sessions.check_onnx_runtime()
    try:
        document, arrays = lung_file.read_file(path)
        return _decode(document, arrays, runtime)
    except ValueError as error:
        raise _error_about(path, error) from error
    except _OF_UNEXPECTED_VALUES as error:
        raise _error_about(path, f"its JSON is damaged ({error!r})") from error


def describe_file(path: PathLike) -> dict[str, Any]:
    """Say what a file of :func:`save` holds, without loading its networks.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict
        ``format``, ``description``, ``versions`` (of the packages that wrote it), ``class`` (of
        the estimator), ``classifiers``: for each fitted classifier of this package in it a dict of
        its ``class``, its ``classes`` (labels), ``image_shape`` (height and width None after a fit
        on files), ``n_networks``, ``n_epochs`` of all networks, and ``n_training_images``.

    Raises
    ------
    ValueError
        The file is of another program, of a later version of the package, or damaged. The digest
        of its arrays is not compared.
    FileNotFoundError
        There is no such file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from lungestimators import CNNClassifier, make_chest_xrays
    >>> from lungestimators.saving import describe_file
    >>> X, y = make_chest_xrays(40, image_size=48, random_state=0)
    >>> clf = CNNClassifier(image_size=32, filters=(4, 8), epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     clf.save(Path(folder, "lungs.lung"), description="Synthetic images only.")
    ...     described = describe_file(Path(folder, "lungs.lung"))
    >>> described["description"], described["classifiers"][0]["image_shape"]
    ('Synthetic images only.', (48, 48, 1))
    """
    try:
        document, _ = lung_file.read_file(path, with_arrays=False)
        node = _check_document(document)["estimator"]
        found = {key: document[key] for key in ("format", "description", "versions")}
        return found | {
            "class": classes.find_class(node.get("class")).__name__,
            "classifiers": [_description_of(each) for each in _fitted_classifiers(node)],
        }
    except ValueError as error:
        raise _error_about(path, error) from error
    except _OF_UNEXPECTED_VALUES as error:
        raise _error_about(path, f"its JSON is damaged ({error!r})") from error


def _decode(document, arrays, runtime="keras"):
    """Return the estimator of a document and its arrays, or raise a ValueError."""
    _check_document(document)
    versions = document["versions"]
    decoder = Decoder(arrays, document["architectures"], versions["scikit-learn"], runtime)
    estimator = decoder.decode(document["estimator"])
    decoder.check_that_all_was_used()
    if not isinstance(estimator, BaseEstimator):
        raise ValueError("it holds no estimator")
    check_is_fitted(estimator)
    return estimator


def _check_document(document):
    """Return a document, or raise unless its first level is as ``save`` writes it."""
    names = {"format", "description", "versions", "architectures", "estimator"}
    if set(document) != names:
        raise ValueError(f"its JSON has the entries {sorted(document)}")
    if not isinstance(document["description"], str | None):
        raise ValueError("its description is no text")
    versions = document["versions"]
    if not (
        isinstance(versions, dict)
        and set(versions) == set(_VERSIONS)
        and all(isinstance(version, str) for version in versions.values())
    ):
        raise ValueError("its versions are damaged")
    if not isinstance(document["estimator"], dict):
        raise ValueError("it holds no estimator")
    return document


def _versions():
    """Return the versions of the packages on which the content of a file depends."""
    others = platform.python_version(), np.__version__, sklearn.__version__
    try:
        keras = importlib.metadata.version("keras")
    except importlib.metadata.PackageNotFoundError:  # loaded for another runtime, and saved again
        keras = "not installed"
    return dict(zip(_VERSIONS, (__version__, *others, keras), strict=True))


def _fitted_classifiers(node):
    """Yield the JSON of each fitted classifier of this package in a node, at any depth."""
    if isinstance(node, list):
        for item in node:
            yield from _fitted_classifiers(item)
    elif isinstance(node, dict):
        if node.get("type") == "estimator" and "networks" in (node.get("state") or {}):
            yield node
            return
        for item in node.values():
            yield from _fitted_classifiers(item)


def _description_of(node):
    """Return what the JSON of a fitted classifier says of it."""
    state = {key: node["state"][key] for key in ("classes_", "image_shape_", "networks")}
    data = dict(node["state"]["training_data_"]["items"])
    networks = [dict(network["items"]) for network in state["networks"]]
    histories = [dict(network["history"]["items"]) for network in networks]
    decoder = Decoder({}, [], sklearn.__version__)
    labels, shape = (decoder.decode(state[name]) for name in ("classes_", "image_shape_"))
    check_described_shape(shape)
    n_images = data["n_images"]
    if type(n_images) is not int or not isinstance(labels, np.ndarray):
        raise ValueError("the classes or the training data of a classifier in it are damaged")
    return {
        "class": classes.find_class(node["class"]).__name__,
        "classes": labels.tolist(),
        "image_shape": shape,
        "n_networks": len(networks),
        "n_epochs": sum(len(history.get("loss", [])) for history in histories),
        "n_training_images": n_images,
    }


def _error_about(path, error):
    """Return the error for a file that cannot be loaded."""
    return ValueError(f"{str(path)!r} cannot be loaded: {error}")
