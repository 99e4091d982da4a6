"""The comparison script, as a user calls it."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "compare.py"


@pytest.fixture(scope="module")
def compare():
    spec = importlib.util.spec_from_file_location("compare", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for number, name in enumerate(("a", "b", "c")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(80 * number, 80 * number + 60, (16, 16), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{i}.png")
    return tmp_path / "data"


def test_without_data_it_says_what_it_needs(compare, capsys):
    assert compare.main([]) == 2
    assert "--data is needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "no folder"),
        (["--data", "nowhere.npz"], "nowhere.npz"),
        (["--data", "{folder}", "--set", "CNN.colour=3"], "colour"),
        (["--data", "{folder}", "--set", "GAN.alpha=3"], "MODEL.PARAMETER=VALUE"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(compare, folder, capsys, arguments, message):
    assert compare.main([a.format(folder=folder) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_it_prints_a_table_and_writes_the_results(compare, folder, capsys, tmp_path):
    argv = [
        "--data",
        str(folder),
        "--models",
        "CNN",
        "--folds",
        "2",
        "--out",
        str(tmp_path / "out"),
    ]
    argv += ["--set", "CNN.image_size=16", "--set", "CNN.epochs=3", "--set", "CNN.filters=(4,8)"]
    assert compare.main(argv) == 0
    printed = capsys.readouterr().out
    assert "| CNN   |" in printed
    assert "0.4848" in printed
    row = json.loads((tmp_path / "out" / "results.json").read_text())["rows"][0]
    assert len(row["scores"]) == 2
    assert row["accuracy"] == pytest.approx(np.mean([s["accuracy"] for s in row["scores"]]))
    assert row["interval"][0] <= row["accuracy"] <= row["interval"][1]
    assert "compare.py --data" in (tmp_path / "out" / "results.md").read_text()


def test_a_medmnist_file_is_trained_on_train_and_scored_on_val(compare, tmp_path, capsys):
    rng = np.random.default_rng(0)
    y = np.arange(40)[:, None] % 2
    X = (rng.integers(0, 100, (40, 28, 28)) + 100 * y[:, :, None]).astype(np.uint8)
    arrays = dict(train_images=X, train_labels=y, val_images=X[:10], val_labels=y[:10])
    np.savez(tmp_path / "m.npz", **arrays)
    argv = ["--data", str(tmp_path / "m.npz"), "--models", "CNN", "--set", "CNN.epochs=2"]
    assert compare.main(argv) == 0
    assert "trained on 40, scored on 10" in capsys.readouterr().out


def test_the_interval_of_one_split_is_wilsons(compare):
    # Altman et al., Statistics with Confidence, 2000: 81 of 263, Wilson 0.255 to 0.366.
    low, high = compare.interval(np.array([81 / 263]), 263, 500, split=([], []))
    assert (round(low, 3), round(high, 3)) == (0.255, 0.366)


def test_the_interval_of_folds_is_wider_than_if_they_were_independent(compare):
    accuracy = np.array([0.90, 0.92, 0.94, 0.96, 0.98])
    low, high = compare.interval(accuracy, 20, 100, split=None)
    # t(0.975, 4 df) = 2.776; variance 0.001 times (1/5 + 20/80).
    assert high - low == pytest.approx(2 * 2.7764 * np.sqrt(0.001 * 0.45), rel=1e-4)
