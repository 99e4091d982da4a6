"""Duplicates, leaks and contradictions are found, and different images are not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from sklearn.model_selection import StratifiedGroupKFold

from lungestimators import load_image_folder, make_chest_xrays

from .small_audits import audit


def resized(image, factor):
    size = [round(factor * side) for side in image.size]
    return image.resize(size, Image.Resampling.BILINEAR)


def compressed(image):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=50)
    return Image.open(file)


ALTERATIONS = {
    "half the size and back": lambda image: resized(resized(image, 0.5), 2),
    "JPEG": compressed,
    "mirrored": ImageOps.mirror,
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "all of them": lambda image: compressed(
        ImageEnhance.Contrast(ImageOps.mirror(resized(resized(image, 0.5), 2))).enhance(1.3)
    ),
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_an_altered_copy_is_found(chests, alteration):
    X, y = chests
    copies = np.stack([ALTERATIONS[alteration](Image.fromarray(image)) for image in X])
    report = audit(X, y, None, copies, y)
    np.testing.assert_array_equal(report.leaked_, True)
    assert report.checks["leaks"].verdict == "fault"
    assert len(report.checks["leaks"].rows) == 60
    np.testing.assert_array_equal(report.keep_, True)


@pytest.mark.slow
def test_different_images_are_no_duplicates():
    X, y = make_chest_xrays(500, random_state=1)
    report = audit(X[:400], y[:400], None, X[400:], y[400:])
    assert report.keep_.all()
    assert not report.leaked_.any()
    assert report.checks["duplicates"].verdict == report.checks["leaks"].verdict == "ok"
    assert len(np.unique(report.groups_)) == 400


def test_copies_planted_by_the_generator_are_found_and_dropped():
    X, y = make_chest_xrays(200, leak=0.1, random_state=2)
    report = audit(X, y)
    np.testing.assert_array_equal(report.keep_, np.arange(200) < 180)
    np.testing.assert_array_equal(report.groups_[180:], np.arange(20))
    assert "20 of 200 images of X" in report.checks["duplicates"].sentence


def test_groups_keep_duplicates_on_one_side_of_every_fold(chests):
    X, y = chests
    X, y = np.concatenate([X, X[:20, :, ::-1]]), np.concatenate([y, y[:20]])
    groups = audit(X, y).groups_
    for train, test in StratifiedGroupKFold(5).split(X, y, groups):
        assert not set(train % 60) & set(test % 60)


def test_given_groups_are_joined_by_duplicates(chests):
    X, y = chests
    X, y = np.concatenate([X, X[:1]]), np.concatenate([y, y[:1]])
    patients = np.array([f"patient {row // 2}" for row in range(60)] + ["another patient"])
    report = audit(X, y, patients)
    assert report.groups_[0] == report.groups_[1] == report.groups_[60]
    assert len(np.unique(report.groups_)) == 30
    check = report.checks["groups of duplicates"]
    assert check.verdict == "warning"
    assert [row["group"] for row in check.rows] == ["patient 0", "another patient"]


def test_of_duplicates_with_different_labels_none_is_kept(chests):
    X, y = chests
    other = (y[0] + 1) % 3
    report = audit(np.concatenate([X, X[:2]]), np.concatenate([y, [other, y[1]]]))
    assert np.flatnonzero(~report.keep_).tolist() == [0, 60, 61]
    check = report.checks["labels of duplicates"]
    assert check.verdict == "fault"
    assert [row["label"] for row in check.rows] == [y[0], other]


def test_a_test_image_with_another_label_than_its_copy_is_reported(chests):
    X, y = chests
    report = audit(X, y, None, X[:3], np.r_[y[:2], (y[2] + 1) % 3])
    rows = report.checks["labels of duplicates"].rows
    assert [row["image"] for row in rows] == ["X[2]", "X_test[2]"]
    assert report.keep_.all()


def test_without_y_test_leaks_are_still_looked_for(chests):
    X, y = chests
    report = audit(X[:50], y[:50], None, X[45:])
    np.testing.assert_array_equal(report.leaked_, np.arange(15) < 5)
    assert "test labels" not in report.checks


def test_without_a_test_set_nothing_is_said_of_leaks(chests):
    report = audit(*chests)
    assert report.leaked_ is None
    assert "leaks" not in report.checks


def test_files_and_arrays_give_the_same_duplicates(chests, tmp_path):
    X, y = make_chest_xrays(40, leak=0.25, random_state=0)
    paths = [str(tmp_path / f"{row}.png") for row in range(40)]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    by_pixels, by_files = audit(X, y), audit(paths, y)
    np.testing.assert_array_equal(by_pixels.groups_, by_files.groups_)
    np.testing.assert_array_equal(by_pixels.keep_, by_files.keep_)


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(np.uint16) * 257,
        lambda X: X / np.float32(255),
        lambda X: np.repeat(X[..., None], 3, axis=3),
    ],
    ids=["uint16", "float", "RGB"],
)
def test_any_kind_of_pixels_is_taken(chests, convert):
    X, y = chests
    report = audit(X, y, None, convert(X[:10]))
    np.testing.assert_array_equal(report.leaked_, True)


def test_the_repeats_in_the_real_images_are_found(real_data):
    X, y = load_image_folder(real_data / "lung-disease" / "train", return_X_y=True)
    report = audit(X, y)
    pairs = {
        tuple(sorted(row[name].split("/")[-1] for name in ("file", "other file")))
        for row in report.checks["duplicates"].rows
    }
    # Each was looked at, and is one image twice.
    assert pairs == {
        ("019.jpeg", "020.jpeg"),  # healthy; and two others of type 2
        ("093.jpeg", "094.jpeg"),
        ("057.jpeg", "078.jpeg"),
        ("COVID-00033.jpg", "COVID-00037.jpg"),
    }
    assert report.keep_.sum() == 251 - 5
    assert report.checks["readability"].verdict == "ok"
