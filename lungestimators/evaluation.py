"""Is one model better than another? The same folds for all, and what may be concluded from them."""

import time
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv
from sklearn.pipeline import _name_estimators
from sklearn.utils import _safe_indexing, check_random_state, indexable
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import column_or_1d

from .checks import check_groups
from .comparison import NAMES
from .conclusions import TESTS, Study, conclude, one_test_set, splits_that_share_patients
from .quality import Fold


class Predictions(NamedTuple):
    """What a model says of the test images of one split.

    Parameters
    ----------
    labels : ndarray of shape (n_test,)
        Predicted labels.
    probabilities : ndarray of shape (n_test, n_classes), default=None
        Columns in the order of the sorted labels of all images; None where the model has none.
    fit_seconds : float, default=None
        How long the model was trained.
    """

    labels: np.ndarray
    probabilities: np.ndarray | None = None
    fit_seconds: float | None = None


def compare_models(
    estimators,
    X,
    y,
    cv=5,
    groups=None,
    *,
    n_repeats=2,
    scoring="accuracy",
    test="auto",
    n_jobs=None,
    random_state=None,
    verbose=0,
):
    """Compare classifiers on the same folds, and say which differences were shown.

    Parameters
    ----------
    estimators : dict of {str: classifier}, or list of classifiers
        Anything with ``fit`` and ``predict``; the score of a search is that of its winner on
        images the search did not see. A list is named as ``make_pipeline`` names its steps. Each
        is cloned for each fold.
    X : array-like or list of paths
        Images, as the classifiers take them.
    y : array-like of shape (n_samples,)
        Class labels.
    cv : int, splitter, iterable of splits, or tuple of two arrays, default=5
        An integer: that many stratified folds, shuffled, ``n_repeats`` times; with ``groups`` they
        keep a patient together. A tuple of two arrays is one split, its training rows and its
        test rows.
    groups : array-like of shape (n_samples,), default=None
        Patient of each image. Never on both sides of a split, and drawn as a whole by the
        bootstrap. An estimator that requests ``groups`` in ``fit`` by metadata routing is passed
        them.
    n_repeats : int, default=2
        How often an integer ``cv`` is repeated, with other folds.
    scoring : {"accuracy", "balanced_accuracy", "roc_auc"}, default="accuracy"
        What is compared. The others are in the table nevertheless.
    test : {"auto", "corrected_t", "wilcoxon", "mcnemar", "bootstrap"}, default="auto"
        ``"corrected_t"`` is Student's t-test on the folds with the variance corrected for training
        images they share (Nadeau and Bengio, 2003; Bouckaert and Frank, 2004). ``"wilcoxon"`` is
        the signed-rank test on the folds, which takes them for independent: they are not, and its
        p is too small. ``"mcnemar"`` is McNemar's exact test, for one set of test images and
        accuracy; where a patient has several images, whole patients are exchanged between the
        models. ``"bootstrap"`` asks how often drawing patients again turns a difference round.
        ``"auto"`` is the corrected t-test on folds; on one set of test images it is McNemar's test,
        or for another score than accuracy the bootstrap.
    n_jobs : int, default=None
        Fits at once, each in a process, as joblib has it.
    random_state : int, RandomState instance or None, default=None
        For the folds of an integer ``cv`` and for the bootstrap. The estimators have their own.
    verbose : int, default=0
        Above 0, a line is printed after each fit.

    Returns
    -------
    ModelComparison
        ``print`` shows it; ``models``, ``pairs``, ``sentences``, ``conclusion``, ``notes``,
        ``out_of_fold(name)``, ``to_dict()``.

    Raises
    ------
    ValueError
        An argument is not what it should be, an image has no patient, a patient is on both sides
        of a split, or a split lacks what ``scoring`` or ``test`` needs. Nothing has been trained
        then. Or a fitted model predicts what is no label or no probability, as a network that
        diverged does: it is raised after that fit, and names the model and the split.
    TypeError
        ``groups`` mixes types, as numbers and strings. Nothing has been trained then.

    See Also
    --------
    compare_predictions : The same for predictions that were made before.

    Notes
    -----
    The bootstrap draws patients (without ``groups``, images) 9999 times, and scores predictions as
    they are: its intervals say how much other patients would change the scores, not how much
    another training would. All pairs are tested and p is corrected by Holm's method; intervals
    are not.

    References
    ----------
    C. Nadeau and Y. Bengio, Inference for the generalization error, Machine Learning 52 (2003).
    R. R. Bouckaert and E. Frank, Evaluating the replicability of significance tests for comparing
    learning algorithms, PAKDD 2004.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from lungestimators import CNNClassifier, compare_models, make_chest_xrays
    >>> X, y = make_chest_xrays(30, image_size=32, difficulty=0, random_state=0)
    >>> models = {
    ...     "CNN": CNNClassifier(image_size=16, filters=(8,), epochs=2, random_state=0),
    ...     "largest class": DummyClassifier(),
    ... }
    >>> found = compare_models(models, X, y, cv=3, n_repeats=1, random_state=0)
    >>> [row["model"] for row in found.models], len(found.pairs)
    (['CNN', 'largest class'], 1)
    """
    estimators = _named(estimators)
    X, y, groups = indexable(X, y, groups)
    y, classes = _check_y(y)
    groups = check_groups(y, groups)
    rng = check_random_state(random_state)
    splits = _check_splits(_splits(cv, n_repeats, X, y, groups, rng), y)
    shared = splits_that_share_patients(splits, groups)
    if shared:
        raise ValueError(
            f"split {shared[0]} has images of one patient on both sides: let cv be an integer, or "
            "a splitter that keeps groups together, as StratifiedGroupKFold does"
        )
    _check_scoring(scoring, test, splits, y)
    lacking = [name for name, each in estimators.items() if not hasattr(each, "predict_proba")]
    if scoring == "roc_auc" and lacking:
        raise ValueError(f"scoring='roc_auc' needs predict_proba, which {lacking} lack")
    # Fold by fold, so that a model that cannot be trained shows before much work is lost.
    fits = [(name, number) for number in range(len(splits)) for name in estimators]
    done = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_fit_and_predict)(
            name, number, estimators[name], X, y, classes, splits[number], groups
        )
        for name, number in fits
    )
    predictions = {name: [] for name in estimators}
    for (name, number), found in zip(fits, done, strict=True):
        predictions[name].append(found)
        if verbose > 0:
            print(
                f"compare_models: {name}, split {number + 1} of {len(splits)}: accuracy "
                f"{np.mean(found.labels == y[splits[number][1]]):.3f}, {found.fit_seconds:.1f} s",
                flush=True,
            )
    return compare_predictions(
        y,
        predictions,
        splits,
        groups,
        scoring=scoring,
        test=test,
        random_state=rng.randint(2**31),
    )


def compare_predictions(
    y, predictions, splits, groups=None, *, scoring="accuracy", test="auto", random_state=None
):
    """Compare classifiers by predictions that were made before.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Class labels.
    predictions : dict of {str: list of tuple}
        For each model and each split ``(labels, probabilities, fit_seconds)``, the latter two of
        which may be left out or None: predicted labels of shape (n_test,), probabilities of shape
        (n_test, n_classes) with columns in the order of the sorted labels of ``y``, seconds.
    splits : list of (train, test)
        Rows, the same for all models. Several splits with the same test rows are one set of test
        images that was predicted several times, by networks of several seeds for instance.
    groups : array-like of shape (n_samples,), default=None
        Patient of each image. That a split has one on both sides is said in the notes.
    scoring : {"accuracy", "balanced_accuracy", "roc_auc"}, default="accuracy"
        As in :func:`compare_models`.
    test : {"auto", "corrected_t", "wilcoxon", "mcnemar", "bootstrap"}, default="auto"
        As in :func:`compare_models`.
    random_state : int, RandomState instance or None, default=None
        For the bootstrap.

    Returns
    -------
    ModelComparison

    Raises
    ------
    ValueError
        An argument is not what it should be, or predictions do not fit the splits.

    Examples
    --------
    >>> from lungestimators import compare_predictions
    >>> y = ["healthy", "ill"] * 20
    >>> splits = [(range(20), range(20, 40))]
    >>> always, never = ["ill"] * 20, ["healthy"] * 20
    >>> found = compare_predictions(y, {"always": [(always,)], "never": [(never,)]}, splits)
    >>> print(found.conclusion)
    All models have the same accuracy, 0.500.
    """
    y, classes = _check_y(y)
    groups = check_groups(y, groups)
    splits = _check_splits(splits, y)
    _check_scoring(scoring, test, splits, y)
    truth = np.searchsorted(classes, y)
    folds = {
        name: _check_predictions(name, found, splits, classes, scoring)
        for name, found in predictions.items()
    }
    seed = check_random_state(random_state).randint(2**31)
    patients = None if groups is None else np.unique(groups, return_inverse=True)[1]
    study = Study(truth, classes, splits, folds, patients, scoring, test)
    return conclude(study, np.random.default_rng(seed))


def _fit_and_predict(name, number, estimator, X, y, classes, split, groups):
    """Train a clone on one split, and return its predictions."""
    train, test = split
    estimator = clone(estimator)
    given = {}
    if groups is not None and get_routing_for_object(estimator).consumes("fit", ["groups"]):
        given["groups"] = groups[train]
    start = time.perf_counter()
    try:
        estimator.fit(_safe_indexing(X, train), y[train], **given)
    except Exception as error:
        error.add_note(f"compare_models was training {name!r}")
        raise
    seconds = time.perf_counter() - start
    tested = _safe_indexing(X, test)
    labels, probabilities = estimator.predict(tested), None
    if hasattr(estimator, "predict_proba"):
        # A class that the training images lack has no column, and the probability 0.
        probabilities = np.zeros((len(test), len(classes)))
        columns = np.searchsorted(classes, estimator.classes_)
        probabilities[:, columns] = estimator.predict_proba(tested)
    predictions = Predictions(labels, probabilities, seconds)
    _check_split(name, number, predictions, test, classes)  # before other models are trained
    return predictions


def _named(estimators):
    if not isinstance(estimators, dict):
        estimators = dict(_name_estimators(list(estimators)))
    if not estimators:
        raise ValueError("estimators is empty: there is nothing to compare")
    for name, estimator in estimators.items():
        if not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
            raise ValueError(f"estimators: {name!r} is {estimator!r}, which cannot fit and predict")
    return estimators


def _check_y(y):
    """Return the labels as an array, and the classes."""
    y = column_or_1d(y)
    classes = np.unique(y)
    if type_of_target(y) not in ("binary", "multiclass") or len(classes) < 2:
        raise ValueError(f"y must hold labels of two classes or more, got {classes[:5]}")
    return y, classes


def _splits(cv, n_repeats, X, y, groups, rng):
    """The splits that ``cv`` stands for."""
    if isinstance(cv, tuple) and len(cv) == 2 and all(hasattr(rows, "dtype") for rows in cv):
        return [cv]
    if not isinstance(cv, Integral):
        return check_cv(cv).split(X, y, groups)
    if n_repeats < 1:
        raise ValueError(f"n_repeats={n_repeats} must be at least 1")
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    return [
        split
        for _ in range(n_repeats)
        for split in kind(cv, shuffle=True, random_state=rng.randint(2**31)).split(y, y, groups)
    ]


def _check_splits(splits, y):
    """Return the splits as arrays of rows."""
    checked = []
    for number, (train, test) in enumerate(splits):
        train, test = (np.arange(len(y))[np.asarray(rows)] for rows in (train, test))
        for rows, part in ((train, "training"), (test, "test")):
            if not len(rows):
                raise ValueError(f"split {number} has no {part} images")
        if np.isin(test, train).any():
            raise ValueError(f"split {number} tests images that it trains on")
        if len(np.unique(y[train])) < 2:
            raise ValueError(f"the training images of split {number} are of one class only")
        checked.append((train, test))
    if not checked:
        raise ValueError("there are no splits")
    return checked


def _check_scoring(scoring, test, splits, y):
    """Raise where the splits lack what the score or the test needs."""
    for given, name, known in ((scoring, "scoring", NAMES), (test, "test", TESTS)):
        if given not in known:
            raise ValueError(f"{name}={given!r} must be one of {list(known)}")
    classes = np.unique(y)
    lacking = [n for n, (_, rows) in enumerate(splits) if len(np.unique(y[rows])) < len(classes)]
    if scoring == "roc_auc" and lacking:
        raise ValueError(f"scoring='roc_auc': the test images of split {lacking[0]} lack a class")
    one = one_test_set(splits)
    if test in ("corrected_t", "wilcoxon") and one:
        raise ValueError(f"test={test!r} needs several test sets: give folds, or test='auto'")
    if test == "mcnemar" and not (one and scoring == "accuracy"):
        raise ValueError("test='mcnemar' compares accuracies on one set of test images")


def _check_predictions(name, found, splits, classes, scoring):
    """Return what one model said of each split, with numbers for labels."""
    if len(found) != len(splits):
        raise ValueError(f"predictions of {name!r}: {len(found)} for {len(splits)} splits")
    folds = [
        _check_split(name, number, Predictions(*given), rows, classes)
        for number, ((_, rows), given) in enumerate(zip(splits, found, strict=True))
    ]
    if scoring == "roc_auc" and any(fold.probabilities is None for fold in folds):
        raise ValueError(f"scoring='roc_auc' needs the probabilities of {name!r}")
    return folds


def _check_split(name, number, given, rows, classes):
    """Return what one model said of one split, with numbers for labels."""
    which = f"{name!r} in split {number}"
    labels, probabilities = column_or_1d(given.labels), given.probabilities
    if len(labels) != len(rows):
        raise ValueError(f"{which} predicts {len(labels)} labels for {len(rows)} images")
    unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        raise ValueError(f"{which} predicts {unknown[:5]}, but the classes are {classes}")
    if probabilities is not None:
        probabilities = np.asarray(probabilities, float)
        if probabilities.shape != (len(rows), len(classes)):
            raise ValueError(
                f"probabilities of {which} have the shape {probabilities.shape} where "
                f"{(len(rows), len(classes))} is right"
            )
        if np.isnan(probabilities).any():
            raise ValueError(f"probabilities of {which} are NaN: has its training diverged?")
        total = probabilities.sum(axis=1, keepdims=True)
        if not (np.abs(total - 1) < 1e-3).all() or (probabilities < 0).any():
            raise ValueError(f"probabilities of {which} do not sum to 1, or are not in 0 to 1")
        probabilities = probabilities / total
    return Fold(rows, np.searchsorted(classes, labels), probabilities, given.fit_seconds)
