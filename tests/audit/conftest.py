"""Small images for the tests of the audit."""

import pytest

from lungestimators import make_chest_xrays


@pytest.fixture(scope="session")
def chests():
    """60 different images, read-only."""
    X, y = make_chest_xrays(60, random_state=0)
    X.flags.writeable = y.flags.writeable = False
    return X, y
