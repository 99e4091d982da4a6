"""The largest difference between predict_proba and the same network in other runtimes.

python benchmarks/parity.py lung-disease/train    100 images of the folder; a few minutes

Each classifier learns from the other images of the folder, for a few epochs.
"""

import argparse
import importlib.metadata
import shlex
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

from lungestimators import (
    BackboneClassifier,
    CNNClassifier,
    DenseNetClassifier,
    ImageReader,
    MobileNetClassifier,
    load,
    load_image_folder,
)

RESULTS = Path(__file__).parent / "results" / "parity"
N_IMAGES = 100
CLASSIFIERS = {
    "CNN": CNNClassifier(epochs=5, random_state=0),
    "MobileNet": MobileNetClassifier(epochs=5, random_state=0),
    "DenseNet121": DenseNetClassifier(epochs=5, random_state=0),
    "MobileNetV3Small, random weights": BackboneClassifier(
        "MobileNetV3Small", weights=None, trainable="head", epochs=5, random_state=0
    ),
}
PACKAGES = "tensorflow", "keras", "onnxruntime", "ai-edge-litert", "openvino"


def run_onnx(path, pixels):
    """Return the probabilities of an export to ONNX."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"pixels": pixels})[0]


def run_litert(path, pixels):
    """Return the probabilities of an export to LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(path).get_signature_runner()(pixels=pixels)["probabilities"]


def run_openvino(path, pixels):
    """Return the probabilities of an export to OpenVINO, computed in float32."""
    import openvino

    precision = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(path, "CPU", precision)({"pixels": pixels})[0]


def run_saved_model(path, pixels):
    """Return the probabilities of an export to a SavedModel."""
    import tensorflow as tf

    network = tf.saved_model.load(path)  # its variables live as long as it does
    return network.serve(pixels)["probabilities"].numpy()


EXPORTS = {
    "ONNX": ("network.onnx", run_onnx),
    "LiteRT": ("network.tflite", run_litert),
    "OpenVINO, float32": ("network.xml", run_openvino),
    "SavedModel": ("network", run_saved_model),
}


def differences_of(clf, paths):
    """Return the largest difference from ``predict_proba`` in each runtime, in order."""
    expected = clf.predict_proba(paths)
    pixels = ImageReader(image_size=clf.image_size, channels=3).transform(paths)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder, "model.lung"))
        clf.save(model)
        found.append(load(model, runtime="onnxruntime").predict_proba(paths))
        for name, run in EXPORTS.values():
            path = str(Path(folder, name))
            clf.export(path)
            found.append(run(path, pixels))
    return [float(np.abs(each - expected).max()) for each in found]


def main(argv):
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", help="a folder of images, one folder for each class in it")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table")
    arguments = parser.parse_args(argv)
    warnings.simplefilter("ignore")  # of training images, which are not the ones predicted
    images = load_image_folder(arguments.images)
    rows = np.random.default_rng(0).permutation(len(images.data))
    paths, labels = np.asarray(images.data, object), np.asarray(images.target)
    lines = [f"| classifier | load, runtime onnxruntime | {' | '.join(EXPORTS)} |"]
    lines.append("| --- |" + " ---: |" * (1 + len(EXPORTS)))
    for name, clf in CLASSIFIERS.items():
        learnt, new = rows[N_IMAGES:], rows[:N_IMAGES]
        clf.fit(paths[learnt].tolist(), labels[learnt])
        found = differences_of(clf, paths[new].tolist())
        lines.append(f"| {name} | {' | '.join(f'{each:.0e}' for each in found)} |")
        print(lines[-1], flush=True)
    versions = ", ".join(f"{each} {importlib.metadata.version(each)}" for each in PACKAGES)
    command = shlex.join(["python", "benchmarks/parity.py", *argv])
    text = "\n".join(
        [
            "# Other runtimes",
            "",
            f"The largest difference from `predict_proba` on {N_IMAGES} images that were not "
            "learnt from; at most 1e-05 is asked.",
            "",
            *lines,
            "",
            f"{versions}.",
            "",
            "```",
            command,
            "```",
        ]
    )
    print(text)
    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "results.md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
