"""The storages that the tests of studies run in."""

import pytest


@pytest.fixture(params=["journal", "sqlite", "postgresql"])
def storage(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql")
    path = tmp_path / "study"
    return str(path) if request.param == "journal" else f"sqlite:///{path}"
