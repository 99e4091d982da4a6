"""Splits into training and test rows: make them, check them, and tell what they share."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv

from ..validation import check_whole_number, is_whole_number


def make_splits(cv, n_repeats, X, y, groups, rng):
    """Return the splits that the argument ``cv`` of ``compare_models`` stands for."""
    if isinstance(cv, tuple) and len(cv) == 2 and all(hasattr(rows, "dtype") for rows in cv):
        return [cv]
    if not is_whole_number(cv):
        return check_cv(cv).split(X, y, groups)
    check_whole_number("n_repeats", n_repeats, 1)
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    return [
        split
        for _ in range(n_repeats)
        for split in kind(cv, shuffle=True, random_state=rng.randint(2**31)).split(y, y, groups)
    ]


def check_splits(splits, y):
    """Return splits as arrays of rows, or raise where nothing can be trained or tested."""
    checked = []
    for number, (train, test) in enumerate(splits):
        train, test = (np.arange(len(y))[np.asarray(rows)] for rows in (train, test))
        for rows, part in ((train, "training"), (test, "test")):
            if not len(rows):
                raise ValueError(f"split {number} has no {part} images")
        if np.isin(test, train).any():
            raise ValueError(f"split {number} tests images that it trains on")
        if len(np.unique(y[train])) < 2:
            raise ValueError(f"the training images of split {number} are of one class only")
        checked.append((train, test))
    if not checked:
        raise ValueError("there are no splits")
    return checked


def have_one_test_set(splits):
    """Tell whether all splits test the same images."""
    first = np.sort(splits[0][1])
    return all(np.array_equal(np.sort(test), first) for _, test in splits)


def splits_that_share_groups(splits, groups):
    """Return the numbers of the splits that train on and test images of one group."""
    if groups is None:
        return []
    return [
        number
        for number, (train, test) in enumerate(splits)
        if np.isin(groups[test], groups[train]).any()
    ]


def tested_rows_of_splits(splits):
    """Return the rows of all images that any split tests, sorted."""
    return np.unique(np.concatenate([test for _, test in splits]))


def earlier_tests_of_splits(splits):
    """Count for each split how often earlier splits tested each of its test rows."""
    times = np.zeros(1 + max(rows.max() for split in splits for rows in split), int)
    counts = []
    for _, test in splits:
        counts.append(times[test])
        np.add.at(times, test, 1)
    return counts
