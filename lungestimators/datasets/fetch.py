"""Data sets that are downloaded once and then kept in the folder of scikit-learn."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import fetch_file, get_data_home
from sklearn.utils import Bunch

from ..validation import PathLike
from .folder import load_image_folder

_LUNG_DISEASE = "pranavraikokte/covid19-image-dataset/versions/2"
# SHA-256 over the sorted SHA-256 of the 251 training images; independent of the folders' names.
_LUNG_DISEASE_TRAIN = "965158927f56d03abe8f0b14f2b2e395dc77ab9da42a5bcd441cc06f1612d147"
_LUNG_DISEASE_DESCR = """\
COVID-19 image dataset (Kaggle, "covid19-image-dataset"; also known as "lungs-disease-data")

317 frontal chest radiographs: 251 in train/ and 66 in test/, of three classes: normal (healthy),
COVID-19 (type 1 disease) and viral pneumonia (type 2 disease). Labels are those of the public
collections the images were taken from; they were not read again. How many patients there are, and
which images are theirs, is not known. Licence: CC BY-SA 4.0.

What is wrong with it: images are repeated, the published split leaks between train/ and test/, and
the classes come from different hospitals and age groups, so that a network can read the source
instead of the lung. High accuracy on it proves little. Not for clinical use.
"""
_PNEUMONIAMNIST = "https://zenodo.org/records/10519652/files/pneumoniamnist.npz"
_PNEUMONIAMNIST_MD5 = "28209eda62fecd6e6a2d98b1501bb15f"
_PNEUMONIAMNIST_DESCR = """\
PneumoniaMNIST (MedMNIST v2; Yang et al., Scientific Data 10, 41, 2023)

5856 frontal chest radiographs of children, cropped and shrunk to 28x28 pixels, grey: 4708 train,
524 val, 624 test; 0 normal, 1 pneumonia. Labels were graded by physicians (Kermany et al., Cell
172, 2018). The source's training images were split at random into train and val; its own test
set has another proportion of classes. How many patients there are, and which images are theirs, is
not known. Licence: CC BY 4.0. Not for clinical use.
"""


def fetch_lung_disease(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load the three-class set of the published comparison; download it from Kaggle once.

    ======== =====================================================
    classes  3: normal, COVID-19 (type 1), viral pneumonia (type 2)
    images   251 train, 66 test; JPEG and PNG
    ======== =====================================================

    High accuracy on this set proves little: it holds repeats, its split leaks, and its classes
    come from different hospitals. ``DESCR`` says more.

    Parameters
    ----------
    data_home : path, default=None
        Folder that data sets are kept in. ``None``: scikit-learn's own folder.
    download_if_missing : bool, default=True
        Whether to download a set that is missing. If not, it is an error.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch
        As :func:`load_image_folder` returns it: paths, the names of the classes and ``split``;
        ``groups`` is None.

    Raises
    ------
    ImportError
        kagglehub is not installed.
    OSError
        The set is missing and must not, or cannot, be downloaded; or its checksum is wrong.

    Examples
    --------
    >>> from lungestimators.datasets import fetch_lung_disease
    >>> lungs = fetch_lung_disease()  # doctest: +SKIP
    """
    home = Path(get_data_home(data_home)) / "lungestimators"
    folder = home / "lung-disease"
    if not folder.is_dir():
        _check_may_download(download_if_missing, folder)
        with _downloading(_LUNG_DISEASE, home) as scratch:
            kagglehub = _import_kagglehub()
            kagglehub.dataset_download(_LUNG_DISEASE, output_dir=str(scratch))
            train = next(scratch.rglob("train"), scratch)
            digests = sorted(
                _sha256_of_download(file) for file in train.rglob("*") if file.is_file()
            )
            if hashlib.sha256("".join(digests).encode()).hexdigest() != _LUNG_DISEASE_TRAIN:
                raise OSError(
                    f"the {len(digests)} training images of {_LUNG_DISEASE} are not those known "
                    "here (checksum); nothing was kept"
                )
            shutil.move(train.parent, folder)
    lungs = load_image_folder(folder)
    lungs.DESCR = _LUNG_DISEASE_DESCR
    return (lungs.data, lungs.target) if return_X_y else lungs


def fetch_pneumoniamnist(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load PneumoniaMNIST; download MedMNIST's published file once.

    ======== =====================
    classes  2: normal, pneumonia
    images   4708 train, 524 val, 624 test; 28x28, uint8, grey
    ======== =====================

    Parameters
    ----------
    data_home : path, default=None
        Folder that data sets are kept in. ``None``: scikit-learn's own folder.
    download_if_missing : bool, default=True
        Whether to download a set that is missing. If not, it is an error.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch
        - data : ndarray of shape (5856, 28, 28), uint8
        - target : ndarray of shape (5856,), int
        - target_names : list of str
        - groups : None, the patients are not known
        - split : ndarray of shape (5856,), ``"train"``, ``"val"`` or ``"test"``
        - DESCR : str

    Raises
    ------
    OSError
        The file is missing and must not, or cannot, be downloaded; or its checksum is wrong.

    Examples
    --------
    >>> from lungestimators.datasets import fetch_pneumoniamnist
    >>> children = fetch_pneumoniamnist()  # doctest: +SKIP
    """
    home = Path(get_data_home(data_home)) / "lungestimators"
    file = home / "pneumoniamnist.npz"
    if not file.is_file():
        _check_may_download(download_if_missing, file)
        with _downloading(_PNEUMONIAMNIST, home) as scratch:
            # No second try: on a machine without a network the error comes at once.
            kept = fetch_file(
                _PNEUMONIAMNIST, folder=scratch, local_filename=file.name, n_retries=0
            )
            md5 = hashlib.md5(kept.read_bytes(), usedforsecurity=False).hexdigest()
            if md5 != _PNEUMONIAMNIST_MD5:
                raise OSError(
                    f"the MD5 hash of {file.name} is {md5}, and not the published "
                    f"{_PNEUMONIAMNIST_MD5}; nothing was kept"
                )
            os.replace(kept, file)
    with np.load(file) as arrays:
        splits = ("train", "val", "test")
        pixels = [arrays[f"{split}_images"] for split in splits]
        data = np.concatenate(pixels)
        target = np.concatenate([arrays[f"{split}_labels"] for split in splits]).ravel().astype(int)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=["normal", "pneumonia"],
        groups=None,
        split=np.repeat(splits, list(map(len, pixels))),
        DESCR=_PNEUMONIAMNIST_DESCR,
    )


def _check_may_download(download_if_missing, path):
    """Raise if a missing file must not be downloaded."""
    if not download_if_missing:
        raise OSError(f"{str(path)!r} is not there, and download_if_missing=False")


def _import_kagglehub():
    """Import Kaggle's client, which is an extra; the error says how to install it."""
    try:
        import kagglehub
    except ImportError as error:
        raise ImportError(
            "Downloading needs kagglehub: pip install 'lungestimators[fetch]'"
        ) from error
    return kagglehub


@contextlib.contextmanager
def _downloading(source, home):
    """Yield a temporary folder in ``home``; turn all errors of a download into one OSError."""
    home.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=home, prefix="download-") as scratch:
            yield Path(scratch)
    except ImportError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise OSError(
            f"{source} could not be downloaded: {reason}. Without a network, download it elsewhere "
            "and pass its folder to load_image_folder, or its pixels to a classifier as an array"
        ) from error


def _sha256_of_download(file):
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
