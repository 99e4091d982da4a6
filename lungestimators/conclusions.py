"""From the predictions of all splits to scores, intervals, tests and sentences."""

from itertools import combinations
from typing import NamedTuple

import numpy as np

from . import quality, statistics
from .comparison import NAMES, ModelComparison, p_text

TESTS = {
    "auto": None,
    "corrected_t": "Student's t-test with Nadeau and Bengio's correction for folds that share "
    "training images",
    "wilcoxon": "Wilcoxon's signed-rank test, which takes folds for independent: p is too small; "
    "where mean and ranks favour different models, p is 1",
    "mcnemar": "McNemar's exact test",
    "bootstrap": "the bootstrap, not below 2**(1 - n) where two models differ on n",
}
# What a pair's p may come from: also the one that stands in for McNemar's.
_MADE = TESTS | {"permutation": "a permutation test that exchanges the models' predictions"}
_LEVEL = 0.05
_FEW_FOLDS = 5
_FEW_UNITS = 20
_ROUNDING = 1e-12  # differences of scores below it are none


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
        Patient of each image.
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


def one_test_set(splits):
    """Whether all splits test the same images."""
    first = np.sort(splits[0][1])
    return all(np.array_equal(np.sort(test), first) for _, test in splits)


def splits_that_share_patients(splits, groups):
    """Numbers of the splits that train on a patient and test the same one."""
    if groups is None:
        return []
    return [
        number
        for number, (train, test) in enumerate(splits)
        if np.isin(groups[test], groups[train]).any()
    ]


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
        pair["shown"] = bool(pvalue < _LEVEL)
        pair["sentence"] = _sentence(study.scoring, pair, len(pairs))
    return ModelComparison(
        models,
        pairs,
        _conclusion(study.scoring, models, pairs),
        _notes(study, models, pairs),
        study.scoring,
        "image" if study.groups is None else "patient",
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
    """Scores of all models when patients are drawn again: {model: {metric: values}}.

    Of a single patient there is nothing to draw: no values.
    """
    tested = _tested(study)
    groups = np.unique(_units(study)[tested], return_inverse=True)[1]
    if groups.max() == 0:
        return {row["model"]: {} for row in models}
    functions = {}
    for row in models:
        folds = [
            fold._replace(rows=np.searchsorted(tested, fold.rows))
            for fold in study.folds[row["model"]]
        ]
        for metric in {study.scoring, "roc_auc"}:
            if row[metric] is not None:
                functions[row["model"], metric] = quality.resampled(
                    metric, study.y[tested], folds, len(study.classes)
                )
    values = statistics.bootstrap(functions.values(), groups, rng)
    drawn = {row["model"]: {} for row in models}
    for (name, metric), found in zip(functions, values, strict=True):
        drawn[name][metric] = found
    return drawn


def _tested(study):
    """Rows of the tested images."""
    return np.unique(np.concatenate([test for _, test in study.splits]))


def _units(study):
    """What is drawn and exchanged: the patient of each image, or the image."""
    return np.arange(len(study.y)) if study.groups is None else study.groups


def _n_units_that_differ(study, names):
    """Patients, or images, of whom two models do not say the same."""
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
    n_tested = len(_tested(study))
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
        # Few patients are drawn alike again and again. However they fall, exchanging the models on
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
    return {f"{prefix}low": low, f"{prefix}high": high}


def _sentence(scoring, pair, n_pairs):
    """Whether a difference was shown, in words."""
    correction = f" after Holm's correction over {n_pairs} comparisons" if n_pairs > 1 else ""
    interval = "no interval"
    if pair["low"] is not None:
        interval = f"95 % interval {pair['low']:.3f} to {pair['high']:.3f}"
    found = f"{interval}, {p_text(pair['adjusted_pvalue'])}{correction}."
    first, second, name = pair["first"], pair["second"], NAMES[scoring]
    if pair["shown"]:
        return f"{first} is better than {second}: {name} {pair['difference']:+.3f}, {found}"
    return (
        f"No difference between {first} and {second} was shown: {name} "
        f"{pair['difference']:+.3f}, {found}"
    )


def _conclusion(scoring, models, pairs):
    """Which model is best, and than which it was shown to be better."""
    name = NAMES[scoring]
    highest = max(row[scoring] for row in models)
    score = f"{highest:.3f}"
    if not pairs:
        return f"{models[0]['model']} has the {name} {score}."
    best = [row["model"] for row in models if highest - row[scoring] < _ROUNDING]
    others = [row["model"] for row in models if row["model"] not in best]
    if not others:
        return f"All models have the same {name}, {score}."
    shown = {(pair["first"], pair["second"]) for pair in pairs if pair["shown"]}
    beaten = [other for other in others if all((one, other) in shown for one in best)]
    not_shown = [other for other in others if other not in beaten]
    several = len(best) > 1
    parts = [f"{_listed(best)} {'have' if several else 'has'} the highest {name}, {score}"]
    if beaten:
        was = "each was" if several else "it was"
        parts.append(f"{was} shown to be better than {_listed(beaten)}")
    if not_shown and several:
        parts.append(f"not each was shown to be better than {_listed(not_shown)}")
    elif not_shown:
        parts.append(f"no difference was shown from {_listed(not_shown)}")
    return "; ".join(parts) + "."


def _pairs_text(pairs, test):
    """The pairs whose p is of one test."""
    return _listed([f"{p['first']} - {p['second']}" for p in pairs if p["test"] == test])


def _listed(names):
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _notes(study, models, pairs):
    """How the figures were made, and what is peculiar in them."""
    n_splits = len(study.splits)
    tested = _tested(study)
    unit, n_units = "image", len(tested)
    if study.groups is not None:
        unit, n_units = "patient", len(np.unique(study.groups[tested]))
    folds = "one set of" if one_test_set(study.splits) else f"{n_splits} folds of"
    notes = [f"Scores are means over {folds} {len(tested)} tested images."]
    made = list(dict.fromkeys(pair["test"] for pair in pairs))
    for test in made:
        which = "" if len(made) == 1 else f" of {_pairs_text(pairs, test)}"
        notes.append(f"p{which}: {_MADE[test]}.")
    if pairs:
        beside = "the corrected t-test's" if made == ["corrected_t"] else "the bootstrap's"
        notes.append(
            f"Intervals beside p are {beside}, and of one score or difference alone."
            if len(made) == 1
            else "Intervals are of one score or difference alone."
        )
    if n_units == 1:
        notes.append(f"There is one {unit} only: no interval by {unit}, and nothing is shown.")
    else:
        notes.append(
            f"By {unit}: bootstrap of {n_units} {unit}s, of predictions as they are. It does not "
            "say what another training would change."
        )
    if 1 < n_units < _FEW_UNITS:
        notes.append(f"{n_units} {unit}s are few: intervals by {unit} are too narrow.")
    shared = splits_that_share_patients(study.splits, study.groups)
    if shared:
        notes.append(
            f"In {len(shared)} of {n_splits} splits patients are on both sides: all scores are "
            "too good."
        )
    if study.test == "mcnemar" and study.groups is not None:
        notes.append("Whole patients are exchanged between the models, in place of images.")
    if study.test in ("corrected_t", "wilcoxon") and n_splits < _FEW_FOLDS:
        notes.append(
            f"{n_splits} folds are few: only a large and steady difference can be shown, and one "
            "that was not shown may well be there."
        )
    least = 2.0 ** (1 - n_splits) * len(pairs)
    if study.test == "wilcoxon" and least > _LEVEL:
        notes.append(
            f"With {n_splits} folds and {len(pairs)} comparisons Wilcoxon's p cannot be below "
            f"{min(1, least):.3f}: no difference can be shown."
        )
    if study.test == "corrected_t" and "bootstrap" in made:
        notes.append(
            f"{_pairs_text(pairs, 'bootstrap')} differ by the same in each fold, which leaves the "
            "t-test no variance: their p is the bootstrap's."
        )
    for side, part, meaning in (
        (0, "training", "it is never predicted there"),
        (1, "test", "they have no AUC, and its mean is over the others"),
    ):
        n_classes = [len(np.unique(study.y[split[side]])) for split in study.splits]
        n_lacking = sum(n < len(study.classes) for n in n_classes)
        if n_lacking:
            which = f"The {part} images of {n_lacking} of {n_splits} splits"
            notes.append(f"{which} lack a class: {meaning}.")
    silent = [row["model"] for row in models if row["log_loss"] is None]
    if silent:
        notes.append(f"No probabilities, hence no AUC and no log loss: {', '.join(silent)}.")
    return notes


def _pooled(study, folds):
    """Truth, as numbers, and probabilities of all splits."""
    return (
        np.concatenate([study.y[fold.rows] for fold in folds]),
        np.concatenate([fold.probabilities for fold in folds]),
    )


def _out_of_fold(study, folds):
    if folds[0].probabilities is None:
        return study.classes[np.concatenate([study.y[fold.rows] for fold in folds])], None
    truth, probabilities = _pooled(study, folds)
    return study.classes[truth], probabilities
