"""Folders of images as data sets: the pixels, the labels and the patients."""

import re
import warnings
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
from sklearn.utils import Bunch

from ..images import checking
from ..images.reading import read_images
from ..text_tables import printable
from .csv_table import describe, listed, read_table
from .image_files import HIDDEN, ImageFiles
from .layout import sort_files

# patient00001/study1/view1.jpg (CheXpert), person12_virus_3.jpeg, p10000032/s50414267/... (MIMIC).
_PATIENT = re.compile(
    r"(?<![a-z])(?:patient|person|subject|pat)[ _-]?\d+|(?<![^/])p\d{8}(?=/)", re.IGNORECASE
)


def load_image_folder(path, *, group=None, group_csv=None, as_array=False, return_X_y=False):
    r"""Load a folder of images with one sub-folder a class.

    ``path`` holds either the class folders, or folders of splits that do: ``train`` or
    ``training``, ``val``, ``valid`` or ``validation``, ``test`` or ``testing``, in any case, also
    as in ``test_set`` or ``1-train``. Or each class folder holds the splits. Classes are matched by
    name. Images are all files below them of a format that Pillow reads, and DICOM, whatever they
    are called. Links are followed.

    ``DESCR`` says how many files were left out and why: hidden files and those of operating
    systems, files that are no images, segmentation masks (folders below a class that are named so,
    and ``12_mask.png`` beside ``12.png``), images beside the class folders or the splits, links
    that lead nowhere or to an image that is there already.

    Where the same patient has several images, a random split puts some of them into the training
    part and others into the test part. ``groups`` says which images belong together, for
    :class:`~sklearn.model_selection.StratifiedGroupKFold`. Equal names are one patient, in
    whatever class folder and split they are; where a set numbers its patients anew in each
    (``person1_virus`` and ``person1_bacteria`` may be two children), several patients become one
    group, which is never unfair.

    Parameters
    ----------
    path : path
        The folder.
    group : str, default=None
        Regular expression that is searched in the path of each file below ``path``, with ``/``
        between folders; its first group, or all that matches, is the patient. Without it, every
        path that holds ``patient``, ``person``, ``subject`` or ``pat`` and a number (or a folder
        ``p`` and eight digits) says so itself, if all do.
    group_csv : path, default=None
        CSV file with a header whose first column is the file (its path below ``path``, or its
        name) and whose second column is the patient.
    as_array : bool, default=False
        Return the pixels, which must all have one size, instead of the paths.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch
        - data : ndarray of shape (n_images,) of str, or (n_images, height, width, 3), uint8
        - target : ndarray of shape (n_images,) of str, the name of each image's class
        - target_names : list of str, the classes in the order of their names
        - filenames : ndarray of shape (n_images,) of str
        - groups : ndarray of shape (n_images,) of str, the patients; None where nothing says it
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
        There are fewer than two class folders, one without images, two whose names differ in case
        only, folders that may be splits or classes; the classes of ``test/`` differ from those of
        ``train/``; a link leads to an image of another class or split; or ``group`` or
        ``group_csv`` leaves out a file.

    Warns
    -----
    UserWarning
        Masks, images beside the class folders or links were left out.

    See Also
    --------
    load_images : A folder without classes, such as new images to predict.
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
    path = _folder(path)
    patients = _patients(group, group_csv)
    found = ImageFiles(path)
    rows, target_names, has_splits = sort_files(found)
    below = [file.relative_to(path).as_posix() for file, _, _ in rows]
    groups, how = patients(below, 2 if has_splits else 1)
    filenames = np.array([str(file) for file, _, _ in rows])
    target, split = (np.array(column) for column in list(zip(*rows, strict=True))[1:])
    if found.warning():
        warnings.warn(f"Left out of {str(path)!r}: {found.warning()}", UserWarning, stacklevel=2)
    data = _read_all(filenames) if as_array else filenames
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=target_names,
        filenames=filenames,
        groups=groups,
        split=split if has_splits else None,
        DESCR=describe(
            f"from the folder {path.resolve().name}",
            target,
            groups,
            labels="the names of the folders",
            patients=how,
            left_out=found.describe(),
        ),
    )


def load_images(path):
    """List the images of a folder that says nothing of their classes, such as new ones.

    Images are all files in the folder, and in folders below it, of a format that Pillow reads, and
    DICOM, whatever they are called. Nothing is decoded.

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
        Files and links were left out that are not hidden: no images, segmentation masks
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
    path = _folder(path)
    found = ImageFiles(path)
    images_of = found.images(path)
    left_out = found.describe([reason for reason in found.left_out if reason != HIDDEN])
    if not images_of:
        raise ValueError(
            f"There is no image in {str(path)!r}: images are DICOM or of a format that Pillow reads"
            + f". Left out: {left_out}" * bool(left_out)
        )
    if left_out:
        warnings.warn(f"Left out of {str(path)!r}: {left_out}", UserWarning, stacklevel=2)
    images_of.sort(key=lambda file: _natural(file.relative_to(path)))
    return np.array([str(file) for file in images_of])


def _folder(path):
    path = Path(path).expanduser()
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "is no folder: there is none"
        raise FileNotFoundError(f"{str(path)!r} {what}")
    return path


def _natural(path):
    """Sort numbers in names by their value."""
    parts = [re.split(r"(\d+)", part.casefold()) for part in path.parts]
    return [[int(s) if n % 2 else s for n, s in enumerate(part)] for part in parts], path


def _read_all(filenames):
    paths = checking.check_paths(filenames)
    pixels = [np.rint(image * 255).astype(np.uint8) for image in read_images(paths, 3)]
    shapes = sorted({image.shape for image in pixels})
    if len(shapes) > 1:
        raise ValueError(
            f"as_array=True needs images of one size; these have {len(shapes)}, such as "
            f"{shapes[0]} and {shapes[-1]}. Leave them as paths: the classifiers read those"
        )
    return np.stack(pixels)


def _patients(group, group_csv):
    """Check the parameters; return a function to (groups, how).

    It is passed the paths below the folder, and how many of their folders are splits and classes.
    """
    if group is not None and group_csv is not None:
        raise ValueError(
            f"group={group!r} and group_csv={str(group_csv)!r}: give one of them, the patient is "
            "either in the names of the files or in a CSV file"
        )
    if group_csv is not None:
        csv = Path(group_csv).expanduser()
        patient_of = _listed_patients(csv)
        return lambda below, _: (_look_up(csv, patient_of, below), f"those of {csv.name}")
    if group is None:
        return _recognised
    try:
        expression = re.compile(group)
    except re.error as error:
        raise ValueError(f"group={group!r} is not a regular expression: {error}") from None
    except TypeError:
        raise TypeError(f"group={group!r} must be a regular expression, a str") from None
    how = f"what {expression.pattern!r} finds in names"
    return lambda below, _: (_search(expression, below), how)


def _search(expression, below):
    matches = [expression.search(name) for name in below]
    found = [match and match[min(1, expression.groups)] for match in matches]
    without = [name for name, patient in zip(below, found, strict=True) if not patient]
    if without:
        raise ValueError(
            f"group={expression.pattern!r} finds no patient in {len(without)} of {len(below)} "
            f"files: {listed(without)}"
        )
    return np.array(found)


def _recognised(below, skipped):
    """The patients that names say by themselves, if every name does.

    ``skipped`` folders are splits and classes, and no part of it.
    """
    matches = [_PATIENT.search("/".join(name.split("/")[skipped:])) for name in below]
    if not all(matches):
        return None, None
    return np.array([match[0] for match in matches]), f"those named by the files ({matches[0][0]})"


def _listed_patients(csv):
    """File -> patient, as a CSV file says."""
    source = printable(csv.name)
    header, rows = read_table(csv)
    if len(header) < 2:
        raise ValueError(
            f"{source} must have two columns, the file and the patient; it has {header}"
        )
    patient_of = {}
    for line, (file, patient, *_) in rows:
        if not (file and patient):
            raise ValueError(f"{source}, line {line}: the file or the patient is empty")
        if patient_of.setdefault(str(PurePosixPath(file)), patient) != patient:
            raise ValueError(
                f"{source}, line {line}: {file!r} has the patient {patient!r}, and another one "
                "above"
            )
    return patient_of


def _look_up(csv, patient_of, below):
    source = printable(csv.name)
    names = [PurePosixPath(file).name for file in below]
    times = Counter(names)
    by_name = {n for f, n in zip(below, names, strict=True) if f not in patient_of}
    ambiguous = sorted(name for name in by_name & set(patient_of) if times[name] > 1)
    if ambiguous:
        raise ValueError(
            f"{source} names {listed(ambiguous)}, but several folders hold such a file: give "
            "their paths below the folder"
        )
    found = [patient_of.get(f, patient_of.get(n)) for f, n in zip(below, names, strict=True)]
    without = [file for file, patient in zip(below, found, strict=True) if patient is None]
    if without:
        raise ValueError(
            f"{source} gives no patient of {len(without)} of {len(below)} files: {listed(without)}"
        )
    return np.array(found)
