"""LungFields with the weights of the package: only these tests depend on what they have learnt."""

import numpy as np
import pytest

from lungestimators import LungFields, make_chest_xrays


def test_the_lungs_of_synthetic_radiographs_are_found():
    X, _, expected = make_chest_xrays(60, return_masks=True, random_state=1000)
    lungs = LungFields("masks")
    masks = lungs.fit_transform(X)
    assert (lungs.scores_ > 0.5).all()
    overlap = (masks & expected).sum((1, 2)) / (masks | expected).sum((1, 2))
    assert np.median(overlap) > 0.96
    assert overlap.min() > 0.85


def test_nothing_is_left_of_a_marker_outside_the_lungs():
    marked, y = make_chest_xrays(60, marker=1, random_state=1000)
    clean, _ = make_chest_xrays(60, random_state=1000)
    differs = marked[y == 1] != clean[y == 1]
    assert differs.any(axis=(1, 2)).all()
    masked = LungFields("mask", image_size=None).transform(marked[y == 1])
    assert (masked[differs] == 0).all()
    # What is not lung is black up to the outline.
    assert (masked[~LungFields("masks").transform(marked[y == 1])] == 0).all()


@pytest.mark.parametrize("kind", ["black", "white", "noise", "gradient", "squares", "stripes"])
def test_what_is_no_radiograph_is_refused(kind):
    random = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128] / 128
    images = {
        "black": np.zeros((4, 128, 128)),
        "white": np.ones((4, 128, 128)),
        "noise": random.uniform(0, 1, (4, 128, 128)),
        "gradient": np.stack([x, y, x * y, 1 - x]),
        "squares": np.kron(random.uniform(0, 1, (4, 8, 8)), np.ones((16, 16))),
        "stripes": np.stack([np.sin(f * x) / 2 + 0.5 for f in (10, 20, 40, 80)]),
    }[kind]
    lungs = LungFields()
    with pytest.raises(ValueError, match="Two lungs were not found in 4 of 4 images"):
        lungs.fit(images.astype(np.float32))
