"""The benchmark of speed says what was measured, and notices what has fallen."""

import importlib
from pathlib import Path

import pytest

FACTS = dict(
    command="first", data="251 images", machine="a machine", versions={}, runs=3, slow_runs=1
)


@pytest.fixture
def ratios(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("contest.ratios")


@pytest.fixture
def measured():
    return {
        ("forward", "keras", "seconds"): [10.0, 12.0, 11.0],
        ("cv", "ours", "seconds"): [16.0, 18.0, 17.0],
        ("cv", "ours", "warm, 512 units"): [2.0, 2.1, 1.9],
        ("cv", "ours", "warm, 256 units"): [1.4, 1.3, 1.2],
        ("cv", "scikeras", "seconds"): [510.0],
        ("cv", "scikeras", "measured"): ["one fold"],
        ("predict DenseNet121", "both", "seconds"): [40.0],
        ("predict DenseNet121", "both", "warm"): [0.2],
        ("predict DenseNet121", "both", "bare"): [40.0],
        ("paths 1000", "ours", "seconds"): [10.0],
        ("paths 1000", "ours", "most memory"): [0.8e9],
        ("paths 20000", "ours", "seconds"): [220.0],
        ("paths 20000", "ours", "most memory"): [0.95e9],
        ("paths 1000", "everything", "most memory"): [1.0e9],
        ("paths 20000", "everything", "most memory"): [1.1e9],
        ("reading", "ours", "seconds"): [2.0],
        ("reading", "ours", "network"): [8.0],
    }


def test_medians_become_ratios_beside_what_was_asked(ratios, measured):
    rows = {(row.work, row.what): row for row in ratios.rows(measured)}
    cold = rows["cv", "cold, ratio"]
    assert cold.value == 510 / 17
    assert cold.against == "SciKeras, one fold multiplied"
    assert cold.reached()
    assert cold.spread == pytest.approx(2 / 17)
    assert rows["cv", "seconds beyond 1.3 x"].value == pytest.approx(17 - 1.3 * 11)
    assert not rows["cv", "next trial, 512 units: seconds"].reached()
    assert rows["cv", "next trial, 256 units: seconds"].reached()
    assert rows["predict", "DenseNet121, warm: ratio"].value == 200
    assert rows["paths", "20000 files: cost an image over"].value == pytest.approx(1.1)
    assert rows["paths", "20000 files: GB resident at most"].reached()
    assert rows["paths", "20000 files, everything learns: MB more than for 1000"].value == 100
    assert rows["paths", "20000 files, frozen: MB more than for 1000"].value == pytest.approx(150)
    assert rows["reading", "ratio"].value == 4


def test_every_way_to_search_has_its_own_rows(ratios, measured):
    seconds = {"ours": 30.0, "optunasearch": 25.0, "searchcv": 34.0, "pruning": 20.0}
    assert seconds.keys() == ratios.SEARCHES.keys()
    for contender, taken in seconds.items():
        measured["search", contender, "seconds"] = [taken]
    measured["search", "scikeras", "seconds"] = [4800.0]
    measured["search", "scikeras", "measured"] = ["one fold"]
    rows = {row.what: row for row in ratios.rows(measured) if row.work == "search"}
    assert len(rows) == 8
    by_optuna = rows["OptunaSearchCV: forward passes"]
    assert by_optuna.value == 34 / 11 and not by_optuna.reached()
    assert rows["objective by hand: forward passes"].reached()
    assert rows["OptunaSearchCV, pruning: ratio"].value == 240
    assert rows["objective by hand: ratio"].reached()
    assert not rows["OptunaSearchCV: ratio"].reached()


def test_two_processes_are_compared_with_one(ratios):
    measured = {
        ("workers", "one", "seconds"): [60.0],
        ("workers", "one", "again"): [56.0],
        ("workers", "two", "seconds"): [40.0],
        ("workers", "two", "again"): [32.0],
    }
    whole, again = ratios.rows(measured)
    assert (whole.ours, whole.theirs, whole.value) == (40, 60, 1.5)
    assert whole.reached() and again.asked is None
    assert again.value == 1.75


def test_the_table_marks_what_was_missed(ratios, measured):
    lines = ratios.table(ratios.rows(measured)).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    missed = [line for line in lines if "**missed**" in line]
    assert len(missed) == 1 and "512 units" in missed[0]


def test_a_ratio_that_has_fallen_by_more_than_the_noise_is_named(ratios, measured, tmp_path):
    ratios.write(tmp_path, ratios.rows(measured), FACTS, measured)
    assert ratios.fallen(ratios.rows(measured), tmp_path) == []
    measured["cv", "scikeras", "seconds"] = [510.0 * 0.85]
    assert ratios.fallen(ratios.rows(measured), tmp_path) == []
    measured["cv", "scikeras", "seconds"] = [510.0 * 0.7]
    (problem,) = ratios.fallen(ratios.rows(measured), tmp_path)
    assert "cold, ratio to SciKeras" in problem and "21" in problem and "was 30" in problem


def test_a_ratio_that_was_never_committed_is_named(ratios, measured, tmp_path):
    ratios.write(tmp_path, ratios.rows(measured), FACTS, measured)
    measured["cv", "keras", "seconds"] = [100.0]
    (problem,) = ratios.fallen(ratios.rows(measured), tmp_path)
    assert "Keras by hand" in problem and "not among the committed results" in problem


def test_a_later_run_of_one_work_leaves_the_others_and_their_commands(ratios, measured, tmp_path):
    ratios.write(tmp_path, ratios.rows(measured), FACTS, measured)
    again = {key: values for key, values in measured.items() if key[0].startswith("paths")}
    again["paths 20000", "ours", "most memory"] = [1.4e9]
    ratios.write(tmp_path, ratios.rows(again), {**FACTS, "command": "later"}, again)
    works = ratios.read(tmp_path)
    assert list(works) == ["cv", "predict", "paths", "reading"]
    assert [works[work]["command"] for work in works] == ["first", "first", "later", "first"]
    page = (tmp_path / "results.md").read_text()
    assert "Works cv, predict, reading:" in page and "Works paths:" in page
    assert "1.40 GB" in page and "0.95 GB" not in page
