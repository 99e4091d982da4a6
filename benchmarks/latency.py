"""One image, many images, and the first image of a new process.

python benchmarks/latency.py           about ten minutes on two cores
python benchmarks/latency.py --quick   only tries that everything runs: small networks, few images

Nothing else should run meanwhile. The images are synthetic: what is in them changes no time.
"""

import argparse
import importlib.metadata
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from lungestimators import (
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
    load,
    make_chest_xrays,
)
from lungestimators.backends import compiled
from lungestimators.backends.forward import PaddedForward
from lungestimators.backends.tensorflow_forward import compile_for_shape

RESULTS = Path(__file__).parent / "results" / "latency"
SIZES = 1, 2, 4, 8, 16
RUNTIMES = "keras", "onnxruntime"
# Calls of each contender, one after another in turn; the median counts.
CALLS = 15
# scikit-learn imports pandas where it is installed, which no installation of the library asks for.
FIRST_ANSWER = """
import sys
sys.modules["pandas"] = None
from lungestimators import load
print(load(sys.argv[1], runtime=sys.argv[2]).predict_proba([sys.argv[3]]), flush=True)
"""


def classifiers_to_time(quick):
    """Return the classifiers by the names of the table, not fitted, and the size of images."""
    if quick:
        small = {"image_size": 32, "epochs": 1, "random_state": 0}
        return 32, {
            "CNN": CNNClassifier(**small),
            "MobileNet 0.25": MobileNetClassifier(alpha=0.25, **small),
            "DenseNet": DenseNetClassifier(weights=None, blocks=(1, 1, 1, 1), **small),
        }
    large = {"image_size": 224, "epochs": 1, "random_state": 0}
    return 224, {
        "CNN": CNNClassifier(**large | {"image_size": 64}),
        "MobileNet 0.25": MobileNetClassifier(alpha=0.25, **large),
        "DenseNet121": DenseNetClassifier(**large),
    }


def median_ms(contenders, calls=CALLS):
    """Call functions in turn; return the median of the milliseconds of each, by name."""
    taken = {name: [] for name in contenders}
    for _ in range(calls):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            taken[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(some) for name, some in taken.items()}


def bare_function(clf, n_rows):
    """Return the classifier's network as one function of TensorFlow for a size of batch."""
    model = clf.model_
    shape = (n_rows, *model.input_shape[1:])
    call = tf.function(
        lambda pixels: model(pixels, training=False),
        input_signature=[tf.TensorSpec(shape)],
        autograph=False,
    ).get_concrete_function()
    return lambda pixels: call(tf.constant(pixels)).numpy()


def time_one_image(clf, path, X):
    """Return the milliseconds of one warm image: bare network, Keras and ONNX Runtime."""
    bare = bare_function(clf, 1)
    pixels = X[:1, ..., None].astype(np.float32)
    calls = {"bare": lambda: bare(pixels)}
    for runtime in RUNTIMES:
        loaded = load(path, runtime=runtime)
        calls[runtime] = lambda loaded=loaded: loaded.predict_proba(X[:1])
    for call in calls.values():
        for _ in range(3):  # the second call tries sizes of batches
            call()
    # Not in turn with the others: its threads are another pool.
    onnx = median_ms({"onnxruntime": calls.pop("onnxruntime")})
    return median_ms(calls) | onnx


def time_sizes(clf, X):
    """Return the images a second of the bare network for each size of batch."""
    pixels = X[:64, ..., None].astype(np.float32)
    contenders = {}
    for size in SIZES:
        bare = bare_function(clf, size)
        batches = [pixels[start : start + size] for start in range(0, len(pixels), size)]
        contenders[size] = lambda bare=bare, batches=batches: [bare(batch) for batch in batches]
        contenders[size]()
    return {size: 1000 * len(pixels) / ms for size, ms in median_ms(contenders, 5).items()}


def time_many_images(clf, X):
    """Return seconds of many images: as they run now, in padded batches of 16, by model.predict.

    The first two are the passes through the backbone alone.
    """
    backbone = clf._networks[0].parts.backbone.build()
    pixels = X[..., None].astype(np.float32) / 255
    size = backbone.input_shape[1]
    if size != X.shape[1]:
        pixels = np.asarray(tf.image.resize(pixels, (size, size)))
    shape = (16, *backbone.input_shape[1:])
    function = compile_for_shape(lambda batch: backbone(batch, training=False), shape)
    padded = PaddedForward(function, 16)
    chunks = [pixels[start : start + 16] for start in range(0, len(pixels), 16)]
    model, rows = clf.model_, X[..., None].astype(np.float32)
    contenders = {
        "now": lambda: [compiled.forward_by_backend(backbone, chunk) for chunk in chunks],
        "padded": lambda: [padded(chunk) for chunk in chunks],
        "predict_proba": lambda: clf.predict_proba(X),
        "model.predict": lambda: model.predict(rows, batch_size=16, verbose=0),
    }
    for call in (lambda x: compiled.forward_by_backend(backbone, x), padded):
        call(chunks[0])  # compiles it
    model.predict(rows[:16], batch_size=16, verbose=0)
    return {name: ms / 1000 for name, ms in median_ms(contenders, 3).items()}


def time_first_answer(path, image, runtime, runs):
    """Return the median of the seconds from the start of a process to its first answer."""
    taken = []
    for _ in range(runs):
        command = [sys.executable, "-W", "ignore", "-c", FIRST_ANSWER, path, runtime, image]
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            if not process.stdout.readline():
                raise RuntimeError("a process gave no answer")
            taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def measure(quick):
    """Return what was measured as lines of Markdown."""
    image_size, classifiers = classifiers_to_time(quick)
    n_images = 24 if quick else 1000
    X, y = make_chest_xrays(64, image_size=image_size, random_state=0)
    new, _ = make_chest_xrays(1, image_size=image_size, random_state=1)
    many = np.resize(X, (n_images, *X.shape[1:]))
    many[:, 0, :2] = np.stack(np.divmod(np.arange(n_images), 256), axis=1)  # all different
    one, sizes, thousand, first = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "image.png")
        Image.fromarray(X[0]).save(image)
        for name, clf in classifiers.items():
            clf.set_params(feature_cache=None).fit(X, y)
            path = os.path.join(folder, "model.lung")
            clf.save(path)
            ms = time_one_image(clf, path, new)
            one.append(
                f"| {name} | {ms['bare']:.1f} | {ms['keras']:.1f} | {ms['keras'] / ms['bare']:.2f} "
                f"| {ms['keras'] - ms['bare']:+.1f} | {ms['onnxruntime']:.1f} |"
            )
            rates = " | ".join(f"{rate:.1f}" for rate in time_sizes(clf, X).values())
            sizes.append(f"| {name} | {rates} |")
            s = time_many_images(clf, many)
            thousand.append(
                f"| {name} | {s['now']:.2f} | {s['padded']:.2f} | {s['padded'] / s['now']:.2f} "
                f"| {s['predict_proba']:.2f} | {s['model.predict']:.2f} "
                f"| {s['model.predict'] / s['predict_proba']:.2f} |"
            )
            seconds = [
                time_first_answer(path, image, runtime, 1 if quick else 5) for runtime in RUNTIMES
            ]
            first.append(f"| {name} | " + " | ".join(f"{s:.2f}" for s in seconds) + " |")
            print(one[-1], sizes[-1], thousand[-1], first[-1], sep="\n", flush=True)
    return [
        "# Latency",
        "",
        f"One image of {image_size} px, warm, in milliseconds: `predict_proba` of a classifier "
        "loaded from a file, and the bare network, `model_`, as one compiled function of "
        "TensorFlow for one image. The CNN resizes it to 64 px.",
        "",
        "| network | bare | predict_proba | ratio | difference | ONNX Runtime |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *one,
        "",
        "The bare network at each size of batch, in images a second.",
        "",
        f"| network | {' | '.join(map(str, SIZES))} |",
        "| --- |" + " ---: |" * len(SIZES),
        *sizes,
        "",
        f"{n_images:,} images whose features are not known, in seconds: the backbone as it runs "
        "and in padded batches of 16, and `predict_proba` beside Keras' `model_.predict` with "
        "batches of 16.",
        "",
        "| network | backbone | padded to 16 | ratio | predict_proba | model_.predict | ratio |",
        "| --- |" + " ---: |" * 6,
        *thousand,
        "",
        "From the start of a new process to its first answer, on a PNG file, in seconds. pandas is "
        "hidden: scikit-learn imports it where it is installed, in 0.3 s.",
        "",
        "| network | Keras | ONNX Runtime |",
        "| --- | ---: | ---: |",
        *first,
    ]


def main(argv):
    """Measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only try that everything runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the tables")
    arguments = parser.parse_args(argv)
    if arguments.quick and arguments.results == RESULTS:
        parser.error("--quick measures nothing: it needs --results")
    tf.config.set_visible_devices([], "GPU")
    warnings.simplefilter("ignore")  # of the size of images
    lines = measure(arguments.quick)
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("tensorflow", "keras", "onnxruntime", "scikit-learn")
    )
    command = shlex.join(["python", "benchmarks/latency.py", *argv])
    lines += [
        "",
        f"Synthetic images; {os.cpu_count()} cores, {platform.machine()}, no GPU used; {versions}. "
        f"Medians of {CALLS} calls, of 5 or 3 for many images, of 5 processes.",
        "",
        "```",
        command,
        "```",
    ]
    print("\n".join(lines))
    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "latency.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
