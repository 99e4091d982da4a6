"""Put a comparison of models into words: sentences on differences, and notes on the figures."""

import numpy as np

from ..text_tables import counted
from . import statistics
from .splits import (
    earlier_tests_of_splits,
    have_one_test_set,
    splits_that_share_groups,
    tested_rows_of_splits,
)

NAMES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "roc_auc": "AUC"}
LEVEL = 0.05  # p below it: the difference counts as shown

# What p is, by test; "permutation" stands in for McNemar's test.
_MADE = {
    "corrected_t": "Student's t-test on the folds, with Nadeau and Bengio's correction for "
    "training images that folds share",
    "wilcoxon": "Wilcoxon's signed-rank test on the folds, which takes folds for independent: p "
    "is too small; where mean and ranks favour different models, p is 1",
    "mcnemar": "McNemar's exact test, on the {unit}s that one of two models has right and the "
    "other wrong",
    "permutation": "a permutation test that exchanges the models' predictions",
    "bootstrap": "the bootstrap, which counts how often drawing {unit}s again turns the difference "
    "round; not below 2**(1 - n) where two models differ on n {unit}s",
}
_FEW_FOLDS = 5
_FEW_UNITS = 20
_ROUNDING = 1e-12  # differences of scores below it are none


def sentence_on_pair(scoring, pair, n_pairs):
    """Say whether the difference of two models was shown."""
    first, second, name = pair["first"], pair["second"], NAMES[scoring]
    correction = f" after Holm's correction for {n_pairs} comparisons" if n_pairs > 1 else ""
    interval = "no interval"
    if pair["low"] is not None:
        interval = f"95 % interval {pair['low']:z.3f} to {pair['high']:z.3f}"
    found = f"{interval}; {p_value_for_sentence(pair['adjusted_pvalue'])}{correction}"
    amount = "less than 0.001" if pair["difference"] < 0.0005 else f"{pair['difference']:.3f}"
    higher = f"the {name} of {first} is higher by {amount} ({found})"
    if pair["shown"]:
        return f"{first} is better than {second}: {higher}."
    between = f"No difference between {first} and {second} was shown: "
    if pair["difference"] < _ROUNDING:
        return f"{between}both have the same {name} ({found})."
    return f"{between}{higher}, which may be chance."


def sentence_on_best_models(scoring, models, pairs):
    """Say which models score highest, and which others they were shown to be better than."""
    name = NAMES[scoring]
    highest = max(row[scoring] for row in models)
    score = f"{highest:.3f}"
    if not pairs:
        article = "a" if name.startswith("b") else "an"
        return f"{models[0]['model']} has {article} {name} of {score}."
    best = [row["model"] for row in models if highest - row[scoring] < _ROUNDING]
    others = [row["model"] for row in models if row["model"] not in best]
    if not others:
        return f"All models have the same {name}, {score}."
    shown = {(pair["first"], pair["second"]) for pair in pairs if pair["shown"]}
    beaten = [other for other in others if all((one, other) in shown for one in best)]
    not_shown = [other for other in others if other not in beaten]
    several = len(best) > 1
    parts = [
        f"{_names_in_sentence(best)} {'have' if several else 'has'} the highest {name}, {score}."
    ]
    if beaten:
        each = "Each of them" if several else "It"
        parts.append(f"{each} was shown to be better than {_names_in_sentence(beaten)}.")
    if not_shown:
        each = "each of them" if several else "it"
        parts.append(
            f"It was not shown that {each} is better than {_names_in_sentence(not_shown, 'or')}."
        )
    return " ".join(parts)


def notes_on_comparison(predictions, models, pairs):
    """Say how the figures were made, and what to know before they are believed."""
    unit = "image" if predictions.groups is None else "group"
    rows = tested_rows_of_splits(predictions.splits)
    n_units = len(rows if predictions.groups is None else np.unique(predictions.groups[rows]))
    return [
        *_notes_on_scores(predictions, rows),
        *_notes_on_intervals(predictions, unit, n_units, len(rows)),
        *_notes_on_tests(predictions, pairs, unit),
        *_notes_on_doubts(predictions, models, pairs, unit, n_units),
    ]


def _notes_on_scores(predictions, rows):
    """Say what the columns of scores are."""
    n_splits, images = len(predictions.splits), counted(len(rows), "tested image")
    if n_splits == 1:
        found = [f"Scores are of one set of {images}."]
    elif have_one_test_set(predictions.splits):
        found = [
            f"Scores are means over {n_splits} predictions of one set of {images}, by models that "
            "were trained anew."
        ]
    else:
        times = 1 + np.concatenate(earlier_tests_of_splits(predictions.splits)).max()
        same = times * len(rows) == sum(len(test) for _, test in predictions.splits)
        often = f", each tested {'' if same else 'up to '}{times} times" if times > 1 else ""
        found = [f"Scores are means over {n_splits} folds of {images}{often}."]
    columns = ""
    if len(predictions.classes) > 2:
        columns = "AUC: the mean of each class against the rest. "
    largest = 1 if len(predictions.classes) == 2 else 2
    found.append(
        f"{columns}Log loss, Brier score (0 to {largest}) and calibration error: the lower, the "
        "better. Calibration error: the distance between the probability of the predicted class "
        "and how often that class is right. fit s: seconds of a fit, the median. -: there is none."
    )
    return found


def _notes_on_intervals(predictions, unit, n_units, n_images):
    """Say what the columns of intervals are."""
    one = have_one_test_set(predictions.splits)
    found = []
    wilson = f"Wilson's interval of a share of {counted(n_images, 'image')}"
    if not one:
        least = f"; of an accuracy, at least as wide as {wilson}"
        found.append(
            "95 % by folds: how far the score may move with other training and test images, as "
            "many as here. It is the corrected t-test's, from the spread between folds"
            f"{least if predictions.scoring == 'accuracy' else ''}."
        )
    if n_units == 1:
        found.append(f"There is one {unit} only: no interval by {unit}s, and nothing is shown.")
        return found
    bootstrap = (
        f"a bootstrap of {counted(n_units, unit)}, of predictions as they are. It does not say "
        "what another training would change"
    )
    if not one:
        found.append(
            f"95 % by {unit}s: how far the score may move with other test {unit}s. It is "
            f"{bootstrap}."
        )
    elif predictions.scoring != "accuracy":
        found.append(f"95 % interval: {bootstrap}.")
    elif unit == "image":
        found.append(f"95 % interval of an accuracy: {wilson}. All others: {bootstrap}.")
    else:
        found.append(f"95 % interval: {bootstrap}. An accuracy's is at least as wide as {wilson}.")
    return found


def _notes_on_tests(predictions, pairs, unit):
    """Say what p is, and when a difference counts as shown."""
    if not pairs:
        return []
    found = []
    name = NAMES[predictions.scoring]
    made = list(dict.fromkeys(pair["test"] for pair in pairs))
    for test in made:
        which = f" of the {name}" if len(made) == 1 else f" of {_pairs_in_sentence(pairs, test)}"
        found.append(f"p{which}: {_MADE[test].format(unit=unit)}.")
    several = len(pairs) > 1
    decides = f"p (Holm), which allows for {len(pairs)} comparisons," if several else "p"
    found.append(f"A difference counts as shown where {decides} is below {LEVEL:g}.")
    reasons = []
    if not set(made) <= {"corrected_t", "bootstrap"}:
        reasons.append("comes from the bootstrap and not from the test")
    if several:
        reasons.append("allows for one comparison only")
    if reasons:
        found[-1] += (
            f" An interval {' and '.join(reasons)}: it may leave out 0 where no difference was "
            "shown."
        )
    if predictions.test == "mcnemar" and predictions.groups is not None:
        found.append("Whole groups are exchanged between the models, in place of images.")
    return found


def _notes_on_doubts(predictions, models, pairs, unit, n_units):
    """Say what to know before the figures are believed, such as few folds or a lacking class."""
    found = []
    n_splits = len(predictions.splits)
    made = {pair["test"] for pair in pairs}
    if 1 < n_units < _FEW_UNITS:
        found.append(f"{n_units} {unit}s are few: intervals by {unit}s are too narrow.")
    shared = splits_that_share_groups(predictions.splits, predictions.groups)
    if shared:
        found.append(
            f"In {len(shared)} of {counted(n_splits, 'split')} a group is on both sides: all "
            "scores may be too high."
        )
    if pairs and predictions.test in ("corrected_t", "wilcoxon") and n_splits < _FEW_FOLDS:
        found.append(
            f"{n_splits} folds are few: only a large and steady difference can be shown, and one "
            "that was not shown may well be there."
        )
    if predictions.test == "wilcoxon":
        found += _warnings_on_wilcoxon(models, pairs)
    if predictions.test == "corrected_t" and "bootstrap" in made:
        found.append(
            f"{_pairs_in_sentence(pairs, 'bootstrap')}: the difference is the same in each fold, "
            "which leaves the t-test no variance: p is the bootstrap's."
        )
    for side, part in ((0, "training"), (1, "test")):
        n_classes = [len(np.unique(predictions.y[split[side]])) for split in predictions.splits]
        n_lacking = sum(n < len(predictions.classes) for n in n_classes)
        if n_lacking:
            meaning = "it is never predicted there"
            if part == "test":
                mean = "" if n_lacking == n_splits else ", and its mean is over the other splits"
                meaning = f"they have no AUC{mean}; balanced accuracy is over the other classes"
            found.append(
                f"The {part} images of {n_lacking} of {counted(n_splits, 'split')} lack a class: "
                f"{meaning}."
            )
    silent = [row["model"] for row in models if row["log_loss"] is None]
    if silent:
        found.append(f"No probabilities, hence no AUC and no log loss: {', '.join(silent)}.")
    if n_units > 1 and any(_noted_row_lacks_interval(row) for row in models):
        found.append(
            f"More than half of the drawings of {unit}s lack a class: the score has no interval by "
            f"{unit}s. A class is in too few {unit}s."
        )
    if any(_noted_row_has_no_width(predictions, row) for row in models):
        found.append(
            "An interval without width is no certainty: the score is the same in every fold or "
            "drawing, as that of a model that says the same of every image, or is always right."
        )
    return found


def _warnings_on_wilcoxon(models, pairs):
    """Name the pairs that Wilcoxon's test cannot tell apart, however large their difference is."""
    scores = {row["model"]: np.array(row["fold_scores"]) for row in models}
    holm = f" after Holm's correction for {len(pairs)} comparisons" if len(pairs) > 1 else ""
    pvalues = [pair["pvalue"] for pair in pairs]
    limited = {}
    for place, pair in enumerate(pairs):
        differences = scores[pair["first"]] - scores[pair["second"]]
        n = np.count_nonzero(np.abs(differences) > _ROUNDING)
        least = min(1.0, 2.0 ** (1 - n))
        # Holm's correction is milder where other pairs have smaller p.
        adjusted = statistics.holm([*pvalues[:place], least, *pvalues[place + 1 :]])[place]
        if n and adjusted >= LEVEL:
            limited.setdefault((n, f"{adjusted:.3f}"), []).append(pair)
    return [
        f"{_names_in_sentence([_difference_in_sentence(pair) for pair in found])}: the scores "
        f"differ in {counted(n, 'fold')}, with which Wilcoxon's p cannot be below {adjusted}{holm}"
        ": no difference can be shown."
        for (n, adjusted), found in limited.items()
    ]


def _noted_row_lacks_interval(row):
    """Tell whether the bootstrap gave no interval for a model."""
    return row["bootstrap_low"] is None or (
        row["roc_auc"] is not None and row["roc_auc_low"] is None
    )


def _noted_row_has_no_width(predictions, row):
    """Tell whether a printed interval has no width; of one test set the bootstrap's is not
    printed."""
    kinds = ["", "roc_auc_"]
    if not have_one_test_set(predictions.splits):
        kinds.append("bootstrap_")
    ends = [(row[f"{kind}low"], row[f"{kind}high"]) for kind in kinds]
    return any(low is not None and high - low < _ROUNDING for low, high in ends)


def _pairs_in_sentence(pairs, test):
    """Name the pairs whose p comes from a test."""
    return _names_in_sentence(
        [_difference_in_sentence(pair) for pair in pairs if pair["test"] == test]
    )


def _difference_in_sentence(pair):
    """Name a difference of two models."""
    return f"{pair['first']} minus {pair['second']}"


def _names_in_sentence(names, word="and"):
    """List names in a sentence: a, b and c."""
    return f" {word} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def p_value_for_sentence(pvalue):
    """Write p for a sentence, with so many digits that p stays on its side of 0.05."""
    if pvalue < 0.001:
        return "p < 0.001"
    digits = 3
    while (round(pvalue, digits) < LEVEL) != (pvalue < LEVEL):
        digits += 1
    return f"p = {pvalue:.{digits}f}"
