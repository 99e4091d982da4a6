"""audit_images: check whether a data set is fit to learn from."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, is_classifier
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_consistent_length

from ..images import checking, columns
from ..validation import ImagesLike, check_groups, check_y, is_whole_number
from . import classes, duplicates, labels, readability, shortcuts
from .evidence import Evidence
from .report import AuditReport

# Every check by its name, in the order of the report: a function from Evidence to report.Check.
CHECKS = {
    "readability": readability.check_readability,
    "empty images": readability.check_empty_images,
    "duplicates": duplicates.check_duplicates,
    "labels of duplicates": duplicates.check_labels_of_duplicates,
    "groups of duplicates": duplicates.check_groups_of_duplicates,
    "leaks": duplicates.check_leaks,
    "classes": classes.check_classes,
    "test labels": labels.check_test_labels,
    "labels": labels.check_labels,
    "shortcuts": shortcuts.check_shortcuts,
}
# The argument without which there is nothing to check.
NEEDS = {"groups of duplicates": "groups", "leaks": "X_test", "test labels": "y_test"}


def audit_images(
    X: ImagesLike,
    y: ArrayLike,
    groups: ArrayLike | None = None,
    X_test: ImagesLike | None = None,
    y_test: ArrayLike | None = None,
    *,
    checks: Sequence[str] | None = None,
    source: ArrayLike | None = None,
    estimator: ClassifierMixin | None = None,
    cv: int = 5,
    random_state: int | np.random.RandomState | None = None,
    verbose: int = 0,
) -> AuditReport:
    """Check whether a data set is fit to learn from, before a model is trained on it.

    - **Readability**: files that cannot be read, images on which there is nothing.
    - **Duplicates**, identical or rescaled, compressed, mirrored, changed in brightness or
      contrast: within X, within X_test, and across both (a leak); with other labels or groups.
    - **Classes**: imbalance, classes too small for the folds, labels of X_test that y lacks.
    - **Labels** that a cross-validated model doubts (confident learning [1]_).
    - **Shortcuts**: what can be told of the class from the border of the image, its file, its
      source, its brightness or a thumbnail, beside what ``estimator`` achieves, with the true
      labels and with permuted ones.

    Each check of the report states its rule and, where it found something, what to do next. The
    cross-validated checks use the images of ``keep_`` and stratified folds by ``groups_``.
    Scores are balanced accuracies, pooled over the folds; intervals are Wilson's for the recall of
    each class, where a group counts as one observation, joined as in [2]_.

    Parameters
    ----------
    X : array-like or list of paths
        Images as the classifiers take them: an array of shape (n_images, height, width) or
        (n_images, height, width, channels), uint8, uint16 or float; or the paths of image files.
    y : array-like of shape (n_images,)
        Class labels.
    groups : array-like of shape (n_images,), default=None
        Group of each image, such as the patient.
    X_test : array-like or list of paths, default=None
        Images that a model shall be tested on.
    y_test : array-like of shape (n_test_images,), default=None
        Labels of the images of X_test; without labels only leaks are looked for.
    checks : list of str, default=None
        Names of the checks to run; ``None`` runs all that the arguments allow:

        - ``"readability"``: files that cannot be read.
        - ``"empty images"``: images on which there is nothing to see.
        - ``"duplicates"``: images of X, or of X_test, that repeat another one.
        - ``"labels of duplicates"``: copies of one picture that differ in label.
        - ``"groups of duplicates"``: copies of one picture that differ in group; needs ``groups``.
        - ``"leaks"``: images of X_test that are also in X; needs ``X_test``.
        - ``"classes"``: classes of unequal size, and classes too small for the folds.
        - ``"test labels"``: labels of y_test that y lacks; needs ``y_test``.
        - ``"labels"``: labels that ``estimator`` doubts, which is fitted once in each fold.
        - ``"shortcuts"``: what tells the class without the lung; ``estimator`` is fitted twice in
          each fold.

        A check finds the same whichever other checks run. What a check needs is computed for it:
        duplicates for the folds, for instance. The report names the checks that were not run.
    source : array-like of shape (n_images,), default=None
        Where each image comes from, a hospital say: tried as a shortcut.
    estimator : classifier, default=None
        The classifier that shall be trained on these images; a clone is fitted twice in each fold.
        ``None`` is a quick ``CNNClassifier(image_size=48)`` on grey thumbnails, with 10 epochs, or
        fewer for more than 1000 images.
    cv : int, default=5
        Folds; fewer where the smallest class has fewer images or groups.
    random_state : int, RandomState instance or None, default=None
        Folds, permuted labels, and the seed of models that have none of their own. The same int
        gives the same report.
    verbose : int, default=0
        1 prints what is being done.

    Returns
    -------
    AuditReport
        ``print`` shows the report; ``groups_``, ``keep_`` and ``leaked_`` are arrays for the splits
        and the training that follow, and ``to_dict()`` returns plain data.

    Raises
    ------
    ValueError, TypeError
        An argument is not what it should be, or a check has an unknown name or lacks an argument
        that it needs. Nothing has been read then.
    ImageReadError
        No image of X or of X_test can be read.

    Notes
    -----
    Duplicates that were cropped or rotated are not found. Rescaled copies of images below 48 pixels
    a side are missed, as too little of the picture is left to recognise.

    References
    ----------
    .. [1] Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset
       Labels", Journal of Artificial Intelligence Research 70, 2021.
    .. [2] Zou and Donner, "Construction of confidence limits about effect measures", Statistics
       in Medicine 27, 2008.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from lungestimators import audit_images, make_chest_xrays
    >>> X, y = make_chest_xrays(40, leak=0.1, random_state=0)
    >>> report = audit_images(X, y, estimator=DummyClassifier(), cv=2, random_state=0)
    >>> print(report.checks["duplicates"].sentence)
    4 of 40 images of X repeat another image.
    >>> X, y = X[report.keep_], y[report.keep_]

    Only what images show twice, without training a model:

    >>> report = audit_images(X, y, checks=["duplicates", "labels of duplicates"])
    >>> report.verdict, report.not_run
    ('ok', ['readability', 'empty images', 'classes', 'labels', 'shortcuts'])
    """
    train = _check_images_to_audit("X", X)
    y = check_y(X, y)
    groups = check_groups(y, groups)
    if len(np.unique(y)) < 2:
        raise ValueError(f"y holds one class only ({y[0]!r}): an audit needs two or more")
    test = None if X_test is None else _check_images_to_audit("X_test", X_test)
    if y_test is not None:
        if X_test is None:
            raise ValueError("y_test was given without X_test")
        y_test = check_y(X_test, y_test)
    source = _check_source_to_audit(y, source)
    _check_estimator_and_cv_to_audit(estimator, cv)
    possible = _possible_checks_of_audit(groups=groups, X_test=test, y_test=y_test)
    chosen = possible if checks is None else _check_names_of_audit_checks(checks, possible)
    seed = int(check_random_state(random_state).randint(2**31))

    evidence = Evidence(train, y, groups, test, y_test, source, estimator, cv, seed, verbose)
    found = [check(evidence) for name, check in CHECKS.items() if name in chosen]
    not_run = [name for name in possible if name not in chosen]
    compared = evidence.images_were_compared()
    return AuditReport(
        found,
        not_run,
        _conclude_audit(found, not_run),
        evidence.n_train,
        None if test is None else evidence.n_test,
        evidence.joined_groups if compared else None,
        evidence.keep if compared else None,
        evidence.leaked if compared else None,
    )


def _check_images_to_audit(name, X):
    """Return X as a list of paths, or as an array of pixels; no file is read yet."""
    if columns.is_column_of_paths(X):
        return columns.paths_in_column(X)
    if np.size(X) == 0:
        raise ValueError(f"{name} holds no image")
    X = checking.check_and_stack_x(X)
    if np.ndim(X) not in (3, 4):
        raise ValueError(
            f"{name} has {np.ndim(X)} dimensions: images are paths, or an array of shape (n, "
            "height, width) or (n, height, width, channels)"
        )
    X = checking.check_pixels_of_x(X)
    checking.check_image_shape_of_x(X, None)
    return X


def _check_source_to_audit(y, source):
    """Return the source of each image as str, or None where there is none."""
    if source is None:
        return None
    source = column_or_1d(source)
    check_consistent_length(y, source)
    return source.astype(str)


def _check_estimator_and_cv_to_audit(estimator, cv):
    """Raise where the estimator is no classifier, or where cv is no number of folds."""
    if not is_whole_number(cv) or cv < 2:
        raise ValueError(f"cv={cv!r} must be a whole number of folds, 2 or more")
    if estimator is not None and not (is_classifier(estimator) and hasattr(estimator, "fit")):
        raise TypeError(f"estimator={estimator!r} must be a classifier, as scikit-learn knows them")


def _possible_checks_of_audit(**arguments):
    """List the checks whose arguments are given, by name."""
    return [name for name in CHECKS if name not in NEEDS or arguments[NEEDS[name]] is not None]


def _check_names_of_audit_checks(checks, possible):
    """Return the names of the checks to run, or raise where one cannot be run."""
    if isinstance(checks, str):
        raise TypeError(f"checks={checks!r} must be a list of names, such as [{checks!r}]")
    checks = list(checks)
    unknown = [name for name in checks if name not in CHECKS]
    if unknown or not checks:
        wrong = f"has unknown names: {unknown}" if unknown else "is empty"
        raise ValueError(f"checks {wrong}; known are {list(CHECKS)}")
    for name in checks:
        if name not in possible:
            raise ValueError(f"checks: {name!r} needs {NEEDS[name]}")
    return checks


def _conclude_audit(found, not_run):
    """Say whether an accuracy on these images can be trusted, why not, and what was not checked."""
    faults, warnings = (
        "; ".join(
            check.consequence
            for check in found
            if check.verdict == verdict and check.consequence != shortcuts.FEW
        )
        for verdict in ("fault", "warning")
    )
    of_shortcuts = next((check for check in found if check.name == "shortcuts"), None)
    if faults:
        words = [f"A model's accuracy on these images cannot be trusted: {faults}."]
    elif of_shortcuts is not None and of_shortcuts.verdict == "skipped":
        words = ["Whether a model's accuracy can be trusted was not tested: there is too little."]
    elif of_shortcuts is not None and of_shortcuts.consequence == shortcuts.FEW:
        words = [f"Nothing was found, but that says little: {shortcuts.FEW}."]
    elif not_run:
        words = ["No fault was found by the checks that were run."]
    else:
        words = ["Nothing was found that would make a model's accuracy on these images worthless."]
    if warnings:
        words.append(f"Mind that {warnings}.")
    if not_run:
        words.append(f"Nothing is known of what was not checked: {', '.join(not_run)}.")
    return " ".join(words)
