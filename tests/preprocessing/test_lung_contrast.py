"""Grey values by those of the lungs: stretched, equalised, or equalised by region."""

import numpy as np
import pytest
from scipy import stats
from skimage.exposure import equalize_adapthist

from lungestimators.preprocessing import lung_contrast


def of_lungs(contrast, image, greys_of_lungs):
    """Change a row of greys by those of lungs."""
    shrunk = greys_of_lungs.reshape(-1, 8, 1)
    found = lung_contrast.CHANGES[contrast](
        image[None, :, None], shrunk, np.ones(shrunk.shape[:2], bool)
    )
    return found[0, :, 0]


def test_percentiles_of_the_lungs_become_black_and_white_and_other_pixels_do_not_count():
    lungs = np.random.default_rng(0).uniform(0.3, 0.4, 10_000)
    image = np.append(lungs, [0, 0.9, 1]).astype(np.float32)
    stretched = of_lungs("stretch", image, lungs)
    assert stretched.dtype == np.float32
    found = np.percentile(stretched[:-3], (1, 50, 99))
    np.testing.assert_allclose(found, (0, 0.5, 1), rtol=0, atol=0.02)
    assert stretched[-3:].tolist() == [0, 1, 1]


@pytest.mark.parametrize("n_greys", [5, 256, 10_000])
def test_a_grey_becomes_the_share_of_the_lungs_that_is_darker(n_greys):
    random = np.random.default_rng(0)
    lungs = np.rint(n_greys * random.beta(2, 5, 5000)).astype(np.float32)
    image = np.append(lungs, [-1, n_greys + 1])
    equalised = of_lungs("equalise", image, lungs)
    assert equalised.dtype == np.float32
    ranks = (stats.rankdata(lungs) - 0.5) / len(lungs)
    np.testing.assert_allclose(equalised[:-2], ranks, rtol=0, atol=1e-6)
    assert equalised[-2:].tolist() == [0, 1]


def test_of_two_greys_the_darker_stays_darker():
    lungs = np.random.default_rng(0).normal(0.5, 0.1, 5000).astype(np.float32)
    image = np.linspace(0, 1, 1000, dtype=np.float32)
    assert (np.diff(of_lungs("equalise", image, lungs)) >= 0).all()


@pytest.mark.parametrize("contrast", lung_contrast.CHANGES)
def test_lungs_of_one_grey_stay_as_they_are(contrast):
    image = np.linspace(0, 1, 20, dtype=np.float32)
    found = of_lungs(contrast, image, np.full(64, 0.3, np.float32))
    np.testing.assert_array_equal(found, image)


def textured_lungs(first_bright_row=80):
    """An image of 160 x 160 pixels, and where its lungs are; one is brighter from a row on."""
    image = np.random.default_rng(0).uniform(0.2, 0.4, (160, 160, 1)).astype(np.float32)
    lungs = np.zeros((160, 160), bool)
    lungs[20:140, 20:70] = lungs[20:140, 90:140] = True
    image[first_bright_row:140, 20:70] += 0.4
    image[~lungs] = 0.9
    return image, lungs


def test_clahe_of_the_whole_image_is_that_of_scikit_image():
    image = np.random.default_rng(0).beta(2, 3, (160, 160, 1)).astype(np.float32)
    image[:80, :80] **= 2
    lungs = np.ones((160, 160), bool)
    found = lung_contrast.equalise_greys_by_region(image, image, lungs)[..., 0]
    equalised = lung_contrast.equalise_greys(image, image, lungs)[..., 0]
    # Its limit is a share of the pixels of a region.
    expected = equalize_adapthist(equalised, kernel_size=20, clip_limit=2 / 64, nbins=64)
    assert stats.pearsonr(found.ravel(), expected.ravel())[0] > 0.99
    assert np.abs(found - expected).mean() < 0.02
    assert np.abs(found - equalised).mean() > 0.05


@pytest.mark.parametrize(
    ("first_bright_row", "least", "most"), [(80, 0.4, 0.6), (20, 0.15, 0.35)], ids=["half", "whole"]
)
def test_clahe_evens_out_the_brightness_of_regions_up_to_a_limit(first_bright_row, least, most):
    image, lungs = textured_lungs(first_bright_row)
    found, equalised = (
        lung_contrast.CHANGES[contrast](image, image, lungs) for contrast in ("clahe", "equalise")
    )
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    bright, dark = np.s_[90:130, 20:70], np.s_[90:130, 90:140]
    steps = [each[bright].mean() - each[dark].mean() for each in (equalised, found)]
    assert least < steps[1] / steps[0] < most
    # What is left of the range shows finer steps: more contrast, but not more than the limit.
    ratio = found[bright].std() / equalised[bright].std()
    assert 1.2 < ratio < 3


def test_clahe_does_not_depend_on_what_is_beside_the_lungs():
    image, lungs = textured_lungs()
    other = np.where(lungs[..., None], image, np.float32(0.1))
    found = [lung_contrast.equalise_greys_by_region(each, each, lungs) for each in (image, other)]
    np.testing.assert_array_equal(found[0][lungs], found[1][lungs])


def test_clahe_of_a_larger_image_is_that_of_the_small_one(monkeypatch):
    monkeypatch.setattr(lung_contrast, "_PIXELS_AT_ONCE", 10_000)
    small, lungs = textured_lungs()
    large = small.repeat(3, axis=0).repeat(2, axis=1)
    found = lung_contrast.equalise_greys_by_region(large, small, lungs)
    assert found.shape == large.shape
    means = found.reshape(160, 3, 160, 2).mean(axis=(1, 3))
    expected = lung_contrast.equalise_greys_by_region(small, small, lungs)[..., 0]
    np.testing.assert_allclose(means[lungs], expected[lungs], rtol=0, atol=0.01)
