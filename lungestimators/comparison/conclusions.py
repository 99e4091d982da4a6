"""Conclude from predictions: scores of each model, and intervals and tests of each pair."""

from itertools import combinations

import numpy as np

from . import scores, statistics, wording
from .predictions import count_right_predictions, out_of_fold_predictions
from .report import ModelComparison
from .splits import have_one_test_set, tested_rows_of_splits
from .wording import LEVEL

TESTS = ("auto", "corrected_t", "wilcoxon", "mcnemar", "bootstrap")


def conclude(predictions, rng):
    """Compare all models, and return the ModelComparison.

    Parameters
    ----------
    predictions : Predictions
    rng : numpy Generator
        For the bootstrap and for permutations.
    """
    if predictions.test == "auto":
        test = "corrected_t"
        if have_one_test_set(predictions.splits):
            test = "mcnemar" if predictions.scoring == "accuracy" else "bootstrap"
        predictions = predictions._replace(test=test)
    models = [_conclude_on_model(predictions, name) for name in predictions.folds]
    drawn = _bootstrap_for_conclusions(predictions, models, rng)
    for row in models:
        _conclude_intervals_of_model(predictions, row, drawn[row["model"]])
    pairs = []
    for two in combinations(models, 2):
        first, second = sorted(two, key=lambda row: -row[predictions.scoring])
        pairs.append(_conclude_on_pair(predictions, first, second, drawn, rng))
    adjusted = statistics.holm([pair["pvalue"] for pair in pairs])
    for pair, pvalue in zip(pairs, adjusted, strict=True):
        pair["adjusted_pvalue"] = float(pvalue)
        pair["shown"] = bool(pvalue < LEVEL)
        pair["sentence"] = wording.sentence_on_pair(predictions.scoring, pair, len(pairs))
    return ModelComparison(
        models,
        pairs,
        wording.sentence_on_best_models(predictions.scoring, models, pairs),
        wording.notes_on_comparison(predictions, models, pairs),
        predictions.scoring,
        "image" if predictions.groups is None else "group",
        have_one_test_set(predictions.splits),
        {name: out_of_fold_predictions(predictions, name) for name in predictions.folds},
    )


def _conclude_on_model(predictions, name):
    """Return the row of a model in the table of models, without its intervals."""
    folds, n_classes = predictions.folds[name], len(predictions.classes)
    of_folds = [
        scores.score_predictions_of_fold(
            predictions.y[fold.rows], fold.predicted, fold.probabilities, n_classes
        )
        for fold in folds
    ]
    row = dict(model=name)
    for metric in of_folds[0]:
        defined = [score[metric] for score in of_folds if score[metric] is not None]
        row[metric] = float(np.mean(defined)) if defined else None
    row["calibration_error"] = None
    if folds[0].probabilities is not None:
        row["calibration_error"] = scores.score_calibration_error(
            predictions.pooled_truth(name), predictions.pooled_probabilities(name)
        )
    seconds = [fold.fit_seconds for fold in folds if fold.fit_seconds is not None]
    row["fit_seconds"] = float(np.median(seconds)) if seconds else None
    row["fold_scores"] = [score[predictions.scoring] for score in of_folds]
    return row


def _bootstrap_for_conclusions(predictions, models, rng):
    """Score all models when groups, or images, are drawn again: {model: {metric: values}}.

    There are no values where all images are of one group.
    """
    rows = tested_rows_of_splits(predictions.splits)
    groups = np.unique(predictions.units()[rows], return_inverse=True)[1]
    if groups.max() == 0:
        return {row["model"]: {} for row in models}
    functions = {}
    for row in models:
        folds = [
            fold._replace(rows=np.searchsorted(rows, fold.rows))
            for fold in predictions.folds[row["model"]]
        ]
        for metric in {predictions.scoring, "roc_auc"}:
            if row[metric] is not None:
                functions[row["model"], metric] = scores.score_model_with_weights(
                    metric, predictions.y[rows], folds, len(predictions.classes)
                )
    values = statistics.bootstrap(functions.values(), groups, rng)
    drawn = {row["model"]: {} for row in models}
    for (name, metric), found in zip(functions, values, strict=True):
        drawn[name][metric] = found
    return drawn


def _count_units_for_conclusions(predictions, names):
    """Count the groups, or images, for which two models do not predict the same."""
    first, second = (predictions.folds[name] for name in names)
    if predictions.scoring == "roc_auc":
        differ = [
            one.rows[(one.probabilities != other.probabilities).any(axis=1)]
            for one, other in zip(first, second, strict=True)
        ]
    else:
        y = predictions.y
        differ = [
            one.rows[(one.predicted == y[one.rows]) != (other.predicted == y[one.rows])]
            for one, other in zip(first, second, strict=True)
        ]
    return len(np.unique(predictions.units()[np.concatenate(differ)]))


def _conclude_intervals_of_model(predictions, row, drawn):
    """Add the intervals of the compared score and of the AUC to the row of a model."""
    row |= _interval_for_conclusions("bootstrap_", drawn.get(predictions.scoring))
    row |= _interval_for_conclusions("roc_auc_", drawn.get("roc_auc"))
    row["low"], row["high"] = _conclude_interval_of_score(predictions, row)


def _conclude_interval_of_score(predictions, row):
    """Return the 95 % interval of the compared score of a model.

    With folds the interval is the corrected t-test's. On one set of test images it is the
    bootstrap's, or Wilson's where images are independent. The interval of an accuracy is at least
    as wide as Wilson's on all tested images: folds may agree by chance.
    """
    one = have_one_test_set(predictions.splits)
    low, high = row["bootstrap_low"], row["bootstrap_high"]
    if not one:
        ratio = _test_ratio_for_conclusions(predictions)
        found = statistics.corrected_t_test(np.array(row["fold_scores"]), ratio)
        low, high = max(0.0, float(found.low)), min(1.0, float(found.high))
    if predictions.scoring != "accuracy" or low is None:
        return low, high
    n_tested = len(tested_rows_of_splits(predictions.splits))
    wilson = statistics.wilson_interval_over_folds(row["accuracy"], n_tested)
    if one and predictions.groups is None:
        return wilson
    return min(low, wilson[0]), max(high, wilson[1])


def _test_ratio_for_conclusions(predictions):
    """Return the ratio that the corrected t-test needs."""
    sizes = [(len(train), len(test)) for train, test in predictions.splits]
    n_train, n_test = np.sum(sizes, axis=0)
    return n_test / n_train


def _conclude_on_pair(predictions, first, second, drawn, rng):
    """Return the row of a pair in the table of differences; p is not corrected."""
    names = first["model"], second["model"]
    pair = dict(first=names[0], second=names[1])
    pair["difference"] = first[predictions.scoring] - second[predictions.scoring]
    values = _difference_for_conclusions(drawn, names, predictions.scoring)
    pair |= _interval_for_conclusions("bootstrap_", values)
    pair["roc_auc_difference"] = None
    if first["roc_auc"] is not None and second["roc_auc"] is not None:
        pair["roc_auc_difference"] = first["roc_auc"] - second["roc_auc"]
    pair |= _interval_for_conclusions(
        "roc_auc_", _difference_for_conclusions(drawn, names, "roc_auc")
    )
    pair["low"], pair["high"] = pair["bootstrap_low"], pair["bootstrap_high"]
    differences = np.array(first["fold_scores"]) - np.array(second["fold_scores"])
    pair["test"] = test = predictions.test
    if test == "corrected_t":
        ratio = _test_ratio_for_conclusions(predictions)
        found = statistics.corrected_t_test(differences, ratio)
        if np.isinf(found.statistic):  # no variance between folds, yet a difference
            pair["test"] = test = "bootstrap"
        else:
            pair["low"], pair["high"] = max(-1.0, float(found.low)), min(1.0, float(found.high))
            pair["pvalue"] = float(found.pvalue)
    elif test == "wilcoxon":
        pair["pvalue"] = statistics.wilcoxon_test(differences)
    elif test == "mcnemar":
        right = [count_right_predictions(predictions.y, predictions.folds[name]) for name in names]
        pair["pvalue"], pair["test"] = statistics.mcnemar_test(*right, predictions.units(), rng)
    if test == "bootstrap":
        # Few groups are drawn alike again and again. However they fall, exchanging the models on
        # each of n leaves 2**n ways, of which two are the most extreme.
        pair["pvalue"] = min(1.0, 2.0 ** (1 - _count_units_for_conclusions(predictions, names)))
        if values is not None:
            drawn_p = statistics.percentile_interval(values)[2]
            pair["pvalue"] = max(pair["pvalue"], drawn_p)
    return pair


def _difference_for_conclusions(drawn, names, metric):
    """Return the difference of two models' resampled scores; None where a model has none."""
    first, second = (drawn[name].get(metric) for name in names)
    return None if first is None or second is None else first - second


def _interval_for_conclusions(prefix, values):
    """Return both ends of the interval of resampled values; None where there is none."""
    low = high = None
    if values is not None:
        low, high, _ = statistics.percentile_interval(values)
        if np.isnan(low):
            low = high = None
    return {f"{prefix}low": low, f"{prefix}high": high}
