"""A table of numbers for the tests of the comparison."""

import numpy as np
import pytest
from sklearn.datasets import make_classification


@pytest.fixture(scope="session")
def table():
    X, y = make_classification(120, n_informative=4, n_classes=3, random_state=0)
    return X, np.array(["clear", "dense", "nodular"])[y]
