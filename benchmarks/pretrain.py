"""Learn the weights that come with the package, from radiographs under open licences.

    python benchmarks/pretrain.py MobileNet-0.25 --images DIR --scored DIR --teachers ...

The same command goes on where a killed run had stopped.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

# Imported before TensorFlow: where Triton is installed, PyTorch's first optimizer imports it, and
# this ends the process if TensorFlow was imported first (TensorFlow 2.21, Triton 3.8).
import torch._dynamo  # isort: split

import keras
import numpy as np
import torch
from pretraining import images, leaks, sources, tasks, teacher, training
from pretraining.devices import default_device
from pretraining.torch_network import TorchNetwork, trained_part
from pretraining.unfinished import check_made_from, report, run_resumable

from lungestimators.networks.architectures import build_application, build_cnn
from lungestimators.networks.chest_weights import save_chest_weights

# By the names of their files: the function of keras.applications and its options, or the CNN's.
NETWORKS = {
    "CNN-32-64-128": ("CNN", {"filters": (32, 64, 128)}),
    "MobileNet-0.25": ("MobileNet", {"alpha": 0.25}),
    "MobileNet-1.0": ("MobileNet", {"alpha": 1.0}),
    "MobileNetV2": ("MobileNetV2", {"alpha": 1.0}),
    "DenseNet121": ("DenseNet121", {}),
}
# Version of the recipe. Raise it where images, tasks or losses change; the page of weights says how
# versions differ.
VERSION = "4"
PIXELS_OF_APPLICATIONS = ", repeated to three channels, times 255, then Keras' preprocess_input"


def parse(argv):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="pretrain.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--images", required=True, help="folder of radiographs, by source")
    parser.add_argument(
        "--teachers",
        nargs="+",
        required=True,
        metavar="NETWORK=WEIGHTS",
        help="networks whose features are learnt, and the file of their ImageNet weights; or "
        "'chest', their weights of the package",
    )
    parser.add_argument(
        "--scored",
        nargs="+",
        default=[],
        help="folders of images that figures are reported for: neither copies of them nor other "
        "images of the same people are learnt from",
    )
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", default="build/pretraining", help="folder of what is unfinished")
    parser.add_argument("--out", default="lungestimators/weights")
    return parser.parse_args(argv)


def main(argv):
    """Run; return the exit status."""
    return run_resumable("pretrain.py", pretrain, parse(argv), argv)


def pretrain(arguments, argv):
    """Train one network and write its weights file; return the exit status."""
    work = Path(arguments.work)
    work.mkdir(parents=True, exist_ok=True)
    side = max(images.SMALLEST_SIDE, round(images.SIDE_OF_KEPT * arguments.image_size))
    shown = dict(version=VERSION, images=arguments.images, scored=arguments.scored, side=side)
    pixels, rows = prepare_images(arguments, work / "images.npz", shown)
    report(f"{len(rows):,} images")
    shown["seed"] = arguments.seed
    targets = []
    for title, weights in read_teachers(arguments.teachers):
        file = work / f"teacher-{title}.npy"
        name, options = NETWORKS[title]
        taught = teacher.read_teacher(name, options, weights)
        check_made_from(file, shown | dict(weights=weights, sha256=taught.sha256))
        targets.append(teacher.compute_targets(taught, pixels, arguments.seed, file, report))
    targets = np.concatenate(targets, axis=2)
    pixels = images.shrink(pixels, round(images.SIDE_OF_KEPT * arguments.image_size))
    found = tasks.list_tasks(rows)
    name, options = NETWORKS[arguments.network]
    keras.utils.set_random_seed(arguments.seed)
    torch.manual_seed(arguments.seed)
    network = build_network(name, arguments.image_size, options)
    student = training.Student(
        TorchNetwork(network), network.output_shape[-1], found, targets.shape[-1]
    )
    # The CNN's vector is longer for larger images.
    first_size = arguments.image_size * 3 // 4 if name != "CNN" else arguments.image_size
    settings = training.Settings(
        arguments.image_size, first_size, arguments.epochs, arguments.batch_size
    )
    state = work / f"{arguments.network}.state"
    shown |= dict(teachers=arguments.teachers, device=default_device().type)
    check_made_from(state, shown | settings._asdict())
    training.train(student, pixels, found, targets, settings, arguments.seed, state, report)
    student.backbone.write_back()
    card = dict(
        version=VERSION,
        image_size=str(arguments.image_size),
        pixels="grey in 0..1" + ("" if name == "CNN" else PIXELS_OF_APPLICATIONS),
        sources=json.dumps(sources.credit(rows), ensure_ascii=False),
        command=shlex.join(["python", "benchmarks/pretrain.py", *argv]),
    )
    file = Path(arguments.out) / f"{arguments.network}.safetensors"
    file.parent.mkdir(exist_ok=True)
    save_chest_weights(file, trained_part(network), name, options, card)
    report(f"written: {file}")
    return 0


def read_teachers(items):
    """Return name and weights of each teacher; an item is NETWORK=FILE or NETWORK=chest."""
    teachers = [tuple(item.split("=", 1)) for item in items]
    if any(len(teacher) != 2 or teacher[0] not in NETWORKS for teacher in teachers):
        raise ValueError(
            f"--teachers {' '.join(items)}: write NETWORK=FILE or NETWORK=chest, of "
            f"{', '.join(NETWORKS)}"
        )
    return teachers


def build_network(name, image_size, options):
    """Build a network for grey images with random weights.

    The custom CNN ends with means over the quarters of its last map: every place on its own would
    be 8192 numbers, of which the heads learn by heart.
    """
    if name != "CNN":
        return build_application(name, image_size, 1, None, options)
    network = build_cnn(image_size, 1, None, **options)
    last = network.layers[-2].output
    quarters = keras.layers.AveragePooling2D(last.shape[1] // 2, name="quarters")(last)
    return keras.Model(network.inputs, keras.layers.Flatten(name="flatten")(quarters))


def prepare_images(arguments, file, described):
    """Return the pixels and rows of all images to learn from; they are kept in ``file``."""
    check_made_from(file, described)
    if file.exists():
        kept = np.load(file)
        return kept["pixels"], json.loads(str(kept["rows"]))
    rows = images.list_radiographs(arguments.images)
    report(f"{len(rows):,} radiographs")
    scored = leaks.people_of_scored_images(rows, arguments.scored)
    report(f"{scored.sum():,} of them show an image or a person of a scored set: left out")
    rows = [row for row, is_scored in zip(rows, scored, strict=True) if not is_scored]
    real = images.read_grey_squares([row["path"] for row in rows], described["side"])
    report("radiographs read")
    synthetic = images.draw_synthetic_radiographs(described["side"])
    pixels = np.concatenate([real, synthetic.pixels])
    rows = [*rows, *synthetic.rows]
    part = file.with_suffix(".part.npz")
    np.savez(part, pixels=pixels, rows=json.dumps(rows))
    part.replace(file)
    return pixels, rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
