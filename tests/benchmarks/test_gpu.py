"""benchmarks/gpu.py: what it writes when it is ended early, and where there is no GPU."""

import importlib
import json
from pathlib import Path

import pytest


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    module = importlib.import_module("gpu")
    monkeypatch.setenv("KERAS_BACKEND", "torch")  # for the processes alone
    return module


def processes(device, last):
    """What the processes say, one piece of work after another until the last."""

    def run(work, arguments, folder, environment):
        if work == last:
            raise KeyboardInterrupt
        return {"result": {"batches of 8": 3.0}, "device": device, "peak_mb": None}

    return run


def test_an_ended_run_keeps_what_was_measured_and_its_command(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "run", processes("NVIDIA H100", "train_cnn"))
    out = tmp_path / "a folder"
    with pytest.raises(KeyboardInterrupt):
        gpu.main(["--out", str(out)])
    found = json.loads((out / "results-torch.json").read_text())
    assert list(found["speeds"]) == ["forward", "train_densenet"]
    assert found["command"] == f"KERAS_BACKEND=torch python benchmarks/gpu.py --out '{out}'"
    text = (out / "results.md").read_text()
    assert "everything learns, images/s | batches of 8 | 3 |" in text
    assert "| `CNNClassifier()`, images/s | | not measured | |" in text


def test_without_a_gpu_only_a_trial_runs(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "run", processes("cpu", "forward"))
    with pytest.raises(SystemExit, match="torch finds no GPU here"):
        gpu.main(["--out", str(tmp_path)])
    with pytest.raises(KeyboardInterrupt):  # it went on to the first piece of work
        gpu.main(["--out", str(tmp_path), "--quick"])
