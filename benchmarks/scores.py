"""One fit on one fold, and what is said of a model over all of them."""

import time
from typing import NamedTuple

import numpy as np
from models import PUBLISHED, TITLES, build
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold


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
    """Train and score; return plain data."""
    model = build(fit.model, fit.settings, fit.quick, fit.seed)
    start = time.perf_counter()
    model.fit(X[fit.train], y[fit.train])
    fitted = time.perf_counter()
    probabilities = model.predict_proba(X[fit.test])
    done = time.perf_counter()
    truth, said = y[fit.test], probabilities.argmax(axis=1)
    classes = np.arange(probabilities.shape[1])
    return dict(
        seed=fit.seed,
        n_test=len(fit.test),
        accuracy=float((said == truth).mean()),
        balanced_accuracy=float(balanced_accuracy_score(truth, said)),
        f1=float(f1_score(truth, said, average="macro", zero_division=0)),
        auc=auc(truth, probabilities),
        sensitivity=recall_score(
            truth, said, labels=classes, average=None, zero_division=0
        ).tolist(),
        fit_seconds=fitted - start,
        predict_milliseconds=1000 * (done - fitted) / len(fit.test),
        parameters=n_parameters(model) if fit.count_parameters else None,
        history=getattr(model, "history_", None),
        rows=fit.test.tolist(),
        probabilities=np.round(probabilities, 5).tolist(),
    )


def auc(y, probabilities):
    """Area under the ROC curve; macro one-vs-rest for more than two classes."""
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(y, probabilities[:, 1]))
    return float(roc_auc_score(y, probabilities, multi_class="ovr"))


def n_parameters(model):
    """Number of learnt and frozen values."""
    if hasattr(model, "model_"):
        return int(model.model_.count_params())
    if hasattr(model, "steps"):
        last = model.steps[-1][1]
        return int(last.coef_.size + last.intercept_.size)
    return 0


def summarise(name, settings, scores, problem, arguments, leaked):
    """One row of the table: means over the fits, and the interval of the accuracy.

    ``leaked`` are tested rows that repeat one that is learnt from; None without a given split.
    """
    accuracy = np.array([score["accuracy"] for score in scores])
    low, high = interval(accuracy, scores[0]["n_test"], len(problem.y), problem.split)

    def mean(quantity):
        return float(np.mean([score[quantity] for score in scores]))

    model = build(name, settings, arguments.quick, arguments.seed)
    return dict(
        model=name,
        title=TITLES.get(name, name),
        parameters_set={k: str(v) for k, v in model.get_params(deep=False).items()},
        accuracy=float(accuracy.mean()),
        interval=[low, high],
        without_leaks=None if leaked is None else without(leaked, scores, problem.y),
        by_seed=[
            float(np.mean([s["accuracy"] for s in scores if s["seed"] == seed]))
            for seed in dict.fromkeys(s["seed"] for s in scores)
        ],
        balanced_accuracy=mean("balanced_accuracy"),
        f1=mean("f1"),
        auc=mean("auc"),
        sensitivity=np.mean([s["sensitivity"] for s in scores], axis=0).tolist(),
        fit_seconds=float(np.median([s["fit_seconds"] for s in scores])),
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


def interval(accuracy, n_test, n_images, split):
    """95 % interval of the accuracy.

    One split: Wilson's, on the mean over seeds. Cross-validation: Student's t with the variance
    corrected for folds that share training images (Nadeau and Bengio, 2003), but not narrower than
    Wilson's on all images: folds may agree by chance.
    """
    tested = n_images if split is None else n_test
    right = round(float(accuracy.mean()) * tested)
    wilson = stats.binomtest(right, tested).proportion_ci(method="wilson")
    if split is not None:
        return float(wilson.low), float(wilson.high)
    n = len(accuracy)
    variance = accuracy.var(ddof=1) * (1 / n + n_test / (n_images - n_test))
    half = stats.t.ppf(0.975, n - 1) * np.sqrt(variance)
    low = min(accuracy.mean() - half, wilson.low)
    high = max(accuracy.mean() + half, wilson.high)
    return max(0.0, float(low)), min(1.0, float(high))
