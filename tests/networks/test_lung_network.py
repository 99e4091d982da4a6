"""The network that finds lungs: its shape, its weights, and what it finds."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors

from lungestimators import make_chest_xrays
from lungestimators.networks import chest_weights, lung_network


@pytest.mark.core
def test_the_network_finds_the_lungs_of_radiographs_that_it_has_not_seen():
    X, _, masks = make_chest_xrays(
        8, image_size=lung_network.IMAGE_SIZE, return_masks=True, random_state=31
    )
    inputs = (X / np.float32(255))[..., None].astype(np.float32)
    outputs = lung_network.lung_network_blueprint().run(inputs)
    size = lung_network.MASK_SIZE
    assert outputs.shape == (8, size**2 + 1)
    assert (outputs[:, -1] > 0).all()
    found = outputs[:, :-1].reshape(8, size, size) > 0
    wanted = masks.reshape(8, size, 2, size, 2).mean((2, 4)) > 0.5
    overlap = (found & wanted).sum((1, 2)) / (found | wanted).sum((1, 2))
    assert np.median(overlap) > 0.94
    upside_down = lung_network.lung_network_blueprint().run(inputs[:, ::-1])
    assert (upside_down[:, -1] < 0).all()


def test_the_file_is_small_and_says_what_it_was_learnt_from():
    path = lung_network.WEIGHTS
    assert path.stat().st_size < 3e6
    weights = chest_weights.read_chest_weights(path, "LungNetwork", {})
    assert weights.image_size == lung_network.IMAGE_SIZE


def test_the_metadata_credit_the_sources_and_name_the_command():
    with safetensors.safe_open(lung_network.WEIGHTS, framework="numpy") as file:
        card = file.metadata()
    sources = json.loads(card["sources"])
    counts = {source["title"]: source["n_images"] for source in sources}
    n_drawn = counts.pop("synthetic radiographs of lungestimators.make_chest_xrays")
    page = (Path(__file__).parents[2] / "docs" / "weights.md").read_text(encoding="utf-8")
    assert f"{sum(counts.values()):,} radiographs" in page
    assert f"{n_drawn:,} synthetic radiographs" in page
    assert card["command"] in page
    for source in sources:
        assert source["licence"]
        assert source["attribution"]


def test_the_kept_architecture_is_that_of_the_network():
    kept = lung_network.lung_network_blueprint()
    built = lung_network.build_lung_network()
    weights = chest_weights.read_chest_weights(lung_network.WEIGHTS, "LungNetwork", {})
    weights.load(built)
    for a, b in zip(kept.weights, built.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    image = np.random.default_rng(0).random((8, 160, 160, 1), np.float32)
    np.testing.assert_allclose(kept.run(image), built.predict(image, verbose=0), atol=1e-3)
