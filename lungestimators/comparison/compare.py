"""Is one model better than another? The same folds for all, and what may be concluded from them."""

import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv
from sklearn.utils import check_random_state, indexable
from sklearn.utils.parallel import Parallel, delayed

from ..validation import check_classes, check_groups, check_whole_number, is_whole_number
from . import model_fits
from .conclusions import TESTS, Study, conclude
from .report import NAMES
from .splits import one_test_set, splits_that_share_groups


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
        Anything that predicts labels after ``fit``; the score of a search is that of its winner on
        images the search did not see. A list is named as ``make_pipeline`` names its steps. Each
        is cloned for each fold. A model without ``predict_proba`` has no AUC, log loss, Brier score
        and calibration error.
    X : array-like or list of paths
        Images, as the classifiers take them.
    y : array-like of shape (n_samples,)
        Class labels.
    cv : int, splitter, iterable of splits, or tuple of two arrays, default=5
        An integer: that many stratified folds, shuffled, ``n_repeats`` times; with ``groups`` they
        keep a group together. A tuple of two arrays is one split, its training rows and its
        test rows.
    groups : array-like of shape (n_samples,), default=None
        Group of each image: the patient, say, or the groups of duplicates that
        :func:`audit_images` finds. A group is never on both sides of a split, and is drawn as a
        whole by the bootstrap. An estimator that requests ``groups`` in ``fit`` by metadata routing
        is passed them.
    n_repeats : int, default=2
        How often an integer ``cv`` is repeated, with other folds.
    scoring : {"accuracy", "balanced_accuracy", "roc_auc"}, default="accuracy"
        The score that is compared. The table shows the AUC and the accuracy in any case.
        ``"roc_auc"`` needs ``predict_proba`` of every model.
    test : {"auto", "corrected_t", "wilcoxon", "mcnemar", "bootstrap"}, default="auto"
        ``"corrected_t"`` is Student's t-test on the folds with the variance corrected for training
        images they share (Nadeau and Bengio, 2003; Bouckaert and Frank, 2004). ``"wilcoxon"`` is
        the signed-rank test on the folds, which takes them for independent: they are not, and its
        p is too small. ``"mcnemar"`` is McNemar's exact test, for one set of test images and
        accuracy; where a group has several images, whole groups are exchanged between the
        models. ``"bootstrap"`` asks how often drawing groups again turns a difference round.
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
        An argument is not what it should be, an image has no group, a group is on both sides of a
        split, or a split lacks what ``scoring`` or ``test`` needs. Nothing has been trained then.
        Or a fitted model cannot predict, has no ``predict_proba`` for ``scoring="roc_auc"``, or
        predicts what is no label or no probability, as a network that diverged does: it is raised
        after that fit, and names the model and the split. Models that have ``predict`` or
        ``predict_proba`` only after ``fit`` are the first that are fitted.
    TypeError
        ``estimators`` is neither a dict nor a list, or ``groups`` mixes types, as numbers and
        strings. Nothing has been trained then.

    Warns
    -----
    UserWarning
        ``scoring="roc_auc"``, and a model that had ``predict_proba`` in the first split lacks it in
        another, as a search with another winner does. Then accuracy is compared.

    See Also
    --------
    compare_predictions : The same for predictions that were made before.

    Notes
    -----
    The bootstrap draws groups (without ``groups``, images) 9999 times, and scores predictions as
    they are: its intervals say how much other groups would change the scores, not how much
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
    estimators = model_fits.named(estimators)
    X, y, groups = indexable(X, y, groups)
    y, classes = check_classes(y)
    groups = check_groups(y, groups)
    rng = check_random_state(random_state)
    splits = _check_splits(_splits(cv, n_repeats, X, y, groups, rng), y)
    shared = splits_that_share_groups(splits, groups)
    if shared:
        raise ValueError(
            f"split {shared[0]} has images of one group on both sides: let cv be an integer, or "
            "a splitter that keeps groups together, as StratifiedGroupKFold does"
        )
    _check_scoring(scoring, test, splits, y)
    lacking = [
        name for name, each in estimators.items() if not model_fits.may_have(each, "predict_proba")
    ]
    if scoring == "roc_auc" and lacking:
        raise ValueError(f"scoring='roc_auc' needs predict_proba: {', '.join(lacking)} has none")
    # Fold by fold, so that a model that cannot be trained shows before much work is lost; in the
    # first fold models whose methods appear only after fit come first, for the same reason.
    first = sorted(estimators, key=lambda name: model_fits.shows_all(estimators[name]))
    fits = [(name, 0) for name in first]
    fits += [(name, number) for number in range(1, len(splits)) for name in estimators]
    done = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(model_fits.fit_and_predict)(
            name, number, estimators[name], X, y, classes, splits[number], groups, scoring
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
    without = [name for name, found in predictions.items() if _lacks_probabilities(found)]
    note = None
    if scoring == "roc_auc" and without:
        note = (
            f"scoring='roc_auc': {', '.join(without)} had no predict_proba in some splits, so "
            "that accuracy is compared instead."
        )
        warnings.warn(note, UserWarning, stacklevel=2)
    found = compare_predictions(
        y,
        predictions,
        splits,
        groups,
        scoring="accuracy" if note else scoring,
        test=test,
        random_state=rng.randint(2**31),
    )
    if note:
        found.notes.insert(0, note)
    return found


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
        Group of each image, such as the patient. That a split has one on both sides is said in
        the notes.
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
    y, classes = check_classes(y)
    groups = check_groups(y, groups)
    splits = _check_splits(splits, y)
    _check_scoring(scoring, test, splits, y)
    truth = np.searchsorted(classes, y)
    folds = {
        name: _check_predictions(name, found, splits, classes, scoring)
        for name, found in predictions.items()
    }
    seed = check_random_state(random_state).randint(2**31)
    numbers = None if groups is None else np.unique(groups, return_inverse=True)[1]
    study = Study(truth, classes, splits, folds, numbers, scoring, test)
    return conclude(study, np.random.default_rng(seed))


def _lacks_probabilities(found):
    return any(predictions.probabilities is None for predictions in found)


def _splits(cv, n_repeats, X, y, groups, rng):
    """The splits that ``cv`` stands for."""
    if isinstance(cv, tuple) and len(cv) == 2 and all(hasattr(rows, "dtype") for rows in cv):
        return [cv]
    if not is_whole_number(cv):
        return check_cv(cv).split(X, y, groups)
    check_whole_number("n_repeats", n_repeats, 1)
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
        model_fits.check_split(name, number, model_fits.Predictions(*given), rows, classes)
        for number, ((_, rows), given) in enumerate(zip(splits, found, strict=True))
    ]
    lacking = [number for number, fold in enumerate(folds) if fold.probabilities is None]
    if scoring == "roc_auc" and lacking:
        raise ValueError(
            f"scoring='roc_auc' needs the probabilities of {name!r}, which has none in split "
            f"{lacking[0]}"
        )
    if lacking:  # means over other folds than those of other models would not compare
        folds = [fold._replace(probabilities=None) for fold in folds]
    return folds
