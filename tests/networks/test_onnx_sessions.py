"""ONNX Runtime runs here, and reports to nobody."""

import os
import subprocess
import sys

import pytest

import lungestimators

# ONNX Runtime keeps what it reports, and the number of the computer, in files until it is sent.
PREDICT = """
import sys
import numpy as np
from lungestimators import load
load(sys.argv[1], runtime="onnxruntime").predict_proba(np.zeros((1, 16, 16), np.uint8))
assert "onnxruntime" in sys.modules
"""


@pytest.mark.slow
def test_nothing_is_written_to_be_sent_to_the_maker_of_onnx_runtime(fitted_cnn, tmp_path):
    model, home = tmp_path / "model.lung", tmp_path / "home"
    home.mkdir()
    lungestimators.save(fitted_cnn, model)
    # Under CI it never reports.
    kept = {name: value for name, value in os.environ.items() if name[:2] != "CI"}
    kept.pop("ORT_DISABLE_TELEMETRY", None)
    folders = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), str(home))
    subprocess.run([sys.executable, "-c", PREDICT, model], check=True, env=kept | folders)
    assert not list(home.iterdir())
