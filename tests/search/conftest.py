"""The data that the tests of searches share."""

import pytest
from sklearn.datasets import load_iris


@pytest.fixture(scope="module")
def iris():
    """150 flowers in three classes; nobody writes to them."""
    X, y = load_iris(return_X_y=True)
    X.flags.writeable = False
    return X, y
