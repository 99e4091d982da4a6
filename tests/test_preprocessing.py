"""Images are read, equalised and cropped in front of a classifier, as scikit-learn expects."""

import pickle
import sys

import numpy as np
import pytest
from PIL import Image
from skimage.exposure import equalize_adapthist
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from lungestimators import CLAHE, BackboneFeatures, BorderCrop, ImageReader, ImageReadError

TRANSFORMERS = [ImageReader(image_size=8), CLAHE(kernel_size=4), BorderCrop(0.25)]
each = pytest.mark.parametrize("transformer", TRANSFORMERS, ids=lambda t: type(t).__name__)


@pytest.fixture
def paths(squares, tmp_path):
    """The squares as files."""
    for number, pixels in enumerate(squares[0]):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return [str(tmp_path / f"{number}.png") for number in range(len(squares[0]))]


def radiographs(dtype, channels=None):
    """Three read-only images of 40x48 pixels that are dark on the left."""
    rng = np.random.default_rng(0)
    shape = (3, 40, 48) if channels is None else (3, 40, 48, channels)
    pixels = rng.random(shape) * 0.3 + np.linspace(0, 0.7, 48).reshape(48, *(shape[3:] and (1,)))
    if dtype.startswith("uint"):
        pixels = pixels * np.iinfo(dtype).max
    pixels = pixels.astype(dtype)
    pixels.flags.writeable = False
    return pixels


# What scikit-learn expects of any estimator. Its checks that pass flat rows do not apply.

CHECKS = [
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
]


@each
@pytest.mark.parametrize("check", CHECKS)
def test_scikit_learn_accepts_the_transformer(transformer, check):
    getattr(estimator_checks, check)(type(transformer).__name__, clone(transformer))


@each
def test_nothing_is_learnt_and_nothing_is_kept(transformer, squares, paths):
    X = paths if isinstance(transformer, ImageReader) else squares[0]
    fitted = clone(transformer)
    assert fitted.fit(X) is fitted
    assert vars(fitted) == vars(transformer)
    expected = clone(transformer).transform(X)
    for same in (fitted, pickle.loads(pickle.dumps(fitted)), clone(fitted)):
        np.testing.assert_array_equal(same.transform(X), expected)
    np.testing.assert_array_equal(clone(transformer).fit_transform(X), expected)


@each
def test_one_image_at_a_time_is_the_same(transformer, squares, paths):
    X = paths if isinstance(transformer, ImageReader) else squares[0].astype(float)
    together = transformer.transform(X[:5])
    alone = np.concatenate([transformer.transform(X[row : row + 1]) for row in range(5)])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(
    ("transformer", "error", "message"),
    [
        (ImageReader(image_size=0), ValueError, "image_size=0 must be at least 1"),
        (ImageReader(image_size=8.0), TypeError, "image_size=8.0 must be a whole number"),
        (ImageReader(channels=2), ValueError, "channels=2 must be 1"),
        (ImageReader(channels=True), ValueError, "channels=True must be 1"),
        (CLAHE(kernel_size=0), ValueError, "kernel_size=0 must be at least 1"),
        (CLAHE(kernel_size=(4, 4, 1)), ValueError, "one number, or height and width"),
        (CLAHE(kernel_size=(4, "4")), TypeError, "kernel_size='4' must be a whole number"),
        (CLAHE(clip_limit=2), ValueError, r"clip_limit=2 must be in 0\.\.1"),
        (CLAHE(clip_limit=float("nan")), ValueError, "clip_limit=nan must be in"),
        (CLAHE(clip_limit=None), TypeError, "clip_limit=None must be a number"),
        (BorderCrop(0.5), ValueError, "fraction=0.5 must be at least 0 and below 0.5"),
        (BorderCrop(-0.1), ValueError, "fraction=-0.1 must be"),
        (BorderCrop("a tenth"), TypeError, "fraction='a tenth' must be a number"),
    ],
)
def test_a_wrong_parameter_is_named(transformer, error, message, squares, paths):
    X = paths if isinstance(transformer, ImageReader) else squares[0]
    for method in (transformer.fit, transformer.transform):
        with pytest.raises(error, match=message):
            method(X)


@pytest.mark.parametrize("transformer", TRANSFORMERS[1:], ids=lambda t: type(t).__name__)
@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros((4, 64)), ValueError, r"shape \(4, 64\): these are flat rows"),
        (np.zeros((4, 8, 8, 2)), ValueError, "2 channels"),
        (np.full((4, 8, 8), np.nan), ValueError, "NaN"),
        ([np.zeros((8, 8)), np.zeros((9, 8))], ValueError, "different shapes"),
        (["1.png", "2.png"], TypeError, r"put ImageReader\(\) in front"),
    ],
    ids=["flat rows", "two channels", "NaN", "two shapes", "paths"],
)
def test_what_is_no_image_is_a_clear_error(transformer, X, error, message):
    for method in (transformer.fit, transformer.transform):
        with pytest.raises(error, match=message):
            method(X)


# ImageReader


def test_files_are_read_at_their_full_depth(tmp_path):
    pixels = radiographs("uint16")
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    found = ImageReader().fit_transform(np.array([str(tmp_path / f"{n}.png") for n in range(3)]))
    assert found.shape == (3, 40, 48, 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[..., 0], pixels / 65535, rtol=0, atol=1e-7)


def test_grey_files_become_rgb_and_colours_become_grey(tmp_path):
    colours = radiographs("uint8", channels=3)
    Image.fromarray(colours[0]).save(tmp_path / "colour.png")
    Image.fromarray(colours[0, :, :, 0]).save(tmp_path / "grey.png")
    paths = [tmp_path / "colour.png", tmp_path / "grey.png"]
    rgb = ImageReader(channels=3).transform(paths)
    np.testing.assert_allclose(rgb[0], colours[0] / 255, rtol=0, atol=1e-7)
    assert (rgb[1] == rgb[1, :, :, :1]).all()
    assert ImageReader(channels=1).transform(paths).shape == (2, 40, 48, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_files_are_resized_as_keras_does(tmp_path, channels):
    import keras

    pixels = radiographs("uint8", channels=3)
    paths = []
    for number, image in enumerate(pixels):
        cut = image if channels == 3 else image[:, :, 0]
        Image.fromarray(cut[: 40 - 4 * number]).save(tmp_path / f"{number}.png")
        paths.append(tmp_path / f"{number}.png")
    found = ImageReader(image_size=16, channels=channels).transform(paths)
    for number in range(3):
        image = (pixels[number, : 40 - 4 * number, :, :channels] / 255).astype(np.float32)
        expected = keras.ops.image.resize(
            image, (16, 16), antialias=True, data_format="channels_last"
        )
        np.testing.assert_allclose(found[number], np.asarray(expected), rtol=0, atol=1e-6)


def test_files_of_two_sizes_are_named_where_none_is_asked_for(tmp_path):
    Image.new("L", (8, 6)).save(tmp_path / "a.png")
    Image.new("L", (9, 6)).save(tmp_path / "b.png")
    paths = [tmp_path / "a.png", tmp_path / "a.png", tmp_path / "b.png"]
    with pytest.raises(ValueError, match=r"a\.png' has 6x8 and .*b\.png' has 6x9 .*image_size"):
        ImageReader().transform(paths)


def test_a_bad_file_is_named_before_anything_is_read(paths, tmp_path, monkeypatch):
    from lungestimators.images import reading

    (tmp_path / "broken.png").write_bytes(b"not a picture")
    monkeypatch.setattr(reading, "read_image", lambda *_: pytest.fail("something was read"))
    with pytest.raises(ImageReadError, match=r"broken\.png"):
        ImageReader().transform([*paths, str(tmp_path / "broken.png")])
    with pytest.raises(FileNotFoundError, match=r"missing\.png"):
        ImageReader().transform([*paths, str(tmp_path / "missing.png")])


@pytest.mark.parametrize("X", [np.zeros((2, 8, 8)), [1, 2]], ids=["pixels", "numbers"])
def test_the_reader_takes_paths_only(X):
    with pytest.raises(TypeError, match="takes a list or column of paths"):
        ImageReader().fit(X)


# CLAHE


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_clahe_is_what_scikit_image_computes(dtype, channels):
    X = radiographs(dtype, channels)
    found = CLAHE(kernel_size=(10, 12), clip_limit=0.02).fit_transform(X)
    assert found.shape == X.shape
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    for image, result in zip(X, found, strict=True):
        flat = image[..., 0] if channels == 1 else image
        expected = equalize_adapthist(flat, kernel_size=(10, 12), clip_limit=0.02)
        np.testing.assert_array_equal(
            result[..., 0] if channels == 1 else result, expected.astype(np.float32)
        )


def test_clahe_sees_what_eight_bits_would_lose():
    X = 30000 + radiographs("uint8").astype(np.uint16)  # one grey value of 8 bits
    np.testing.assert_allclose(CLAHE().transform(X).std(), 0.25, rtol=0, atol=0.1)


@pytest.mark.parametrize(
    "X",
    [
        radiographs("float64") * 4000 - 1000,
        radiographs("float32") * 255,
        np.rint(radiographs("float64") * 60000).astype(np.int64),
    ],
    ids=["Hounsfield", "0 to 255", "int64"],
)
def test_clahe_does_not_depend_on_what_is_black_and_white(X, recwarn):
    # A grey value at the edge of a bin of the histogram may be rounded into the next one.
    difference = np.abs(CLAHE().transform(X) - CLAHE().transform(radiographs("float64")))
    assert difference.mean() < 0.001
    assert difference.max() < 0.05
    assert not recwarn.list


def test_clahe_without_scikit_image_says_how_to_get_it(squares, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.exposure", None)
    with pytest.raises(ImportError, match=r"pip install 'lungestimators\[preprocessing\]'"):
        CLAHE().fit(squares[0])


# BorderCrop


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int64"])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_the_border_is_cut_and_the_rest_stays(dtype, channels):
    X = radiographs(dtype, channels)
    found = BorderCrop(0.1).fit_transform(X)
    assert found.dtype == X.dtype
    np.testing.assert_array_equal(found, X[:, 4:36, 4:44])  # 4.8 pixels of 48, rounded down


@pytest.mark.parametrize("side", [1, 2, 3, 7])
def test_something_is_left_of_the_smallest_image(side):
    X = np.ones((1, side, side))
    assert BorderCrop(0.49).transform(X).size >= 1
    np.testing.assert_array_equal(BorderCrop(0).transform(X), X)


# In front of the estimators


@pytest.mark.parametrize(
    "steps",
    [[ImageReader()], [ImageReader(), BorderCrop(), CLAHE(kernel_size=8)]],
    ids=["read", "read, crop, equalise"],
)
def test_files_go_through_a_pipeline_in_cross_validation(cnn, paths, squares, steps):
    pipeline = make_pipeline(*steps, cnn)
    assert cross_val_score(pipeline, paths, squares[1], cv=2).min() > 0.8


def test_a_search_chooses_the_fraction(cnn, squares):
    search = GridSearchCV(
        make_pipeline(BorderCrop(), cnn), {"bordercrop__fraction": [0, 0.2]}, cv=2
    )
    search.fit(*squares)
    assert search.best_estimator_[-1].image_shape_ in ((16, 16, 1), (10, 10, 1))
    assert search.cv_results_["mean_test_score"].min() > 0.8


def test_backbone_features_come_after_transformers(squares, paths):
    features = BackboneFeatures("MobileNetV3Small", weights=None, image_size=32, random_state=0)
    found = make_pipeline(ImageReader(), BorderCrop(), features).fit_transform(paths)
    expected = clone(features).fit_transform(squares[0][:, 1:15, 1:15])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("image_size", [None, 16, 8])
def test_the_reader_changes_no_prediction(cnn, paths, squares, image_size):
    cnn.set_params(image_size=8)
    alone = clone(cnn).fit(paths, squares[1]).predict_proba(paths)
    reader = ImageReader(image_size=image_size, channels=3)
    read = make_pipeline(reader, cnn).fit(paths, squares[1]).predict_proba(paths)
    np.testing.assert_allclose(read, alone, rtol=0, atol=0.02)
