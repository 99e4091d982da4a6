"""The benchmark of the audit counts what it plants."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from lungestimators import make_chest_xrays

pytestmark = pytest.mark.slow


@pytest.fixture
def faults(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("faults")


def test_every_alteration_is_planted_and_counted(faults):
    X, y = make_chest_xrays(24, random_state=0)
    rows = list(faults.duplicates("few", X, y))
    assert [row[0] for row in rows] == [f"few: copies found, {name}" for name in faults.ALTERATIONS]
    assert {row[1] for row in rows} == {"24 of 24"}


def test_copies_that_are_not_found_are_not_counted(faults, monkeypatch):
    X, y = make_chest_xrays(24, random_state=0)
    monkeypatch.setattr(faults, "ALTERATIONS", {"turned": lambda image: image.rotate(90)})
    assert [row[1] for row in faults.duplicates("few", X, y)] == ["0 of 24"]


def test_images_that_are_called_duplicates_are_counted(faults, monkeypatch):
    X, y = make_chest_xrays(24, random_state=0)
    for images, found in ((X, "0 of 24"), (np.concatenate([X[:22], X[:2]]), "4 of 24")):
        monkeypatch.setattr(faults, "make_chest_xrays", lambda *_, images=images, **__: (images, y))
        assert [row[1] for row in faults.false_alarms(24)] == [found]
