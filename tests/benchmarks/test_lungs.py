"""What LungFields does, measured: planted sets, simulated hospitals, and the whole command."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from lungestimators import make_chest_xrays

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    ours = ("lungs", "lung_trials", "comparison", "pretraining")
    for name in [name for name in sys.modules if name.split(".")[0] in ours]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("fault", ["marker", "border", "collimation", "exposure"])
def test_a_planted_fault_is_in_all_images_of_one_class_alone(benchmarks, fault):
    planted = benchmarks("lung_trials.planted")
    clean, y = planted.planted_set("none", 12, 3)
    X, same = planted.planted_set(fault, 12, 3)
    np.testing.assert_array_equal(same, y)
    assert ((clean != X).any(axis=(1, 2)) == (y == 1)).all()


def test_in_the_first_hospital_alone_the_device_tells_the_sick(benchmarks):
    hospitals = benchmarks("lung_trials.hospitals")

    def share_in_bed(X, y):
        in_bed = (X[:, :3] == 0).all(axis=(1, 2)) & (X[:, :, :3] == 0).all(axis=(1, 2))
        return in_bed[y == 0].mean(), in_bed[y == 1].mean()

    first, second = hospitals.first_and_second(60, 5)
    healthy, sick = share_in_bed(*first)
    assert sick - healthy > 0.3
    healthy, sick = share_in_bed(*second)
    assert abs(sick - healthy) < 0.3
    assert second[1].mean() == pytest.approx(0.3)


def test_a_problem_of_lungs_alone_counts_what_stays_whole(benchmarks):
    problems = benchmarks("comparison.problems")
    X, y = make_chest_xrays(6, random_state=0)
    X[y == 2] = 0
    problem = problems.Problem("synthetic", X, y, ["a", "b", "c"], None, True)
    with pytest.warns(UserWarning, match="Two lungs were not found in 2 of 6"):
        found = problems.only_lungs(problem, "mask")
    assert found.name == "synthetic-lungs-mask"
    assert (found.X.shape, found.X.dtype) == ((6, 224, 224), np.uint8)
    assert found.note.endswith("images that stay whole: a: 0, b: 0, c: 2)")


@pytest.mark.slow
def test_the_command_measures_and_writes_a_page_for_each_part(benchmarks, tmp_path, monkeypatch):
    lungs = benchmarks("lungs")
    ways = {way: lungs.shortcuts.WAYS[way] for way in ("whole image", "crop", "mask, equalised")}
    monkeypatch.setattr(lungs.shortcuts, "WAYS", ways)
    assert lungs.main(["--quick", "--out", str(tmp_path)]) == 0
    parts = [part for part in lungs.PARTS if part != "radiographs"]
    assert {page.stem for page in tmp_path.glob("*.md")} == set(parts)
    for part in parts:
        page = (tmp_path / f"{part}.md").read_text(encoding="utf-8")
        assert "the numbers mean nothing" in page
        assert f"--parts {part}" in page
    assert "| mask, equalised" in (tmp_path / "marker.md").read_text(encoding="utf-8")
    lungs.main(["--quick", "--out", str(tmp_path / "one"), "--parts", "outlines"])
    assert [page.name for page in (tmp_path / "one").iterdir()] == ["outlines.md"]
