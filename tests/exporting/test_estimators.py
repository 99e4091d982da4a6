"""What is written, what is left as it was, and what is refused before any work."""

import logging
import os
import pickle
import random
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import lungestimators
from lungestimators import (
    CLAHE,
    BackboneClassifier,
    BackboneFeatures,
    BorderCrop,
    CNNClassifier,
    LungFields,
    export,
    save,
)
from lungestimators.exporting import writers

from ..conftest import make_cnn
from ..networks import own_networks
from .conftest import SETTINGS, as_pixels
from .runtimes import FORMATS, RUN, read_description, run_signature_of_saved_model

# Ways of running an export; TensorFlow Serving takes another one than ``serve``.
WAYS = {each: (each, RUN[each]) for each in FORMATS}
WAYS["signature"] = "saved_model", run_signature_of_saved_model


@pytest.mark.parametrize("format", FORMATS)
def test_the_description_stands_in_the_file(format, exported):
    found = read_description(format, exported("Pipeline", format))
    assert found["labels"] == ["COVID-19", "normal", "pneumonia"]
    assert found["label_type"] == "str"
    assert found["input"] == {
        "name": "pixels",
        "shape": [None, 50, 50, 1],
        "axes": ["image", "height", "width", "channel"],
        "dtype": "float32",
        "channels": ["grey"],
        "black": 0.0,
        "white": 255.0,
        "files_read_by": None,
    }
    assert found["output"]["shape"] == [None, 3]
    assert found["classifier"] == "CNNClassifier"
    assert found["versions"]["lungestimators"] == lungestimators.__version__


@pytest.mark.parametrize(
    ("labels", "kind", "formats"),
    [
        ([False, True], "bool", ["onnx"]),
        ([3, 7], "int", ["onnx"]),
        (['"ill" <&>', "ä\n{}"], "str", FORMATS),
        (np.array(["a", "b"], object), "str", ["onnx"]),
    ],
)
def test_labels_keep_their_type_and_every_character(labels, kind, formats, cnn, squares, tmp_path):
    X, y = squares
    clf = cnn.set_params(epochs=1).fit(X, np.asarray(labels)[(y == "opaque").astype(int)])
    for format in formats:
        clf.export(tmp_path / FORMATS[format])
        found = read_description(format, tmp_path / FORMATS[format])
        assert found["labels"] == list(labels) and found["label_type"] == kind
        assert {type(label).__name__ for label in found["labels"]} == {kind}


def test_inputs_and_outputs_have_names_and_one_dynamic_dimension(exported):
    import onnxruntime
    import openvino
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    path = {format: str(exported("CNN", format)) for format in FORMATS}
    session = onnxruntime.InferenceSession(path["onnx"], providers=["CPUExecutionProvider"])
    assert [(x.name, x.shape) for x in session.get_inputs()] == [
        ("pixels", ["n_images", 50, 50, 1])
    ]
    assert [(x.name, x.shape) for x in session.get_outputs()] == [
        ("probabilities", ["n_images", 3])
    ]

    interpreter = Interpreter(path["litert"])
    (pixels,), (probabilities,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert list(pixels["shape_signature"]) == [-1, 50, 50, 1]
    assert list(probabilities["shape_signature"]) == [-1, 3]

    model = openvino.Core().read_model(path["openvino"])
    assert [str(x.partial_shape) for x in model.inputs] == ["[?,50,50,1]"]
    assert [str(x.partial_shape) for x in model.outputs] == ["[?,3]"]

    signature = tf.saved_model.load(path["saved_model"]).signatures["serving_default"]
    assert signature.structured_input_signature[1]["pixels"].shape.as_list() == [None, 50, 50, 1]
    assert signature.structured_outputs["probabilities"].shape.as_list() == [None, 3]


def test_no_file_names_a_folder_of_this_computer(exported):
    here = [os.getcwd().encode(), os.path.dirname(exported("CNN", "onnx")).encode()]
    here += [os.path.dirname(keras.__file__).encode(), os.path.expanduser("~").encode() + b"/"]
    for format in FORMATS:
        path = exported("CNN", format)
        files = path.rglob("*") if path.is_dir() else path.parent.iterdir()
        for file in files:
            if file.is_file():
                content = file.read_bytes()
                assert not [name for name in here if name in content], file


@pytest.fixture(scope="module")
def of_any_size(chest, tmp_path_factory):
    """Exports of a network without a layer that knows the size: nothing is resized or flattened."""
    X, y = chest
    X = X[:, 9:41, 9:41]
    clf = BackboneClassifier(own_networks.small, **SETTINGS, weights=None).fit(X, y)
    folder = tmp_path_factory.mktemp("of_any_size")
    for name in FORMATS.values():
        clf.export(folder / name)
    return clf, X, folder


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "shape",
    [(4, 40, 40, 1), (4, 16, 16, 1), (4, 1, 1, 1), (4, 32, 32, 3), (4, 1, 32, 32), (4, 32, 32)],
)
def test_the_runtime_refuses_images_of_another_size_or_depth(way, shape, of_any_size):
    format, run = WAYS[way]
    clf, X, folder = of_any_size
    with pytest.raises(Exception) as raised:  # of a class of the runtime
        run(folder / FORMATS[format], np.zeros(shape, np.float32))
    kinds = {"InvalidArgument", "InvalidArgumentError", "RuntimeError", "TypeError", "ValueError"}
    assert type(raised.value).__name__ in kinds
    found = run(folder / FORMATS[format], as_pixels(X[:4]))
    np.testing.assert_allclose(found, clf.predict_proba(X[:4]), rtol=0, atol=1e-5)


def global_state():
    """What a careless export would change."""
    return {
        "names in numpy": sorted(vars(np)),
        "environment": dict(os.environ),
        "filters of warnings": warnings.filters[:],
        "handlers of the root logger": logging.root.handlers[:],
        "level of the root logger": logging.root.level,
        "random numbers": random.getstate(),
        "random numbers of NumPy": pickle.dumps(np.random.get_state()),
        "Keras' settings": (keras.config.floatx(), keras.config.image_data_format()),
        "Keras' policy": keras.config.dtype_policy().name,
    }


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_is_printed_and_nothing_global_is_changed(
    format, fitted, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr(logging.root, "handlers", [])  # as without pytest
    clf = fresh(fitted("CNN"))
    before = global_state()
    capfd.readouterr()
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", category=UserWarning)
        clf.export(tmp_path / FORMATS[format])
    assert capfd.readouterr() == ("", "")
    assert not [str(each.message) for each in caught]
    assert global_state() == before
    expected = {"lungs.xml", "lungs.bin"} if format == "openvino" else {FORMATS[format]}
    assert set(os.listdir(tmp_path)) == expected


EXPORT = """
import sys
from lungestimators import load
for name in sys.argv[1:]:
    load("lungs.lung").export(name)
import numpy
assert "object" not in vars(numpy)
assert "openvino_telemetry" not in sys.modules
"""


@pytest.mark.slow
def test_a_new_process_writes_no_line_and_reports_to_nobody(fitted, tmp_path):
    save(fitted("CNN"), tmp_path / "lungs.lung")
    left_out = {"TF_CPP_MIN_LOG_LEVEL", "CI", "JENKINS_URL", "TF_BUILD"}
    environment = {k: v for k, v in os.environ.items() if k not in left_out}
    for name, folder in {"HOME": "home", "TMPDIR": "temporary"}.items():
        (tmp_path / folder).mkdir()
        environment[name] = str(tmp_path / folder)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EXPORT, *FORMATS.values()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list((tmp_path / "temporary").iterdir())
    assert not list((tmp_path / "home").glob("*ntel*")), "where OpenVINO counts its uses"


@pytest.mark.parametrize("format", ["onnx", "openvino", "saved_model"])  # LiteRT: as ONNX, a file
def test_an_export_is_replaced_whole_or_not_at_all(
    format, fitted, cnn, squares, tmp_path, monkeypatch
):
    path = tmp_path / FORMATS[format]
    cnn.set_params(epochs=1).fit(*squares).export(path)
    names = sorted(os.listdir(tmp_path))
    fitted("CNN").export(path)
    assert sorted(os.listdir(tmp_path)) == names
    assert read_description(format, path)["input"]["shape"] == [None, 50, 50, 1]
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    def fail(network, description, path):
        writers.write_saved_model(network, description, path)
        raise OSError("the disk is full")

    monkeypatch.setitem(writers.WRITERS, format, fail)
    with pytest.raises(OSError, match="the disk is full"):
        fitted("CNN").export(path)
    assert sorted(os.listdir(tmp_path)) == names
    assert before == {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}


def test_the_format_can_be_named(fitted, tmp_path):
    fitted("CNN").export(tmp_path / "lungs-1.0", format="saved_model")
    assert read_description("saved_model", tmp_path / "lungs-1.0")["labels"]
    fitted("CNN").export(tmp_path / "lungs.model", format="litert")
    assert read_description("litert", tmp_path / "lungs.model")["labels"]
    fitted("CNN").export(tmp_path / "LUNGS.XML")
    assert (tmp_path / "LUNGS.bin").exists()


def refused(estimator, path, match, error=ValueError, **options):
    """An export is refused before the network is built, and nothing is written."""
    built = hasattr(estimator, "_model")
    folder = os.path.dirname(path)
    before = sorted(os.listdir(folder)) if os.path.isdir(folder) else None
    with pytest.raises(error, match=match):
        export(estimator, path, **options)
    assert hasattr(estimator, "_model") == built
    assert (sorted(os.listdir(folder)) if os.path.isdir(folder) else None) == before


def fresh(clf):
    """The same fitted classifier, which has not built its network."""
    return pickle.loads(pickle.dumps(clf))


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        (
            "lungs.pb",
            {},
            r"no format has the suffix '.pb'. .* \.onnx \(onnx\), \.tflite \(litert\)",
        ),
        ("lungs.onnx", {"format": "torch"}, "format='torch' must be 'onnx', 'litert', 'openvino'"),
        ("lungs.onnx", {"format": "litert"}, "suffix of another format than format='litert'"),
        ("lungs.onnx", {"format": 3}, "format=3 must be"),
        ("lungs.net", {"format": "openvino"}, "a file of OpenVINO ends with .xml"),
    ],
)
def test_a_name_or_a_format_that_does_not_exist(name, options, match, fitted_cnn, tmp_path):
    refused(fresh(fitted_cnn), tmp_path / name, match, **options)


def test_places_that_cannot_be_written_to(fitted_cnn, tmp_path):
    clf = fresh(fitted_cnn)
    refused(
        clf, tmp_path / "no" / "a.onnx", "There is no folder .*make it first", FileNotFoundError
    )
    (tmp_path / "folder.onnx").mkdir()
    refused(clf, tmp_path / "folder.onnx", "is a folder", IsADirectoryError)
    (tmp_path / "folder.bin").mkdir()
    refused(clf, tmp_path / "folder.xml", "folder.bin' is a folder", IsADirectoryError)
    (tmp_path / "file").write_text("kept")
    refused(clf, tmp_path / "file", "is a file, and a SavedModel is a folder", NotADirectoryError)
    assert (tmp_path / "file").read_text() == "kept"


def test_a_folder_that_is_no_saved_model_is_not_replaced(fitted, tmp_path):
    clf, folder = fitted("CNN"), tmp_path / "lungs"
    folder.mkdir()
    clf.export(folder)  # an empty one is
    assert (folder / "saved_model.pb").exists()
    (folder / "notes.txt").write_text("kept")
    refused(clf, folder, "holds 'notes.txt', which is no part of a SavedModel")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("kept")
    refused(clf, tmp_path / "thesis", "holds 'chapter.tex'")


@pytest.mark.parametrize(
    ("format", "package", "name"),
    [
        ("onnx", "tf2onnx", "tf2onnx"),
        ("onnx", "onnx", "onnx"),
        ("litert", "ai_edge_litert", "ai-edge-litert"),
        ("openvino", "openvino", "openvino"),
    ],
)
def test_an_extra_that_is_not_installed(format, package, name, fitted_cnn, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    match = rf"needs {name}: pip install 'lungestimators\[{format}\]'"
    refused(fresh(fitted_cnn), tmp_path / FORMATS[format], match, ImportError)


@pytest.mark.core
@pytest.mark.parametrize("format", FORMATS)
def test_another_backend_of_keras_is_named_before_any_work(
    format, fitted_cnn, tmp_path, monkeypatch
):
    if keras.config.backend() == "tensorflow":
        monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    match = rf"Keras runs on (jax|torch) here.*lungestimators export model.lung {FORMATS[format]}"
    refused(fresh(fitted_cnn), tmp_path / FORMATS[format], match)


def test_what_is_no_fitted_estimator(fitted_cnn, tmp_path):
    with pytest.raises(TypeError, match="is no fitted estimator"):
        export(CNNClassifier, tmp_path / "a.onnx")
    refused(make_cnn(), tmp_path / "a.onnx", "is not fitted yet", NotFittedError)
    unfitted = make_pipeline(BorderCrop(), make_cnn())
    refused(unfitted, tmp_path / "a.onnx", "is not fitted yet", NotFittedError)


def test_views_are_no_part_of_a_network(fitted_cnn, tmp_path):
    clf = fresh(fitted_cnn).set_params(n_views=4)
    refused(clf, tmp_path / "a.onnx", r"n_views=4: .* Call set_params\(n_views=1\) first")
    pipeline = make_pipeline(BorderCrop(0), clf)
    refused(pipeline, tmp_path / "a.onnx", "n_views=4")


def test_pixels_that_float32_does_not_tell_apart(cnn, squares, tmp_path):
    X, y = squares
    with pytest.warns(UserWarning, match="is taken as black"):
        clf = cnn.set_params(epochs=1).fit(X / 1e4 + 1e6, y)
    refused(clf, tmp_path / "a.onnx", "float64 pixels in .* too coarse for them")


@pytest.mark.parametrize(
    ("step", "match"),
    [
        (
            CLAHE(kernel_size=4),
            r"The step 'clahe' \(CLAHE\) computes what no layer .* pipeline\[-1\]",
        ),
        (LungFields(image_size=16, on_missing="warn"), r"The step 'lungfields' \(LungFields\)"),
        (
            FunctionTransformer(np.negative, validate=False),
            r"The step 'functiontransformer' \(FunctionTransformer\)",
        ),
    ],
)
def test_a_step_before_the_network_is_named(step, match, fitted_cnn, tmp_path):
    refused(make_pipeline(step, fitted_cnn), tmp_path / "a.onnx", match)
    nested = make_pipeline(BorderCrop(0), make_pipeline(step, fitted_cnn))
    refused(nested, tmp_path / "a.onnx", match.replace("step '", "step 'pipeline__"))


@pytest.mark.filterwarnings("ignore:.*were learnt from images of")
def test_an_estimator_around_a_network_is_named(fitted_cnn, squares, tmp_path):
    X, y = squares
    path = tmp_path / "a.onnx"
    frozen = FrozenEstimator(fitted_cnn)
    inside = "Export the fitted classifier inside it: .* before any calibration, threshold or vote"
    calibrated = CalibratedClassifierCV(frozen, cv=2).fit(X, y)
    refused(calibrated, path, f"A CalibratedClassifierCV cannot be exported. .*{inside}")
    careful = FixedThresholdClassifier(frozen, threshold=0.2, pos_label="opaque").fit(X, y)
    refused(careful, path, f"A FixedThresholdClassifier cannot be exported. .*{inside}")
    refused(frozen, path, f"A FrozenEstimator cannot be exported. .*{inside}")
    pipeline = make_pipeline(BorderCrop(0), careful)
    refused(pipeline, path, r"The step 'fixedthresholdclassifier' \(FixedThresholdClassifier\)")
    search = GridSearchCV(make_cnn().set_params(epochs=1), {"dropout": [0.1]}, cv=2).fit(X, y)
    refused(search, path, "A GridSearchCV cannot be exported. .* Export its best_estimator_")
    features = BackboneFeatures("MobileNet", alpha=0.25, image_size=32)
    linear = make_pipeline(features, LogisticRegression()).fit(X, y)
    refused(linear, path, r"The step 'logisticregression' \(LogisticRegression\) cannot .*Backbone")


def test_a_border_that_is_not_the_one_of_the_fit(fitted, fitted_cnn, squares, tmp_path):
    pipeline = fresh(fitted("Pipeline"))
    pipeline[0].fraction = 0.2
    refused(pipeline, tmp_path / "a.onnx", r"The step 'bordercrop-1' \(BorderCrop\) makes images")
    pipeline[0].fraction = 2
    refused(pipeline, tmp_path / "a.onnx", "fraction=2 must be at least 0 and below 0.5")
    early = make_pipeline(BorderCrop(0), fitted_cnn)
    refused(early, tmp_path / "a.onnx", r"'bordercrop' \(BorderCrop\) does not know of what size")


class Stretched(BorderCrop):
    """A transformer of a user that inherits from one that could be exported."""

    def transform(self, X):
        return np.asarray(X)[:, ::2, ::2]


def test_a_class_that_inherits_from_a_step_is_no_such_step(fitted_cnn, tmp_path):
    refused(
        make_pipeline(Stretched(), fitted_cnn), tmp_path / "a.onnx", r"'stretched' \(Stretched\)"
    )


@keras.saving.register_keras_serializable("exporting")
class Odd(keras.layers.Layer):
    """A layer of an operation that ONNX lacks, and LiteRT too."""

    def call(self, x):
        return keras.ops.erfinv(keras.ops.tanh(x) / 2)

    def compute_output_shape(self, shape):
        return shape


@keras.saving.register_keras_serializable("exporting")
class OddInLiteRT(Odd):
    """A layer of an operation that LiteRT runs only together with TensorFlow."""

    def call(self, x):
        return keras.ops.sinh(x)


def odd_network(image_size, channels, layer=Odd):
    inputs = keras.Input((image_size, image_size, channels))
    x = keras.layers.Conv2D(2, 3, strides=2)(inputs)
    return keras.Model(inputs, layer(name="odd")(x))


def odd_network_in_litert(image_size, channels):
    return odd_network(image_size, channels, OddInLiteRT)


@pytest.mark.parametrize(
    ("backbone", "format", "match"),
    [
        (odd_network, "onnx", "ONNX lacks operations of the network: Erfinv. Export to another"),
        (odd_network, "litert", "LiteRT lacks operations of the network: Erfinv. Export to"),
        (odd_network_in_litert, "litert", "LiteRT lacks operations of the network: FlexSinh. "),
    ],
)
def test_an_operation_that_the_runtime_lacks_is_named(backbone, format, match, squares, tmp_path):
    clf = BackboneClassifier(backbone, weights=None, image_size=32, epochs=1, random_state=0)
    clf.fit(*squares)
    with pytest.raises(ValueError, match=match):
        clf.export(tmp_path / FORMATS[format])
    assert os.listdir(tmp_path) == []


def test_the_method_and_the_function_write_the_same(fitted_cnn, squares, tmp_path):
    clf = fresh(fitted_cnn)
    clf.export(tmp_path / "method.onnx")
    export(clf, os.fspath(tmp_path / "function.onnx"))
    answers = [
        RUN["onnx"](tmp_path / f"{x}.onnx", as_pixels(squares[0])) for x in ("method", "function")
    ]
    np.testing.assert_array_equal(*answers)
