"""The split of the images into those that train and those that validate, for early stopping."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, train_test_split


def split_off_validation_rows(rows, y, groups, fraction, seed):
    """Split rows at random into rows to train on and rows for the validation loss.

    The split is stratified by class. With ``groups`` no patient is on both sides.

    Parameters
    ----------
    rows : ndarray of int
        Rows of the images that have a weight above 0.
    y : ndarray of int
        Class numbers of all images.
    groups : ndarray or None
        Patients of all images.
    fraction : float or None
        Fraction of the rows to validate on; None: no row.
    seed : int

    Returns
    -------
    training : ndarray of int
    validation : ndarray of int or None
        None where ``fraction`` is None.

    Raises
    ------
    ValueError
        There are too few images or patients for this fraction, or each set of patients that could
        be set aside has all images of a class.
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
