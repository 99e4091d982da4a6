"""From the predictions of all splits to scores, intervals and tests."""

from itertools import combinations
from typing import NamedTuple

import numpy as np

from . import scores as quality
from . import statistics, wording
from .report import LEVEL, ModelComparison, OutOfFold
from .splits import one_test_set, repeats, tested

TESTS = ("auto", "corrected_t", "wilcoxon", "mcnemar", "bootstrap")


class Study(NamedTuple):
    """What was compared, and how.

    Parameters
    ----------
    y : ndarray of shape (n_images,), int
        Numbers of classes.
    classes : ndarray of shape (n_classes,)
    splits : list of (training rows, test rows)
    folds : dict of {str: list of quality.Fold}
        For each model, in the order of the splits.
    groups : ndarray of shape (n_images,), int, or None
        Number of each image's group.
    scoring, test : str
        As :func:`lungestimators.compare_models` takes them.
    """

    y: np.ndarray
    classes: np.ndarray
    splits: list
    folds: dict
    groups: np.ndarray | None
    scoring: str
    test: str


def conclude(study, rng):
    """Return the ModelComparison of a study; ``rng`` is NumPy's Generator, for the bootstrap."""
    if study.test == "auto":
        test = "corrected_t"
        if one_test_set(study.splits):
            test = "mcnemar" if study.scoring == "accuracy" else "bootstrap"
        study = study._replace(test=test)
    models = [_scores(study, name) for name in study.folds]
    drawn = _draw(study, models, rng)
    for row in models:
        _add_intervals(study, row, drawn[row["model"]])
    pairs = []
    for two in combinations(models, 2):
        first, second = sorted(two, key=lambda row: -row[study.scoring])
        pairs.append(_pair(study, first, second, drawn, rng))
    adjusted = statistics.holm([pair["pvalue"] for pair in pairs])
    for pair, pvalue in zip(pairs, adjusted, strict=True):
        pair["adjusted_pvalue"] = float(pvalue)
        pair["shown"] = bool(pvalue < LEVEL)
        pair["sentence"] = wording.sentence(study.scoring, pair, len(pairs))
    return ModelComparison(
        models,
        pairs,
        wording.conclusion(study.scoring, models, pairs),
        wording.notes(study, models, pairs),
        study.scoring,
        "image" if study.groups is None else "group",
        one_test_set(study.splits),
        {name: _out_of_fold(study, folds) for name, folds in study.folds.items()},
    )


def _scores(study, name):
    """One row of the table of models, still without intervals."""
    folds, n_classes = study.folds[name], len(study.classes)
    scores = [
        quality.fold_scores(study.y[fold.rows], fold.predicted, fold.probabilities, n_classes)
        for fold in folds
    ]
    row = dict(model=name)
    for metric in scores[0]:
        defined = [score[metric] for score in scores if score[metric] is not None]
        row[metric] = float(np.mean(defined)) if defined else None
    row["calibration_error"] = None
    if folds[0].probabilities is not None:
        row["calibration_error"] = quality.calibration_error(*_pooled(study, folds))
    seconds = [fold.fit_seconds for fold in folds if fold.fit_seconds is not None]
    row["fit_seconds"] = float(np.median(seconds)) if seconds else None
    row["fold_scores"] = [score[study.scoring] for score in scores]
    return row


def _draw(study, models, rng):
    """Scores of all models when groups are drawn again: {model: {metric: values}}.

    Of a single group there is nothing to draw: no values.
    """
    rows = tested(study.splits)
    groups = np.unique(_units(study)[rows], return_inverse=True)[1]
    if groups.max() == 0:
        return {row["model"]: {} for row in models}
    functions = {}
    for row in models:
        folds = [
            fold._replace(rows=np.searchsorted(rows, fold.rows))
            for fold in study.folds[row["model"]]
        ]
        for metric in {study.scoring, "roc_auc"}:
            if row[metric] is not None:
                functions[row["model"], metric] = quality.resampled(
                    metric, study.y[rows], folds, len(study.classes)
                )
    values = statistics.bootstrap(functions.values(), groups, rng)
    drawn = {row["model"]: {} for row in models}
    for (name, metric), found in zip(functions, values, strict=True):
        drawn[name][metric] = found
    return drawn


def _units(study):
    """What is drawn and exchanged: the group of each image, or the image."""
    return np.arange(len(study.y)) if study.groups is None else study.groups


def _n_units_that_differ(study, names):
    """Groups, or images, of which two models do not say the same."""
    first, second = (study.folds[name] for name in names)
    if study.scoring == "roc_auc":
        differ = [
            one.rows[(one.probabilities != other.probabilities).any(axis=1)]
            for one, other in zip(first, second, strict=True)
        ]
    else:
        differ = [
            one.rows[(one.predicted == study.y[one.rows]) != (other.predicted == study.y[one.rows])]
            for one, other in zip(first, second, strict=True)
        ]
    return len(np.unique(_units(study)[np.concatenate(differ)]))


def _add_intervals(study, row, drawn):
    """Add intervals of the compared score and of the AUC to a row."""
    row |= _interval("bootstrap_", drawn.get(study.scoring))
    row |= _interval("roc_auc_", drawn.get("roc_auc"))
    row["low"], row["high"] = _score_interval(study, row)


def _score_interval(study, row):
    """95 % interval of the compared score.

    The corrected t-test's where there are folds; on one set of test images the bootstrap's, or
    Wilson's where images are independent. An accuracy's is not narrower than Wilson's on all tested
    images: folds may agree by chance.
    """
    one = one_test_set(study.splits)
    low, high = row["bootstrap_low"], row["bootstrap_high"]
    if not one:
        found = statistics.corrected_t_test(np.array(row["fold_scores"]), _ratio(study))
        low, high = max(0.0, float(found.low)), min(1.0, float(found.high))
    if study.scoring != "accuracy" or low is None:
        return low, high
    n_tested = len(tested(study.splits))
    wilson = statistics.wilson_interval(row["accuracy"] * n_tested, n_tested)
    if one and study.groups is None:
        return wilson
    return min(low, wilson[0]), max(high, wilson[1])


def _ratio(study):
    """Tested images per training image."""
    n_train, n_test = np.sum([(len(train), len(test)) for train, test in study.splits], axis=0)
    return n_test / n_train


def _pair(study, first, second, drawn, rng):
    """One row of the table of differences; p is not yet corrected."""
    names = first["model"], second["model"]
    pair = dict(first=names[0], second=names[1])
    pair["difference"] = first[study.scoring] - second[study.scoring]
    values = _drawn_difference(drawn, names, study.scoring)
    pair |= _interval("bootstrap_", values)
    pair["roc_auc_difference"] = None
    if first["roc_auc"] is not None and second["roc_auc"] is not None:
        pair["roc_auc_difference"] = first["roc_auc"] - second["roc_auc"]
    pair |= _interval("roc_auc_", _drawn_difference(drawn, names, "roc_auc"))
    pair["low"], pair["high"] = pair["bootstrap_low"], pair["bootstrap_high"]
    differences = np.array(first["fold_scores"]) - np.array(second["fold_scores"])
    pair["test"] = test = study.test
    if test == "corrected_t":
        found = statistics.corrected_t_test(differences, _ratio(study))
        if np.isinf(found.statistic):  # no variance between folds, yet a difference
            pair["test"] = test = "bootstrap"
        else:
            pair["low"], pair["high"] = max(-1.0, float(found.low)), min(1.0, float(found.high))
            pair["pvalue"] = float(found.pvalue)
    elif test == "wilcoxon":
        pair["pvalue"] = statistics.wilcoxon_test(differences)
    elif test == "mcnemar":
        right = [quality.times_right(study.y, study.folds[name]) for name in names]
        pair["pvalue"], pair["test"] = statistics.mcnemar_test(*right, _units(study), rng)
    if test == "bootstrap":
        # Few groups are drawn alike again and again. However they fall, exchanging the models on
        # each of n leaves 2**n ways, of which two are the most extreme.
        pair["pvalue"] = min(1.0, 2.0 ** (1 - _n_units_that_differ(study, names)))
        if values is not None:
            drawn_p = statistics.percentile_interval(values)[2]
            pair["pvalue"] = max(pair["pvalue"], drawn_p)
    return pair


def _drawn_difference(drawn, names, metric):
    """Difference of two models' resampled scores, None where one has none."""
    first, second = (drawn[name].get(metric) for name in names)
    return None if first is None or second is None else first - second


def _interval(prefix, values):
    """Both ends of the interval of resampled values, None where there is none."""
    low = high = None
    if values is not None:
        low, high, _ = statistics.percentile_interval(values)
        if np.isnan(low):
            low = high = None
    return {f"{prefix}low": low, f"{prefix}high": high}


def _pooled(study, folds):
    """Truth, as numbers, and probabilities of all splits."""
    return (
        np.concatenate([study.y[fold.rows] for fold in folds]),
        np.concatenate([fold.probabilities for fold in folds]),
    )


def _out_of_fold(study, folds):
    """What a model said of each tested image, and where in the comparison it did."""
    truth = np.concatenate([study.y[fold.rows] for fold in folds])
    said = np.concatenate([fold.predicted for fold in folds])
    return OutOfFold(
        study.classes[truth],
        None if folds[0].probabilities is None else _pooled(study, folds)[1],
        study.classes[said],
        np.concatenate([fold.rows for fold in folds]),
        np.concatenate(repeats(study.splits)),
        np.repeat(np.arange(len(folds)), [len(fold.rows) for fold in folds]),
    )
