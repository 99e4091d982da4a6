"""What does not fit in memory is read when it is needed, and changes no result."""

import numpy as np
import pytest
from PIL import Image

from lungestimators import CNNClassifier, DenseNetClassifier
from lungestimators.images import prepared
from lungestimators.training import disk_array, fitting


@pytest.fixture
def files(tmp_path, squares):
    X, y = squares
    paths = [str(tmp_path / f"{number}.png") for number in range(len(X))]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    return paths, y


def test_large_arrays_are_on_disk_and_read_back_what_was_written(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(50, 3, 7)).astype(np.float32)
    assert isinstance(disk_array.allocate_memory_or_disk_array(vectors.shape), np.ndarray)
    monkeypatch.setattr(disk_array, "MOST_BYTES", vectors.nbytes - 1)
    on_disk = disk_array.allocate_memory_or_disk_array(vectors.shape)
    assert isinstance(on_disk, disk_array.DiskArray)
    for column in range(3):
        on_disk[np.arange(50)[::-1], column] = vectors[::-1, column]
    rows, columns = np.array([3, 49, 0, 3]), np.array([2, 0, 1, 2])
    np.testing.assert_array_equal(on_disk[rows, columns], vectors[rows, columns])
    np.testing.assert_array_equal(on_disk[rows, 1], vectors[rows, 1])
    assert (len(on_disk), on_disk.shape) == (50, (50, 3, 7))


SMALL = dict(image_size=32, dense_units=16, epochs=2, fine_tune_epochs=2, random_state=0)
CASES = {
    "everything": CNNClassifier(**SMALL | {"image_size": 16}, filters=(4, 8)),
    "everything, augmented": CNNClassifier(**SMALL, filters=(4, 8), augment=True),
    "head": DenseNetClassifier(**SMALL, blocks=(1, 1, 1, 1), weights=None, trainable="head"),
    "last stage, augmented": DenseNetClassifier(
        **SMALL, blocks=(1, 1, 1, 1), weights=None, trainable="last_stage", augment=True
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_training_from_disk_gives_the_same_model_to_the_last_bit(
    case, early_stopping, files, monkeypatch
):
    paths, y = files
    clf = CASES[case].set_params(early_stopping=early_stopping, validation_fraction=0.25)
    in_memory = clf.fit(paths, y).predict_proba(paths)
    history = clf.history_
    monkeypatch.setattr(disk_array, "MOST_BYTES", 0)
    monkeypatch.setattr(
        fitting, "read_all_prepared", lambda images: pytest.fail("all images were put in memory")
    )
    np.testing.assert_array_equal(clf.fit(paths, y).predict_proba(paths), in_memory)
    assert clf.history_ == history


def test_a_file_that_breaks_during_training_is_named(files, monkeypatch):
    paths, y = files
    monkeypatch.setattr(disk_array, "MOST_BYTES", 0)
    clf = CNNClassifier(**SMALL | {"image_size": 16}, filters=(4, 8))
    read, n_read = prepared.read_unscaled_image, []

    def break_one_in_the_second_epoch(path, channels):
        n_read.append(path)
        if len(n_read) == len(paths) + 1:
            with open(paths[7], "wb") as file:
                file.write(b"no image any more")
        return read(path, channels)

    monkeypatch.setattr(prepared, "read_unscaled_image", break_one_in_the_second_epoch)
    with pytest.raises(ValueError, match=r"7\.png' cannot be read"):
        clf.fit(paths, y)
    assert not hasattr(clf, "classes_")
