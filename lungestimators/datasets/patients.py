"""Patients of the images in a folder: from the names of files, or from a CSV file."""

import re
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np

from ..text_tables import name_first, printable
from .csv_reader import read_csv

# patient00001/study1/view1.jpg (CheXpert), person12_virus_3.jpeg, p10000032/s50414267/... (MIMIC).
_PATIENT = re.compile(
    r"(?<![a-z])(?:patient|person|subject|pat)[ _-]?\d+|(?<![^/])p\d{8}(?=/)", re.IGNORECASE
)


def choose_patient_finder(group, group_csv):
    """Return a function that finds the patient of each image, after a check of the parameters.

    Parameters
    ----------
    group : str or None
        Regular expression that finds the patient in a path.
    group_csv : path or None
        CSV file of files and patients.

    Returns
    -------
    callable
        Takes the paths below the folder (list of str) and the number of their leading folders that
        are splits or classes. Returns the patients (ndarray of shape (n_images,) of str, or None)
        and a text that says where they are from.

    Raises
    ------
    FileNotFoundError
        There is no such CSV file.
    TypeError, ValueError
        Both are given, ``group`` is no regular expression, or the CSV file is wrong.
    """
    if group is not None and group_csv is not None:
        raise ValueError(
            f"group={group!r} and group_csv={str(group_csv)!r}: give one of them, the patient is "
            "either in the names of the files or in a CSV file"
        )
    if group_csv is not None:
        csv = Path(group_csv).expanduser()
        patient_of = _read_patients(csv)
        return lambda below, _: (_look_up_patients(csv, patient_of, below), f"those of {csv.name}")
    if group is None:
        return _recognise_patients
    try:
        expression = re.compile(group)
    except re.error as error:
        raise ValueError(f"group={group!r} is not a regular expression: {error}") from None
    except TypeError:
        raise TypeError(f"group={group!r} must be a regular expression, a str") from None
    how = f"what {expression.pattern!r} finds in names"
    return lambda below, _: (_search_patients(expression, below), how)


def _search_patients(expression, below):
    """Return the patient that a regular expression finds in each path, or raise."""
    matches = [expression.search(name) for name in below]
    found = [match and match[min(1, expression.groups)] for match in matches]
    without = [name for name, patient in zip(below, found, strict=True) if not patient]
    if without:
        raise ValueError(
            f"group={expression.pattern!r} finds no patient in {len(without)} of {len(below)} "
            f"files: {name_first(without)}"
        )
    return np.array(found)


def _recognise_patients(below, n_skipped):
    """Return the patients named by usual words in the paths; None unless every path names one.

    The first ``n_skipped`` folders of a path are splits and classes, and are not searched.
    """
    matches = [_PATIENT.search("/".join(name.split("/")[n_skipped:])) for name in below]
    if not all(matches):
        return None, None
    return np.array([match[0] for match in matches]), f"those named by the files ({matches[0][0]})"


def _read_patients(csv):
    """Return a dict of file to patient from a CSV file."""
    source = printable(csv.name)
    header, rows = read_csv(csv)
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


def _look_up_patients(csv, patient_of, below):
    """Return the patient of each path, listed by its path or by its name, or raise."""
    source = printable(csv.name)
    names = [PurePosixPath(file).name for file in below]
    times = Counter(names)
    by_name = {n for f, n in zip(below, names, strict=True) if f not in patient_of}
    ambiguous = sorted(name for name in by_name & set(patient_of) if times[name] > 1)
    if ambiguous:
        raise ValueError(
            f"{source} names {name_first(ambiguous)}, but several folders hold such a file: give "
            "their paths below the folder"
        )
    found = [patient_of.get(f, patient_of.get(n)) for f, n in zip(below, names, strict=True)]
    without = [file for file, patient in zip(below, found, strict=True) if patient is None]
    if without:
        raise ValueError(
            f"{source} gives no patient of {len(without)} of {len(below)} files: "
            f"{name_first(without)}"
        )
    return np.array(found)
