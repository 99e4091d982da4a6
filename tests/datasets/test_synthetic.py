"""Synthetic radiographs: shape, seed, proportions, difficulty, no shortcut."""

import numpy as np
import pytest
from joblib import Parallel
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lungestimators import make_chest_xrays
from lungestimators.datasets import radiographs, synthetic, thorax


def test_it_returns_grey_images_and_their_classes():
    X, y = make_chest_xrays(7, image_size=48, random_state=0)
    assert X.shape == (7, 48, 48)
    assert X.dtype == np.uint8
    assert y.shape == (7,)
    assert set(y) == {0, 1, 2}


def test_the_same_seed_gives_the_same_images_and_another_seed_others():
    X, y = make_chest_xrays(60, image_size=32, random_state=3)
    again, y_again = make_chest_xrays(60, image_size=32, random_state=3)
    np.testing.assert_array_equal(X, again)
    np.testing.assert_array_equal(y, y_again)
    assert not np.array_equal(X, make_chest_xrays(60, image_size=32, random_state=4)[0])


def test_the_global_generator_is_left_alone():
    np.random.seed(5)
    state = np.random.get_state()[1].copy()
    make_chest_xrays(3, image_size=32, random_state=0)
    np.testing.assert_array_equal(state, np.random.get_state()[1])


def test_weights_are_the_proportions_of_the_classes():
    _, y = make_chest_xrays(251, image_size=32, weights=(70, 111, 70), random_state=0)
    assert np.bincount(y).tolist() == [70, 111, 70]
    _, y = make_chest_xrays(10, image_size=32, random_state=0)
    assert sorted(np.bincount(y)) == [3, 3, 4]
    _, y = make_chest_xrays(10, image_size=32, weights=(1, 0, 1), random_state=0)
    assert np.bincount(y).tolist() == [5, 0, 5]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (dict(n_samples=0), "n_samples=0"),
        (dict(weights=(1, 1)), "three proportions"),
        (dict(weights=(1, -1, 1)), "none negative"),
        (dict(weights=(0, 0, 0)), "not all zero"),
        (dict(difficulty=1.2), "difficulty=1.2"),
        (dict(image_size=16), "image_size=16"),
        (dict(leak=1), "leak=1 must be at least 0 and below 1"),
        (dict(leak=-0.1), "leak=-0.1"),
        (dict(n_samples=2, leak=0.9), "leaves no image"),
        (dict(marker=1.1), "marker=1.1"),
    ],
)
def test_what_cannot_be_made_is_said(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_chest_xrays(**parameters)


@pytest.mark.parametrize("parameters", [dict(n_samples=2.5), dict(image_size=64.0)])
def test_whole_numbers_are_asked_for(parameters):
    with pytest.raises(TypeError, match="must be a whole number"):
        make_chest_xrays(**parameters)


def test_the_images_do_not_depend_on_the_number_of_threads(monkeypatch):
    X, _ = make_chest_xrays(120, image_size=32, random_state=0)
    monkeypatch.setattr(synthetic, "Parallel", lambda **options: Parallel(n_jobs=1))
    again, _ = make_chest_xrays(120, image_size=32, random_state=0)
    np.testing.assert_array_equal(X, again)


def test_thumbnails_hardly_show_the_pattern_that_is_the_class():
    # CNNClassifier has 0.94 here: benchmarks/results/synthetic-other-weights.
    X, y = make_chest_xrays(300, random_state=0)
    thumbnails = X.reshape(300, 16, 8, 16, 8).mean(axis=(2, 4)).reshape(300, -1)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    assert cross_val_score(model, thumbnails, y).mean() < 0.95 - 0.15


def test_at_difficulty_1_the_class_is_drawn_nowhere():
    X, y = make_chest_xrays(60, image_size=32, difficulty=1, random_state=0)
    other, y_other = make_chest_xrays(
        60, image_size=32, difficulty=1, weights=(1, 0, 0), random_state=0
    )
    assert not np.array_equal(y, y_other)
    np.testing.assert_array_equal(X, other)


def test_border_brightness_and_contrast_do_not_tell_the_class():
    # 4 standard errors over what the largest class gives.
    X, y = make_chest_xrays(600, image_size=32, difficulty=0.3, random_state=0)
    centre = np.zeros((32, 32), bool)
    centre[4:-4, 4:-4] = True
    shortcuts = np.column_stack([X[:, ~centre], X[:, ~centre].mean(axis=1)])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    border = cross_val_score(model, shortcuts, y, cv=folds).mean()
    assert border < 1 / 3 + 4 * np.sqrt(1 / 3 * 2 / 3 / 600)


def test_a_leak_changes_the_last_rows_only():
    X, y = make_chest_xrays(40, image_size=64, random_state=0)
    leaky, y_leaky = make_chest_xrays(40, image_size=64, leak=0.2, random_state=0)
    np.testing.assert_array_equal(leaky[:32], X[:32])
    np.testing.assert_array_equal(y_leaky, np.r_[y[:32], y[:8]])
    copies, originals = leaky[32:].astype(float), X[:8].astype(float)
    np.testing.assert_array_equal(copies[[2, 6]], originals[[2, 6], :, ::-1])
    altered = np.abs(copies - originals).mean(axis=(1, 2))
    assert (altered > 0.5).all()
    assert (altered[[0, 1, 3, 4, 5, 7]] < 20).all()


def test_a_leak_of_more_than_half_copies_the_first_images_again():
    X, y = make_chest_xrays(12, image_size=64, leak=0.75, random_state=0)
    assert len(X) == 12
    np.testing.assert_array_equal(y, np.tile(y[:3], 4))
    np.testing.assert_array_equal(X[3 + 6], X[0, :, ::-1])  # the seventh copy is mirrored


@pytest.mark.parametrize(("share", "n_marked"), [(1, 20), (0.5, 10)])
@pytest.mark.parametrize("image_size", [32, 128])
def test_a_marker_is_a_small_bright_mark_on_images_of_class_1(share, n_marked, image_size):
    X, y = make_chest_xrays(60, image_size=image_size, random_state=0)
    marked, y_marked = make_chest_xrays(60, image_size=image_size, marker=share, random_state=0)
    np.testing.assert_array_equal(y, y_marked)
    changed = marked != X
    rows = np.flatnonzero(changed.any(axis=(1, 2)))
    assert len(rows) == n_marked
    assert set(y[rows]) == {1}
    assert (marked[changed] == 242).all()
    _, height, width = changed.nonzero()
    assert height.max() < 0.16 * image_size
    assert width.min() > 0.84 * image_size


def test_masks_are_of_the_lungs():
    X, y = make_chest_xrays(30, image_size=128, random_state=2)
    same, same_y, masks = make_chest_xrays(30, image_size=128, return_masks=True, random_state=2)
    np.testing.assert_array_equal(same, X)
    np.testing.assert_array_equal(same_y, y)
    assert (masks.shape, masks.dtype) == (X.shape, bool)
    share = masks.mean((1, 2))
    assert share.min() > 0.1
    assert share.max() < 0.5
    for image, mask in zip(X, masks, strict=True):
        # Two lungs, but for a few pixels.
        labelled, _ = ndimage.label(mask)
        first, second, *rest = sorted(np.bincount(labelled.ravel())[1:])[::-1]
        assert second > 0.5 * first
        assert sum(rest) < 0.005 * mask.sum()
        # Between the lungs of a row it is brighter.
        left, right = (np.flatnonzero(mask[64])[i] for i in (0, -1))
        between = image[64, left:right][~mask[64, left:right]]
        assert between.mean() > image[64][mask[64]].mean()


def test_a_mirrored_copy_has_a_mirrored_mask():
    options = dict(image_size=64, leak=0.4, return_masks=True, random_state=0)
    X, _, masks = make_chest_xrays(10, **options)
    np.testing.assert_array_equal(X[8], X[2, :, ::-1])  # the third alteration mirrors
    np.testing.assert_array_equal(masks[8], masks[2, :, ::-1])
    np.testing.assert_array_equal(masks[[6, 7, 9]], masks[[0, 1, 3]])
    assert not np.array_equal(masks[8], masks[2])


def test_outlines_end_where_heart_and_diaphragm_are_seen():
    random = np.random.default_rng(3)
    p = radiographs._draw_patients_of_radiographs(20, random, 1.0)
    radiographs._draw_shape_of_lungs(p, 20, random)
    x, y = radiographs._radiograph_coordinates(p, 128)
    lungs, mediastinum = thorax.trace_lungs(p, x, y), thorax.trace_mediastinum(p, x, y)
    mask = thorax.outline_lungs(lungs, mediastinum)
    behind_dome = lungs.path[y > lungs.floor + 0.5]
    assert behind_dome.max() > 5  # cm of air that the outline leaves out
    assert mediastinum.heart[mask].max() < 4  # cm, of 14 in the middle of the heart
    lowest = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    heart = (mediastinum.heart > 5) & (lungs.down > 0.7)
    highest_of_heart = np.where(heart.any(axis=1), heart.argmax(axis=1), mask.shape[1])
    # Nothing is left between the heart and the diaphragm.
    assert (lowest <= highest_of_heart)[mask.any(axis=1)].all()
    # Beside the heart the outline reaches down to the dome, where the image shows it.
    y_of_lowest, floor = (np.take_along_axis(a, lowest[:, None], 1)[:, 0] for a in (y, lungs.floor))
    beside = mask.any(axis=1) & ~heart.any(axis=1) & (lungs.half.max(axis=1) > 3)
    assert beside.mean() > 0.2
    assert np.percentile(np.abs(floor - y_of_lowest)[beside], 90) < 0.5


def test_no_lung_is_outside_of_the_collimation():
    # The field of a patient whose images vary more than usual may cut off a lung.
    rows = np.zeros(200, int)
    images, masks = radiographs.draw_radiographs(rows, 0.5, 48, np.random.default_rng(0), 2.0)
    edge = np.ones((48, 48), bool)
    edge[1:-1, 1:-1] = False
    collimated = (images[:, edge] == 0).all(1)
    assert collimated.any()
    assert not masks[collimated][:, edge].any()
    assert masks[~collimated][:, edge].any()
