"""What the images alone tell: what cannot be read, what repeats, what leaks."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from ..text_tables import counted
from . import fingerprints
from .report import Check
from .summaries import EMPTY_RULE, Look


class Subject(NamedTuple):
    """All images of an audit: those of X, then those of X_test."""

    n_train: int
    files: list  # of str; of None for arrays; empty where there are arrays only
    labels: list  # None where there is no label
    looks: list  # of Look, or of what is wrong

    def name(self, row):
        """How a user finds an image."""
        return f"X[{row}]" if row < self.n_train else f"X_test[{row - self.n_train}]"

    def describe(self, row):
        """The columns that say which image is meant."""
        columns = {"image": self.name(row)}
        if self.files:
            columns["file"] = self.files[row]
        return columns

    def visible(self):
        """Which images show anything: ndarray of shape (n,), bool."""
        return np.array([isinstance(look, Look) and not look.is_constant for look in self.looks])


def unreadable(subject):
    bad = [row for row, look in enumerate(subject.looks) if not isinstance(look, Look)]
    rows = [{**subject.describe(row), "reason": subject.looks[row]} for row in bad]
    n = len(subject.looks)
    rule = "A fault where an image cannot be read."
    if not bad:
        return Check("readability", "ok", f"{_of_all(n)} can be read.", rows, rule)
    sentence = f"{len(bad):,} of {counted(n, 'image')} cannot be read."
    advice = (
        "Repair or replace the files. All other checks, and the images to learn from, are without "
        "them."
    )
    why = "some images cannot be read"
    return Check("readability", "fault", sentence, rows, rule, advice, why)


def _of_all(n):
    return "The image" if n == 1 else f"All {n:,} images"


def empty(subject):
    bad = [
        row for row, look in enumerate(subject.looks) if isinstance(look, Look) and look.is_constant
    ]
    rows = [
        {**subject.describe(row), "brightness": subject.looks[row].brightness[0]} for row in bad
    ]
    rule = f"{EMPTY_RULE} A warning where there is one. Brightness: 0 is black, 1 is white."
    if not bad:
        sentence = "There is something to see on every image that can be read."
        return Check("empty images", "ok", sentence, rows, rule)
    sentence = (
        f"On {len(bad):,} of {counted(len(subject.looks), 'image')} there is nothing to see: "
        "hardly more than one grey value."
    )
    advice = (
        "Look at these images, and leave out those that are empty. All other checks, and the "
        "images to learn from, are without them."
    )
    return Check("empty images", "warning", sentence, rows, rule, advice, "some images are empty")


def members(cluster):
    """Rows of each cluster that has more than one: list of ndarray of int."""
    rows = defaultdict(list)
    for row, number in enumerate(cluster.tolist()):
        rows[number].append(row)
    return [np.array(several) for several in rows.values() if len(several) > 1]


def repeated(subject, cluster, pairs):
    """Duplicates inside X and inside X_test."""
    n = subject.n_train
    inside = (pairs.first < n) == (pairs.second < n)
    rows = [_pair(subject, pairs, pair) for pair in np.flatnonzero(inside)]
    parts = {"X": cluster[:n], "X_test": cluster[n:]}
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


def _pair(subject, pairs, pair):
    first, second = int(pairs.first[pair]), int(pairs.second[pair])
    row = {
        "image": subject.name(first),
        "same as": subject.name(second),
        "how": str(pairs.kind[pair]),
        "similarity": float(pairs.similarity[pair]),
    }
    if subject.files:
        row |= {"file": subject.files[first], "other file": subject.files[second]}
    return row


def leaks(subject, cluster, pairs, leaked):
    """Images of X_test that X holds as well."""
    n = subject.n_train
    direct = {
        (int(a), int(b)): pair
        for pair, (a, b) in enumerate(zip(pairs.first, pairs.second, strict=True))
    }
    first_of = {number: row for row, number in reversed(list(enumerate(cluster[:n].tolist())))}
    rows = []
    for test_row in n + np.flatnonzero(leaked):
        row = {**subject.describe(int(test_row))}
        original = first_of[int(cluster[test_row])]
        pair = direct.get((original, int(test_row)))
        row["same as"] = subject.name(original)
        row["how"] = "by way of another copy" if pair is None else str(pairs.kind[pair])
        if subject.files:
            row["other file"] = subject.files[original]
        rows.append(row)
    rule = "A fault where an image of X_test is one picture with an image of X: see duplicates."
    if not rows:
        return Check("leaks", "ok", "No image of X_test is also in X.", rows, rule)
    sentence = (
        f"{len(rows):,} of {counted(len(leaked), 'image')} of X_test "
        f"{'is' if len(rows) == 1 else 'are'} also in X: a score on X_test rewards memory."
    )
    advice = "Test without these images."
    why = "test images are among the training images"
    return Check("leaks", "fault", sentence, rows, rule, advice, why)


def contradictions(subject, cluster):
    """Duplicates that bear different labels."""
    rows, n_clusters = _differing(subject, cluster, subject.labels, "label")
    name, rule = "labels of duplicates", "A fault where copies of one picture differ in label."
    if not rows:
        return Check(name, "ok", "No two duplicates differ in label.", rows, rule)
    occurs = "occurs" if n_clusters == 1 else "occur"
    sentence = (
        f"{counted(n_clusters, 'picture')} {occurs} under different labels, of which one at most "
        "is right."
    )
    advice = (
        "Find the right label of each picture. Until then leave the picture out: none whose labels "
        "differ within X is among the images to learn from."
    )
    why = "the same image has different labels"
    return Check(name, "fault", sentence, rows, rule, advice, why)


def shared_patients(subject, cluster, groups):
    """Duplicates that belong to different groups."""
    rows, n_clusters = _differing(subject, cluster[: subject.n_train], groups.tolist(), "group")
    name, rule = "groups of duplicates", "A warning where copies of one picture differ in group."
    if not rows:
        return Check(name, "ok", "No two duplicates differ in group.", rows, rule)
    occurs = "occurs" if n_clusters == 1 else "occur"
    sentence = (
        f"{counted(n_clusters, 'picture')} {occurs} in different groups: a split by these groups "
        "can test a picture that was learnt."
    )
    advice = (
        "Find out whether the groups are wrong, or split by the groups of this report, which are "
        "joined where they share a picture."
    )
    why = "copies of a picture are in different groups"
    return Check(name, "warning", sentence, rows, rule, advice, why)


def _differing(subject, cluster, values, name):
    rows, n_clusters = [], 0
    for several in members(cluster):
        known = [row for row in several.tolist() if values[row] is not None]
        if len({values[row] for row in known}) > 1:
            n_clusters += 1
            rows += [
                {"picture": n_clusters, **subject.describe(row), name: values[row]} for row in known
            ]
    return rows, n_clusters


def keep(cluster, labels, visible):
    """Which images of X to learn from: one of each picture, none whose labels differ."""
    kept = visible.copy()
    for several in members(cluster):
        kept[several[1:]] = False
        kept[several[0]] &= len({labels[row] for row in several}) == 1
    return kept
