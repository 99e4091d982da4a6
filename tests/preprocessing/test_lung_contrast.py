"""Grey values by those of the lungs: stretched or equalised."""

import numpy as np
import pytest
from scipy import stats

from lungestimators.preprocessing import lung_contrast


def test_percentiles_of_the_lungs_become_black_and_white_and_other_pixels_do_not_count():
    lungs = np.random.default_rng(0).uniform(0.3, 0.4, 10_000)
    image = np.append(lungs, [0, 0.9, 1]).astype(np.float32)
    stretched = lung_contrast.stretch_greys(image, lungs)
    assert stretched.dtype == np.float32
    found = np.percentile(stretched[:-3], (1, 50, 99))
    np.testing.assert_allclose(found, (0, 0.5, 1), rtol=0, atol=0.02)
    assert stretched[-3:].tolist() == [0, 1, 1]


@pytest.mark.parametrize("n_greys", [5, 256, 10_000])
def test_a_grey_becomes_the_share_of_the_lungs_that_is_darker(n_greys):
    random = np.random.default_rng(0)
    lungs = np.rint(n_greys * random.beta(2, 5, 5000)).astype(np.float32)
    image = np.append(lungs, [-1, n_greys + 1])
    equalised = lung_contrast.equalise_greys(image, lungs)
    assert equalised.dtype == np.float32
    ranks = (stats.rankdata(lungs) - 0.5) / len(lungs)
    np.testing.assert_allclose(equalised[:-2], ranks, rtol=0, atol=1e-6)
    assert equalised[-2:].tolist() == [0, 1]


def test_of_two_greys_the_darker_stays_darker():
    lungs = np.random.default_rng(0).normal(0.5, 0.1, 5000).astype(np.float32)
    image = np.linspace(0, 1, 1000, dtype=np.float32)
    assert (np.diff(lung_contrast.equalise_greys(image, lungs)) >= 0).all()


@pytest.mark.parametrize("contrast", lung_contrast.CHANGES)
def test_lungs_of_one_grey_stay_as_they_are(contrast):
    image = np.linspace(0, 1, 20, dtype=np.float32)
    change = lung_contrast.CHANGES[contrast]
    np.testing.assert_array_equal(change(image, np.full(50, 0.3, np.float32)), image)
