"""LungFields on images whose lungs are known, with a small network in place of its own."""

import pickle
import re
import warnings
import weakref

import numpy as np
import pandas
import pytest
from joblib import Parallel, delayed
from PIL import Image
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from lungestimators import (
    ImageReader,
    ImageReadError,
    LungFields,
    clear_feature_cache,
    feature_cache_info,
)
from lungestimators.images.prepared import PreparedImages
from lungestimators.images.reading import resize_image
from lungestimators.images.threads import N_THREADS
from lungestimators.networks import lung_network
from lungestimators.networks.blueprints import Blueprint

from ..images import dicom_files
from .lung_phantoms import (
    BOTH,
    LEFT_LUNG,
    finds_dark_pixels,
    finds_the_same_lungs_in_every_image,
    mask_of,
    phantom,
)

MODES = ["crop", "mask", "boxes", "masks"]
BOX_OF_160 = (16, 24, 128, 136)  # around both lungs of a phantom of 160 pixels, without a margin


@pytest.fixture(autouse=True)
def network(monkeypatch):
    """The network takes dark pixels for lungs."""
    monkeypatch.setattr(lung_network, "lung_network_blueprint", finds_dark_pixels)


def as_dtype(images, dtype):
    """Images in 0..1 as uint8, uint16 or float."""
    if dtype.startswith("uint"):
        images = np.rint(images * np.iinfo(dtype).max)
    return images.astype(dtype)


def phantoms(n=4, height=160, width=160, dtype="uint8"):
    """Read-only images that differ in noise, with a white letter in a corner."""
    random = np.random.default_rng(0)
    images = phantom(height, width) + random.uniform(-0.05, 0.05, (n, height, width))
    images[:, :6, -6:] = 1
    images = as_dtype(images, dtype)
    images.flags.writeable = False
    return images


def not_of_both_lungs():
    """Eight images: the first and the last show both lungs."""
    one = phantom(lungs=[LEFT_LUNG])
    return np.stack(
        [phantom(), one, phantom(tissue=0.5), one, phantom(lungs=[]), one, one, phantom()]
    )


def save(images, folder):
    """Write images of any sizes as files, and return their paths."""
    paths = [str(folder / f"{number}.png") for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths


# Each mode


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_a_crop_is_the_box_and_what_is_inside_is_unchanged(dtype):
    X = phantoms(dtype=dtype)
    found = LungFields(margin=0, image_size=None).fit_transform(X)
    top, left, bottom, right = BOX_OF_160
    white = np.iinfo(dtype).max if dtype.startswith("uint") else 1
    assert found.dtype == np.float32
    np.testing.assert_array_equal(
        found, X[:, top:bottom, left:right].astype(np.float32) / np.float32(white)
    )


def test_a_crop_is_resized_as_the_classifiers_do():
    X = phantoms(height=300, width=200, dtype="float32")
    found = LungFields(image_size=64).transform(X)
    boxes = LungFields("boxes").transform(X)
    for image, (top, left, bottom, right), result in zip(X, boxes, found, strict=True):
        expected = resize_image(image[top:bottom, left:right, None], 64)[..., 0]
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6)


def test_a_mask_blackens_what_is_not_lung_and_leaves_the_lung():
    X = phantoms()
    found = LungFields("mask", image_size=None).transform(X)
    lungs = mask_of(BOTH, 160, 160)
    inside, outside = mask_of([(0.25, 0.2, 0.65, 0.35)], 160, 160), ~lungs
    outside[24:120, 16:144] = False
    assert found.shape == X.shape
    np.testing.assert_array_equal(found[:, inside], X[:, inside].astype(np.float32) / 255)
    assert (found[:, outside] == 0).all()
    assert (found[:, 70:90, 76:84] == 0).all()  # between the lungs


def test_boxes_are_those_of_the_crop():
    X = phantoms()
    boxes = LungFields("boxes", margin=0).transform(X)
    assert boxes.dtype.kind == "i"
    assert boxes.tolist() == [list(BOX_OF_160)] * len(X)
    larger = LungFields("boxes", margin=0.1).transform(X)
    np.testing.assert_array_equal(larger[:, 2] - larger[:, 0], 135)  # ceil(112 * 1.2)


@pytest.mark.parametrize(("height", "width"), [(160, 160), (90, 120), (400, 240)])
def test_masks_have_the_size_of_the_images(height, width):
    masks = LungFields("masks").transform(phantoms(height=height, width=width))
    assert masks.shape == (4, height, width)
    assert masks.dtype == bool
    expected = mask_of(BOTH, height, width)
    assert (masks & expected).sum() / (masks | expected[None]).sum() > 0.95


def test_an_image_that_is_too_low_for_the_square_is_padded():
    X = phantoms(height=80, width=240, dtype="float32")
    top, left, bottom, _ = LungFields("boxes", margin=0).transform(X)[0]
    assert top < 0 and bottom > 80
    found = LungFields(margin=0, image_size=None).transform(X)
    assert found.shape[1] == found.shape[2] == bottom - top
    for image, result in zip(X, found, strict=True):
        assert (result[:-top] == 0).all()
        np.testing.assert_array_equal(result[-top : 80 - top, 0], image[:, left])
        assert (result[80 - top :] == 0).all()


@pytest.mark.parametrize("mode", ["crop", "mask"])
def test_grey_values_of_the_lungs_are_stretched(mode):
    low, high = np.percentile(lungs_of_phantoms(mode, "stretch"), (1, 99), axis=1)
    np.testing.assert_allclose(low, 0, rtol=0, atol=0.02)
    np.testing.assert_allclose(high, 1, rtol=0, atol=0.1)


@pytest.mark.parametrize("mode", ["crop", "mask"])
def test_grey_values_of_the_lungs_are_equalised(mode):
    found = lungs_of_phantoms(mode, "equalise")
    quartiles = np.percentile(found, (25, 50, 75), axis=1)
    np.testing.assert_allclose(quartiles.T, [[0.25, 0.5, 0.75]] * len(found), rtol=0, atol=0.05)


def lungs_of_phantoms(mode, contrast):
    """What is found within a lung, without its edge: an array of shape (n_images, n_pixels)."""
    found = LungFields(mode, margin=0, image_size=None, contrast=contrast).transform(
        phantoms(dtype="float32")
    )
    assert found.min() >= 0
    assert found.max() <= 1
    lung = mask_of([(0.25, 0.2, 0.65, 0.35)], 160, 160)
    if mode == "crop":
        top, left, bottom, right = BOX_OF_160
        lung = lung[top:bottom, left:right]
    return found[:, lung]


@pytest.mark.parametrize(
    ("contrast", "exposure"),
    [
        ("stretch", lambda X: 0.1 + 0.9 * X),
        ("equalise", lambda X: 0.1 + 0.9 * X**1.6),
        ("clahe", lambda X: 0.1 + 0.9 * X**1.6),
    ],
)
def test_lungs_of_other_contrast_do_not_depend_on_the_exposure(contrast, exposure, monkeypatch):
    monkeypatch.setattr(lung_network, "lung_network_blueprint", finds_the_same_lungs_in_every_image)
    X = phantoms(dtype="float32")
    lungs = LungFields("mask", image_size=None, contrast=contrast)
    np.testing.assert_allclose(lungs.transform(X), lungs.transform(exposure(X)), rtol=0, atol=1e-3)


# Kinds of X


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_stay_and_change_nothing(mode, channels):
    X = phantoms()
    coloured = np.repeat(X[..., None], channels, axis=3)
    grey, found = (LungFields(mode, image_size=40).transform(each) for each in (X, coloured))
    if mode in ("crop", "mask"):
        assert found.shape == (4, 40, 40, channels)
        found = found.mean(axis=3)
    np.testing.assert_allclose(found, grey, rtol=0, atol=1e-6)


def test_the_lungs_of_a_coloured_image_are_found_in_its_grey_values():
    X = np.repeat(phantoms(dtype="float32")[..., None], 3, axis=3)
    X[..., 0] *= 0.9
    X[..., 2] = np.minimum(X[..., 2] * 1.2, 1)
    found = LungFields("crop", margin=0, image_size=None).transform(X)
    top, left, bottom, right = BOX_OF_160
    np.testing.assert_allclose(found, X[:, top:bottom, left:right], rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("depth", ["uint8", "uint16"])
def test_files_give_what_their_pixels_give(mode, depth, tmp_path):
    X = phantoms(dtype=depth)
    paths = save(X, tmp_path)
    from_pixels, from_files = (LungFields(mode, image_size=48).transform(x) for x in (X, paths))
    if mode in ("crop", "mask"):
        assert from_files.shape == (4, 48, 48, 1)
        from_files = from_files[..., 0]
    np.testing.assert_allclose(from_files, from_pixels, rtol=0, atol=1e-6)


def test_files_may_differ_in_size_and_format(tmp_path):
    pixels = [phantoms(1, side, 2 * side // 3)[0] for side in (90, 300, 600)]
    paths = save(pixels, tmp_path)
    dicom = (phantom(180, 120) * 4095).astype(np.uint16)
    paths.append(dicom_files.save(tmp_path / "a.dcm", dicom_files.radiograph(dicom)))
    Image.fromarray(np.stack([pixels[1]] * 3, axis=2)).save(tmp_path / "rgb.png")
    paths.append(tmp_path / "rgb.png")
    found = LungFields(image_size=32).transform(pandas.Series(paths))
    assert found.shape == (5, 32, 32, 1)
    np.testing.assert_array_equal(found[1], found[4])
    masks = LungFields("masks").transform(paths)
    sizes = [(90, 60), (300, 200), (600, 400), (180, 120), (300, 200)]
    assert [mask.shape for mask in masks] == sizes
    for mask in masks:
        assert abs(mask.mean() - 0.25) < 0.02
    boxes = LungFields("boxes").transform(paths)
    assert boxes.shape == (5, 4)


def test_few_images_are_held_in_full_size(tmp_path, monkeypatch):
    held, most, read = [], [], PreparedImages.read_at_own_size

    def counted(self, position):
        image = read(self, position)
        held.append(weakref.ref(image))
        most.append(sum(image() is not None for image in held))
        return image

    monkeypatch.setattr(PreparedImages, "read_at_own_size", counted)
    LungFields(image_size=16).transform(save(phantoms(1), tmp_path) * 40)
    assert len(most) == 40
    assert max(most) <= 2 * N_THREADS


def test_crops_of_two_sizes_are_named_where_none_is_asked_for(tmp_path):
    paths = save([phantoms(1, side, side)[0] for side in (160, 160, 320)], tmp_path)
    message = r"0\.png' has 112x112 and .*2\.png' has 224x224 pixels .*image_size"
    with pytest.raises(ValueError, match=message):
        LungFields(margin=0, image_size=None).transform(paths)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros((4, 64)), ValueError, r"shape \(4, 64\): these are flat rows"),
        (np.zeros((4, 8, 8, 2)), ValueError, "2 channels"),
        (np.full((4, 8, 8), np.nan), ValueError, "NaN"),
        ([], ValueError, "no image"),
        ("1.png", TypeError, "single path"),
        (["missing.png"], ImageReadError, "there is no such file"),
    ],
    ids=["flat rows", "two channels", "NaN", "empty", "one path", "no file"],
)
def test_what_is_no_image_is_a_clear_error(X, error, message):
    for method in (LungFields().fit, LungFields().transform, LungFields().fit_transform):
        with pytest.raises(error, match=message):
            method(X)


# Missing lungs


def test_images_without_both_lungs_are_named_and_counted():
    lungs = LungFields()
    message = (
        r"^Two lungs were not found in 6 of 8 images: X\[1\], X\[2\], X\[3\], X\[4\], X\[5\] and 1 "
        r"others .*on_missing='warn'"
    )
    for method in (lungs.fit, lungs.transform, lungs.fit_transform):
        with pytest.raises(ValueError, match=message):
            method(not_of_both_lungs())


def test_files_without_both_lungs_are_named_by_their_paths(tmp_path):
    paths = save((not_of_both_lungs()[:3] * 255).astype(np.uint8), tmp_path)
    message = f"2 of 3 images: {re.escape(repr(paths[1]))}, {re.escape(repr(paths[2]))} "
    with pytest.raises(ValueError, match=message):
        LungFields().transform(paths)


@pytest.mark.parametrize("mode", MODES)
def test_with_a_warning_images_without_both_lungs_stay_as_they_are(mode):
    X = not_of_both_lungs()
    lungs = LungFields(mode, image_size=160, contrast="stretch", on_missing="warn")
    sentence = {"boxes": "The boxes of these", "masks": "The masks of these"}.get(mode, "These")
    with pytest.warns(UserWarning, match=f"6 of 8 images.*both lungs. {sentence} images") as record:
        found = lungs.transform(X)
        lungs.fit(X)
    assert [warning.filename for warning in record] == [__file__] * 2
    np.testing.assert_array_equal(lungs.scores_ < 0.5, [False] + [True] * 6 + [False])
    expected = {
        "crop": X[1:7],
        "mask": X[1:7],
        "boxes": np.tile([0, 0, 160, 160], (6, 1)),
        "masks": np.zeros((6, 160, 160), bool),
    }[mode]
    np.testing.assert_array_equal(found[1:7], expected)
    others = clone(lungs).set_params(on_missing="raise").transform(X[[0, 7]])
    np.testing.assert_array_equal(found[[0, 7]], others)


def test_scores_are_those_of_the_last_call():
    lungs = LungFields(on_missing="warn")
    with pytest.warns(UserWarning, match="Two lungs were not found"):
        lungs.fit(not_of_both_lungs())
    assert lungs.scores_.shape == (8,)
    assert lungs.scores_.dtype == np.float32
    # The network says expit(20 * brightest - 12), and the mask of one lung cannot be right.
    expected = np.array([1 / (1 + np.exp(-2)), 0, 1 / (1 + np.exp(2)), 0, 0, 0, 0])
    np.testing.assert_allclose(lungs.scores_[:7], expected, rtol=0, atol=1e-3)
    lungs.transform(phantoms(3))
    assert lungs.scores_.shape == (3,)


def test_threads_that_share_one_transformer_do_not_mix_up_their_images():
    lungs = LungFields("boxes", on_missing="warn")
    few, many = phantoms(2), not_of_both_lungs()

    def transform(number):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return lungs.transform(many if number % 2 else few)

    expected = [transform(0), transform(1)]
    found = Parallel(n_jobs=4, prefer="threads")(delayed(transform)(n) for n in range(24))
    for number, boxes in enumerate(found):
        np.testing.assert_array_equal(boxes, expected[number % 2])


def test_scores_are_there_after_the_error():
    lungs = LungFields()
    with pytest.raises(ValueError, match="Two lungs were not found"):
        lungs.transform(not_of_both_lungs())
    X = not_of_both_lungs()[lungs.scores_ >= 0.5]
    assert lungs.transform(X).shape == (2, 224, 224)


# Cache and order


@pytest.mark.core
def test_an_image_does_not_depend_on_the_others():
    X = np.stack([phantom(lungs=[(t, 0.1, 0.8, 0.4), (t, 0.6, 0.8, 0.9)]) for t in (0.1, 0.2, 0.4)])
    X = np.concatenate([X, phantoms(17, dtype="float32")])
    for mode in MODES:
        lungs = LungFields(mode, image_size=32, feature_cache=None)
        together = lungs.transform(X)
        np.testing.assert_array_equal(lungs.transform(X[::-1])[::-1], together)
        for row in (0, 2, 19):
            np.testing.assert_array_equal(lungs.transform(X[row : row + 1])[0], together[row])


@pytest.mark.core
@pytest.mark.parametrize("kind", ["array", "files"])
def test_the_network_runs_once_for_each_image(kind, tmp_path):
    X = phantoms(6)
    if kind == "files":
        X = save(X, tmp_path)
    cache = str(tmp_path / "cache")
    lungs = LungFields(feature_cache=cache)
    first = lungs.fit_transform(X)
    assert feature_cache_info(cache).misses == 6
    scores = lungs.scores_
    for mode in MODES:
        found = lungs.set_params(mode=mode).fit(X).transform(X)
        if mode == "crop":
            np.testing.assert_array_equal(found, first)
        np.testing.assert_array_equal(lungs.scores_, scores)
    assert feature_cache_info(cache).misses == 6
    np.testing.assert_array_equal(LungFields(feature_cache=None).transform(X), first)


def test_without_a_cache_fit_and_transform_at_once_run_the_network_once(monkeypatch):
    rows, run = [], Blueprint.run

    def counted(self, images):
        rows.append(len(images))
        return run(self, images)

    monkeypatch.setattr(Blueprint, "run", counted)
    LungFields(feature_cache=None).fit_transform(phantoms(5))
    assert sum(rows) == 5


def test_images_in_colour_and_in_grey_do_not_share_an_entry():
    clear_feature_cache()
    X = np.repeat(phantoms(2)[..., None], 3, axis=3)
    X[0, ..., 1] = 250
    LungFields(on_missing="warn").fit(X[1:])
    with pytest.raises(ValueError, match=r"1 of 2 images: X\[0\]"):
        LungFields().fit(X)


# Parameters


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"mode": "box"}, ValueError, "mode='box' must be 'crop', 'mask', 'boxes' or 'masks'"),
        ({"image_size": 0}, ValueError, "image_size=0 must be at least 1"),
        ({"image_size": 32.0}, TypeError, r"image_size=32\.0 must be a whole number"),
        ({"margin": -0.1}, ValueError, r"margin=-0\.1 must be in 0\.\.1"),
        ({"margin": 1.5}, ValueError, r"margin=1\.5 must be in 0\.\.1"),
        ({"margin": "5 %"}, TypeError, "margin='5 %' must be a number"),
        (
            {"contrast": "more"},
            ValueError,
            "contrast='more' must be None, 'stretch', 'equalise' or 'clahe'",
        ),
        ({"on_missing": "skip"}, ValueError, "on_missing='skip' must be 'raise' or 'warn'"),
        ({"feature_cache": 3}, TypeError, "feature_cache=3 must be 'memory', None or"),
        ({"verbose": -1}, ValueError, "verbose=-1 must be at least 0"),
    ],
)
def test_a_wrong_parameter_is_named_before_any_work(parameters, error, message, monkeypatch):
    monkeypatch.setattr(
        lung_network, "lung_network_blueprint", lambda runtime: pytest.fail("it ran")
    )
    lungs = LungFields(**parameters)
    for method in (lungs.fit, lungs.transform, lungs.fit_transform):
        with pytest.raises(error, match=message):
            method(phantoms(2))


def test_a_bar_is_shown_where_it_is_asked_for(capsys):
    LungFields(feature_cache=None).transform(phantoms(2))
    assert not capsys.readouterr().out
    LungFields(feature_cache=None, verbose=1).transform(phantoms(2))
    assert "2/2" in capsys.readouterr().out


# In scikit-learn


@pytest.mark.parametrize("mode", MODES)
def test_no_fit_is_needed_and_copies_give_the_same(mode):
    X = phantoms()
    lungs = LungFields(mode, image_size=40)
    expected = lungs.transform(X)
    fitted = clone(lungs)
    assert fitted.fit(X) is fitted
    for same in (fitted, pickle.loads(pickle.dumps(fitted)), clone(fitted)):
        np.testing.assert_array_equal(same.transform(X), expected)
    np.testing.assert_array_equal(clone(lungs).fit_transform(X), expected)


def test_black_and_white_are_those_of_the_fit():
    X = (phantoms(dtype="float64") * 3000 - 1000).astype(np.float32)
    X[0, 0, 0], X[0, 0, 1] = -1000, 2000
    with pytest.warns(UserWarning, match="taken as black"):
        lungs = LungFields("crop", image_size=None).fit(X)
    together = lungs.transform(X)
    np.testing.assert_array_equal(lungs.transform(X[2:3])[0], together[2])


def test_it_stands_in_front_of_a_classifier_in_cross_validation_and_search(tmp_path, cnn):
    random = np.random.default_rng(0)
    X = as_dtype(phantom() + random.uniform(-0.05, 0.05, (24, 160, 160)), "uint8")
    y = np.tile(["clear", "opaque"], 12)
    opaque = mask_of([(0.3, 0.2, 0.5, 0.35)], 160, 160)
    X[np.ix_(np.flatnonzero(y == "opaque"), *map(np.unique, np.nonzero(opaque)))] += 40
    paths = save(X, tmp_path)
    pipeline = make_pipeline(LungFields(image_size=16), cnn)
    for images in (X, paths):
        assert cross_val_score(pipeline, images, y, cv=2).min() > 0.8
    flat = FunctionTransformer(lambda images: images.reshape(len(images), -1))
    pipeline = make_pipeline(LungFields(image_size=16), flat, LogisticRegression())
    search = GridSearchCV(pipeline, {"lungfields__mode": ["crop", "mask"]}, cv=2).fit(X, y)
    assert search.cv_results_["mean_test_score"].min() > 0.8
    assert search.predict(X[:2]).tolist() == y[:2].tolist()


def test_it_stands_behind_other_transformers(tmp_path):
    X = phantoms()
    pipeline = make_pipeline(ImageReader(), LungFields(margin=0, image_size=None))
    found = pipeline.fit_transform(save(X, tmp_path))
    np.testing.assert_allclose(
        found[..., 0], LungFields(margin=0, image_size=None).transform(X), rtol=0, atol=1e-7
    )


def test_an_image_without_lungs_stops_a_pipeline():
    pipeline = make_pipeline(LungFields(), DummyClassifier())
    with pytest.raises(ValueError, match="Two lungs were not found in 6 of 8"):
        pipeline.fit(not_of_both_lungs(), np.tile([0, 1], 4))
