"""Images in files for the tests of the transformers."""

import pytest
from PIL import Image


@pytest.fixture
def paths(squares, tmp_path):
    """The squares as files."""
    for number, pixels in enumerate(squares[0]):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return [str(tmp_path / f"{number}.png") for number in range(len(squares[0]))]
