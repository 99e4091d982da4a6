"""Write docs/weights.md: what the weights of the package know, beside ImageNet's and random ones.

    python benchmarks/weights.py --data DIR [--imagenet NETWORK=FILE ...] [--sources DIR]

Every figure is of a logistic regression on frozen features, in stratified cross-validation.
"""

import argparse
import functools
import json
import shlex
import sys
import textwrap
from pathlib import Path

import numpy as np
import safetensors
from comparison.report import markdown_table
from pretraining.images import SOURCES, list_radiographs, read_grey_squares
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lungestimators import BackboneFeatures, CNNClassifier, make_chest_xrays
from lungestimators.comparison.statistics import wilson_interval
from lungestimators.datasets import load_image_folder
from lungestimators.images.reading import resize_image
from lungestimators.networks.blueprints import initial_backbone_blueprint
from lungestimators.networks.chest_weights import FOLDER

PAGE = Path(__file__).resolve().parents[1] / "docs" / "weights.md"
RESULTS = Path(__file__).parent / "results" / "weights" / "results.json"
CARD = Path(__file__).parent / "pretraining" / "card.md"
N_FOLDS, SEEDS = 5, (0, 1, 2)
N_SYNTHETIC = 300
N_OF_SOURCE = 200  # images of each source, where the source is to be told
_BORDER = 1 / 8  # of the side, on each of the four sides
# Centre and half axes of the two lungs, as shares of the side, a little larger than most lungs.
_LUNGS = (((0.29, 0.45), (0.19, 0.36)), ((0.71, 0.45), (0.19, 0.36)))


def parse(argv):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="weights.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of radiographs: a folder a class")
    parser.add_argument(
        "--imagenet",
        nargs="*",
        default=[],
        metavar="NETWORK=FILE",
        help="ImageNet weights, such as MobileNet-0.25=mobilenet_2_5_224_tf_no_top.h5",
    )
    parser.add_argument(
        "--sources", help="folder of the radiographs that the weights were learnt from"
    )
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--out", type=Path, default=PAGE)
    return parser.parse_args(argv)


def probe(features, y, seeds=SEEDS):
    """Return the balanced accuracy of a logistic regression on features, mean over the seeds."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    scores = []
    for seed in seeds:
        folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
        scores.append(balanced_accuracy_score(y, cross_val_predict(model, features, y, cv=folds)))
    return float(np.mean(scores))


def border_alone(images):
    """Return images of which only the outer eighth on each side is left."""
    side = images.shape[1]
    width = round(_BORDER * side)
    out = images.copy()
    out[:, width:-width, width:-width] = 0
    return out


def without_lungs(images):
    """Return images with two black ellipses over the lungs."""
    side = images.shape[1]
    place = (np.arange(side) + 0.5) / side
    out = images.copy()
    for (x, y), (half_width, half_height) in _LUNGS:
        inside = ((place[None, :] - x) / half_width) ** 2 + (
            (place[:, None] - y) / half_height
        ) ** 2
        out[:, inside <= 1] = 0
    return out


VIEWS = {
    "whole image": np.copy,
    "border alone": border_alone,
    "lungs blacked out": without_lungs,
}
# Networks of which the package may have weights, by the names of their files; the custom CNN is no
# BackboneFeatures.
CNN = "CNN-32-64-128"
BACKBONES = {
    "MobileNet-0.25": dict(backbone="MobileNet", alpha=0.25),
    "MobileNet-1.0": dict(backbone="MobileNet", alpha=1.0),
    "DenseNet121": dict(backbone="DenseNet121"),
}


def list_networks(image_size, imagenet):
    """Return the networks to probe, as functions of images to features, by their titles.

    Parameters
    ----------
    image_size : int
        Of all but the custom CNN, which sees 64 pixels.
    imagenet : dict of str to path
        Files of ImageNet weights by network.
    """
    found = {}
    for network in (file.stem for file in sorted(FOLDER.glob("*.safetensors"))):
        kinds = {"chest": "chest", "ImageNet": imagenet.get(network), "random": None}
        for kind, weights in kinds.items():
            if kind == "ImageNet" and weights is None:
                continue
            if network == CNN:
                found[f"{network}, {kind}"] = functools.partial(cnn_features, weights)
            else:
                found[f"{network}, {kind}"] = BackboneFeatures(
                    **BACKBONES[network],
                    weights=weights,
                    image_size=image_size,
                    feature_cache=None,
                    random_state=0,
                ).fit_transform
    return found


def cnn_features(weights, X):
    """Return what the convolutions of the custom CNN make of images."""
    parameters = CNNClassifier().get_params()
    size, options = parameters["image_size"], (("filters", parameters["filters"]),)
    network = initial_backbone_blueprint("CNN", options, size, 1, weights, 0)
    images = np.stack([resize_image(x[..., None].astype(np.float32), size) for x in X])
    return network.run(images / np.float32(255))


def list_problems(arguments):
    """Return images and labels of each problem, by its title."""
    side = arguments.image_size
    folder = load_image_folder(arguments.data)
    real = read_grey_squares(folder.data, side)
    problems = {
        f"{Path(arguments.data).parent.name}, {view}": (change(real), folder.target)
        for view, change in VIEWS.items()
    }
    problems["synthetic"] = make_chest_xrays(N_SYNTHETIC, image_size=side, random_state=0)
    if arguments.sources:
        paths, sources = sample_of_sources(arguments.sources)
        problems["which collection"] = (read_grey_squares(paths, side), sources)
    return problems


def sample_of_sources(folder):
    """Return paths and sources of some images of each source, drawn at random."""
    rows = list_radiographs(folder)
    random = np.random.default_rng(0)
    paths, sources = [], []
    for source in SOURCES:
        found = [row["path"] for row in rows if row["source"] == source]
        paths += random.choice(found, min(N_OF_SOURCE, len(found)), replace=False).tolist()
        sources += [source] * (len(paths) - len(sources))
    return paths, np.array(sources)


def main(argv):
    """Run; return the exit status."""
    arguments = parse(argv)
    imagenet = dict(item.split("=", 1) for item in arguments.imagenet)
    problems = list_problems(arguments)
    lines, rows = [["network, weights", *problems]], []
    for title, extract in list_networks(arguments.image_size, imagenet).items():
        cells = [title]
        for problem, (X, y) in problems.items():
            score = probe(extract(X), y)
            rows.append(dict(network=title, problem=problem, n=len(y), balanced_accuracy=score))
            low, high = wilson_interval(score, len(y))
            cells.append(f"{score:.3f} ({low:.3f} to {high:.3f})")
        lines.append(cells)
        print("  ".join(cells), flush=True)
    command = shlex.join(["python", "benchmarks/weights.py", *argv])
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(dict(command=command, rows=rows), indent=1), encoding="utf-8")
    arguments.out.write_text(page(lines, command), encoding="utf-8")
    return 0


def page(lines, command):
    """Return the page: the model card, the files, the table, and the credit of the sources."""
    files = sorted(FOLDER.glob("*.safetensors"))
    cards = {file.stem: read_card(file) for file in files}
    described = [["file", "version", "megabytes", "image size", "images", "SHA-256"]]
    for file in files:
        card = cards[file.stem]
        n_images = sum(source["n_images"] for source in json.loads(card["sources"]))
        described.append(
            [
                file.name,
                card["version"],
                f"{file.stat().st_size / 1e6:.1f}",
                card["image_size"],
                f"{n_images:,}",
                f"`{card['sha256'][:16]}…`",
            ]
        )
    text = CARD.read_text(encoding="utf-8")
    return text.format(
        files=markdown_table(described),
        table=markdown_table(lines),
        commands="\n".join(wrap_command(card["command"]) for card in cards.values()),
        sources="\n".join(
            textwrap.fill(text, 100, subsequent_indent="  ") for text in credit_sources(cards)
        ),
        command=wrap_command(command),
    )


def credit_sources(cards):
    """Return a paragraph on each source of images, with the number that each version learnt from.

    Parameters
    ----------
    cards : dict of str to dict
        Metadata of each weights file.
    """
    counts = {}
    for card in cards.values():
        for source in json.loads(card["sources"]):
            found = counts.setdefault(source["title"], (source, {}))[1]
            found.setdefault(source["n_images"], set()).add(card["version"])
    return [
        f"- **{source['title']}**: {_count_by_version(found)}. Licence: {source['licence']}. "
        f"Attribution: {source['attribution']}. Changes: {source['changes']}."
        for source, found in counts.values()
    ]


def _count_by_version(found):
    """Say how many images there are, by version where versions differ."""
    if len(found) == 1:
        return f"{next(iter(found)):,} images"
    return ", ".join(
        f"{n_images:,} images (version{'s' * (len(versions) > 1)} {' and '.join(sorted(versions))})"
        for n_images, versions in found.items()
    )


def wrap_command(command):
    """Return a command on lines that fit into the page."""
    lines = textwrap.wrap(
        command, 96, subsequent_indent="    ", break_on_hyphens=False, break_long_words=False
    )
    return " \\\n".join(lines)


def read_card(file):
    """Return the metadata of a weights file."""
    with safetensors.safe_open(file, framework="numpy") as opened:
        return opened.metadata()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
