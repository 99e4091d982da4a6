"""What is to know of the splits of a comparison."""

import numpy as np


def one_test_set(splits):
    """Whether all splits test the same images."""
    first = np.sort(splits[0][1])
    return all(np.array_equal(np.sort(test), first) for _, test in splits)


def splits_that_share_groups(splits, groups):
    """Numbers of the splits that train on images of a group and test images of the same group."""
    if groups is None:
        return []
    return [
        number
        for number, (train, test) in enumerate(splits)
        if np.isin(groups[test], groups[train]).any()
    ]


def tested(splits):
    """Rows of the tested images."""
    return np.unique(np.concatenate([test for _, test in splits]))


def repeats(splits):
    """For each split, how often each of its test rows was tested in an earlier split."""
    times = np.zeros(1 + max(rows.max() for split in splits for rows in split), int)
    counted = []
    for _, test in splits:
        counted.append(times[test])
        np.add.at(times, test, 1)
    return counted
