"""Compare the classifiers on a folder of images, beside the accuracy that was published for them.

    python benchmarks/compare.py --data DIR
    python benchmarks/compare.py --data FILE.npz --models CNN

DIR holds a folder of images a class, or train/ and test/ that do; FILE.npz is a MedMNIST file
(trained on train, scored on val). Without a given split, every figure is a mean over stratified
cross-validation.
"""

import argparse
import ast
import json
import platform
import shlex
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from lungestimators import (
    BackboneClassifier,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
    load_image_folder,
)

MODELS = {
    "CNN": CNNClassifier,
    "MobileNet": MobileNetClassifier,
    "DenseNet": DenseNetClassifier,
    "MobileNetV2": lambda **parameters: BackboneClassifier("MobileNetV2", **parameters),
}
DEFAULT_MODELS = ["CNN", "MobileNet", "DenseNet"]
# On 66 test images; they were at chance because shuffled predictions were compared with labels in
# file order, among other reasons.
PUBLISHED = {"CNN": 0.4848, "MobileNet": 0.2727, "DenseNet": 0.2879}
QUICK = dict(image_size=32, epochs=2)
QUICK_IMAGES_PER_CLASS = 12


class InputError(Exception):
    """One line that says what is wrong with the arguments or the data."""


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of images, or a MedMNIST .npz file")
    parser.add_argument(
        "--models", nargs="+", default=DEFAULT_MODELS, choices=list(MODELS), metavar="MODEL"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="MODEL.PARAMETER=VALUE",
        help="change a parameter of one model, such as MobileNet.alpha=0.25; may be repeated",
    )
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=1, help="each with the next seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for results.json and results.md")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="only try that everything runs: few and small images, two epochs, random weights",
    )
    return parser.parse_args(argv)


def load(path, quick):
    """Return X, y, class names and the given split (training rows, test rows) or None."""
    if path is None:
        raise InputError(
            "--data is needed: a folder with one sub-folder of images a class, or a MedMNIST .npz"
        )
    path = Path(path)
    try:
        if path.suffix == ".npz":
            X, y, names, split = _load_npz(path)
        else:
            lungs = load_image_folder(path)
            X, y, names, split = lungs.data, lungs.target, lungs.target_names, None
            if lungs.split is not None and "test" in lungs.split:
                split = (
                    np.flatnonzero(lungs.split == "train"),
                    np.flatnonzero(lungs.split == "test"),
                )
    except (OSError, ValueError) as error:
        raise InputError(str(error)) from error
    if quick:
        rows = np.concatenate(
            [np.flatnonzero(y == c)[:QUICK_IMAGES_PER_CLASS] for c in np.unique(y)]
        )
        X, y, split = X[rows], y[rows], None
    return X, y, names, split


def _load_npz(path):
    with np.load(path) as arrays:
        needed = ("train_images", "train_labels", "val_images", "val_labels")
        missing = [name for name in needed if name not in arrays]
        if missing:
            raise InputError(f"{path.name} lacks {missing}: it is no MedMNIST file")
        train, train_y, val, val_y = (arrays[name] for name in needed)
    y = np.concatenate([train_y, val_y]).ravel().astype(int)
    split = np.arange(len(train)), np.arange(len(train), len(y))
    return np.concatenate([train, val]), y, [str(c) for c in np.unique(y)], split


def build(name, settings, quick, seed):
    parameters = dict(random_state=seed)
    if quick:
        parameters |= QUICK
        if name != "CNN":
            parameters |= dict(weights=None, trainable="head")
    try:
        return MODELS[name](**(parameters | settings))
    except TypeError as error:
        raise InputError(f"--set {name}: {error}") from error


def read_settings(items):
    """MODEL.PARAMETER=VALUE -> {model: {parameter: value}}."""
    settings = {name: {} for name in MODELS}
    for item in items:
        key, equals, value = item.partition("=")
        model, dot, parameter = key.partition(".")
        if not (equals and dot) or model not in MODELS:
            raise InputError(
                f"--set {item}: write MODEL.PARAMETER=VALUE, with one of {list(MODELS)}"
            )
        try:
            settings[model][parameter] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            settings[model][parameter] = value
    return settings


def splits_of(y, split, folds, seed):
    if split is not None:
        return [split]
    return list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(y, y))


def evaluate(name, settings, X, y, split, arguments):
    """Fit and score one model over all folds and repeats; return a row of the table."""
    scores = []
    n_fits = arguments.repeats * len(splits_of(y, split, arguments.folds, 0))
    began = time.perf_counter()
    for repeat in range(arguments.repeats):
        seed = arguments.seed + repeat
        for train, test in splits_of(y, split, arguments.folds, seed):
            model = build(name, settings, arguments.quick, seed)
            start = time.perf_counter()
            model.fit(X[train], y[train])
            fitted = time.perf_counter()
            probabilities = model.predict_proba(X[test])
            scores.append(
                dict(
                    seed=seed,
                    n_test=len(test),
                    accuracy=float((probabilities.argmax(axis=1) == y[test]).mean()),
                    auc=auc(y[test], probabilities),
                    fit_seconds=fitted - start,
                    predict_seconds=time.perf_counter() - fitted,
                )
            )
            left = (time.perf_counter() - began) / len(scores) * (n_fits - len(scores))
            print(
                f"  {name}: fit {len(scores)} of {n_fits}, accuracy {scores[-1]['accuracy']:.3f}, "
                f"{fitted - start:.0f} s; about {left:.0f} s left",
                flush=True,
            )
    accuracy = np.array([score["accuracy"] for score in scores])
    n_test = scores[0]["n_test"]
    low, high = interval(accuracy, n_test, len(y), split)
    return dict(
        model=name,
        parameters={k: str(v) for k, v in model.get_params().items()},
        accuracy=accuracy.mean(),
        interval=[low, high],
        by_seed=[
            float(np.mean([s["accuracy"] for s in scores if s["seed"] == seed]))
            for seed in dict.fromkeys(s["seed"] for s in scores)
        ],
        auc=float(np.mean([score["auc"] for score in scores])),
        fit_seconds=float(np.mean([score["fit_seconds"] for score in scores])),
        published=PUBLISHED.get(name),
        scores=scores,
    )


def auc(y, probabilities):
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(y, probabilities[:, 1]))
    return float(roc_auc_score(y, probabilities, multi_class="ovr"))


def interval(accuracy, n_test, n_images, split):
    """95 % interval of the accuracy.

    One split: Wilson's, on the mean over seeds. Cross-validation: Student's t with the variance
    corrected for folds that share training images (Nadeau and Bengio, 2003).
    """
    if split is not None:
        right = round(float(accuracy.mean()) * n_test)
        wilson = stats.binomtest(right, n_test).proportion_ci(method="wilson")
        return float(wilson.low), float(wilson.high)
    n = len(accuracy)
    variance = accuracy.var(ddof=1) * (1 / n + n_test / (n_images - n_test))
    half = stats.t.ppf(0.975, n - 1) * np.sqrt(variance)
    return max(0.0, float(accuracy.mean() - half)), min(1.0, float(accuracy.mean() + half))


def table(rows):
    """Markdown, which reads well in a terminal too."""
    header = ["model", "accuracy", "95 % interval", "AUC", "seconds a fit", "published accuracy"]
    lines = [header]
    for row in rows:
        low, high = row["interval"]
        published = "" if row["published"] is None else f"{row['published']:.4f}"
        lines.append(
            [
                row["model"],
                f"{row['accuracy']:.4f}",
                f"{low:.3f} to {high:.3f}",
                f"{row['auc']:.4f}",
                f"{row['fit_seconds']:.1f}",
                published,
            ]
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def describe(y, names, split, arguments):
    how = (
        f"trained on {len(split[0])}, scored on {len(split[1])}"
        if split is not None
        else f"{arguments.folds}-fold stratified cross-validation"
    )
    counts = ", ".join(f"{n}: {k}" for n, k in zip(names, np.bincount(y), strict=True))
    quick = "QUICK: this only shows that everything runs; the numbers mean nothing. "
    return (
        f"{quick if arguments.quick else ''}{len(y)} images ({counts}); {how}, "
        f"{arguments.repeats} seed{'s' if arguments.repeats > 1 else ''} from {arguments.seed}."
    )


def write(out, rows, text, argv):
    versions = {p: version(p) for p in ("scikit-learn", "keras", "tensorflow", "scikeras", "numpy")}
    command = "python benchmarks/compare.py " + shlex.join(argv)
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(
        json.dumps(
            dict(command=command, python=platform.python_version(), versions=versions, rows=rows),
            indent=1,
        )
        + "\n"
    )
    (out / "results.md").write_text(f"```\n{command}\n```\n\n{text}\n")
    print(f"\nWritten to {out}")


def main(argv):
    arguments = parse(argv)
    try:
        settings = read_settings(arguments.set)
        X, y, names, split = load(arguments.data, arguments.quick)
        for name in arguments.models:
            build(name, settings[name], arguments.quick, 0)
    except InputError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    description = describe(y, names, split, arguments)
    print(description)
    try:
        rows = [evaluate(name, settings[name], X, y, split, arguments) for name in arguments.models]
    except (ValueError, TypeError, FileNotFoundError) as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    text = f"{description}\n\n{table(rows)}"
    print("\n" + text)
    if arguments.out is not None:
        write(arguments.out, rows, text, argv)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
