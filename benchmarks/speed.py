"""The same work beside SciKeras, hand-written Keras and skorch, as ratios.

    python benchmarks/speed.py                     251 synthetic images; about an hour on two cores
    python benchmarks/speed.py --data DIR          a folder a class, or train/ and test/
    python benchmarks/speed.py --works cv top      some of it
    python benchmarks/speed.py --check             write nothing; fail where a ratio has fallen

Every contender runs in a process of its own, one after another in turn; figures are medians. Random
weights are used: they cost what ImageNet's do. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from comparison.problems import InputError, load, read
from contest import ratios
from contest.contenders import contend
from joblib import Parallel, delayed
from PIL import Image

from lungestimators import make_chest_xrays

RESULTS = Path(__file__).parent / "results" / "speed"
DENSENET = dict(blocks=[6, 12, 24, 16], size=224, folds=5, epochs=10, trials=20)
QUICK = dict(blocks=[1, 1, 1, 1], size=32, folds=2, epochs=1, trials=2, n_images=60)

PACKAGES = (
    "tensorflow",
    "keras",
    "scikit-learn",
    "scikeras",
    "optuna",
    "optuna-integration",
    "skorch",
    "torch",
)


def parse(argv):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="speed.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", help="folder of images; default: synthetic ones")
    parser.add_argument(
        "--works", nargs="+", choices=ratios.WORKS, default=list(ratios.WORKS), metavar="WORK"
    )
    parser.add_argument("--runs", type=int, default=3, help="of each contender; default: 3")
    parser.add_argument(
        "--slow-runs", type=int, default=1, help="of contenders that take minutes; default: 1"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; fail where a ratio is below the committed one by more than the noise, "
        "or where none was committed",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="only try that everything runs: few and small images, a tiny network",
    )
    arguments = parser.parse_args(argv)
    if arguments.quick and (arguments.check or arguments.out == RESULTS):
        parser.error("--quick measures nothing: it needs --out, and there is nothing to --check")
    return arguments


class Bench:
    """Runs contenders, and keeps what they measured as (work, contender, part) -> list."""

    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = folder
        self.measured = {}
        self.settings = QUICK if arguments.quick else DENSENET

    def run(self, work, contender, runs=None, name=None, **settings):
        """Run a contender a few times; ``name`` tells runs of different settings apart."""
        runs = 1 if self.arguments.quick else runs or self.arguments.runs
        for number in range(runs):
            self.run_once(work, contender, name or work, number, runs, settings)

    def in_turn(self, *pairs, **settings):
        """Run several contenders, each (work, contender), in turn: noise meets all alike."""
        runs = 1 if self.arguments.quick else self.arguments.runs
        for number in range(runs):
            for work, contender in pairs:
                self.run_once(work, contender, work, number, runs, settings)

    def run_once(self, work, contender, name, number, runs, settings):
        """Run a contender, and keep what it measured."""
        start = time.perf_counter()
        print(f"{name}, {contender}, run {number + 1} of {runs} ...", end=" ", flush=True)
        settings = {**self.settings, "folder": self.folder, **settings}
        # Nothing is measured by --quick: one process of its own shows that this works.
        run = contend if self.arguments.quick and self.measured else contend_in_own_process
        for part, value in run(work, contender, self.folder, settings).items():
            self.measured.setdefault((name, contender, part), []).append(value)
        print(f"{time.perf_counter() - start:.0f} s", flush=True)


def contend_in_own_process(work, contender, folder, settings):
    """Let a contender do a piece of work in a process of its own; return what it measured."""
    # The process finds modules where this one does, and none in the working directory.
    program = [sys.executable, "-P", "-m", "contest.contenders"]
    paths = os.pathsep.join(sys.path)
    done = subprocess.run(
        [*program, work, contender, folder, json.dumps(settings)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if done.returncode:
        raise RuntimeError(f"{work}, {contender} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(bench):
    """Run all works that were asked for."""
    works, slow = bench.arguments.works, bench.arguments.slow_runs
    if "cv" in works:
        bench.in_turn(("forward", "keras"), ("cv", "ours"))
        bench.run("cv", "scikeras", runs=slow)
        bench.run("cv", "keras", runs=slow)
        if installed("skorch") and installed("torchvision"):
            bench.run("cv", "skorch", runs=slow)
        else:
            print("skorch and torchvision are not installed (pip install -e '.[bench]'): left out")
    if "search" in works:
        searches = (("search", contender) for contender in ratios.SEARCHES)
        bench.in_turn(("forward", "keras"), *searches)
        bench.run("search", "scikeras", runs=slow)
    if "top" in works:
        bench.run("top", "ours")
        bench.run("top", "keras")
    if "cnn" in works:
        bench.in_turn(("cnn", "ours"), ("cnn", "scikeras"))
    if "workers" in works:
        folds = 2 if bench.arguments.quick else 6
        bench.in_turn(("workers", "one"), ("workers", "two"), folds=folds)
    if "predict" in works:
        n_images = 60 if bench.arguments.quick else 1000
        for network, size in (("DenseNet121", bench.settings["size"]), ("MobileNet 0.25", 128)):
            bench.run(
                "predict",
                "both",
                name=f"predict {network}",
                network=network,
                size=size,
                n_images=n_images,
            )
    if "paths" in works:
        few, many = (60, 120) if bench.arguments.quick else (1000, 20_000)
        write_jpegs(bench.folder, many)
        for n_images in (few, many):
            name = f"paths {n_images}"
            bench.run("paths", "ours", runs=slow, name=name, n_images=n_images)
            bench.run("paths", "everything", runs=slow, name=name, n_images=n_images)
    if "reading" in works:
        n_images = 60 if bench.arguments.quick else 500
        if "paths" not in works:
            write_jpegs(bench.folder, n_images)
        bench.run("reading", "ours", n_images=n_images)
    if "growth" in works:
        for n_images in (30, 60) if bench.arguments.quick else (250, 500, 1000, 2000):
            folder = Path(bench.folder) / str(n_images)
            folder.mkdir()
            write_images(folder, *repeated(bench.folder, n_images))
            grown = Bench(bench.arguments, str(folder))
            grown.run("cv", "ours", runs=slow, name=f"growth {n_images}")
            bench.measured.update(grown.measured)


def installed(package):
    """Whether a package is there."""
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def write_images(folder, X, y):
    """Write the images that every contender loads."""
    np.savez(Path(folder) / "images.npz", X=X, y=y)


def repeated(folder, n_images):
    """The images again and again, no two alike."""
    images = np.load(Path(folder) / "images.npz")
    X = np.resize(images["X"], (n_images, *images["X"].shape[1:])).copy()
    X[:, 0, 0, 0], X[:, 0, 1, 0] = np.divmod(np.arange(n_images), 256)
    return X, np.resize(images["y"], n_images)


def write_jpegs(folder, n_images):
    """Write synthetic radiographs of 512 px, each brightened or darkened into many."""
    base = make_chest_xrays(n_samples=40, image_size=512, random_state=0)[0]

    def write(number):
        gain = 0.6 + 0.8 * number / n_images
        image = np.clip(base[number % len(base)] * gain, 0, 255).astype(np.uint8)
        Image.fromarray(image.squeeze()).save(Path(folder) / f"{number:05}.jpg", quality=90)

    Parallel(n_jobs=-1, prefer="threads")(delayed(write)(number) for number in range(n_images))


def main(argv=None):
    """Run the benchmark."""
    arguments = parse(argv)
    try:
        X, y = load_images(arguments)
    except InputError as error:
        sys.exit(f"speed.py: {error}")
    if arguments.check and not ratios.read(RESULTS):
        sys.exit(f"speed.py: --check needs {RESULTS / 'results.json'}")
    with tempfile.TemporaryDirectory() as folder:
        write_images(folder, X, y)
        bench = Bench(arguments, folder)
        measure(bench)
    rows = ratios.rows(bench.measured)
    facts = {
        "command": shlex.join(["python", "benchmarks/speed.py", *(argv or sys.argv[1:])]),
        "data": f"{len(X)} {'real' if arguments.data else 'synthetic'} images",
        "runs": arguments.runs,
        "slow_runs": arguments.slow_runs,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, no GPU used",
        "versions": {name: version(name) for name in PACKAGES if installed(name)},
    }
    print("\n" + ratios.table(rows))
    if arguments.check:
        problems = ratios.fallen(rows, RESULTS)
        print("\n".join(problems) or "No ratio has fallen.")
        sys.exit(1 if problems else 0)
    ratios.write(arguments.out, rows, facts, bench.measured)
    print(f"\nWritten: {arguments.out / 'results.json'} and {arguments.out / 'results.md'}")


def load_images(arguments):
    """Return uint8 RGB images of the size that the network takes, and class numbers."""
    size = (QUICK if arguments.quick else DENSENET)["size"]
    if arguments.data is None:
        n_images = QUICK["n_images"] if arguments.quick else 251
        X, y = make_chest_xrays(n_samples=n_images, image_size=size, random_state=0)
        return np.repeat(X[..., None], 3, axis=3), y
    problem = load(arguments.data, None, None, quick=False)
    X = np.stack([np.asarray(read(x, "RGB", size, Image.Resampling.BILINEAR)) for x in problem.X])
    return X, np.unique(problem.y, return_inverse=True)[1]


if __name__ == "__main__":
    main()
