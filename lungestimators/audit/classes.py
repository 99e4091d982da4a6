"""A check of the classes: how many images and groups each has to learn from."""

import numpy as np

from ..text_tables import counted
from .report import Check

# A largest class this many times the smallest is worth a word.
_IMBALANCE = 5


def check_classes(evidence):
    """Check that the classes are of like size, and large enough to cross-validate."""
    folds, y, cv = evidence.folds, evidence.y, evidence.cv
    rows = [
        {
            "class": str(label),
            "images": int(np.sum(y == label)),
            "to learn from": int(np.sum(folds.y == c)),
            "groups to learn from": len(np.unique(folds.groups[folds.y == c])),
        }
        for c, label in enumerate(folds.classes)
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
    if folds.n_folds < cv:
        whys.append("a class is too small")
        # One of each picture is learnt from: without given groups, groups are images.
        images, groups = few["to learn from"], few["groups to learn from"]
        groups = "" if groups == images else f" in {counted(groups, 'group')}"
        words.append(
            f"Class {few['class']!r} has only {counted(images, 'image')}{groups} to learn from: "
            + (
                f"{folds.n_folds} folds were used instead of {cv}."
                if folds.n_folds >= 2
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
