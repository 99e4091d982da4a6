"""Learn the weights of the network that finds lungs, from drawn outlines and real radiographs.

    python benchmarks/pretrain_lungs.py --images DIR --scored DIR

No outline by a person is learnt from. The same command goes on where a killed run had stopped.
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
from pretraining import images, leaks, lung_images, lung_training, other_pictures, sources
from pretraining.devices import default_device
from pretraining.torch_network import TorchNetwork
from pretraining.unfinished import check_made_from, report, run_resumable

from lungestimators.networks.chest_weights import save_chest_weights
from lungestimators.networks.lung_network import IMAGE_SIZE, WEIGHTS, build_lung_network

# Version of the recipe. Raise it where images or losses change.
VERSION = "2"
# The network sees squares of IMAGE_SIZE pixels; a view that is enlarged loses no detail.
SIDE = 192
N_OTHERS = 2100


def parse(argv):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="pretrain_lungs.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", required=True, help="folder of radiographs, by source")
    parser.add_argument(
        "--scored",
        nargs="+",
        default=[],
        help="folders of images that figures are reported for: neither copies of them nor other "
        "images of the same people are learnt from",
    )
    parser.add_argument("--epochs", type=int, default=30, help="of 100 steps each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", default="build/lungs", help="folder of what is unfinished")
    parser.add_argument("--out", default=f"lungestimators/weights/lungs/{WEIGHTS.name}")
    return parser.parse_args(argv)


def main(argv):
    """Run; return the exit status."""
    return run_resumable("pretrain_lungs.py", pretrain, parse(argv), argv)


def pretrain(arguments, argv):
    """Train the network and write its weights file; return the exit status."""
    work = Path(arguments.work)
    work.mkdir(parents=True, exist_ok=True)
    shown = dict(
        version=VERSION, images=arguments.images, scored=arguments.scored, seed=arguments.seed
    )
    pictures, rows = prepare_images(arguments, work / "images.npz", shown)
    keras.utils.set_random_seed(arguments.seed)
    torch.manual_seed(arguments.seed)
    network = build_lung_network()
    settings = lung_training.Settings(arguments.epochs)
    state = work / "LungNetwork.state"
    check_made_from(state, shown | settings._asdict() | dict(device=default_device().type))
    student, teacher = TorchNetwork(network), TorchNetwork(network)
    lung_training.train(student, teacher, pictures, settings, arguments.seed, state, report)
    teacher.write_back()
    card = dict(
        version=VERSION,
        image_size=str(IMAGE_SIZE),
        pixels="grey in 0..1",
        sources=json.dumps(sources.credit(rows), ensure_ascii=False),
        command=shlex.join(["python", "benchmarks/pretrain_lungs.py", *argv]),
    )
    file = Path(arguments.out)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_chest_weights(file, network, "LungNetwork", {}, card)
    report(f"written: {file}")
    return 0


def prepare_images(arguments, file, described):
    """Return the images to learn from, and a row for each radiograph; they are kept in a file."""
    check_made_from(file, described)
    if not file.exists():
        rows = images.list_radiographs(arguments.images)
        report(f"{len(rows):,} radiographs")
        scored = leaks.people_of_scored_images(rows, arguments.scored)
        report(f"{scored.sum():,} of them show an image or a person of a scored set: left out")
        rows = [row for row, is_scored in zip(rows, scored, strict=True) if not is_scored]
        real = images.read_grey_squares([row["path"] for row in rows], SIDE)
        report("radiographs read")
        synthetic, masks = lung_images.draw_lungs(SIDE, arguments.seed)
        report(f"{len(synthetic):,} radiographs drawn, with the outlines of their lungs")
        others = other_pictures.draw_other_pictures(N_OTHERS, SIDE, arguments.seed)
        report(f"{len(others):,} other pictures drawn")
        rows += [dict(source="synthetic")] * len(synthetic)
        part = file.with_suffix(".part.npz")
        np.savez(
            part, synthetic=synthetic, masks=masks, real=real, others=others, rows=json.dumps(rows)
        )
        part.replace(file)
    with np.load(file) as kept:
        pictures = lung_training.Images(*(kept[name] for name in lung_training.Images._fields))
        return pictures, json.loads(str(kept["rows"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
