"""ONNX Runtime runs here, and reports to nobody."""

import copy
import gc
import os
import pickle
import subprocess
import sys
import weakref

import numpy as np
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


def loaded(clf, tmp_path):
    """A classifier, saved and loaded for ONNX Runtime."""
    lungestimators.save(clf, tmp_path / "one.lung")
    return lungestimators.load(tmp_path / "one.lung", runtime="onnxruntime")


def holder_of(clf):
    return clf._networks[0].parts.backbone.weights.holder


@pytest.mark.filterwarnings("ignore:.*to fit this")
def test_a_session_lives_as_long_as_its_classifier(fitted_cnn, squares, tmp_path):
    clf = loaded(fitted_cnn, tmp_path)
    expected = clf.predict_proba(squares[0])
    first = holder_of(clf).session
    np.testing.assert_array_equal(clf.predict_proba(squares[0]), expected)
    assert holder_of(clf).session is first is not None
    for again in (copy.deepcopy(clf), pickle.loads(pickle.dumps(clf))):
        np.testing.assert_array_equal(again.predict_proba(squares[0]), expected)
    holder = weakref.ref(holder_of(clf))
    del clf, again, first
    gc.collect()
    assert holder() is None


FORK = """
import os, sys, warnings
import numpy as np
from lungestimators import load
warnings.simplefilter("ignore")
X = np.zeros((2, 16, 16), np.uint8)
clf = load(sys.argv[1], runtime="onnxruntime")
expected = clf.predict_proba(X)
child = os.fork()
if not child:
    same = (clf.predict_proba(X) == expected).all()
    del clf
    os._exit(0 if same else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_makes_sessions_of_its_own(fitted_cnn, tmp_path):
    lungestimators.save(fitted_cnn, tmp_path / "one.lung")
    command = [sys.executable, "-c", FORK, str(tmp_path / "one.lung")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "0", done.stderr
