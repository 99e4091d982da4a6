"""PneumoniaMNIST: CNNs trained on its training images, everything chosen on its validation images.

python benchmarks/pneumoniamnist.py                 fetches the set
python benchmarks/pneumoniamnist.py --data FILE     a pneumoniamnist.npz that is there already

Candidates with settings drawn at random are trained on the training images. The validation images
decide which half of them is averaged, and from which probability on an image is called
pneumonia. ``model.joblib`` beside the results is that classifier. ``--test`` scores it on the test
images after all has been decided; nothing else looks at them.
"""

import argparse
import json
import shlex
import sys
import time
from pathlib import Path

import joblib
import numpy as np
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    log_loss,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import FixedThresholdClassifier, ParameterSampler

from lungestimators import CNNClassifier, fetch_pneumoniamnist

RESULTS = Path(__file__).parent / "results" / "pneumoniamnist-search"
CANDIDATES = 8
SPACE = {
    "filters": [(32, 64, 128), (48, 96, 192)],
    "dense_units": [256, 512],
    "dropout": [0.3, 0.5, 0.7],
    "learning_rate": [5e-4, 1e-3, 2e-3],
    "class_weight": [None, "balanced"],
}


def parts_of(data):
    """Images and labels of each part of the set, by the part's name."""
    if data is None:
        bunch = fetch_pneumoniamnist()
        return {part: (bunch.data[rows], bunch.target[rows]) for part, rows in rows_of(bunch.split)}
    with np.load(data) as arrays:
        return {
            part: (arrays[f"{part}_images"], arrays[f"{part}_labels"].ravel())
            for part in ("train", "val", "test")
            if f"{part}_images" in arrays
        }


def rows_of(split):
    """Pairs of a part's name and its rows."""
    return [(part, np.flatnonzero(split == part)) for part in np.unique(split)]


def candidates(seed, epochs):
    """Classifiers whose settings are drawn at random, each with a seed of its own."""
    settings = ParameterSampler(SPACE, CANDIDATES, random_state=seed)
    return [
        CNNClassifier(
            image_size=28,
            batch_size=32,
            augment=True,
            epochs=epochs,
            random_state=seed + n,
            **drawn,
        )
        for n, drawn in enumerate(settings)
    ]


def fitted(classifiers, X, y):
    """Yield each classifier when it is trained; two are trained at a time."""
    jobs = (joblib.delayed(classifier.fit)(X, y) for classifier in classifiers)
    return joblib.Parallel(n_jobs=2, return_as="generator")(jobs)


def best_threshold(y, probability):
    """The middle of the probabilities at which the balanced accuracy is greatest.

    Balanced, since the proportion of the classes elsewhere is not that of the training images.
    """
    edges = np.unique(probability)
    if len(edges) == 1:  # nothing can be told apart
        return 0.5
    thresholds = (edges[1:] + edges[:-1]) / 2
    scores = [balanced_accuracy_score(y, probability >= threshold) for threshold in thresholds]
    best = thresholds[np.isclose(scores, max(scores))]
    return float(best[len(best) // 2])


def scores_of(classifier, X, y):
    """What is said of a binary classifier on one part of the set."""
    probability, predicted = classifier.predict_proba(X)[:, 1], classifier.predict(X)
    return {
        "images": len(y),
        "AUC": roc_auc_score(y, probability),
        "accuracy": accuracy_score(y, predicted),
        "balanced accuracy": balanced_accuracy_score(y, predicted),
        "sensitivity": recall_score(y, predicted),
        "specificity": recall_score(y, predicted, pos_label=0),
        "log loss": log_loss(y, probability),
        "Brier score": brier_score_loss(y, probability),
    }


def main(argv):
    """Train, choose, save, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="pneumoniamnist.npz; fetched without it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test", action="store_true", help="score the test images at the very end")
    parser.add_argument("--quick", action="store_true", help="only try that it runs; needs --out")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args(argv)
    if arguments.quick and not arguments.out:
        parser.error("--quick needs --out: its figures mean nothing and must not replace the real")
    arguments.out = arguments.out or RESULTS
    start = time.perf_counter()
    parts = parts_of(arguments.data)
    if arguments.test and "test" not in parts:
        parser.error(f"--test: {arguments.data} has no test images")
    if arguments.quick:
        parts = {part: (X[:200], y[:200]) for part, (X, y) in parts.items()}
    (X, y), (X_val, y_val) = parts["train"], parts["val"]

    classifiers, probabilities, rows = [], [], []
    for classifier in fitted(candidates(arguments.seed, 1 if arguments.quick else 25), X, y):
        classifiers.append(classifier)
        probabilities.append(classifier.predict_proba(X_val))
        rows.append({name: getattr(classifier, name) for name in SPACE})
        rows[-1]["log loss"] = log_loss(y_val, probabilities[-1])
        rows[-1]["AUC"] = roc_auc_score(y_val, probabilities[-1][:, 1])
        print(
            f"{len(rows)} of {CANDIDATES} trained, {time.perf_counter() - start:.0f} s: validation "
            f"AUC {rows[-1]['AUC']:.4f}, log loss {rows[-1]['log loss']:.4f}",
            flush=True,
        )
    order = np.argsort([row["log loss"] for row in rows])
    probabilities = np.array(probabilities)[order]
    # A fixed part: the validation images are too few to say how many are best.
    kept = order[: max(1, len(order) // 2)]
    threshold = best_threshold(y_val, probabilities[: len(kept)].mean(axis=0)[:, 1])
    members = [(f"cnn{n}", FrozenEstimator(classifiers[n])) for n in kept]
    mean = VotingClassifier(members, voting="soft").fit(X, y)
    model = FixedThresholdClassifier(FrozenEstimator(mean), threshold=threshold).fit(X, y)

    arguments.out.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, arguments.out / "model.joblib", compress=3)
    scored = ["val", "test"] if arguments.test else ["val"]
    found = {part: scores_of(model, *parts[part]) for part in scored}
    seconds = time.perf_counter() - start
    write(arguments, argv, rows, kept.tolist(), threshold, found, seconds)


def write(arguments, argv, rows, kept, threshold, found, seconds):
    """Print the result, and write it as Markdown and JSON."""
    command = shlex.join(["python", "benchmarks/pneumoniamnist.py", *argv])
    lines = ["**`--quick`: these figures mean nothing.**", ""] if arguments.quick else []
    lines += [
        f"Mean of {len(kept)} of {len(rows)} networks; pneumonia from a probability of "
        f"{threshold:.3f} on. {seconds / 60:.1f} minutes.",
        "",
        f"| | {' | '.join(found)} |",
        f"| --- |{' ---: |' * len(found)}",
    ]
    for name in next(iter(found.values())):
        figures = [scores[name] for scores in found.values()]
        shown = [str(f) if isinstance(f, int) else f"{f:.4f}" for f in figures]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    print("\n" + "\n".join(lines))
    lines += ["", f"| {' | '.join(rows[0])} | used |", f"|{' --- |' * (len(rows[0]) + 1)}"]
    for number, row in enumerate(rows):
        cells = [f"{v:.4f}" if name in ("log loss", "AUC") else str(v) for name, v in row.items()]
        lines.append(f"| {' | '.join(cells)} | {'yes' if number in kept else ''} |")
    lines += [
        "",
        "The half that is used and the threshold were chosen on the validation images, whose "
        "scores are therefore somewhat optimistic.",
    ]
    text = f"```\n{command}\n```\n\n" + "\n".join(lines) + "\n"
    (arguments.out / "results.md").write_text(text, encoding="utf-8")
    plain = {"candidates": rows, "used": kept, "threshold": threshold, "scores": found}
    plain |= {"seconds": round(seconds, 1), "quick": arguments.quick}
    (arguments.out / "results.json").write_text(json.dumps(plain, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
