"""What the images alone tell: what cannot be read, what repeats, what leaks."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from .report import Check
from .thumbnails import Look


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
    if not bad:
        return Check("readability", "ok", f"All {n} images can be read.", rows)
    sentence = (
        f"{len(bad)} of {n} images cannot be read; they are left out of all other checks, and of "
        "keep_."
    )
    return Check("readability", "fault", sentence, rows)


def empty(subject):
    bad = [
        row for row, look in enumerate(subject.looks) if isinstance(look, Look) and look.is_constant
    ]
    rows = [
        {**subject.describe(row), "brightness": subject.looks[row].brightness[0]} for row in bad
    ]
    if not bad:
        return Check("empty images", "ok", "There is something to see on every image.", rows)
    sentence = (
        f"On {len(bad)} of {len(subject.looks)} images there is nothing to see: hardly more than "
        "one grey value. They are left out of all other checks, and of keep_."
    )
    return Check("empty images", "warning", sentence, rows)


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
        f"{count} of {len(parts[name])} images of {name}" for name, count in counts.items() if count
    )
    if not found:
        return Check("duplicates", "ok", "No image of X repeats another.", rows)
    repeat = "repeats" if sum(counts.values()) == 1 else "repeat"
    sentence = f"{found} {repeat} another"
    sentence += ": split by groups_, or learn from keep_ only." if counts["X"] else "."
    return Check("duplicates", "warning", sentence, rows)


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
    if not rows:
        return Check("leaks", "ok", "No image of X_test is also in X.", rows)
    sentence = (
        f"{len(rows)} of {len(leaked)} images of X_test are also in X (leaked_): a score on X_test "
        "rewards memory. Test on X_test without them."
    )
    return Check("leaks", "fault", sentence, rows)


def contradictions(subject, cluster):
    """Duplicates that bear different labels."""
    rows, n_clusters = _differing(subject, cluster, subject.labels, "label")
    if not rows:
        return Check("labels of duplicates", "ok", "No two duplicates differ in label.", rows)
    sentence = (
        f"{n_clusters} image{'s' * (n_clusters > 1)} occur{'s' * (n_clusters == 1)} under "
        "different labels, of which one at most is right; keep_ has none that differ within X."
    )
    return Check("labels of duplicates", "fault", sentence, rows)


def shared_patients(subject, cluster, groups):
    """Duplicates that belong to different groups."""
    rows, n_clusters = _differing(subject, cluster[: subject.n_train], groups.tolist(), "group")
    if not rows:
        return Check("groups of duplicates", "ok", "No two duplicates differ in group.", rows)
    sentence = (
        f"{n_clusters} image{'s' * (n_clusters > 1)} occur{'s' * (n_clusters == 1)} in different "
        "groups: folds by these groups leak, folds by groups_ do not."
    )
    return Check("groups of duplicates", "warning", sentence, rows)


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
