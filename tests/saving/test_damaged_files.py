"""A file of another program, of a later version, damaged or made with ill will: a ValueError."""

import importlib
import json
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import joblib
import keras
import numpy as np
import pytest
import safetensors.numpy

from lungestimators import load
from lungestimators.saving import describe_file
from lungestimators.saving.architecture_checks import check_architecture
from tests.conftest import make_squares
from tests.saving.files import (
    ARRAYS,
    DIGESTS,
    DOCUMENT,
    change_document,
    read_entries,
    write_entries,
)

KEPT = Path(__file__).parent / "format-1.lung"


@pytest.fixture
def path(fitted_cnn, tmp_path):
    fitted_cnn.save(tmp_path / "clf.lung")
    return tmp_path / "clf.lung"


def refuses(path, match):
    with pytest.raises(ValueError, match=match) as error:
        load(path)
    assert path.name in str(error.value)


@pytest.mark.filterwarnings("ignore:.*to fit this")
def test_the_kept_file_of_the_first_format_is_read(squares):
    X, y = squares
    clf = load(KEPT)
    assert (clf.predict(X) == y).all()
    assert clf.predict(255 - X).shape == (48,)
    assert describe_file(KEPT)["description"] == "Format 1: squares of tests/conftest.py."
    assert clf.training_data_.n_images == 48
    assert KEPT.stat().st_size < 100_000


def test_files_of_other_programs_are_refused(path, fitted_cnn):
    for content in (b"", b"text", pickle.dumps(1), b"\x89HDF\r\n\x1a\n", b"PK", b"\x93NUMPY"):
        path.write_bytes(content)
        refuses(path, "of another program")
    joblib.dump(fitted_cnn, path)
    refuses(path, "of another program")
    np.savez(path.with_suffix(".npz"), x=1)
    refuses(path.with_suffix(".npz"), "zip of another program")
    with pytest.raises(ValueError, match="zip of another program"):
        describe_file(path.with_suffix(".npz"))


def test_a_later_format_says_to_update(path):
    change_document(path, lambda document: document.update(format=2, news=[]))
    refuses(path, "is of format 2, and this version .* update lungestimators")
    with pytest.raises(ValueError, match="update lungestimators"):
        describe_file(path)


@pytest.mark.parametrize("format_", [0, -1, "1", None, 1.0, True, [1]])
def test_a_format_that_does_not_exist_is_refused(path, format_):
    change_document(path, lambda document: document.update(format=format_))
    refuses(path, "does not exist|is damaged")


@pytest.mark.parametrize("kind", ["entries", "arrays"])
def test_many_small_things_do_not_take_much_memory(path, kind):
    entries = read_entries(path)
    if kind == "entries":
        with zipfile.ZipFile(path, "a") as archive:
            for number in range(20_000):
                archive.writestr(f"{number}", b"")
    else:
        header = {f"{n}": dict(dtype="F32", shape=[0], data_offsets=[0, 0]) for n in range(30_000)}
        text = json.dumps(header).encode()
        write_entries(path, entries | {ARRAYS: len(text).to_bytes(8, "little") + text})
    tracemalloc.start()
    try:
        refuses(path, "other entries|more than 20000 arrays")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 3 * path.stat().st_size + 2**23


def test_a_file_that_is_cut_short_anywhere_is_refused(path):
    content = path.read_bytes()
    for end in np.linspace(0, len(content) - 1, 60, dtype=int):
        path.write_bytes(content[:end])
        refuses(path, "cut short|of another program")


def test_entries_too_many_or_few_or_twice_are_refused(path):
    entries = read_entries(path)
    write_entries(path, entries | {"model.pkl": b"x"})
    refuses(path, "it has other entries than .*model.pkl")
    for name in entries:
        write_entries(path, {k: v for k, v in entries.items() if k != name}, right_digests=False)
        refuses(path, "other entries|of another program")
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "w") as archive:
        for name, part in [*entries.items(), (ARRAYS, entries[ARRAYS])]:
            archive.writestr(name, part)
    refuses(path, "other entries")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in entries.items():
            archive.writestr(name, part)
    refuses(path, "compressed or encrypted")


def test_a_wrong_digest_is_refused(path):
    entries = read_entries(path)
    for name in (DOCUMENT, ARRAYS):
        changed = bytearray(entries[name])
        changed[-3] ^= 1
        write_entries(path, entries | {name: bytes(changed)}, right_digests=False)
        refuses(path, f"the digest of {name} is not|the digest of {DOCUMENT} is not")
    write_entries(path, entries | {DIGESTS: b"x"}, right_digests=False)
    refuses(path, "the digest of")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b'{"format": 1, "format": 1}', "a name twice"),
        (b'{"format": NaN}', "no number of JSON"),
        (b'{"format": 1e999}', "too large"),
        (b"[" * 100_000, "nested too deep"),
        (b"[" + b"[]," * 400_000 + b"[]]", "more than 400000 values"),
        (b"{}", "the entries"),
        (b"[]", "no object"),
        (b"\xff", "damaged"),
    ],
)
def test_json_that_is_none_of_ours_is_refused(path, text, match):
    write_entries(path, read_entries(path) | {DOCUMENT: text})
    refuses(path, match)


def test_values_that_are_nested_deep_are_refused(path):
    deep = []
    for _ in range(100):
        deep = [deep]
    change_document(path, lambda d: d["estimator"]["parameters"].update(class_weight=deep))
    refuses(path, "nested more than")


@pytest.mark.parametrize(
    ("class_name", "match"),
    [
        ("Popen", "not on the list of classes"),
        ("os.system", "not on the list of classes"),
        ("LungClassifier", "not on the list of classes"),
        (["CNNClassifier"], "not on the list of classes"),
        ("LogisticRegression", "its parameters are not those of"),
        ("DenseNetClassifier", "its parameters are not those of"),
    ],
)
def test_a_class_that_is_not_of_the_list_is_refused(path, class_name, match):
    change_document(path, lambda document: document["estimator"].update({"class": class_name}))
    refuses(path, match)


def layer(document, number, part=0):
    return document["architectures"][part]["config"]["layers"][number]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: layer(d, 2).update(class_name="Lambda"), "not on the list of layers"),
        (lambda d: layer(d, 2).update(module="os", class_name="system"), "not on the list"),
        (lambda d: layer(d, 2).update(registered_name="x>y"), "not on the list of layers"),
        (lambda d: layer(d, 2)["config"].update(filters=10**9), "filters=1000000000"),
        (lambda d: layer(d, 2)["config"].update(filters=5), "."),
        (lambda d: layer(d, 2)["config"].update(activation="x"), "activation=x"),
        (
            lambda d: layer(d, 2)["config"].update(activation={"class_name": "function"}),
            "activation=",
        ),
        (
            lambda d: layer(d, 2)["config"].update(kernel_regularizer={"module": "os"}),
            "kernel_regularizer=",
        ),
        (lambda d: layer(d, 2)["config"].update(code="x"), "code=x"),
        (lambda d: layer(d, 2).update(compile_config={"x": 1}), "compile_config"),
        (lambda d: layer(d, 0)["config"].update(batch_shape=[None, 9**9, 9**9, 1]), "no shape"),
        (lambda d: d["architectures"].reverse(), "."),
        (lambda d: d["architectures"].append(d["architectures"][0]), "nothing refers to"),
    ],
)
def test_a_network_of_other_layers_is_refused(path, change, match):
    change_document(path, change)
    refuses(path, match)


def network_with(constant):
    """Keras' JSON of a network that adds a constant of a shape to its images."""
    inputs = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Flatten()(inputs + keras.ops.zeros(constant))
    return json.loads(keras.Model(inputs, x, name="backbone").to_json())


def test_a_network_that_adds_something_else_to_each_image_of_a_batch_is_refused():
    check_architecture(network_with((1, 1, 1, 3)))
    check_architecture(network_with((8, 8, 3)))
    with pytest.raises(ValueError, match="a constant for each image of a batch"):
        check_architecture(network_with((4, 1, 1, 1)))


@pytest.mark.parametrize("key", ["negative_slope", "threshold", "max_value"])
def test_a_relu_that_keras_would_refuse_is_refused(key):
    inputs = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Flatten()(keras.layers.ReLU()(inputs))
    architecture = json.loads(keras.Model(inputs, x, name="backbone").to_json())
    check_architecture(architecture)
    architecture["config"]["layers"][1]["config"][key] = -1.0
    with pytest.raises(ValueError, match=f"{key}=-1.0, which is not known"):
        check_architecture(architecture)


def test_weights_of_other_shapes_or_types_are_refused(path):
    entries = read_entries(path)
    arrays = safetensors.numpy.load(entries[ARRAYS])
    name = next(name for name, array in arrays.items() if array.ndim == 4)
    for other in (
        arrays[name][..., :-1],
        arrays[name].astype(np.float64),
        arrays[name].astype(np.uint8),
    ):
        content = safetensors.numpy.save(arrays | {name: np.ascontiguousarray(other)})
        write_entries(path, entries | {ARRAYS: content})
        refuses(path, "other shapes than the layers|not float16 or float32")
    write_entries(path, entries | {ARRAYS: safetensors.numpy.save(arrays | {"x": np.zeros(2)})})
    refuses(path, "nothing refers to: x")
    del arrays[name]
    write_entries(path, entries | {ARRAYS: safetensors.numpy.save(arrays)})
    refuses(path, "is missing")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("feature_cache", "/tmp/elsewhere"),
        ("n_views", 10**9),
        ("n_views", "2"),
        ("verbose", "2"),
        ("image_size", 17),
        ("image_size", "16"),
        ("image_shape", ["x", "y"]),
        ("n_networks", 0),
        ("trainable", "none"),
        ("trainable", [[]]),
        ("weights", 3),
        ("unknown", 3),
    ],
)
def test_parameters_that_a_prediction_cannot_use_are_refused(path, name, value):
    change_document(path, lambda d: d["estimator"]["parameters"].update({name: value}))
    refuses(path, ".")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_shape_", {"type": "tuple", "items": [16, 16, 2]}),
        ("image_shape_", [16, 16, 1]),
        ("pixel_range", {"type": "tuple", "items": [255.0, 0.0]}),
        ("pixel_dtype", None),
        ("pixel_dtype", {"type": "dtype", "name": "object"}),
        ("classes_", {"type": "array", "dtype": "<U6", "values": ["b", "a"]}),
        ("classes_", {"type": "array", "dtype": "<U6", "values": ["a", "b", "c"]}),
        ("classes_", {"type": "array", "dtype": "<U999999", "values": ["a", "b"]}),
        ("classes_", 3),
        ("networks", []),
        ("skipped_", []),
        ("training_data_", None),
        ("callbacks_", ["x"]),
        ("n_features_in_", -1),
        ("model_", 1),
    ],
)
def test_a_fitted_state_that_cannot_be_is_refused(path, name, value):
    change_document(path, lambda d: d["estimator"]["state"].update({name: value}))
    refuses(path, ".")


def test_the_closed_list_is_all_that_keras_is_asked_to_build(path):
    document = json.loads(read_entries(path)[DOCUMENT])
    architecture = document["architectures"][0]
    assert check_architecture(architecture).input == (16, 16, 1)
    for damaged in (None, [], {}, {"class_name": "Functional"}, {"class_name": []}):
        with pytest.raises(ValueError):
            check_architecture(damaged)


@pytest.fixture(scope="module")
def lung_files():
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    yield importlib.import_module("lung_files")
    patch.undo()


def try_seeds(lung_files, seeds, folder):
    X = 255 - make_squares()[0][:2]
    watcher, found = lung_files.code_watcher(), []
    content = KEPT.read_bytes()
    for seed in seeds:
        path = folder / f"changed-{seed}.lung"
        path.write_bytes(lung_files.changed_file(seed, content)[1])
        found.append((seed, *lung_files.outcome_of(path, X, watcher)))
        path.unlink()
    return found


@pytest.mark.filterwarnings("ignore")  # a damaged file may warn of anything
@pytest.mark.parametrize(
    "seeds",
    [range(200), pytest.param(range(200, 3000), marks=pytest.mark.slow)],
    ids=["few", "many"],
)
def test_a_file_that_was_changed_at_random_is_refused_or_predicts(lung_files, seeds, tmp_path):
    found = try_seeds(lung_files, seeds, tmp_path)
    right = lung_files.REFUSED, lung_files.ANSWERS
    assert [each for each in found if each[1] not in right] == []
    assert {each[1] for each in found} == set(right)
