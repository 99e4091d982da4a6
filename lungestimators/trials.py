"""What models tell: doubtful labels, shortcuts, and whether the classes suffice to tell."""

from typing import NamedTuple

import numpy as np

from . import shortcuts
from .report import Check

# A largest class this many times the smallest is worth a word.
_IMBALANCE = 5
# A good model's own errors alone make it doubt nearly so many labels.
_DOUBTFUL = 0.05

_ERROR = 0.01  # probability that any shortcut is called significant where there is none
# What a shortcut has to win of all that there is above chance before it matters.
_MATERIAL = 0.15
# A coarse view of the lung matters when it has so much of what the estimator wins, which in turn
# is so much of all there is.
_NEARLY_ALL, _HIGH = 0.8, 0.6


class Trial(NamedTuple):
    """What the cross-validated checks have in common."""

    rows: np.ndarray  # of X, int
    y: np.ndarray  # their classes, as numbers
    groups: np.ndarray
    classes: np.ndarray  # names of the classes
    n_folds: int  # below 2 where nothing can be cross-validated
    seed: int

    @property
    def chance(self):
        return 1 / len(self.classes)

    def splits(self):
        return shortcuts.folds(self.y, self.groups, self.n_folds, self.seed)


def prepare(y, keep, groups, cv, seed):
    """Return the Trial of the images to learn from."""
    classes, numbers = np.unique(y, return_inverse=True)
    rows = np.flatnonzero(keep)
    smallest = min(len(np.unique(groups[keep & (numbers == c)])) for c in range(len(classes)))
    return Trial(rows, numbers[rows], groups[rows], classes, min(cv, smallest), seed)


def balance(trial, y, cv):
    """How many images and groups each class has."""
    rows = [
        {
            "class": str(label),
            "images": int(np.sum(y == label)),
            "in keep_": int(np.sum(trial.y == c)),
            "groups in keep_": len(np.unique(trial.groups[trial.y == c])),
        }
        for c, label in enumerate(trial.classes)
    ]
    counts = [row["images"] for row in rows]
    few = min(rows, key=lambda row: row["groups in keep_"])
    words = [f"{len(rows)} classes of {min(counts)} to {max(counts)} images."]
    verdict = "ok"
    if max(counts) >= _IMBALANCE * min(counts):
        verdict = "warning"
        words.append(
            f"Whoever always says {rows[np.argmax(counts)]['class']!r} has an accuracy of "
            f"{max(counts) / sum(counts):.3f}: look at balanced accuracy."
        )
    if trial.n_folds < cv:
        verdict = "warning"
        words.append(
            f"Class {few['class']!r} has only {few['in keep_']} images in "
            f"{few['groups in keep_']} groups to learn from: "
            + (
                f"{trial.n_folds} folds were used instead of {cv}."
                if trial.n_folds >= 2
                else "too few to cross-validate."
            )
        )
    return Check("classes", verdict, " ".join(words), rows)


def unknown_labels(y, y_test):
    """Labels of the test images that nothing can be learnt about."""
    unknown, counts = np.unique(y_test[~np.isin(y_test, y)], return_counts=True)
    rows = [
        {"label": str(label), "test images": int(n)}
        for label, n in zip(unknown, counts, strict=True)
    ]
    if not rows:
        return Check("test labels", "ok", "Every label of y_test is one of y.", rows)
    sentence = (
        f"{counts.sum()} test images bear labels that y does not have "
        f"({', '.join(row['label'] for row in rows)}): no model can get them right."
    )
    return Check("test labels", "fault", sentence, rows)


def doubtful_labels(trial, predictions, subject):
    """Labels that the estimator, where it is confident, doubts."""
    name, probabilities = "labels", predictions.probabilities
    if probabilities is None:
        return Check(name, "skipped", "The estimator has no predict_proba.", [])
    if not _clearly_above_chance(predictions.score, trial.chance, 1):
        why = "The estimator is not clearly above chance: it has nothing to say of labels."
        return Check(name, "skipped", why, [])
    rows = []
    suspects = shortcuts.label_suspects(trial.y, probabilities)
    for place, suggested in zip(*suspects, strict=True):
        rows.append(
            {
                **subject.describe(int(trial.rows[place])),
                "label": str(trial.classes[trial.y[place]]),
                "probability": float(probabilities[place, trial.y[place]]),
                "suggested": str(trial.classes[suggested]),
                "its probability": float(probabilities[place, suggested]),
            }
        )
    n = len(trial.rows)
    if not rows:
        return Check(name, "ok", f"The model doubts none of {n} labels.", rows)
    sentence = (
        f"The model, with a balanced accuracy of {predictions.score.mean:.2f}, doubts "
        f"{len(rows)} of {n} labels. Look at these images: the label is wrong, or the "
        "model is."
    )
    return Check(name, "warning" if len(rows) > _DOUBTFUL * n else "ok", sentence, rows)


def candidates(looks, source):
    """What a shortcut could be read from.

    Parameters
    ----------
    looks : list of Look
    source : ndarray of str or None

    Returns
    -------
    list of (str, ndarray or None, bool)
        Name, features (None where there is nothing to read), and whether the lung is seen, too.
    """
    thumbnails = np.stack([look.thumbnail for look in looks])
    found = [
        ("border alone", shortcuts.border(thumbnails), False),
        ("file properties", shortcuts.file_properties([look.properties for look in looks]), False),
        ("brightness and contrast", np.array([look.brightness for look in looks]), True),
        ("thumbnail of 16x16", shortcuts.coarse(thumbnails), True),
    ]
    if source is not None:
        found.insert(2, ("source", shortcuts.one_hot(source), False))
    return found


def compare(trial, found, real, permuted):
    """Set the shortcuts' scores beside the estimator's.

    Parameters
    ----------
    trial : Trial
    found : list of (str, Score or None, bool)
        Name, score, and whether the lung is seen, too.
    real, permuted : Score
        Of the estimator with the labels as they are, and with permuted ones.

    Returns
    -------
    Check
    """
    n_tried = sum(score is not None for _, score, _ in found) + 1
    possible = 1 - trial.chance

    def clearly_above_chance(score):
        return _clearly_above_chance(score, trial.chance, n_tried)

    def close_to_the_real_thing(score):
        won = real.mean - trial.chance
        return won >= _HIGH * possible and score.mean - trial.chance >= _NEARLY_ALL * won

    rows = [_row("estimator", real, ""), _row("estimator, permuted labels", permuted, "ok")]
    words, verdict = [], "ok"
    for name, score, sees_lung in found:
        if score is None:
            rows.append(_row(name, None, "the same for all images"))
            continue
        flag = clearly_above_chance(score) and (not sees_lung or close_to_the_real_thing(score))
        rows.append(_row(name, score, ("warning" if sees_lung else "fault") if flag else "ok"))
    told = [row for row in rows if row["verdict"] == "fault"]
    coarse = [row for row in rows if row["verdict"] == "warning"]
    if told:
        verdict = "fault"
        words.append(f"The class can be told without the lung: {_scores(told)}.")
    if coarse:
        verdict = "fault" if told else "warning"
        words.append(
            f"The estimator ({real.mean:.2f}) is hardly better than {_scores(coarse)}: it may see "
            "no more than the exposure, the position or the size of the patient."
        )
    if clearly_above_chance(permuted):
        verdict = rows[1]["verdict"] = "fault"
        words.append(
            f"With permuted labels the estimator scores {permuted.mean:.2f}, above chance: "
            "something leaks through the procedure itself."
        )
    if not words:
        words.append("Nothing beside the lung tells the class.")
    if not clearly_above_chance(real):
        words.append("The estimator itself is not clearly above chance.")
    words.append(
        f"Balanced accuracy in {trial.n_folds} folds by groups_, {len(trial.rows)} images; chance "
        f"is {trial.chance:.3f}; intervals of 95 %."
    )
    return Check("shortcuts", verdict, " ".join(words), rows)


def _clearly_above_chance(score, chance, n_tried):
    """Whether a score, the best of ``n_tried`` perhaps, is above chance, and by what matters."""
    low, _ = score.interval(2 * _ERROR / n_tried)
    return low > chance and score.mean - chance >= _MATERIAL * (1 - chance)


def _row(name, score, verdict):
    low, high = (None, None) if score is None else score.interval()
    mean = None if score is None else score.mean
    return {"seen": name, "score": mean, "low": low, "high": high, "verdict": verdict}


def _scores(rows):
    return ", ".join(f"{row['seen']} ({row['score']:.2f})" for row in rows)
