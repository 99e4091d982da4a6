"""Which radiographs must not be learnt from: those that figures are reported for."""

from pathlib import Path

import numpy as np

from lungestimators import audit_images
from lungestimators.datasets import load_image_folder


def people_of_scored_images(rows, folders):
    """Return for each radiograph whether its person is in a scored set, as far as the audit finds.

    These are the copies of scored images, and all images of the people whom the copies show.

    Parameters
    ----------
    rows : list of dict
        As ``list_radiographs`` returns them.
    folders : list of path
        Sets of images that figures are reported for: a folder a class.

    Returns
    -------
    ndarray of shape (n_images,), bool
    """
    copies = np.zeros(len(rows), bool)
    for folder in folders:
        scored = load_image_folder(Path(folder))
        report = audit_images(
            scored.data,
            scored.target,
            X_test=[row["path"] for row in rows],
            checks=["leaks"],
            verbose=1,
        )
        copies |= report.leaked_
    people = {_person(row) for row, copy in zip(rows, copies, strict=True) if copy} - {None}
    return copies | np.array([_person(row) in people for row in rows])


def _person(row):
    """Return collection and number of the person of a radiograph, None if it has no number."""
    return (row["source"], row["patient"]) if row.get("patient") else None
