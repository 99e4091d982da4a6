"""Epochs that a search runs with pruning and without, and the best score of each.

python benchmarks/pruning.py               synthetic images; seven minutes
python benchmarks/pruning.py --data DIR    the images of a folder
python benchmarks/pruning.py --quick       whether it runs at all
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

import numpy as np
from optuna.pruners import NopPruner
from sklearn.model_selection import StratifiedKFold

from lungestimators import (
    CNNClassifier,
    ImageReader,
    OptunaSearch,
    load_image_folder,
    make_chest_xrays,
)

RESULTS = Path(__file__).parent / "results" / "pruning"
SIZE = 32


def read(folder):
    """The images of a folder at 32 px, uint8, and their labels."""
    lungs = load_image_folder(folder)
    pixels = ImageReader(image_size=SIZE).transform(lungs.data)
    return np.rint(255 * pixels).astype(np.uint8), lungs.target


def search(X, y, pruner, n_trials, epochs, seed):
    """Run one search and return what it cost and found."""
    found = OptunaSearch(
        CNNClassifier(image_size=SIZE, epochs=epochs, random_state=0),
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
        n_trials=n_trials,
        pruner=pruner,
        refit=False,
        random_state=seed,
        verbose=1,
    ).fit(X, y)
    return {
        "epochs": int(found.cv_results_["n_epochs"].sum()),
        "complete": int((found.cv_results_["state"] == "complete").sum()),
        "best_score": found.best_score_,
        "best_trial": int(found.cv_results_["number"][found.best_index_]),
    }


def as_markdown(command, results):
    """The results as a page."""
    lines = [
        "| pruner | epochs run | trials complete | best score | in trial |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, row in results["pruners"].items():
        lines.append(
            f"| {name} | {row['epochs']} | {row['complete']} of {results['trials']} "
            f"| {row['best_score']:.4f} | {row['best_trial']} |"
        )
    return (
        f"```\n{command}\n```\n\n" + "\n".join(lines) + "\n\n"
        f"Epochs with pruning: {results['ratio']:.2f} of those without (asked: at most 0.5), at a "
        f"best score that differs by {results['gain']:+.4f} (asked: at least 0).\n\n"
        f"`CNNClassifier` at {SIZE} px, three folds, the same seed for the sampler. After the "
        "first pruned trial the searches draw other parameters.\n"
    )


def main(argv):
    """Search twice, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of images, a sub-folder a class")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the sampler")
    parser.add_argument("--quick", action="store_true", help="four trials, and nothing is written")
    arguments = parser.parse_args(argv)
    n_trials, epochs, n_images = (4, 2, 60) if arguments.quick else (arguments.trials, 10, 250)
    if arguments.data:
        X, y = read(arguments.data)
    else:
        X, y = make_chest_xrays(n_images, random_state=0)
    rows = {}
    for name, pruner in (("default", None), ("none", NopPruner())):
        print(f"Pruner: {name}", flush=True)
        rows[name] = search(X, y, pruner, n_trials, epochs, arguments.seed)
    results = {
        "trials": n_trials,
        "pruners": rows,
        "ratio": rows["default"]["epochs"] / rows["none"]["epochs"],
        "gain": rows["default"]["best_score"] - rows["none"]["best_score"],
    }
    command = shlex.join(["python", "benchmarks/pruning.py", *argv])
    page = as_markdown(command, results)
    print(page)
    if not arguments.quick:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / "results.md").write_text(page, encoding="utf-8")
        text = json.dumps({"command": command, **results}, indent=2) + "\n"
        (RESULTS / "results.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
