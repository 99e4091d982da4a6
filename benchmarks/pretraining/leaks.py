"""Which radiographs must not be learnt from: those that figures are reported for."""

from pathlib import Path

import numpy as np

from lungestimators import audit_images
from lungestimators.datasets import load_image_folder


def copies_of_scored_images(rows, folders):
    """Return for each radiograph whether it shows an image of a scored set, as the audit finds.

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
    return copies
