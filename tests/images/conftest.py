"""The paths of small images, and the features that the tests of images compute."""

import pytest

from lungestimators import BackboneFeatures

from .columns_of_paths import save


@pytest.fixture
def paths(squares, tmp_path):
    return save(tmp_path, squares[0])


@pytest.fixture
def features():
    return BackboneFeatures("MobileNetV3Small", weights=None, image_size=32, random_state=0)
