"""One fit on one fold; all models compared by what they said."""

import time
from typing import NamedTuple

import numpy as np
from sklearn.metrics import f1_score, recall_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from lungestimators import compare_predictions

from .models import PUBLISHED, TITLES, build


class Fit(NamedTuple):
    """One model, one fold: everything a worker process needs."""

    model: str
    settings: dict
    quick: bool
    seed: int
    train: np.ndarray
    test: np.ndarray
    count_parameters: bool


def fits_of(name, settings, problem, arguments):
    """All fits of one model; the folds are the same for every model."""
    fits = []
    for seed in range(arguments.seed, arguments.seed + arguments.repeats):
        for train, test in splits_of(problem, arguments.folds, seed):
            fits.append(Fit(name, settings, arguments.quick, seed, train, test, not fits))
    return fits


def splits_of(problem, folds, seed):
    """The given split, or stratified folds, which keep a patient together where one is known."""
    if problem.split is not None:
        return [problem.split]
    kind = StratifiedKFold if problem.groups is None else StratifiedGroupKFold
    folds = kind(folds, shuffle=True, random_state=seed)
    return list(folds.split(problem.y, problem.y, problem.groups))


def run(fit, X, y):
    """Train and predict; return plain data."""
    model = build(fit.model, fit.settings, fit.quick, fit.seed)
    start = time.perf_counter()
    model.fit(X[fit.train], y[fit.train])
    fitted = time.perf_counter()
    probabilities = model.predict_proba(X[fit.test])
    done = time.perf_counter()
    probabilities = shortened(probabilities)
    truth, said = y[fit.test], probabilities.argmax(axis=1)
    classes = np.arange(probabilities.shape[1])
    return dict(
        seed=fit.seed,
        n_test=len(fit.test),
        accuracy=float((said == truth).mean()),
        f1=float(f1_score(truth, said, average="macro", zero_division=0)),
        sensitivity=recall_score(
            truth, said, labels=classes, average=None, zero_division=0
        ).tolist(),
        fit_seconds=fitted - start,
        predict_milliseconds=1000 * (done - fitted) / len(fit.test),
        parameters=n_parameters(model) if fit.count_parameters else None,
        history=getattr(model, "history_", None),
        rows=fit.test.tolist(),
        probabilities=probabilities.tolist(),
    )


def shortened(probabilities):
    """Five significant digits: small ones stay what they are, as a log loss needs."""
    return np.array([[float(f"{p:.5g}") for p in row] for row in probabilities])


def compared(finished, problem, arguments):
    """Compare all models by what they said; return the library's ModelComparison.

    ``finished`` holds the name and the scores of each model.
    """
    seeds = range(arguments.seed, arguments.seed + arguments.repeats)
    splits = [split for seed in seeds for split in splits_of(problem, arguments.folds, seed)]
    predictions = {}
    for row in finished:
        said = [np.array(score["probabilities"]) for score in row["scores"]]
        seconds = [score["fit_seconds"] for score in row["scores"]]
        labels = [probabilities.argmax(axis=1) for probabilities in said]
        title = TITLES.get(row["model"], row["model"])
        predictions[title] = list(zip(labels, said, seconds, strict=True))
    return compare_predictions(
        problem.y, predictions, splits, problem.groups, random_state=arguments.seed
    )


def n_parameters(model):
    """Number of learnt and frozen values."""
    if hasattr(model, "model_"):
        layers = model.model_.layers  # those that resize pixels are no part of the network
        return sum(la.count_params() for la in layers if not la.name.startswith("preprocessing_"))
    if hasattr(model, "steps"):
        last = model.steps[-1][1]
        return int(last.coef_.size + last.intercept_.size)
    return 0


def summarise(name, settings, scores, found, problem, arguments, leaked):
    """One row of the table.

    ``found`` is the model's row in the comparison; ``leaked`` are tested rows that repeat one that
    is learnt from, None without a given split.
    """
    model = build(name, settings, arguments.quick, arguments.seed)
    return dict(
        model=name,
        title=found["model"],
        parameters_set={k: str(v) for k, v in model.get_params(deep=False).items()},
        accuracy=found["accuracy"],
        interval=[found["low"], found["high"]],
        bootstrap_interval=[found["bootstrap_low"], found["bootstrap_high"]],
        without_leaks=None if leaked is None else without(leaked, scores, problem.y),
        by_seed=[
            float(np.mean([s["accuracy"] for s in scores if s["seed"] == seed]))
            for seed in dict.fromkeys(s["seed"] for s in scores)
        ],
        balanced_accuracy=found["balanced_accuracy"],
        f1=float(np.mean([s["f1"] for s in scores])),
        auc=found["roc_auc"],
        auc_interval=[found["roc_auc_low"], found["roc_auc_high"]],
        log_loss=found["log_loss"],
        brier=found["brier_score"],
        calibration_error=found["calibration_error"],
        sensitivity=np.mean([s["sensitivity"] for s in scores], axis=0).tolist(),
        fit_seconds=found["fit_seconds"],
        predict_milliseconds=float(np.median([s["predict_milliseconds"] for s in scores])),
        parameters=scores[0]["parameters"],
        # Two classes are another problem than the published one.
        published=PUBLISHED.get(name) if len(problem.names) == 3 else None,
        scores=scores,
    )


def without(leaked, scores, y):
    """Accuracy, mean over seeds, on the tested rows that are not ``leaked``, and how many."""
    rows = np.array(scores[0]["rows"])
    clean = ~np.isin(rows, leaked)
    said = np.array([np.argmax(score["probabilities"], axis=1) for score in scores])
    right = said[:, clean] == y[rows[clean]]
    return dict(accuracy=float(right.mean()) if clean.any() else None, n_test=int(clean.sum()))
