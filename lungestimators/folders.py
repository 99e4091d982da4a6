"""Folders of images: which files are images, what their classes are, whose they are."""

import re
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image
from sklearn.utils import Bunch

from . import files, images
from .tables import describe, listed, read_table

_SPLITS = ("train", "test")
_DICOM_SUFFIXES = {".dcm", ".dicom"}
# What Pillow knows the suffix of and does not decode: documents, films, scientific containers.
_NO_IMAGES = {*files.NO_IMAGES, "PDF"}
# What operating systems and DICOM media put beside images.
_PASSED_OVER = {"thumbs.db", "dicomdir"}
# patient00001/study1/view1.jpg (CheXpert), person12_virus_3.jpeg, p10000032/s50414267/... (MIMIC).
_PATIENT = re.compile(
    r"(?<![a-z])(?:patient|person|subject|pat)[ _-]?\d+|(?<![^/])p\d{8}(?=/)", re.IGNORECASE
)


def load_image_folder(path, *, group=None, group_csv=None, as_array=False, return_X_y=False):
    r"""Load a folder of images with one sub-folder a class.

    ``path`` holds either the class folders or ``train/`` and ``test/`` that do. Classes are
    matched by name, and numbered in the order of their names. Images are all files below them of
    a format that Pillow reads, and DICOM, whatever they are called; hidden files are passed over.

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
        - target : ndarray of shape (n_images,), int
        - target_names : list of str
        - filenames : ndarray of shape (n_images,) of str
        - groups : ndarray of shape (n_images,) of str, the patients; None where nothing says it
        - split : ndarray of shape (n_images,), ``"train"`` or ``"test"``; None without such folders
        - DESCR : str

    Raises
    ------
    FileNotFoundError
        There is no such folder, or no such CSV file.
    ImageReadError
        With ``as_array``: files cannot be read.
    ValueError
        There are fewer than two class folders, one without images, the classes of ``test/``
        differ from those of ``train/``, or ``group`` or ``group_csv`` leaves out a file.

    See Also
    --------
    load_image_table : Images and labels from a CSV file.

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
    >>> lungs.target_names, lungs.data.shape, lungs.groups
    (['healthy', 'ill'], (3, 8, 8, 3), array(['A', 'A', 'B'], dtype='<U1'))
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"There is no folder {str(path)!r}")
    patients = _patients(group, group_csv)
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
        (file, target_names.index(name), split)
        for split, files_of in classes.items()
        for name in target_names
        for file in files_of[name]
    ]
    below = [file.relative_to(path).as_posix() for file, _, _ in rows]
    groups, how = patients(below)
    filenames = np.array([str(file) for file, _, _ in rows])
    target, split = (np.array(column) for column in list(zip(*rows, strict=True))[1:])
    data = _read_all(filenames) if as_array else filenames
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=target_names,
        filenames=filenames,
        groups=groups,
        split=split if splits else None,
        DESCR=describe(
            f"from the folder {path.resolve().name}",
            target,
            target_names,
            groups,
            labels="the names of the folders",
            patients=how,
        ),
    )


def _classes(folder):
    """Class name -> its image files, sorted."""
    classes = {
        child.name: sorted(file for file in child.rglob("*") if _is_image(file, child))
        for child in folder.iterdir()
        if child.is_dir() and not child.name.startswith(".")
    }
    empty = sorted(name for name, files_of in classes.items() if not files_of)
    if empty:
        raise ValueError(
            f"{str(folder)!r}: no image file in {empty}; images are DICOM or of a format that "
            "Pillow reads"
        )
    if len(classes) < 2:
        raise ValueError(
            f"{str(folder)!r} must hold one folder of images a class, two or more; "
            f"it holds {sorted(classes) or 'no folder'}"
        )
    return classes


def _is_image(file, folder):
    """Whether a file is one by its suffix or, where that says nothing, by its content.

    A broken file with an image's suffix is one: the error comes where it is read, and not nowhere.
    """
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    if hidden or file.name.lower() in _PASSED_OVER or not file.is_file():
        return False
    suffix = file.suffix.lower()
    if suffix in _DICOM_SUFFIXES:
        return True
    image_format = Image.registered_extensions().get(suffix)
    if image_format is None:
        return files.holds_image(str(file))
    return image_format in Image.OPEN and image_format not in _NO_IMAGES


def _read_all(filenames):
    paths = images.check_paths(filenames)
    try:
        pixels = [np.rint(images.read_image(file, 3) * 255).astype(np.uint8) for file in paths]
    except files.ImageReadError as error:
        raise files.with_all_others(error, paths) from error
    shapes = sorted({image.shape for image in pixels})
    if len(shapes) > 1:
        raise ValueError(
            f"as_array=True needs images of one size; these have {len(shapes)}, such as "
            f"{shapes[0]} and {shapes[-1]}. Leave them as paths: the classifiers read those"
        )
    return np.stack(pixels)


def _patients(group, group_csv):
    """Check the parameters; return a function from paths below the folder to (groups, how)."""
    if group is not None and group_csv is not None:
        raise ValueError(
            f"group={group!r} and group_csv={str(group_csv)!r}: give one of them, the patient is "
            "either in the names of the files or in a CSV file"
        )
    if group_csv is not None:
        csv = Path(group_csv).expanduser()
        patient_of = _listed_patients(csv)
        return lambda below: (_look_up(csv, patient_of, below), f"those of {csv.name}")
    if group is None:
        return _recognised
    try:
        expression = re.compile(group)
    except re.error as error:
        raise ValueError(f"group={group!r} is not a regular expression: {error}") from None
    except TypeError:
        raise TypeError(f"group={group!r} must be a regular expression, a str") from None
    return lambda below: (_search(expression, below), f"what {expression.pattern!r} finds in names")


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


def _recognised(below):
    """The patients that names say by themselves, if every name does; the class is no part of it."""
    skipped = 2 if below[0].split("/")[0] in _SPLITS else 1
    matches = [_PATIENT.search("/".join(name.split("/")[skipped:])) for name in below]
    if not all(matches):
        return None, None
    return np.array([match[0] for match in matches]), f"those named by the files ({matches[0][0]})"


def _listed_patients(csv):
    """File -> patient, as a CSV file says."""
    header, rows = read_table(csv)
    if len(header) < 2:
        raise ValueError(
            f"{csv.name} must have two columns, the file and the patient; it has {header}"
        )
    patient_of = {}
    for line, (file, patient, *_) in rows:
        if not (file and patient):
            raise ValueError(f"{csv.name}, line {line}: the file or the patient is empty")
        if patient_of.setdefault(str(PurePosixPath(file)), patient) != patient:
            raise ValueError(
                f"{csv.name}, line {line}: {file!r} has the patient {patient!r}, and another one "
                "above"
            )
    return patient_of


def _look_up(csv, patient_of, below):
    names = [PurePosixPath(file).name for file in below]
    times = Counter(names)
    by_name = {n for f, n in zip(below, names, strict=True) if f not in patient_of}
    ambiguous = sorted(name for name in by_name & set(patient_of) if times[name] > 1)
    if ambiguous:
        raise ValueError(
            f"{csv.name} names {listed(ambiguous)}, but several folders hold such a file: give "
            "their paths below the folder"
        )
    found = [patient_of.get(f, patient_of.get(n)) for f, n in zip(below, names, strict=True)]
    without = [file for file, patient in zip(below, found, strict=True) if patient is None]
    if without:
        raise ValueError(
            f"{csv.name} gives no patient of {len(without)} of {len(below)} files: "
            f"{listed(without)}"
        )
    return np.array(found)
