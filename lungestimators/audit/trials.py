"""What models tell: doubtful labels, shortcuts, and whether the classes suffice to tell."""

from typing import NamedTuple

import numpy as np

from ..text_tables import counted
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
# Images are few where a shortcut is found only if it has more than this of all there is above
# chance: as of three classes of 4 images.
_WEAK = 1 / 3
FEW = "there are too few images to find any but a strong shortcut"

LABELS_RULE = (
    "A label is doubted where a model that was trained without the image gives another class at "
    "least the probability that images of that class have on average. A warning where more than "
    f"{100 * _DOUBTFUL:g} % of the labels are doubted: a good model's own errors make it doubt "
    "nearly so many. Skipped where the estimator is not clearly above chance."
)


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
            "to learn from": int(np.sum(trial.y == c)),
            "groups to learn from": len(np.unique(trial.groups[trial.y == c])),
        }
        for c, label in enumerate(trial.classes)
    ]
    counts = [row["images"] for row in rows]
    few = min(rows, key=lambda row: row["groups to learn from"])
    least, most = min(counts), max(counts)
    each = f"{counted(least, 'image')} each" if least == most else f"{least:,} to {most:,} images"
    words, advice, whys = [f"{len(rows)} classes of {each}."], [], []
    if most >= _IMBALANCE * least:
        whys.append("classes are unequal")
        words.append(
            f"A model that always says {rows[np.argmax(counts)]['class']!r} has an accuracy of "
            f"{most / sum(counts):.3f}."
        )
        advice.append("Look at balanced accuracy.")
    if trial.n_folds < cv:
        whys.append("a class is too small")
        # One of each picture is learnt from: without given groups, groups are images.
        images, groups = few["to learn from"], few["groups to learn from"]
        groups = "" if groups == images else f" in {counted(groups, 'group')}"
        words.append(
            f"Class {few['class']!r} has only {counted(images, 'image')}{groups} to learn from: "
            + (
                f"{trial.n_folds} folds were used instead of {cv}."
                if trial.n_folds >= 2
                else "too few to cross-validate."
            )
        )
        advice.append("Add images of small classes: what the checks below find is uncertain.")
    rule = (
        f"A warning where the largest class has {_IMBALANCE} times the images of the smallest or "
        f"more, or where a class has fewer than {counted(cv, 'image')} or groups to learn from, "
        "one for each fold. A group is a patient, say, with all copies of the patient's images."
    )
    verdict = "warning" if whys else "ok"
    why = " and ".join(whys)
    return Check("classes", verdict, " ".join(words), rows, rule, " ".join(advice), why)


def unknown_labels(y, y_test):
    """Labels of the test images that nothing can be learnt about."""
    unknown, counts = np.unique(y_test[~np.isin(y_test, y)], return_counts=True)
    rows = [
        {"label": str(label), "test images": int(n)}
        for label, n in zip(unknown, counts, strict=True)
    ]
    name, rule = "test labels", "A fault where y_test has a label that y does not have."
    if not rows:
        return Check(name, "ok", "Every label of y_test is one of y.", rows, rule)
    bears = "bears a label" if counts.sum() == 1 else "bear labels"
    sentence = (
        f"{counted(int(counts.sum()), 'test image')} {bears} that y does not have "
        f"({', '.join(row['label'] for row in rows)}): no model can get "
        f"{'it' if counts.sum() == 1 else 'them'} right."
    )
    advice = "Look for other spellings of a label, or leave these images out of the test."
    why = "test images have labels that cannot be learnt"
    return Check(name, "fault", sentence, rows, rule, advice, why)


def doubtful_labels(trial, predictions, subject):
    """Labels that the estimator, where it is confident, doubts."""
    name, probabilities = "labels", predictions.probabilities
    if probabilities is None:
        why = "The estimator has no predict_proba, which this check needs."
        advice = "Give an estimator with probabilities."
        return Check(name, "skipped", why, [], LABELS_RULE, advice)
    if not _clearly_above_chance(predictions.score, trial.chance, 1):
        why = (
            f"The estimator's balanced accuracy of {predictions.score.mean:.3f} is not clearly "
            f"above chance ({trial.chance:.3f}): its doubts would mean nothing."
        )
        advice = "Give an estimator that learns these images, or more images."
        return Check(name, "skipped", why, [], LABELS_RULE, advice)
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
        return Check(name, "ok", f"The model doubts none of {n:,} labels.", rows, LABELS_RULE)
    sentence = (
        f"The model, with a balanced accuracy of {predictions.score.mean:.3f}, doubts "
        f"{len(rows):,} of {n:,} labels"
    )
    if len(rows) <= _DOUBTFUL * n:
        sentence += ": no more than a good model's own errors explain."
        return Check(name, "ok", sentence, rows, LABELS_RULE)
    advice = "Look at these images: the label is wrong, or the model is."
    why = "some labels are doubtful"
    return Check(name, "warning", f"{sentence}.", rows, LABELS_RULE, advice, why)


def candidates(looks, source):
    """What a shortcut could be read from.

    Parameters
    ----------
    looks : list of Look
    source : ndarray of str or None

    Returns
    -------
    list of (str, ndarray or str, bool)
        Name, features (where there is nothing to read, why), and whether the lung is seen, too.
    """
    thumbnails = np.stack([look.thumbnail for look in looks])
    properties = [look.properties for look in looks]
    of_files = "an array has no files"
    if properties[0]:
        of_files = shortcuts.file_properties(properties)
        of_files = "they are the same in all files" if of_files is None else of_files
    found = [
        ("border alone", shortcuts.border(thumbnails), False),
        ("file properties", of_files, False),
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
    found : list of (str, Score or str, bool)
        Name, score (or why there is none), and whether the lung is seen, too.
    real, permuted : Score
        Of the estimator with the labels as they are, and with permuted ones.

    Returns
    -------
    Check
    """
    n_tried = sum(not isinstance(score, str) for _, score, _ in found) + 1
    possible = 1 - trial.chance
    won = real.mean - trial.chance
    limit = trial.chance + _MATERIAL * possible
    limit_of_lung = trial.chance + _NEARLY_ALL * won if won >= _HIGH * possible else None

    def clearly_above_chance(score):
        return _clearly_above_chance(score, trial.chance, n_tried)

    rows = [_row("estimator", real, True), _row("estimator, permuted labels", permuted, True)]
    rows[1] |= {"limit": limit, "verdict": "ok"}
    words, advice, whys, verdict, lucky = [], [], [], "ok", []
    for name, score, sees_lung in found:
        row = _row(name, None if isinstance(score, str) else score, sees_lung)
        rows.append(row)
        row["limit"] = limit_of_lung if sees_lung else limit
        if isinstance(score, str):
            row |= {"limit": None, "verdict": "skipped"}
            words.append(f"{name.capitalize()} were not tried: {score}.")
        elif sees_lung and limit_of_lung is None:
            row["verdict"] = "skipped"
        else:
            over = score.mean - trial.chance >= (_NEARLY_ALL * won if sees_lung else 0)
            flag = clearly_above_chance(score) and over
            row["verdict"] = ("warning" if sees_lung else "fault") if flag else "ok"
            if not flag and score.mean >= row["limit"]:
                lucky.append(row)
    told = [row for row in rows if row["verdict"] == "fault"]
    coarse = [row for row in rows if row["verdict"] == "warning"]
    if coarse:
        verdict = "warning"
        words.insert(
            0,
            f"The estimator ({real.mean:.3f}) is hardly better than {_scores(coarse)}: it may see "
            "no more than the exposure, the position or the size of the patient.",
        )
        advice.append("Look at what a model sees, and test it on images of another source.")
        whys.append("the estimator may see no more than a coarse view shows")
    if told:
        verdict = "fault"
        words.insert(0, f"The class can be told without the lung: {_scores(told)}.")
        advice.insert(
            0,
            "Find out in what the classes differ beside the lung (source, device, format, marks), "
            "and crop it, convert it, or take classes of one source.",
        )
        whys.insert(0, "the class can be told from something else than the lung")
    if clearly_above_chance(permuted):
        verdict = rows[1]["verdict"] = "fault"
        words.append(
            f"With permuted labels the estimator scores {permuted.mean:.3f}, above chance: "
            "something leaks through the procedure itself."
        )
        advice.append("Look for what the estimator keeps from one fit to the next.")
        whys.append("the estimator recognises labels that it cannot know")
    if verdict == "ok":
        words.insert(0, "No view without the lung tells the class.")
    if lucky:
        words.append(f"Above the limit, but perhaps by luck: {_scores(lucky)}.")
    if limit_of_lung is None:
        least = trial.chance + _HIGH * possible
        chance = "" if clearly_above_chance(real) else "not clearly above chance, and "
        words.append(
            f"Views that show the lung, too, were not judged: the estimator ({real.mean:.3f}) is "
            f"{chance}below {least:.3f}."
        )
    weakest = _weakest(trial, real.n_groups, n_tried)
    few = weakest is None or weakest > trial.chance + _WEAK * possible
    if weakest is None:
        words.append("The images are few: not even a view that tells every image would be found.")
    elif few:
        words.append(
            f"The images are few: only a view that scores about {weakest:.3f} or more is found, "
            "and a weaker shortcut may be there."
        )
    if few and verdict == "ok":
        verdict = "skipped" if weakest is None else "warning"
        advice.append("Add images: so few cannot show what a weaker shortcut does.")
        whys.append(FEW)
    words.append(
        f"Balanced accuracy in {trial.n_folds} folds by group, "
        f"{counted(len(trial.rows), 'image')}; chance is {trial.chance:.3f}; low and high are a "
        "95 % interval."
    )
    rule = _shortcuts_rule(trial, limit, weakest)
    return Check(
        "shortcuts", verdict, " ".join(words), rows, rule, " ".join(advice), "; ".join(whys)
    )


def _shortcuts_rule(trial, limit, weakest):
    """Why one score is a fault and a like score is not."""
    surely = "" if weakest is None else f", which takes about {weakest:.3f} with these images"
    return (
        f"A view in which no lung is seen is a fault from its limit on: {limit:.3f}, "
        f"{100 * _MATERIAL:g} % of the way from chance to 1. So is the estimator with permuted "
        "labels. A view in which the lung is seen, too, is a warning from another limit on: "
        f"{100 * _NEARLY_ALL:g} % of what the estimator wins over chance. It is skipped where the "
        f"estimator is not good enough to compare with, below {100 * _HIGH:g} % of the way. "
        f"What is found must be above chance by more than luck ({100 * _ERROR:g} % over all views)"
        f"{surely}."
    )


def _weakest(trial, n_groups, n_tried):
    """The lowest score that is clearly above chance, all classes alike; None where none is."""
    for recall in np.linspace(trial.chance, 1, 1001):
        score = shortcuts.Score(np.full(len(n_groups), recall), n_groups)
        if _clearly_above_chance(score, trial.chance, n_tried):
            return float(recall)
    return None


def _clearly_above_chance(score, chance, n_tried):
    """Whether a score, the best of ``n_tried`` perhaps, is above chance, and by what matters."""
    low, _ = score.interval(2 * _ERROR / n_tried)
    return low > chance and score.mean - chance >= _MATERIAL * (1 - chance)


def _row(name, score, sees_lung):
    low, high = (None, None) if score is None else score.interval()
    return {
        "seen": name,
        "lung": "seen" if sees_lung else "not seen",
        "score": None if score is None else score.mean,
        "low": low,
        "high": high,
        "limit": None,
        "verdict": "",
    }


def _scores(rows):
    return ", ".join(f"{row['seen']} ({row['score']:.3f})" for row in rows)
