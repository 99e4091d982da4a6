"""No image goes through a frozen network twice, and no feature is ever another's."""

import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict, cross_val_score

from lungestimators import (
    BackboneClassifier,
    BackboneFeatures,
    DenseNetClassifier,
    clear_feature_cache,
    feature_cache_info,
    limit_feature_cache,
)
from lungestimators.features import extraction
from lungestimators.features.cache import open_feature_cache
from lungestimators.images import file_times, prepared
from lungestimators.images.prepared import PreparedImages
from lungestimators.networks import augmentation, blueprints, cutting


@pytest.fixture(autouse=True)
def empty_cache():
    clear_feature_cache()


@pytest.fixture
def passed(monkeypatch):
    """How many images went through a frozen backbone, and how many files were decoded."""
    counts = {"images": 0, "decoded": 0}
    run, decode = blueprints.Blueprint.run, prepared.read_unscaled_image

    def counting_run(self, inputs):
        if inputs.ndim == 4:
            counts["images"] += len(inputs)
        return run(self, inputs)

    def counting_decode(path, channels):
        counts["decoded"] += 1
        return decode(path, channels)

    monkeypatch.setattr(blueprints.Blueprint, "run", counting_run)
    monkeypatch.setattr(prepared, "read_unscaled_image", counting_decode)
    return counts


@pytest.fixture
def frozen():
    """A small DenseNet that never learns, under a head."""
    return DenseNetClassifier(
        weights=None,
        blocks=(1, 1, 1, 1),
        image_size=32,
        trainable="head",
        epochs=3,
        dense_units=16,
        random_state=0,
    )


@pytest.fixture
def files(squares, tmp_path):
    """The squares as PNG files that were written an hour ago."""
    folder = tmp_path / "images"
    folder.mkdir()
    paths = []
    for number, image in enumerate(squares[0]):
        paths.append(str(folder / f"{number}.png"))
        Image.fromarray(image).save(paths[-1])
    settle(paths)
    return paths


def settle(paths, monkeypatch=None):
    """Let the clock of the file system tick."""
    import time

    newest = max(os.stat(path).st_ctime for path in paths)
    while time.time() - newest < 2 * file_times.TICK:
        time.sleep(0.05)


def network(frozen, squares):
    return frozen.fit(*squares)._networks[0].parts.backbone


def squares_as_images(squares, rows=None):
    return PreparedImages(squares[0][..., None], 32, 1, (0.0, 255.0), rows)


def test_cross_validation_sends_every_image_through_once(frozen, squares, passed):
    X, y = squares
    cross_val_score(frozen, X, y, cv=4)
    assert passed["images"] == 48
    cross_val_score(frozen.set_params(dense_units=8, learning_rate=0.01), X, y, cv=3)
    assert passed["images"] == 48


def test_classifiers_transformers_files_and_arrays_share_what_is_known(squares, files, passed):
    X, y = squares
    rgb = np.repeat(X[..., None], 3, axis=3)
    settings = dict(weights=None, image_size=32, random_state=0)
    first = BackboneFeatures("MobileNetV3Small", **settings).fit_transform(rgb)
    assert passed["images"] == 48
    clf = BackboneClassifier("MobileNetV3Small", **settings, trainable="head", epochs=1)
    clf.fit(files, y).predict(rgb)
    again = BackboneFeatures("MobileNetV3Small", **settings).fit_transform(files)
    assert passed["images"] == 48
    np.testing.assert_array_equal(first, again)


@pytest.mark.slow
def test_a_network_has_one_key_whatever_was_built_before_and_by_whom(squares, passed, tmp_path):
    """In another process, and by the name of another estimator."""
    X, y = squares
    program = (
        "import sys, keras, numpy as np\n"
        "from lungestimators import BackboneFeatures\n"
        "keras.layers.Flatten()(keras.Input((2, 2))), keras.applications.MobileNet(weights=None)\n"
        "BackboneFeatures('DenseNet121', weights=None, image_size=32, random_state=0,\n"
        "    feature_cache=sys.argv[1] + '/cache').fit_transform(np.load(sys.argv[1] + '/X.npy'))\n"
    )
    np.save(tmp_path / "X.npy", X)
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True, capture_output=True)
    clf = DenseNetClassifier(
        weights=None,
        image_size=32,
        trainable="head",
        epochs=1,
        random_state=0,
        feature_cache=tmp_path / "cache",
    )
    clf.fit(X, y)
    assert passed["images"] == 0


@pytest.mark.slow
def test_a_cut_network_has_one_key(frozen, squares, passed):
    X, y = squares
    frozen.set_params(trainable="last_stage", fine_tune_epochs=1).fit(X, y)
    cutting._cut_architecture.cache_clear()
    blueprints.build_blueprint.cache_clear()
    clone(frozen).fit(X, y)
    assert passed["images"] == 48


def test_repeated_images_go_through_once(frozen, squares, passed):
    X, _ = squares
    features = BackboneFeatures("MobileNetV3Small", weights=None, image_size=32, random_state=0)
    twice = features.fit_transform(np.concatenate([X, X]))
    assert passed["images"] == 48
    np.testing.assert_array_equal(twice[:48], twice[48:])
    info = feature_cache_info()
    assert (info.hits, info.misses) == (48, 48)


@pytest.mark.parametrize("cache", [pytest.param("memory", marks=pytest.mark.slow), "directory"])
def test_results_with_and_without_a_cache_agree_to_the_last_bit(frozen, squares, cache, tmp_path):
    X, y = squares
    cache = cache if cache == "memory" else tmp_path / "cache"
    for trainable, augment in (("head", False), ("last_stage", False), ("head", True)):
        frozen.set_params(trainable=trainable, augment=augment, fine_tune_epochs=2)
        frozen.set_params(feature_cache=None)
        expected = cross_val_predict(frozen, X, y, cv=3, method="predict_proba")
        frozen.set_params(feature_cache=cache)
        for _ in ("cold", "warm"):
            found = cross_val_predict(frozen, X, y, cv=3, method="predict_proba")
            np.testing.assert_array_equal(found, expected)


def test_features_do_not_depend_on_the_company_an_image_keeps(frozen, squares):
    backbone = network(frozen, squares)
    together = extraction.extract_features(backbone, squares_as_images(squares), None)
    order = np.random.default_rng(0).permutation(48)
    shuffled = extraction.extract_features(backbone, squares_as_images(squares, order), None)
    np.testing.assert_array_equal(shuffled, together[order])
    for row in (0, 17, 47):
        alone = extraction.extract_features(
            backbone, squares_as_images(squares, np.array([row])), None
        )
        np.testing.assert_array_equal(alone[0], together[row])


@pytest.mark.slow
def test_densenet121_at_224_pixels_does_not_mind_company_either():
    rng = np.random.default_rng(0)
    X = rng.random((20, 224, 224, 3), np.float32)
    backbone = blueprints.initial_backbone_blueprint(
        "DenseNet", (("blocks", (6, 12, 24, 16)),), 224, 3, None, 0
    )
    together = backbone.run(X)
    np.testing.assert_array_equal(backbone.run(X[::-1]), together[::-1])
    np.testing.assert_array_equal(backbone.run(X[7:8])[0], together[7])


@pytest.mark.slow
def test_another_network_has_features_of_its_own(squares, passed):
    X, _ = squares
    found = [
        BackboneFeatures(name, weights=None, image_size=size, random_state=seed).fit_transform(X)
        for name, size, seed in (
            ("MobileNetV3Small", 32, 0),
            ("MobileNetV3Small", 32, 1),
            ("MobileNetV3Small", 64, 0),
            ("MobileNetV3Large", 32, 0),
        )
    ]
    assert passed["images"] == 4 * 48
    assert not np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_the_weights_of_a_backbone_are_read_for_its_key_once(frozen, squares):
    X, y = squares
    frozen.fit(X, y)
    before = extraction._hash_of_extracting_network.cache_info().misses
    cross_val_score(clone(frozen).set_params(dropout=0.3), X, y, cv=3)
    assert extraction._hash_of_extracting_network.cache_info().misses == before
    clone(frozen).set_params(random_state=1).fit(X, y)
    assert extraction._hash_of_extracting_network.cache_info().misses == before + 1


def test_the_scale_of_the_pixels_is_part_of_the_key(frozen, squares):
    X = squares[0].astype(float)
    features = BackboneFeatures("MobileNetV3Small", weights=None, image_size=32, random_state=0)
    as_bytes = features.fit_transform(X)  # floats up to 255
    as_fractions = clone(features).fit(X / 255).transform(X / 255)
    np.testing.assert_allclose(as_bytes, as_fractions, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the range
        features.fit(X * 4)
        assert not np.allclose(features.transform(X), as_bytes, rtol=0.1, atol=0)


def test_an_unchanged_file_is_not_decoded_again(frozen, squares, files, passed):
    _, y = squares
    frozen.fit(files, y)
    assert passed == {"images": 48, "decoded": 48}
    expected = frozen.predict_proba(files)
    clone(frozen).fit(files, y)
    assert passed == {"images": 48, "decoded": 48}
    clear_feature_cache()
    np.testing.assert_array_equal(frozen.predict_proba(files), expected)


@pytest.mark.parametrize("keep_times", [False, True])
def test_a_changed_file_is_noticed(squares, files, passed, keep_times):
    """Even where size and modification time are as they were."""
    features = BackboneFeatures("MobileNetV3Small", weights=None, image_size=32, random_state=0)
    bmp = [path.replace(".png", ".bmp") for path in files]
    for image, path in zip(squares[0], bmp, strict=True):
        Image.fromarray(image).save(path)
    settle(bmp)
    before = features.fit_transform(bmp)
    state = os.stat(bmp[0])
    Image.fromarray(255 - squares[0][0]).save(bmp[0])
    if keep_times:
        os.utime(bmp[0], ns=(state.st_atime_ns, state.st_mtime_ns))
        assert os.stat(bmp[0]).st_size == state.st_size
    after = features.transform(bmp)
    assert not np.array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[1:], before[1:])
    assert passed == {"images": 49, "decoded": 49}


def test_a_touched_file_is_decoded_and_found_by_its_content(squares, files, passed):
    features = BackboneFeatures("MobileNetV3Small", weights=None, image_size=32, random_state=0)
    before = features.fit_transform(files)
    os.utime(files[0])
    np.testing.assert_array_equal(features.transform(files), before)
    assert passed == {"images": 48, "decoded": 49}


def test_a_file_that_was_written_a_moment_ago_is_not_trusted(squares, tmp_path, passed):
    path = str(tmp_path / "new.png")
    Image.fromarray(squares[0][0]).save(path)
    features = BackboneFeatures("MobileNetV3Small", weights=None, image_size=32, random_state=0)
    features.fit_transform([path])
    features.transform([path])
    assert passed["decoded"] == 2 or prepared._key_of_prepared_file(path, "") is not None
    assert passed["images"] == 1


def test_an_entry_of_the_wrong_size_is_computed_anew(frozen, squares, passed):
    X, _ = squares
    features = BackboneFeatures("MobileNetV3Small", weights=None, image_size=32, random_state=0)
    expected = features.fit_transform(X)
    entries = open_feature_cache("memory")._entries
    for key in [key for key, value in entries.items() if len(value) == 4 * expected.shape[1]][:5]:
        entries[key] = entries[key][:-4]
    np.testing.assert_array_equal(features.transform(X), expected)
    assert passed["images"] == 48 + 5


def test_a_cache_that_is_too_small_changes_nothing(frozen, squares, tmp_path):
    X, y = squares
    expected = frozen.fit(X, y).predict_proba(X)
    for cache in ("memory", tmp_path / "cache"):
        before = feature_cache_info(cache).max_bytes if cache == "memory" else None
        limit_feature_cache(0, cache)
        frozen.set_params(feature_cache=cache)
        np.testing.assert_array_equal(frozen.fit(X, y).predict_proba(X), expected)
        if before is not None:
            limit_feature_cache(before, cache)


def test_augmented_views_are_made_once_for_each_image(frozen, squares, passed):
    X, y = squares
    frozen.set_params(augment=True, epochs=12)
    cross_val_score(frozen, X, y, cv=3)
    assert passed["images"] == 48 * (augmentation.N_VIEWS + 1)
    cross_val_score(frozen.set_params(dense_units=8), X[::-1], y[::-1], cv=4)
    assert passed["images"] == 48 * (augmentation.N_VIEWS + 1)
    frozen.set_params(random_state=1).fit(X, y)
    assert passed["images"] == 48 * 2 * (augmentation.N_VIEWS + 1)


def test_augmented_views_follow_from_the_image_and_the_seed():
    X = np.random.default_rng(0).random((6, 32, 32, 1), np.float32)
    first = augmentation.augment_images(X, "gentle", b"0")
    np.testing.assert_array_equal(augmentation.augment_images(X[::-1], "gentle", b"0"), first[::-1])
    assert not np.array_equal(augmentation.augment_images(X, "gentle", b"1"), first)
    same_image = augmentation.augment_images(np.repeat(X[:1], 2, axis=0), "gentle", b"0")
    np.testing.assert_array_equal(same_image[0], same_image[1])
    assert np.abs(first - X).mean() > 0.01
    assert len({tuple(view.ravel()[:50]) for view in first - X}) == 6


def test_views_do_not_depend_on_the_name_that_keras_gave_a_layer(frozen, squares, passed):
    import keras

    X, y = squares
    results = []
    for _ in range(2):
        frozen.set_params(augment=keras.layers.RandomRotation(0.1))
        results.append(clone(frozen).fit(X, y).predict_proba(X))
    np.testing.assert_array_equal(*results)
    assert passed["images"] == 48 * 9


def test_threads_wait_for_each_other_and_agree(frozen, squares, passed):
    X, y = squares
    expected = frozen.fit(X, y).predict_proba(X)
    clear_feature_cache()
    passed["images"] = 0
    results = []

    def fit():
        results.append(clone(frozen).fit(X, y).predict_proba(X))

    threads = [threading.Thread(target=fit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert passed["images"] == 48
    for result in results:
        np.testing.assert_array_equal(result, expected)


@pytest.mark.slow
def test_processes_share_a_directory_and_agree(frozen, squares, tmp_path):
    X, y = squares
    expected = cross_val_score(frozen, X, y, cv=4, scoring="neg_log_loss")
    frozen.set_params(feature_cache=tmp_path / "cache")
    scores = cross_val_score(frozen, X, y, cv=4, scoring="neg_log_loss", n_jobs=2)
    np.testing.assert_array_equal(scores, expected)
    clear_feature_cache(tmp_path / "cache")


def test_a_damaged_image_is_named(frozen, squares, files):
    file = Path(files[3])
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(ValueError, match=r"3\.png"):
        frozen.fit(files, squares[1])


def test_progress_is_shown_while_features_are_computed(frozen, squares, capsys):
    X, y = squares
    frozen.set_params(verbose=1).fit(X, y)
    assert "Features of 48 images" in capsys.readouterr().out
    clone(frozen).fit(X, y)
    assert "Features" not in capsys.readouterr().out
