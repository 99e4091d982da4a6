"""Four checks of images that show one picture: repeats, leaks, other labels, other groups."""

import numpy as np

from ..text_tables import counted
from . import fingerprints
from .pictures import copies_of_each_picture
from .report import Check


def check_duplicates(evidence):
    """Check that no image of X repeats another one of X, and none of X_test another one of X_test.

    Images that are both in X and in X_test are what ``check_leaks`` looks for.
    """
    n, pictures, pairs = evidence.n_train, evidence.pictures, evidence.pairs
    inside = (pairs.first < n) == (pairs.second < n)
    rows = [_describe_pair_of_duplicates(evidence, pair) for pair in np.flatnonzero(inside)]
    parts = {"X": pictures[:n], "X_test": pictures[n:]}
    counts = {name: len(part) - len(np.unique(part)) for name, part in parts.items()}
    found = " and ".join(
        f"{count:,} of {counted(len(parts[name]), 'image')} of {name}"
        for name, count in counts.items()
        if count
    )
    rule = f"{fingerprints.RULE} A warning where an image repeats another."
    if not found:
        return Check("duplicates", "ok", "No image repeats another.", rows, rule)
    n_copies = sum(counts.values())
    sentence = f"{found} {'repeats' if n_copies == 1 else 'repeat'} another image."
    advice = "Count each picture of X_test once in a score."
    why = "test images repeat, and each copy counts"
    if counts["X"]:
        advice = (
            "Look at a few pairs. Then learn from one image of each picture, or keep copies of a "
            "picture on one side of every split, by the groups of this report."
        )
        why = "images repeat, and a split at random tests on what was learnt"
    return Check("duplicates", "warning", sentence, rows, rule, advice, why)


def _describe_pair_of_duplicates(evidence, number):
    """Return a row of the table of duplicates."""
    pairs = evidence.pairs
    first, second = int(pairs.first[number]), int(pairs.second[number])
    row = {
        "image": evidence.name_of(first),
        "same as": evidence.name_of(second),
        "how": str(pairs.kind[number]),
        "similarity": float(pairs.similarity[number]),
    }
    if evidence.files:
        row |= {"file": evidence.files[first], "other file": evidence.files[second]}
    return row


def check_leaks(evidence):
    """Check that no image of X_test is in X as well."""
    n, pictures, pairs = evidence.n_train, evidence.pictures, evidence.pairs
    number_of_pair = {
        (int(first), int(second)): number
        for number, (first, second) in enumerate(zip(pairs.first, pairs.second, strict=True))
    }
    first_of = {number: row for row, number in reversed(list(enumerate(pictures[:n].tolist())))}
    rows = []
    for test_row in n + np.flatnonzero(evidence.leaked):
        row = {**evidence.describe(int(test_row))}
        original = first_of[int(pictures[test_row])]
        pair = number_of_pair.get((original, int(test_row)))
        row["same as"] = evidence.name_of(original)
        row["how"] = "by way of another copy" if pair is None else str(pairs.kind[pair])
        if evidence.files:
            row["other file"] = evidence.files[original]
        rows.append(row)
    rule = "A fault where an image of X_test is one picture with an image of X: see duplicates."
    if not rows:
        return Check("leaks", "ok", "No image of X_test is also in X.", rows, rule)
    sentence = (
        f"{len(rows):,} of {counted(len(evidence.leaked), 'image')} of X_test "
        f"{'is' if len(rows) == 1 else 'are'} also in X: a score on X_test rewards memory."
    )
    advice = "Test without these images."
    why = "test images are among the training images"
    return Check("leaks", "fault", sentence, rows, rule, advice, why)


def check_labels_of_duplicates(evidence):
    """Check that all copies of a picture have one label."""
    rows, n_pictures = _duplicates_that_differ(
        evidence, evidence.pictures, evidence.labels, "label"
    )
    name, rule = "labels of duplicates", "A fault where copies of one picture differ in label."
    if not rows:
        return Check(name, "ok", "No two duplicates differ in label.", rows, rule)
    occurs = "occurs" if n_pictures == 1 else "occur"
    sentence = (
        f"{counted(n_pictures, 'picture')} {occurs} under different labels, of which one at most "
        "is right."
    )
    advice = (
        "Find the right label of each picture. Until then leave the picture out: none whose labels "
        "differ within X is among the images to learn from."
    )
    why = "the same image has different labels"
    return Check(name, "fault", sentence, rows, rule, advice, why)


def check_groups_of_duplicates(evidence):
    """Check that all copies of a picture in X are of one group, such as one patient."""
    pictures, groups = evidence.pictures[: evidence.n_train], evidence.groups.tolist()
    rows, n_pictures = _duplicates_that_differ(evidence, pictures, groups, "group")
    name, rule = "groups of duplicates", "A warning where copies of one picture differ in group."
    if not rows:
        return Check(name, "ok", "No two duplicates differ in group.", rows, rule)
    occurs = "occurs" if n_pictures == 1 else "occur"
    sentence = (
        f"{counted(n_pictures, 'picture')} {occurs} in different groups: a split by these groups "
        "can test a picture that was learnt."
    )
    advice = (
        "Find out whether the groups are wrong, or split by the groups of this report, which are "
        "joined where they share a picture."
    )
    why = "copies of a picture are in different groups"
    return Check(name, "warning", sentence, rows, rule, advice, why)


def _duplicates_that_differ(evidence, pictures, values, column):
    """List the copies of each picture whose copies differ in a value, such as the label.

    Returns
    -------
    rows : list of dict
        A row for each copy that has a value.
    n_pictures : int
    """
    rows, n_pictures = [], 0
    for copies in copies_of_each_picture(pictures):
        known = [row for row in copies.tolist() if values[row] is not None]
        if len({values[row] for row in known}) > 1:
            n_pictures += 1
            rows += [
                {"picture": n_pictures, **evidence.describe(row), column: values[row]}
                for row in known
            ]
    return rows, n_pictures
