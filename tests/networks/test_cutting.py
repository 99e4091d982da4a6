"""Both parts of a cut backbone together are the backbone."""

import numpy as np
import pytest

from lungestimators.networks import blueprints, cutting


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "size"),
    [("MobileNet", 32), ("MobileNetV2", 64), ("ResNet50V2", 64), ("EfficientNetV2B0", 64)],
)
def test_a_backbone_that_was_cut_is_the_backbone(backbone, size):
    X = np.random.default_rng(0).random((5, size, size, 3), np.float32)
    whole = blueprints.initial_backbone_blueprint(backbone, (), size, 3, None, 0)
    below, above = cutting.cut_frozen_part(whole, "last_stage"), cutting.cut_last_stage(whole)
    np.testing.assert_allclose(above.run(below.run(X)), whole.run(X), rtol=1e-5, atol=1e-7)
    assert len(below.weights) + len(above.weights) == len(whole.weights)
    assert cutting.join_cut_last_stage(whole, above).weights == whole.weights
