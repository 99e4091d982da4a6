"""The folder of the benchmarks: what lies at its top is run, what lies below is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_file_at_the_top_is_a_command_and_runs_from_any_directory(command, tmp_path):
    if command.stem in ("lungs", "pretrain", "pretrain_lungs"):
        pytest.importorskip("torch", reason="these commands need PyTorch, which is not installed")
    done = subprocess.run(
        [sys.executable, command, "--help"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: {command.name}")
