"""Folders of images become data sets: the pixels or paths, the labels and the patients."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..images import checking
from ..images.reading import read_images
from ..validation import PathLike
from .description import describe_data_set
from .image_files import HIDDEN, ImageFileScan
from .layout import find_layout_of_splits_and_classes
from .patients import choose_patient_finder


def load_image_folder(
    path: PathLike,
    *,
    group: str | None = None,
    group_csv: PathLike | None = None,
    as_array: bool = False,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    r"""Load a data set from a folder of images with one sub-folder a class.

    ``path`` holds the class folders; or folders of splits that hold the class folders; or class
    folders that hold the splits. A folder is a split if it is called ``train`` or ``training``,
    ``val``, ``valid`` or ``validation``, ``test`` or ``testing``, in upper or lower case, also
    with additions such as ``test_set`` or ``1-train``. Classes of different splits are matched by
    name. Images are all files below the class folders that are DICOM or of a format that Pillow
    reads; the names of the files do not matter. Links are followed.

    ``DESCR`` says how many files were left out and why: hidden files and those of operating
    systems, files that are no images, segmentation masks (folders below a class that are named so,
    and ``12_mask.png`` beside ``12.png``), images beside the class folders or the splits, links
    that lead nowhere or to an image that is there already.

    If a patient has several images, a random split puts some of them into the training part and
    others into the test part. ``groups`` says which images belong together, for
    :class:`~sklearn.model_selection.StratifiedGroupKFold`. Images with the same name of a patient
    are one group, also in different class folders and splits. If a set numbers the patients of
    each class from 1 (``person1_virus`` and ``person1_bacteria`` may be two children), one group
    holds several patients, which does not make any score unfair.

    Parameters
    ----------
    path : path
        The folder.
    group : str, default=None
        Regular expression that is searched in the path of each file below ``path``, with ``/``
        between folders. The patient is its first group or, without groups, the whole match.
        ``None``: the patient is the word ``patient``, ``person``, ``subject`` or ``pat`` with a
        number, or a folder called ``p`` and eight digits, if every path holds one.
    group_csv : path, default=None
        CSV file with a header. Its first column is the file (the path below ``path``, or the
        name), its second column the patient.
    as_array : bool, default=False
        Return pixels instead of paths; all images must have the same size.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch
        - data : ndarray of shape (n_images,) of str, or (n_images, height, width, 3), uint8
        - target : ndarray of shape (n_images,) of str, the name of each image's class
        - target_names : list of str, the classes in the order of their names
        - filenames : ndarray of shape (n_images,) of str
        - groups : ndarray of shape (n_images,) of str, the patients; None if they are not known
        - split : ndarray of shape (n_images,), ``"train"``, ``"val"`` or ``"test"``; None without
          such folders
        - DESCR : str

    Raises
    ------
    FileNotFoundError
        There is no such folder, or no such CSV file.
    ImageReadError
        With ``as_array``: files cannot be read.
    PermissionError
        A folder must not be read.
    ValueError
        There are fewer than two class folders; a class folder has no images; two of them have
        names that differ in case only; a folder may be a split or a class; the classes of ``test/``
        differ from those of ``train/``; a link leads to an image of another class or split; or
        ``group`` or ``group_csv`` gives no patient of a file.

    Warns
    -----
    UserWarning
        Masks, images beside the class folders or links were left out.

    See Also
    --------
    load_images : Images without labels, such as new images to predict.
    load_image_table : Images and labels from a CSV file or a DataFrame.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from lungestimators.datasets import load_image_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("healthy/A-1.png", "healthy/A-2.png", "ill/B-1.png"):
    ...         file = Path(folder, name)
    ...         file.parent.mkdir(exist_ok=True)
    ...         Image.fromarray(np.zeros((8, 8), np.uint8)).save(file)
    ...     lungs = load_image_folder(folder, group=r"(\w+)-\d+\.png", as_array=True)
    >>> lungs.target.tolist(), lungs.data.shape, lungs.groups
    (['healthy', 'healthy', 'ill'], (3, 8, 8, 3), array(['A', 'A', 'B'], dtype='<U1'))
    """
    path = _check_folder_to_load(path)
    find_patients = choose_patient_finder(group, group_csv)
    scan = ImageFileScan(path)
    rows, target_names, has_splits = find_layout_of_splits_and_classes(scan)
    below = [file.relative_to(path).as_posix() for file, _, _ in rows]
    groups, how = find_patients(below, 2 if has_splits else 1)
    filenames = np.array([str(file) for file, _, _ in rows])
    target, split = (np.array(column) for column in list(zip(*rows, strict=True))[1:])
    left_out = scan.describe_possible_image_files()
    if left_out:
        warnings.warn(f"Left out of {str(path)!r}: {left_out}", UserWarning, stacklevel=2)
    data = _load_folder_as_array(filenames) if as_array else filenames
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=target_names,
        filenames=filenames,
        groups=groups,
        split=split if has_splits else None,
        DESCR=describe_data_set(
            f"from the folder {path.resolve().name}",
            target,
            groups,
            labels="the names of the folders",
            patients=how,
            left_out=scan.describe_left_out_image_files(),
        ),
    )


def load_images(path: PathLike) -> np.ndarray:
    """List the images in a folder without classes, such as new images to predict.

    Images are all files in the folder, and in folders below it, that are DICOM or of a format that
    Pillow reads; the names of the files do not matter. No pixels are decoded.

    Parameters
    ----------
    path : path
        The folder.

    Returns
    -------
    ndarray of shape (n_images,) of str
        Paths, as ``predict`` takes them, in natural order: ``2.png`` comes before ``10.png``.

    Warns
    -----
    UserWarning
        Files that are not hidden were left out: files that are no images, segmentation masks
        (folders named so, and ``12_mask.png`` beside ``12.png``), links that lead nowhere.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    PermissionError
        A folder must not be read.
    ValueError
        There is no image in it.

    See Also
    --------
    load_image_folder : Images with one sub-folder a class, and their labels.
    load_image_table : Images and labels from a CSV file or a DataFrame.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from lungestimators.datasets import load_images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("10.png", "2.png"):
    ...         Image.fromarray(np.zeros((8, 8), np.uint8)).save(Path(folder, name))
    ...     paths = load_images(folder)
    >>> [Path(path).name for path in paths]
    ['2.png', '10.png']
    """
    path = _check_folder_to_load(path)
    scan = ImageFileScan(path)
    files = scan.images_below(path)
    left_out = scan.describe_left_out_image_files(
        [reason for reason in scan.left_out if reason != HIDDEN]
    )
    if not files:
        raise ValueError(
            f"There is no image in {str(path)!r}: images are DICOM or of a format that Pillow reads"
            + f". Left out: {left_out}" * bool(left_out)
        )
    if left_out:
        warnings.warn(f"Left out of {str(path)!r}: {left_out}", UserWarning, stacklevel=2)
    files.sort(key=lambda file: _order_of_image_folder(file.relative_to(path)))
    return np.array([str(file) for file in files])


def _check_folder_to_load(path):
    """Return the path of a folder; raise if there is none."""
    path = Path(path).expanduser()
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "is no folder: there is none"
        raise FileNotFoundError(f"{str(path)!r} {what}")
    return path


def _order_of_image_folder(path):
    """Return a key that sorts numbers in names by their value."""
    parts = [re.split(r"(\d+)", part.casefold()) for part in path.parts]
    return [[int(s) if n % 2 else s for n, s in enumerate(part)] for part in parts], path


def _load_folder_as_array(filenames):
    """Return the pixels of all files as one array; raise if their sizes differ."""
    paths = checking.check_paths_in_x(filenames)
    pixels = [np.rint(image * 255).astype(np.uint8) for image in read_images(paths, 3)]
    shapes = sorted({image.shape for image in pixels})
    if len(shapes) > 1:
        raise ValueError(
            f"as_array=True needs images of one size; these have {len(shapes)}, such as "
            f"{shapes[0]} and {shapes[-1]}. Leave them as paths: the classifiers read those"
        )
    return np.stack(pixels)
