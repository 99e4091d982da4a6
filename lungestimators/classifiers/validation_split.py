"""The images that early stopping sets aside."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, train_test_split


def split(rows, y, groups, fraction, seed):
    """Return rows to train on and, for early stopping, rows to validate on.

    Parameters
    ----------
    rows : ndarray of int
        The rows that are not left out.
    y : ndarray of int
        Class numbers of all rows.
    groups : ndarray or None
        Patients of all rows; each stays on one side.
    fraction : float or None
        Part of the rows to set aside; None: none.
    seed : int

    Returns
    -------
    training : ndarray of int
    validation : ndarray of int or None
    """
    if fraction is None:
        return rows, None
    try:
        if groups is None:
            return train_test_split(rows, test_size=fraction, stratify=y[rows], random_state=seed)
        splitter = StratifiedGroupKFold(
            max(2, round(1 / fraction)), shuffle=True, random_state=seed
        )
        for training, validation in splitter.split(rows, y[rows], groups[rows]):
            training, validation = rows[training], rows[validation]
            if len(validation) and len(np.unique(y[training])) == len(np.unique(y[rows])):
                return training, validation
        raise ValueError("whichever groups are set aside, they have all images of a class")
    except ValueError as error:
        raise ValueError(
            f"early_stopping=True cannot set aside validation_fraction={fraction} of {len(rows)} "
            f"images: {error}"
        ) from error
