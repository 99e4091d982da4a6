"""Folders of classes: which images to learn from, which to test on, which cannot be read."""

from typing import NamedTuple

import numpy as np

from ..datasets import load_image_folder
from ..images.file_checks import unreadable_files
from ..text_tables import counted, printable


class Images(NamedTuple):
    """Paths of images, with their classes and patients.

    Parameters
    ----------
    paths : ndarray of shape (n_images,) of str
    classes : ndarray of shape (n_images,) of str
    patients : ndarray of shape (n_images,) of str, or None
        None if they are not known.
    """

    paths: np.ndarray
    classes: np.ndarray
    patients: np.ndarray | None

    def take(self, rows):
        """Return some of the images, by a mask."""
        patients = None if self.patients is None else self.patients[rows]
        return Images(self.paths[rows], self.classes[rows], patients)

    def counts(self):
        """Return the number of images of each class."""
        names, numbers = np.unique(self.classes, return_counts=True)
        return dict(zip(names.tolist(), numbers.tolist(), strict=True))

    def described(self):
        """Return in words how many images of which classes there are, and of how many patients."""
        of_classes = ", ".join(f"{printable(name)}: {n:,}" for name, n in self.counts().items())
        of_patients = ""
        if self.patients is not None:
            of_patients = f" of {counted(len(np.unique(self.patients)), 'patient')}"
        return f"{counted(len(self.paths), 'image')}{of_patients} ({of_classes})"

    def document(self):
        """Return the numbers of images and patients as plain data."""
        n_patients = None if self.patients is None else len(np.unique(self.patients))
        return {"n_images": len(self.paths), "classes": self.counts(), "n_patients": n_patients}


def load_parts(arguments):
    """Load a folder, and divide it into images to learn from and images to test on.

    Parameters
    ----------
    arguments : argparse.Namespace
        ``folder``, ``group`` and ``group_csv`` are used.

    Returns
    -------
    learn, test : Images, or None where there are none
        Images of ``test/`` are to test on; where there is no such part, those of ``val/``; where
        there is neither, there are none to test on.
    name : str or None
        The part to test on: ``"test"`` or ``"val"``.
    """
    lungs = load_image_folder(
        arguments.folder, group=arguments.group, group_csv=arguments.group_csv
    )
    images = Images(lungs.data, lungs.target, lungs.groups)
    print(printable(lungs.DESCR.replace(" Licence: not stated.", "")))
    if lungs.split is None:
        return images, None, None
    name = next((name for name in ("test", "val") if name in lungs.split), None)
    is_test = lungs.split == name
    parts = [images.take(rows) if rows.any() else None for rows in (~is_test, is_test)]
    return *parts, name


def leave_out_unreadable(images):
    """Read every file once.

    Returns
    -------
    images : Images
        Those that can be read.
    reasons : dict of {str: str}
        What is wrong with each of the others, by its path.

    Raises
    ------
    ValueError
        No image of a class can be read.
    """
    reasons = unreadable_files(images.paths.tolist())
    kept = images.take(np.array([path not in reasons for path in images.paths]))
    lacking = sorted(set(images.counts()) - set(kept.counts()))
    if lacking:
        path = next(path for path, c in zip(*images[:2], strict=True) if c == lacking[0])
        raise ValueError(
            f"No image of {lacking[0]!r} can be read, such as {str(path)!r}: {reasons[path]}"
        )
    return kept, reasons
