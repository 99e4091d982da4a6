"""Descriptions of data sets (``DESCR``)."""

import numpy as np

from ..text_tables import counted, printable


def describe_data_set(source, target, groups, *, labels, patients, left_out=""):
    """Return ``DESCR`` of a loaded data set: images, classes, labels, patients, licence.

    Parameters
    ----------
    source : str
        Where the images are from, such as "from the folder lungs".
    target : ndarray of shape (n_images,)
        Labels.
    groups : ndarray of shape (n_images,) of str, or None
        Patients.
    labels, patients : str
        Where labels and patients are from; ``patients`` is not used if ``groups`` is None.
    left_out : str, optional
        Files of the folder that are not in the data set, and why.

    Returns
    -------
    str
    """
    counts = zip(*np.unique(target, return_counts=True), strict=True)
    counts = ", ".join(f"{name}: {n}" for name, n in counts)
    of_patients, known = "", "Which images show the same patient is not known."
    if groups is not None:
        of_patients = f" of {counted(len(np.unique(groups)), 'patient')}"
        known = f"Patients are {patients}."
    return printable(
        f"{len(target)} images{of_patients} {source} ({counts}). Labels are {labels}. {known} "
        "Licence: not stated." + f" Left out: {left_out}." * bool(left_out)
    )
