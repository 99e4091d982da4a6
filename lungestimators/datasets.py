"""Data sets as scikit-learn hands them out."""

from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from . import images

_SUFFIXES = {".png", ".jpg", ".jpeg"}
_SPLITS = ("train", "test")


def load_image_folder(path, *, as_array=False, return_X_y=False):
    """Load a folder of images with one sub-folder a class.

    ``path`` holds either the class folders or ``train/`` and ``test/`` that do. Classes are
    matched by name, and numbered in the order of their names.

    Parameters
    ----------
    path : path
        The folder.
    as_array : bool, default=False
        Return the pixels, which must all have one size, instead of the paths.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch
        - data : ndarray of shape (n_images,) of str, or (n_images, height, width, 3), uint8
        - target : ndarray of shape (n_images,), int
        - target_names : list of str
        - filenames : ndarray of shape (n_images,) of str
        - split : ndarray of shape (n_images,), ``"train"`` or ``"test"``; None without such folders
        - DESCR : str

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    ValueError
        There are fewer than two class folders, one without images, or the classes of ``test/``
        differ from those of ``train/``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from lungestimators.datasets import load_image_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("healthy", "ill"):
    ...         Path(folder, name).mkdir()
    ...         Image.fromarray(np.zeros((8, 8), np.uint8)).save(Path(folder, name, "1.png"))
    ...     lungs = load_image_folder(folder, as_array=True)
    >>> lungs.target_names, lungs.data.shape
    (['healthy', 'ill'], (2, 8, 8, 3))
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"There is no folder {str(path)!r}")
    splits = {name: path / name for name in _SPLITS if (path / name).is_dir()}
    if splits and "train" not in splits:
        raise ValueError(f"{str(path)!r} holds test/ but no train/")
    folders = splits or {"": path}
    classes = {split: _classes(folder) for split, folder in folders.items()}
    if "test" in classes and set(classes["train"]) != set(classes["test"]):
        raise ValueError(
            f"The class folders of {str(path)!r} differ: train/ has {sorted(classes['train'])}, "
            f"test/ has {sorted(classes['test'])}"
        )
    target_names = sorted(classes["train" if splits else ""])
    rows = [
        (str(file), target_names.index(name), split)
        for split, files_of in classes.items()
        for name in target_names
        for file in files_of[name]
    ]
    filenames, target, split = (np.array(column) for column in zip(*rows, strict=True))
    data = _read_all(filenames) if as_array else filenames
    if return_X_y:
        return data, target
    counts = ", ".join(
        f"{name}: {n}" for name, n in zip(target_names, np.bincount(target), strict=True)
    )
    return Bunch(
        data=data,
        target=target,
        target_names=target_names,
        filenames=filenames,
        split=split if splits else None,
        DESCR=f"{len(rows)} images from the folder {path.name} ({counts}). Labels are the names of "
        "the folders; which images show the same patient is not known.",
    )


def _classes(folder):
    """Class name -> its image files, sorted."""
    classes = {
        child.name: sorted(f for f in child.rglob("*") if f.suffix.lower() in _SUFFIXES)
        for child in folder.iterdir()
        if child.is_dir() and not child.name.startswith(".")
    }
    empty = sorted(name for name, files in classes.items() if not files)
    if empty:
        raise ValueError(f"{str(folder)!r}: no PNG or JPEG file in {empty}")
    if len(classes) < 2:
        raise ValueError(
            f"{str(folder)!r} must hold one folder of images a class, two or more; "
            f"it holds {sorted(classes) or 'no folder'}"
        )
    return classes


def _read_all(filenames):
    pixels = [np.rint(images.read_image(file, 3) * 255).astype(np.uint8) for file in filenames]
    shapes = sorted({image.shape for image in pixels})
    if len(shapes) > 1:
        raise ValueError(
            f"as_array=True needs images of one size; these have {len(shapes)}, such as "
            f"{shapes[0]} and {shapes[-1]}. Leave them as paths: the classifiers read those"
        )
    return np.stack(pixels)
