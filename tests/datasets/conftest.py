"""A fixture that turns warnings into errors."""

import warnings

import pytest


@pytest.fixture
def no_unexpected_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
