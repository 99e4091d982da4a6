"""Masks, boxes and edges of lungs, against masks that are made by hand."""

import numpy as np
import pytest

from lungestimators.networks import lung_network
from lungestimators.preprocessing import lung_geometry

from .lung_phantoms import BOTH, LEFT_LUNG, RIGHT_LUNG, mask_of


def logits_of(lungs):
    """Clean logits, 5 inside and -5 outside."""
    return lung_geometry.clean_up_lung_logits(np.where(mask_of(lungs), 5.0, -5.0))


# Clean-up


def test_large_parts_stay_without_holes_and_specks():
    mask = mask_of([*BOTH, (0.8, 0.45, 0.9, 0.55)])
    mask[30:34, 14:18] = False  # a hole
    mask[2:4, 2:4] = True  # a speck
    clean = lung_geometry.clean_up_lung_logits(np.where(mask, 5.0, -2.0))
    np.testing.assert_array_equal(clean > 0, mask_of(BOTH))
    assert (clean[30:34, 14:18] == 2).all()
    assert (clean[2:4, 2:4] == -5).all()


def test_a_lung_that_disease_cuts_in_two_stays_whole():
    mask = mask_of([RIGHT_LUNG, (0.2, 0.6, 0.4, 0.85), (0.5, 0.6, 0.7, 0.85)])
    clean = lung_geometry.clean_up_lung_logits(np.where(mask, 1.0, -1.0))
    np.testing.assert_array_equal(clean > 0, mask)


def test_a_speck_is_not_taken_for_the_second_lung():
    mask = mask_of([LEFT_LUNG])
    mask[40:42, 10:12] = True
    clean = lung_geometry.clean_up_lung_logits(np.where(mask, 1.0, -1.0))
    np.testing.assert_array_equal(clean > 0, mask_of([LEFT_LUNG]))


def test_what_lies_between_lungs_that_touch_at_one_end_is_no_hole():
    mask = mask_of([*BOTH, (0.2, 0.4, 0.25, 0.6)])
    clean = lung_geometry.clean_up_lung_logits(np.where(mask, 1.0, -1.0))
    np.testing.assert_array_equal(clean > 0, mask)


@pytest.mark.parametrize("size", [0, 1e-9, 1, 1e9])
def test_logits_of_any_size_keep_their_side(size):
    mask = mask_of(BOTH)
    clean = lung_geometry.clean_up_lung_logits(np.where(mask, max(size, 1e-30), -size))
    assert np.isfinite(clean).all()
    np.testing.assert_array_equal(clean > 0, mask)


# What can be two lungs


@pytest.mark.parametrize(
    ("lungs", "expected"),
    [
        (BOTH, True),
        ([*BOTH, (0.2, 0.4, 0.4, 0.6)], True),
        ([(0.2, 0.15, 0.7, 0.85)], False),
        ([RIGHT_LUNG, (0.2, 0.6, 0.35, 0.8)], True),
        ([LEFT_LUNG], False),
        ([LEFT_LUNG, (0.6, 0.2, 0.68, 0.3)], False),
        ([(0.1, 0.2, 0.4, 0.4), (0.5, 0.2, 0.9, 0.45)], False),
        ([(0.5, 0.4, 0.55, 0.45), (0.5, 0.55, 0.55, 0.6)], False),
        ([(0, 0, 1, 1)], False),
        ([], False),
    ],
    ids=[
        "both",
        "joined",
        "no gap",
        "one smaller",
        "one",
        "one and a bubble",
        "two in one half",
        "tiny",
        "all",
        "none",
    ],
)
def test_a_mask_that_is_not_of_two_lungs_is_known(lungs, expected):
    assert lung_geometry.can_be_both_lungs(logits_of(lungs)) is expected


@pytest.mark.parametrize("aspect", [0.5, 1, 2])
def test_one_round_lung_is_not_taken_for_two_however_the_image_was_squeezed(aspect):
    y, x = (np.mgrid[: lung_network.MASK_SIZE, : lung_network.MASK_SIZE] + 0.5) / 80 - 0.5
    one = np.hypot(y / 0.35, x / (0.2 * aspect)) < 1
    logits = lung_geometry.clean_up_lung_logits(np.where(one, 1.0, -1.0))
    assert not lung_geometry.can_be_both_lungs(logits)


# Masks


@pytest.mark.parametrize(("height", "width"), [(80, 80), (160, 160), (240, 400), (40, 60)])
def test_a_mask_has_the_size_of_the_image(height, width):
    found = lung_geometry.lung_mask(logits_of(BOTH), height, width)
    assert found.dtype == bool
    # The interpolation rounds the corners off.
    assert (found != mask_of(BOTH, height, width)).sum() <= 8


def test_a_soft_mask_is_1_inside_and_falls_to_0_at_the_outline():
    soft = lung_geometry.soft_lung_mask(logits_of(BOTH), 200, 200)
    hard = mask_of(BOTH, 200, 200)
    assert soft.dtype == np.float32
    assert (soft[48:132, 38:72] == 1).all()  # lung is 40:140, 30:80
    assert (soft[~hard] == 0).all()
    across = soft[90, :55]
    assert (np.diff(across) >= 0).all()
    assert ((across > 0.05) & (across < 0.95)).sum() >= 2


# Boxes


def test_the_square_is_the_smallest_around_both_lungs():
    box = lung_geometry.square_around_lungs(logits_of(BOTH), 160, 160, 0)
    assert box == (16, 24, 128, 136)  # the lungs lie in 32:112, 24:136


def test_the_margin_is_added_on_each_side():
    box = lung_geometry.square_around_lungs(logits_of(BOTH), 1600, 1600, 0.1)
    assert box == (48, 128, 1392, 1472)  # 1120 pixels and 112 on either side


def test_the_square_is_moved_into_the_image():
    low = [(0.6, 0.05, 0.98, 0.4), (0.6, 0.6, 0.98, 0.95)]
    box = lung_geometry.square_around_lungs(logits_of(low), 200, 200, 0.02)
    side = 188  # ceil(180 * 1.04)
    assert box == (200 - side, 6, 200, 6 + side)


def test_the_square_has_the_same_excess_on_both_sides_where_the_image_is_too_low():
    top, left, bottom, right = lung_geometry.square_around_lungs(logits_of(BOTH), 100, 300, 0)
    assert (bottom - top, right - left) == (210, 210)
    assert (-top, bottom - 100) == (55, 55)
    assert 0 <= left < right <= 300


@pytest.mark.parametrize("seed", range(50))
def test_a_square_of_any_lungs_holds_them_and_is_no_larger_than_the_image(seed):
    random = np.random.default_rng(seed)
    height, width = random.integers(40, 700, 2)
    (top, bottom), (left, right) = np.sort(random.uniform(0, 1, (2, 2)), axis=1)
    lungs = [(top, left, min(bottom + 0.1, 1), min(right + 0.1, 1))]
    margin = random.uniform(0, 0.4)
    logits = logits_of(lungs)
    box = lung_geometry.square_around_lungs(logits, int(height), int(width), margin)
    assert all(type(side) is int for side in box)
    side = box[2] - box[0]
    assert side == box[3] - box[1]
    assert 1 <= side <= max(height, width)
    for start, stop, length in ((box[0], box[2], height), (box[1], box[3], width)):
        assert (start >= 0 and stop <= length) or (start <= 0 and stop >= length)
    rows, columns = np.nonzero(lung_geometry.lung_mask(logits, int(height), int(width)))
    if len(rows):
        assert box[0] <= rows.min() + 1 and rows.max() - 1 < box[2]
        assert box[1] <= columns.min() + 1 and columns.max() - 1 < box[3]


def test_the_box_is_the_same_part_of_a_picture_in_any_size():
    logits = logits_of(BOTH)
    shares = [
        np.array(lung_geometry.square_around_lungs(logits, side, side, 0.05)) / side
        for side in (64, 500, 2000)
    ]
    np.testing.assert_allclose(shares[0], shares[2], rtol=0, atol=1.5 / 64)
    np.testing.assert_allclose(shares[1], shares[2], rtol=0, atol=1.5 / 500)


def test_what_is_in_a_box_is_unchanged_and_what_is_beyond_the_image_is_black():
    image = np.random.default_rng(0).uniform(0.2, 1, (6, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(lung_geometry.cut_out_box(image, (1, 2, 5, 6)), image[1:5, 2:6])
    padded = lung_geometry.cut_out_box(image, (-1, 0, 7, 8))
    assert padded.shape == (8, 8, 3)
    np.testing.assert_array_equal(padded[1:7], image)
    assert (padded[[0, 7]] == 0).all()
