"""evaluate: test a saved classifier on images whose classes are known."""

import textwrap

import numpy as np

from ..comparison import compare_predictions
from ..text_tables import counted, name_first, printable, text_table
from .folders import leave_out_unreadable, load_parts
from .models import class_names, load_classifier, predict_files, say_known
from .results import DONE, SOMETHING_WRONG, Result, list_unreadable
from .scores import auc_of_model, score_predictions, table_of_scores, with_interval

_WIDTH = 79
_PATIENTS = (
    "It is not known which images show the same patient: the intervals count each image as a "
    "patient of its own. If patients have several images, the intervals are too narrow: --group "
    "and --group-csv say who is who."
)
_SHARED = (
    "Of {} there are images outside of {}/, too. If the classifier learnt from those, the scores "
    "are too high."
)


def run(arguments):
    """Score ``arguments.model`` on the images of ``arguments.folder``."""
    classifier = load_classifier(arguments.model, arguments.runtime)
    names = class_names(classifier)
    learn, test, part = load_parts(arguments)
    images = learn if test is None else test
    _check_classes(images, names, arguments)
    if test is not None and learn is not None:
        print(f"Images of {part}/ are used, and no others")
    images, unreadable = leave_out_unreadable(images)
    predicted, probabilities, n_known = predict_files(classifier, images.paths.tolist())
    scores = _score(images, names, predicted, probabilities)
    title = f"{printable(arguments.model)} on {images.described()}"
    lines = [*textwrap.wrap(title, _WIDTH), "", *table_of_scores(scores), ""]
    lines += _lines_of_confusion(scores["confusion"], names)
    if images.patients is None:
        lines += ["", *textwrap.wrap(_PATIENTS, _WIDTH)]
    n_shared = _count_shared_patients(learn, test)
    if n_shared:
        lines += ["", *textwrap.wrap(_SHARED.format(counted(n_shared, "patient"), part), _WIDTH)]
    lines += say_known(n_known, len(images.paths)) + list_unreadable(unreadable)
    document = {"model": arguments.model, "folder": arguments.folder, **images.document()}
    document |= {"n_patients_outside_part": n_shared}
    document |= {"part": part, "n_known": n_known, **scores, "unreadable": unreadable}
    return Result(SOMETHING_WRONG if unreadable else DONE, "\n".join(lines), document)


def _count_shared_patients(learn, test):
    """Return how many patients to test on have images outside of that part, too."""
    if learn is None or test is None or test.patients is None:
        return 0
    return len(np.intersect1d(learn.patients, test.patients))


def _check_classes(images, names, arguments):
    """Raise unless the folders are called as the classes of the classifier."""
    found = sorted(images.counts())
    if found != sorted(names):
        raise ValueError(
            f"The classes of {arguments.folder!r} ({name_first(found)}) are not those of "
            f"{arguments.model!r} ({name_first(sorted(names))}): give a folder for each class of "
            "the classifier, with the same name"
        )


def _score(images, names, predicted, probabilities):
    """Return the scores as plain data."""
    truth = np.array([names.index(name) for name in images.classes])
    # compare_predictions asks for images that were learnt from, of each class. Only their number
    # counts, and that in nothing that is used here: rows in front of the others stand for them.
    n_classes = len(names)
    y = np.concatenate([np.arange(n_classes), truth])
    patients = np.arange(len(truth))
    if images.patients is not None:
        patients = np.unique(images.patients, return_inverse=True)[1]
    groups = None
    if images.patients is not None:
        groups = np.concatenate([-1 - np.arange(n_classes), patients])
    compared = compare_predictions(
        y,
        {"model": [(predicted, probabilities)]},
        [(np.arange(n_classes), n_classes + np.arange(len(truth)))],
        groups,
        random_state=0,
    )
    (row,) = compared.models
    scores = {"accuracy": with_interval(row["accuracy"], row["low"], row["high"])}
    scores["roc_auc"] = auc_of_model(row)
    return scores | score_predictions(truth, predicted, names, images.patients)


def _lines_of_confusion(confusion, names):
    """Return how many images of each class were given which class, as lines of text."""
    shown = [printable(name) for name in names]
    cells = [["images of", *(f"given {name}" for name in shown)]]
    cells += [[name, *map(str, row)] for name, row in zip(shown, confusion, strict=True)]
    return text_table(cells, align="right")
