"""What compare.py can be run on: synthetic images, a folder, a MedMNIST file, a fetched set."""

import hashlib
import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from lungestimators import (
    ImageReader,
    LungFields,
    fetch_lung_disease,
    fetch_pneumoniamnist,
    load_image_folder,
    make_chest_xrays,
)

SYNTHETIC_IMAGES = 300
# Healthy, type 1 and type 2 in the training set of the published comparison.
PUBLISHED_PROPORTIONS = (70, 111, 70)
QUICK_IMAGES_PER_CLASS = 12


class InputError(Exception):
    """One line that says what is wrong with the arguments or the data."""


class Problem(NamedTuple):
    """Images, class numbers, class names, and the rows to train and to test on if they are given.

    ``X`` is an array of pixels or of paths; ``split`` is (training rows, test rows) or None;
    ``groups`` are the patients, None where they are not known; ``note`` says what was done to X.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    names: list
    split: tuple | None
    synthetic: bool
    groups: np.ndarray | None = None
    note: str = ""

    def digest(self):
        """What tells this data from other data: labels, split, pixels or the state of the files."""
        digest = hashlib.sha256(repr((self.names, self.y.tolist())).encode())
        for rows in self.split or ():
            digest.update(rows.tobytes())
        if self.X.dtype.kind == "U":
            for path in self.X:
                state = os.stat(path)
                digest.update(repr((path, state.st_size, state.st_mtime_ns)).encode())
        else:
            digest.update(np.ascontiguousarray(self.X))
        return digest.hexdigest()


def load(data, difficulty, seed, quick):
    """Return the problem that ``--data`` names; None stands for synthetic images."""
    try:
        problem = _load(data, difficulty, seed)
    except (OSError, ValueError, TypeError, EOFError, ImportError, zipfile.BadZipFile) as error:
        raise InputError(f"{data or 'synthetic images'}: {error}") from error
    if quick:
        rows = np.concatenate(
            [np.flatnonzero(problem.y == c)[:QUICK_IMAGES_PER_CLASS] for c in np.unique(problem.y)]
        )
        groups = None if problem.groups is None else problem.groups[rows]
        problem = problem._replace(X=problem.X[rows], y=problem.y[rows], groups=groups)
        if problem.split is not None:
            few = np.arange(len(rows))
            problem = problem._replace(split=(few[::2], few[1::2]))
    return problem


def only_lungs(problem, mode):
    """Return a problem of which the images are crops or masks of the lungs, as arrays.

    Images in which two lungs are not found stay as they are; the problem's note counts them.
    """
    lungs = LungFields(mode, on_missing="warn", verbose=1)
    X = np.rint(255 * lungs.transform(problem.X)).astype(np.uint8)
    missing = lungs.scores_ < 0.5
    counts = ", ".join(
        f"{name}: {missing[problem.y == c].sum()}" for c, name in enumerate(problem.names)
    )
    note = f"only the lungs are seen ({mode} of LungFields; images that stay whole: {counts})"
    return problem._replace(name=f"{problem.name}-lungs-{mode}", X=X, note=note)


def check_splits(problem, folds):
    """Raise where a part of the data would lack a class."""
    counts = np.bincount(problem.y, minlength=len(problem.names))
    if problem.split is None and counts.min() < folds:
        raise InputError(
            f"{problem.names[counts.argmin()]!r} has {counts.min()} images: too few for "
            f"{folds} folds"
        )
    for rows, part in zip(problem.split or (), ("train", "test"), strict=False):
        lacking = set(range(len(problem.names))) - set(problem.y[rows])
        if lacking:
            raise InputError(f"there is no image of {problem.names[lacking.pop()]!r} in {part}")


def _load(data, difficulty, seed):
    if data is None:
        X, y = make_chest_xrays(
            SYNTHETIC_IMAGES,
            weights=PUBLISHED_PROPORTIONS,
            difficulty=difficulty,
            random_state=seed,
        )
        name = "synthetic" if difficulty == 0.5 else f"synthetic-{difficulty:g}"
        return Problem(name, X, y, ["healthy", "type 1", "type 2"], None, True)
    path = Path(data)
    if path.suffix == ".npz":
        return _medmnist(path)
    if path.exists():
        whole = path.resolve()
        part = whole.name in ("train", "test")
        name = f"{whole.parent.name}-{whole.name}" if part else whole.name
        return _from_bunch(name, load_image_folder(path))
    if data == "lung-disease":
        return _from_bunch(data, fetch_lung_disease())
    if data == "pneumoniamnist":
        return _from_bunch(data, fetch_pneumoniamnist())
    raise InputError(
        f"--data {data}: no such folder or .npz file, and not one of the sets that can be fetched "
        "(lung-disease, pneumoniamnist)"
    )


def _from_bunch(name, bunch):
    split, y = bunch.split, np.unique(bunch.target, return_inverse=True)[1]
    if split is not None and {"train", "val"} <= set(split):  # the test images are left in peace
        used = np.flatnonzero(split != "test")
        bunch.data, y, split = bunch.data[used], y[used], split[used]
        bunch.groups = None if bunch.groups is None else bunch.groups[used]
        rows = np.flatnonzero(split == "train"), np.flatnonzero(split == "val")
    elif split is not None and "test" in split:
        rows = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    else:
        rows = None
    return Problem(name, bunch.data, y, bunch.target_names, rows, False, bunch.groups)


def _medmnist(path):
    with np.load(path) as arrays:
        needed = ("train_images", "train_labels", "val_images", "val_labels")
        missing = [name for name in needed if name not in arrays]
        if missing:
            raise InputError(f"{path.name} lacks {', '.join(missing)}: it is no MedMNIST file")
        train, train_y, val, val_y = (arrays[name] for name in needed)
    X, labels = np.concatenate([train, val]), np.concatenate([train_y, val_y])
    if labels.size != len(X):
        raise InputError(f"{path.name}: the labels have the shape {labels.shape}, not one an image")
    classes, y = np.unique(labels.ravel(), return_inverse=True)
    split = np.arange(len(train)), np.arange(len(train), len(y))
    return Problem(path.stem, X, y, [str(c) for c in classes], split, False)


def read(item, mode, side, resample):
    """One image, a path or uint8 pixels, as a PIL image of ``side`` pixels."""
    if isinstance(item, str):  # as the classifiers read it
        pixels = ImageReader(channels=1 if mode == "L" else 3).transform([item])[0]
        image = Image.fromarray(np.rint(255 * pixels).astype(np.uint8).squeeze())
    else:
        image = Image.fromarray(np.squeeze(item)).convert(mode)
    return np.asarray(image.resize((side, side), resample))
