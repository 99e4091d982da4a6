"""Epochs that a search runs with pruning and without, and the best score of each.

python benchmarks/pruning.py               synthetic images
python benchmarks/pruning.py --data DIR    the images of a folder
python benchmarks/pruning.py --quick       whether it runs at all

A random sampler draws the same parameters with pruning and without: what pruning loses is then its
doing alone. The default sampler learns from what it sees, and goes another way after the first
pruned trial. Studies run two at a time.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

import joblib
import numpy as np
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
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
SAMPLERS = {"random": RandomSampler, "default": lambda seed: None}
PRUNERS = {"none": NopPruner(), "default": None}


def read(folder):
    """The images of a folder at 32 px, uint8, and their labels."""
    lungs = load_image_folder(folder)
    pixels = ImageReader(image_size=SIZE).transform(lungs.data)
    return np.rint(255 * pixels).astype(np.uint8), lungs.target


def search(X, y, sampler, seed, pruner, n_trials, epochs):
    """Run one search and return what it cost and found."""
    found = OptunaSearch(
        CNNClassifier(image_size=SIZE, epochs=epochs, random_state=0),
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
        n_trials=n_trials,
        sampler=SAMPLERS[sampler](seed),
        pruner=PRUNERS[pruner],
        refit=False,
        random_state=seed,
    ).fit(X, y)
    return {
        "sampler": sampler,
        "seed": seed,
        "pruner": pruner,
        "epochs": int(found.cv_results_["n_epochs"].sum()),
        "complete": int((found.cv_results_["state"] == "complete").sum()),
        "best_score": found.best_score_,
        "best_trial": int(found.cv_results_["number"][found.best_index_]),
    }


def compared(studies, seeds):
    """Put each study with pruning beside the one without."""
    of = {(study["sampler"], study["seed"], study["pruner"]): study for study in studies}
    rows = []
    for sampler in SAMPLERS:
        for seed in seeds:
            without, pruned = of[sampler, seed, "none"], of[sampler, seed, "default"]
            rows.append(
                {
                    "sampler": sampler,
                    "seed": seed,
                    "without": without,
                    "pruned": pruned,
                    "ratio": pruned["epochs"] / without["epochs"],
                    "gain": pruned["best_score"] - without["best_score"],
                }
            )
    return rows


def as_markdown(command, results):
    """The results as a page."""
    lines = [
        "| sampler | seed | epochs without | with pruning | ratio | trials complete "
        "| best score without | with pruning |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in results["rows"]:
        without, pruned = row["without"], row["pruned"]
        lines.append(
            f"| {row['sampler']} | {row['seed']} | {without['epochs']} | {pruned['epochs']} "
            f"| {row['ratio']:.2f} | {pruned['complete']} of {results['trials']} "
            f"| {without['best_score']:.4f} | {pruned['best_score']:.4f} |"
        )
    return (
        f"```\n{command}\n```\n\n" + "\n".join(lines) + "\n\n"
        "Asked: a ratio of at most 0.5 at an equal best score. "
        f"{results['n_images']} {results['kind']} images, `CNNClassifier` at {SIZE} px, three "
        f"folds: one image is {1 / results['n_images']:.4f} of a score. The random sampler draws "
        "the same parameters with pruning and without; the default one, TPE, draws others after "
        "the first pruned trial. The best score of a search is not an honest score of its winner.\n"
    )


def main(argv):
    """Search with pruning and without, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of images, a sub-folder a class")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0], help="of the samplers; default: 0"
    )
    parser.add_argument("--quick", action="store_true", help="four trials, and nothing is written")
    arguments = parser.parse_args(argv)
    n_trials, epochs, n_images = (4, 2, 60) if arguments.quick else (arguments.trials, 10, 250)
    seeds = arguments.seeds[:1] if arguments.quick else arguments.seeds
    if arguments.data:
        X, y = read(arguments.data)
    else:
        X, y = make_chest_xrays(n_images, random_state=0)
    jobs = [
        joblib.delayed(search)(X, y, sampler, seed, pruner, n_trials, epochs)
        for seed in seeds
        for sampler in SAMPLERS
        for pruner in PRUNERS
    ]
    studies = []
    for study in joblib.Parallel(n_jobs=2, return_as="generator_unordered")(jobs):
        studies.append(study)
        print(
            f"{len(studies)} of {len(jobs)} studies: sampler {study['sampler']}, seed "
            f"{study['seed']}, pruner {study['pruner']}: {study['epochs']} epochs, best "
            f"{study['best_score']:.4f}",
            flush=True,
        )
    results = {
        "trials": n_trials,
        "n_images": len(y),
        "kind": "real" if arguments.data else "synthetic",
        "rows": compared(studies, seeds),
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
