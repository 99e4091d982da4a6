"""What a GPU gives: speed, memory, and agreement with the CPU.

    KERAS_BACKEND=jax python benchmarks/gpu.py --out DIR                synthetic images
    KERAS_BACKEND=torch python benchmarks/gpu.py --out DIR --data FILE  MedMNIST's .npz
    KERAS_BACKEND=jax python benchmarks/gpu.py --out DIR --quick        only try that it runs

Each piece of work runs in a process of its own. Networks start from random weights, which cost
what ImageNet's do. Images a second leave compilation out. ``results.md`` shows every
``results-<backend>.json`` that lies in the folder: run the command once for each backend. Both are
written after each piece of work, so that what a run had measured when it was ended is kept.
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

import joblib
import numpy as np
from sklearn.base import clone

from lungestimators import (
    BackboneFeatures,
    CNNClassifier,
    DenseNetClassifier,
    __version__,
    make_chest_xrays,
)

PACKAGES = ("keras", "jax", "torch", "tensorflow", "scikit-learn", "numpy")

FULL = dict(
    backbone="DenseNet121",
    blocks=(6, 12, 24, 16),
    size=224,
    n_images=1024,
    n_small=4096,
    epochs=2,  # of a DenseNet121, minutes: each is compiled anew
    batches=(32,),
)
QUICK = dict(
    backbone="MobileNetV3Small",
    blocks=(1, 1, 1, 1),
    size=32,
    n_images=64,
    n_small=64,
    epochs=1,
    batches=(8,),
)

# Where what was fitted on the GPU predicts: the environment of that process.
PLACES = {
    "default": {},
    "full precision": {"JAX_DEFAULT_MATMUL_PRECISION": "highest", "NVIDIA_TF32_OVERRIDE": "0"},
    "CPU": {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""},
}

ROWS = {
    "forward": "frozen DenseNet121, forward, images/s",
    "train_densenet": "DenseNet121, everything learns, images/s",
    "train_cnn": "`CNNClassifier()`, images/s",
}


def parse(argv):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="gpu.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--data", type=Path, help="train_images and train_labels in an .npz file")
    parser.add_argument("--quick", action="store_true", help="few images, a tiny network")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)  # one process's work, its folder
    return parser.parse_args(argv)


def images(data, settings):
    """Return small images and two classes or more, as many as there are to be."""
    if data is not None:
        with np.load(data) as file:
            X, y = file["train_images"], file["train_labels"].ravel()
    else:
        X, y = make_chest_xrays(min(settings["n_small"], 512), image_size=64, random_state=0)
    rows = np.arange(settings["n_small"]) % len(X)
    return X[rows], y[rows]


def large(X, settings):
    """The first images at the size of DenseNet121, so that none need be resized."""
    size = settings["size"]
    times = -(-size // X.shape[1])
    X = X[: settings["n_images"]].repeat(times, axis=1).repeat(times, axis=2)
    return np.ascontiguousarray(X[:, :size, :size])


def seconds_an_epoch(classifier, X, y, epochs):
    """What an epoch takes beyond the first: the networks are built and compiled before."""

    def fit(epochs):
        start = time.perf_counter()
        clone(classifier).set_params(epochs=epochs).fit(X, y)
        return time.perf_counter() - start

    fit(1)
    return (fit(1 + epochs) - fit(1)) / epochs


def frozen(settings):
    """A frozen network with random weights, nothing kept."""
    return BackboneFeatures(
        settings["backbone"],
        weights=None,
        image_size=settings["size"],
        feature_cache=None,
        random_state=0,
    )


def forward(X, y, settings, folder):
    """The frozen network through ``BackboneFeatures``."""
    X = large(X, settings)
    features = frozen(settings).fit(X)
    features.transform(X[:32])
    start = time.perf_counter()
    features.transform(X)
    return {"batches of 16": len(X) / (time.perf_counter() - start)}


def train_densenet(X, y, settings, folder):
    """All of DenseNet121 learns."""
    X, y = large(X, settings), y[: settings["n_images"]]
    speeds = {}
    for batch_size in settings["batches"]:
        classifier = densenet(settings, trainable="all", batch_size=batch_size)
        seconds = seconds_an_epoch(classifier, X, y, settings["epochs"])
        speeds[f"batches of {batch_size}"] = len(X) / seconds
    return speeds


def train_cnn(X, y, settings, folder):
    """The custom CNN with its defaults, and in large batches."""
    speeds = {}
    for batch_size in (16, 256):
        classifier = CNNClassifier(random_state=0, batch_size=batch_size)
        seconds = seconds_an_epoch(classifier, X, y, settings["epochs"])
        speeds[f"batches of {batch_size}"] = len(X) / seconds
    return speeds


def densenet(settings, **parameters):
    """A DenseNet121 with random weights."""
    return DenseNetClassifier(
        weights=None,
        blocks=settings["blocks"],
        image_size=settings["size"],
        random_state=0,
        **parameters,
    )


def fit(X, y, settings, folder):
    """Fit what predicts elsewhere, twice: how far apart are two fits of one seed?"""
    X, y = X[:256], y[:256]
    big = large(X, settings)
    apart = {}
    for name, classifier, pixels in (
        ("CNN, everything learns", CNNClassifier(epochs=5, random_state=0), X),
        ("DenseNet121, its head learns", densenet(settings, trainable="head", epochs=5), big),
        ("DenseNet121, everything learns", densenet(settings, trainable="all", epochs=2), big),
    ):
        first = classifier.fit(pixels, y).predict_proba(pixels)
        joblib.dump((classifier, pixels), Path(folder, f"{name}.joblib"))
        second = clone(classifier).fit(pixels, y).predict_proba(pixels)
        apart[name] = float(np.abs(first - second).max())
    features = frozen(settings).fit(big)
    joblib.dump((features, big[:64]), Path(folder, "features.joblib"))
    return apart


def predict(X, y, settings, folder):
    """Say what the fitted ones make of the same images here."""
    outputs = {}
    for path in sorted(Path(folder).glob("*.joblib")):
        fitted, pixels = joblib.load(path)
        run = getattr(fitted, "predict_proba", None) or fitted.transform
        outputs[path.stem] = run(pixels)
    np.savez(Path(folder, f"{os.environ['PLACE']}.npz"), **outputs)
    return {}


def name(X, y, settings, folder):
    """Nothing but the name of what computes, which is said of each piece of work."""


WORKS = {f.__name__: f for f in (name, forward, train_densenet, train_cnn, fit, predict)}


def device():
    """Name of what computes, and the most memory it has had in use, in MB, if it says so."""
    if os.environ["KERAS_BACKEND"] == "jax":
        import jax

        first = jax.devices()[0]
        peak = (first.memory_stats() or {}).get("peak_bytes_in_use")
        return first.device_kind, peak and peak / 1e6
    import torch

    if not torch.cuda.is_available():
        return "cpu", None
    return torch.cuda.get_device_name(), torch.cuda.max_memory_allocated() / 1e6


def run(work, arguments, folder, environment):
    """Run a piece of work in a process of its own."""
    print(f"{work} {environment} ...", end=" ", flush=True)
    start = time.perf_counter()
    command = [sys.executable, __file__, "--out", arguments.out, "--work", work, folder]
    command += ["--quick"] if arguments.quick else []
    command += ["--data", arguments.data] if arguments.data else []
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}
    )
    if done.returncode:
        raise RuntimeError(f"{work} failed:\n{done.stderr[-3000:]}")
    print(f"{time.perf_counter() - start:.0f} s", flush=True)
    return json.loads(done.stdout.splitlines()[-1])


def agreement(folder):
    """Largest differences from the CPU, and how far the CPU's values reach."""
    with np.load(Path(folder, "CPU.npz")) as file:
        expected = dict(file)
    found = {}
    for place in ("default", "full precision"):
        with np.load(Path(folder, f"{place}.npz")) as file:
            found[place] = {name: float(np.abs(file[name] - expected[name]).max()) for name in file}
    return found | {"largest value": {name: float(e.max()) for name, e in expected.items()}}


def versions():
    """Versions of what computes."""
    found = {"Python": platform.python_version(), "lungestimators": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write(out, found):
    """Write what has been measured so far."""
    path = out / f"results-{found['backend']}.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    markdown(out)


def markdown(out):
    """Write ``results.md`` from the results of every backend."""
    lines = ["# On a GPU", "", "Written by `benchmarks/gpu.py`; the same for each backend.", ""]
    for path in sorted(out.glob("results-*.json")):
        found = json.loads(path.read_text())
        lines += [f"## {found['backend']} on {found['device']}", ""]
        if found["quick"]:
            lines += ["**`--quick`: these figures mean nothing.**", ""]
        lines += [f"`{found['command']}`", ""]
        lines += [
            ", ".join(f"{name} {value}" for name, value in found["versions"].items()) + ".",
            "",
        ]
        lines += ["| work | | | peak memory of the process, MB |", "| --- | --- | --- | --- |"]
        for work, title in ROWS.items():
            if work not in found["speeds"]:
                lines.append(f"| {title} | | not measured | |")
                continue
            peak = found["peak_mb"][work]
            for how, speed in found["speeds"][work].items():
                peak_text = "not told" if peak is None else f"{peak:.0f}"
                lines.append(f"| {title} | {how} | {speed:.0f} | {peak_text} |")
        lines += [
            "",
            "Largest difference from the same fitted model on the CPU, and of two fits:",
            "",
        ]
        lines += agreement_lines(found)
        lines.append("")
    (out / "results.md").write_text("\n".join(lines))


def agreement_lines(found):
    """The table of differences."""
    lines = ["| model | default | full precision | largest value | two fits of one seed |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    agreed, twice = found["agreement"], found["two_fits"]
    for name in agreed["largest value"] if agreed else twice:
        cells = ["not measured"] * 3
        if agreed:
            cells = [f"{agreed[place][name]:.1e}" for place in ("default", "full precision")]
            cells.append(f"{agreed['largest value'][name]:.3g}")
        cells.append(f"{twice[name]:.1e}" if name in twice else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines if len(lines) > 2 else ["Not measured."]


def main(argv=None):
    """Run everything, or one piece of work."""
    arguments = parse(argv)
    settings = QUICK if arguments.quick else FULL
    if arguments.work:
        work, folder = arguments.work
        result = WORKS[work](*images(arguments.data, settings), settings, folder)
        computer, peak = device()
        print(json.dumps({"result": result, "device": computer, "peak_mb": peak}))
        return
    backend = os.environ.get("KERAS_BACKEND")
    if backend not in ("jax", "torch"):
        sys.exit("gpu.py: set KERAS_BACKEND to jax or torch")
    arguments.out.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "benchmarks/gpu.py", *(sys.argv[1:] if argv is None else argv)])
    found = dict(
        backend=backend,
        device=None,
        command=f"KERAS_BACKEND={backend} {command}",
        quick=arguments.quick,
        versions=versions(),
        speeds={},
        peak_mb={},
        two_fits={},
        agreement=None,
    )
    with tempfile.TemporaryDirectory() as folder:
        found["device"] = run("name", arguments, folder, {})["device"]
        if found["device"].lower() == "cpu" and not arguments.quick:
            sys.exit(f"gpu.py: {backend} finds no GPU here; --quick runs without one")
        for work in ROWS:
            done = run(work, arguments, folder, {})
            found["speeds"][work], found["peak_mb"][work] = done["result"], done["peak_mb"]
            write(arguments.out, found)
        found["two_fits"] = run("fit", arguments, folder, {})["result"]
        write(arguments.out, found)
        for place, environment in PLACES.items():
            run("predict", arguments, folder, {**environment, "PLACE": place})
        found["agreement"] = agreement(folder)
        write(arguments.out, found)
    print((arguments.out / "results.md").read_text())


if __name__ == "__main__":
    main()
