"""What a first fit writes to stderr: nothing, unless something is wrong."""

import os
import subprocess
import sys

import pytest

from lungestimators.backends import startup

pytestmark = pytest.mark.slow

FIT = """
import numpy as np, os
from lungestimators import BackboneFeatures, CNNClassifier
rng = np.random.default_rng(0)
X, y = rng.integers(0, 255, (12, 16, 16), dtype=np.uint8), np.tile(["a", "b"], 6)
before = dict(os.environ)
clf = CNNClassifier(image_size=8, filters=(2,), dense_units=4, epochs=1, random_state=0).fit(X, y)
clf.predict(X), clf.model_
BackboneFeatures("MobileNet", alpha=0.25, image_size=32, weights=None).fit_transform(X)
assert {k: v for k, v in os.environ.items() if k[:7] == "TF_CPP_"} == {
    k: v for k, v in before.items() if k[:7] == "TF_CPP_"
}
"""


def run(program, **environment):
    """Run a program of its own, and return its exit status, what it printed and its stderr."""
    inherited = {name: value for name, value in os.environ.items() if name != startup._LEVEL}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr


BACKENDS = {"tensorflow": "tensorflow", "jax": "jax keras", "torch": "keras"}
SHOW_MODULES = """
import sys
modules = [f"lungestimators.backends.{name}" for name in ("jax", "keras", "tensorflow")]
print(*(name.split(".")[-1] for name in modules if name in sys.modules))
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_plain_fit_writes_nothing_to_stderr_and_imports_no_other_backend(backend):
    if backend != "tensorflow":
        pytest.importorskip(backend)
    expected = 0, f"{BACKENDS[backend]}\n", ""
    assert run(FIT + SHOW_MODULES, KERAS_BACKEND=backend) == expected


def test_a_user_who_sets_the_level_sees_what_it_shows():
    status, _, stderr = run(FIT, TF_CPP_MIN_LOG_LEVEL="0")
    assert status == 0
    assert "oneDNN custom operations are on" in stderr or "cpu_feature_guard" in stderr


def test_what_is_written_while_tensorflow_starts_is_shown_unless_it_is_chatter():
    program = """
import os, sys, warnings
from lungestimators.backends.startup import quiet_startup
with quiet_startup():
    os.write(2, b"I0000 00:00:1795639893.239893    8955 port.cc:153] oneDNN operations are on\\n")
    os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to "
                b"STDERR\\n")
    os.write(2, b"2025-03-01 10:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN\\n")
    os.write(2, b"2025-03-01 10:00:00.123456: W tensorflow/core/x.cc:1] low memory\\n")
    os.write(2, b"W0000 00:00:1795639893.239893    8955 gpu_device.cc:2344] Cannot dlopen\\n")
    os.write(2, b"E0000 00:00:1795639893.239893    8955 x.cc:1] it is broken\\n")
    print("printed", file=sys.stderr)
    os.system("echo from a child >&2")
raise SystemExit("the end")
"""
    status, _, stderr = run(program)
    assert status == 1
    assert stderr.splitlines() == [
        "2025-03-01 10:00:00.123456: W tensorflow/core/x.cc:1] low memory",
        "W0000 00:00:1795639893.239893    8955 gpu_device.cc:2344] Cannot dlopen",
        "E0000 00:00:1795639893.239893    8955 x.cc:1] it is broken",
        "printed",
        "from a child",
        "the end",
    ]


def test_a_gpu_that_cannot_be_used_is_told_of_where_there_is_one(tmp_path):
    program = f"""
import os
from lungestimators.backends import startup
for number in range(2):
    startup._GPUS = ({str(tmp_path / "nvidia*")!r},)
    with startup.quiet_startup():
        os.write(2, b"E0000 00:00:17.9  89 cuda_platform.cc:52] failed call to cuInit: UNKNOWN\\n")
    os.write(2, b"then\\n")
    open({str(tmp_path / "nvidia0")!r}, "w").close()
"""
    without, told, rest = run(program)[2].split("then\n")
    assert without == "" and rest == ""
    assert "cuInit" in told


def test_an_error_inside_is_raised_and_what_was_written_before_it_is_shown():
    program = """
import os
from lungestimators.backends.startup import quiet_startup
with quiet_startup():
    os.write(2, b"E0000 00:00:17.9 89 x.cc:1] before\\n")
    raise ImportError("no such library")
"""
    status, _, stderr = run(program)
    assert status == 1
    assert stderr.startswith("E0000 00:00:17.9 89 x.cc:1] before\n")
    assert stderr.endswith("ImportError: no such library\n")


def test_a_closed_stderr_is_no_obstacle():
    program = "import os; os.close(2)\n" + FIT + "\nprint('done')"
    assert run(program)[:2] == (0, "done\n")


def test_errors_of_tensorflow_are_shown_after_a_fit():
    program = (
        FIT
        + """
import tensorflow as tf
tf.raw_ops.MatMul(a=tf.zeros((2, 3)), b=tf.zeros((4, 5)))
"""
    )
    status, _, stderr = run(program)
    assert status == 1
    assert "InvalidArgumentError" in stderr and "Matrix size-incompatible" in stderr
