"""fit: learn a classifier from a folder, and save it."""

import sys
import textwrap

import numpy as np

from ..classifiers import CNNClassifier, DenseNetClassifier, MobileNetClassifier
from ..comparison import compare_models
from ..text_tables import counted, printable
from .folders import leave_out_unreadable, load_parts
from .results import DONE, SOMETHING_WRONG, Result, check_file_to_write, list_unreadable
from .scores import auc_of_model, score_predictions, table_of_scores

_CLASSIFIERS = {
    "cnn": CNNClassifier,
    "mobilenet": MobileNetClassifier,
    "densenet": DenseNetClassifier,
}
_WIDTH = 79
_PATIENTS = (
    "It is not known which images show the same patient. If a patient has several images, the "
    "classifier was tested on patients from whom it had learnt, and these scores are too high: "
    "--group and --group-csv say who is who."
)


def run(arguments):
    """Cross-validate a classifier, fit it to all images, and save it as ``arguments.out``."""
    tables = [] if arguments.group_csv is None else [arguments.group_csv]
    check_file_to_write(arguments.out, arguments.force, tables)
    given = {"epochs": arguments.epochs, "image_size": arguments.image_size}
    given = {name: value for name, value in given.items() if value is not None}
    classifier = _CLASSIFIERS[arguments.model](
        random_state=arguments.seed, verbose=int(sys.stderr.isatty()), **given
    )
    images, test, part = load_parts(arguments)
    for some in (images, test):
        if some is not None:
            check_file_to_write(arguments.out, arguments.force, some.paths)
    if images is None:
        raise ValueError(f"{arguments.folder!r} has images in {part}/ only, which are to test on")
    if test is not None:
        print(f"Images of {part}/ are not learnt from: {test.described()}")
    images, unreadable = leave_out_unreadable(images)
    _check_folds(images, arguments.folds)
    document = {"folder": arguments.folder, "out": arguments.out, **images.document()}
    document |= {"cross_validation": None, "unreadable": unreadable}
    lines = []
    if arguments.folds:
        scores = _cross_validate(classifier, images, arguments)
        document["cross_validation"] = {"n_folds": arguments.folds, **scores}
        lines += _lines_of_cross_validation(scores, images, arguments.folds)
    print(f"Learning from all {counted(len(images.paths), 'image')}")
    try:
        classifier.fit(images.paths, images.classes)
        classifier.set_params(verbose=0)  # as from a script, where no progress is shown
        classifier.save(arguments.out, description=arguments.description)
    except BaseException:
        print("\n".join(lines))  # the scores of the cross-validation are not lost
        raise
    saved = (
        f"Saved: {printable(arguments.out)}, a {type(classifier).__name__} that learnt from "
        f"{images.described()}."
    )
    lines += [*textwrap.wrap(saved, _WIDTH), *list_unreadable(unreadable)]
    status = SOMETHING_WRONG if unreadable else DONE
    return Result(status, "\n".join(lines), document)


def _check_folds(images, n_folds):
    """Raise if a class has too few images, or patients, for the folds."""
    what, units = "patients", images.patients
    if units is None:
        what, units = "images", images.paths
    for name in images.counts():
        n = len(np.unique(units[images.classes == name]))
        if n < n_folds:
            raise ValueError(
                f"--folds {n_folds}: the class {name!r} has {n} {what}, fewer than one for each "
                "fold: give fewer folds, or --folds 0, which tests nothing"
            )


def _cross_validate(classifier, images, arguments):
    """Return the scores of a cross-validation as plain data."""
    name = arguments.model
    compared = compare_models(
        {name: classifier},
        images.paths,
        images.classes,
        arguments.folds,
        images.patients,
        n_repeats=1,
        scoring="balanced_accuracy",
        random_state=arguments.seed,
        verbose=1,
    )
    (row,) = compared.models
    found = compared.out_of_fold(name)
    classes = np.unique(images.classes)
    scores = {"roc_auc": auc_of_model(row)} | score_predictions(
        np.searchsorted(classes, found.y_true),
        np.searchsorted(classes, found.y_pred),
        classes.tolist(),
        None if images.patients is None else images.patients[found.row],
    )
    # The spread between folds says what other training images would change; few folds may agree
    # by chance.
    balanced = scores["balanced_accuracy"]
    balanced |= {
        "low": min(balanced["low"], row["low"]),
        "high": max(balanced["high"], row["high"]),
    }
    return scores


def _lines_of_cross_validation(scores, images, n_folds):
    lines = [f"Cross-validation in {n_folds} folds, of images not learnt from:", ""]
    lines += [*table_of_scores(scores), ""]
    if images.patients is None:
        lines += [*textwrap.wrap(_PATIENTS, _WIDTH), ""]
    return lines
