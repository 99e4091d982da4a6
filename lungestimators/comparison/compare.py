"""compare_models and compare_predictions: test on the same folds whether one model is better."""

import warnings
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state, indexable
from sklearn.utils.parallel import Parallel, delayed

from ..validation import ImagesLike, check_groups, check_y_and_classes
from . import model_fits
from .conclusions import TESTS, conclude
from .predictions import Predictions, check_all_predictions, predictions_lack_probabilities
from .report import ModelComparison
from .splits import check_splits, have_one_test_set, make_splits, splits_that_share_groups
from .wording import NAMES


def compare_models(
    estimators: Mapping[str, ClassifierMixin] | Sequence[ClassifierMixin],
    X: ImagesLike,
    y: ArrayLike,
    cv: int | BaseCrossValidator | Iterable | tuple[np.ndarray, np.ndarray] = 5,
    groups: ArrayLike | None = None,
    *,
    n_repeats: int = 2,
    scoring: str = "accuracy",
    test: str = "auto",
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    verbose: int = 0,
) -> ModelComparison:
    """Compare classifiers on the same folds, and test which differences are shown.

    Parameters
    ----------
    estimators : dict of {str: classifier}, or list of classifiers
        Classifiers that predict labels after ``fit``; a clone of each is fitted in each fold. A
        search is scored by its best estimator, on images the search did not see. A list is named as
        ``make_pipeline`` names its steps. A model without ``predict_proba`` has no AUC, log loss,
        Brier score and calibration error.
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
        whole by the bootstrap. ``groups`` are passed to the ``fit`` of an estimator that requests
        them by metadata routing.
    n_repeats : int, default=2
        How often an integer ``cv`` is repeated, with other folds.
    scoring : {"accuracy", "balanced_accuracy", "roc_auc"}, default="accuracy"
        The score that is compared. The table shows the AUC and the accuracy in any case.
        ``"roc_auc"`` needs ``predict_proba`` of every model.
    test : {"auto", "corrected_t", "wilcoxon", "mcnemar", "bootstrap"}, default="auto"
        ``"corrected_t"`` is Student's t-test on the folds with the variance corrected for training
        images they share (Nadeau and Bengio, 2003; Bouckaert and Frank, 2004). ``"wilcoxon"`` is
        the signed-rank test on the folds. The test takes folds for independent, which they are not:
        its p is too small. ``"mcnemar"`` is McNemar's exact test, for one set of test images and
        accuracy; where a group has several images, whole groups are exchanged between the
        models. ``"bootstrap"`` counts how often drawing groups again turns a difference round.
        ``"auto"`` is the corrected t-test on folds; on one set of test images it is McNemar's test,
        or for another score than accuracy the bootstrap.
    n_jobs : int, default=None
        Fits at once, each in a process, as joblib has it.
    random_state : int, RandomState instance or None, default=None
        For the folds of an integer ``cv`` and for the bootstrap; estimators have a seed of their
        own.
    verbose : int, default=0
        Above 0, a line is printed after each fit.

    Returns
    -------
    ModelComparison
        ``print`` shows the comparison; ``models``, ``pairs``, ``sentences``, ``conclusion``,
        ``notes``, ``out_of_fold(name)`` and ``to_dict()`` are its parts.

    Raises
    ------
    ValueError
        Before anything is trained: an argument is not what it should be, an image has no group, a
        group is on both sides of a split, or a split lacks what ``scoring`` or ``test`` needs.
        After a fit, with the names of the model and the split: the model cannot predict, has no
        ``predict_proba`` for ``scoring="roc_auc"``, or predicts labels or probabilities that are
        none, as a network that diverged does. Models that show only after ``fit`` whether they have
        ``predict`` and ``predict_proba`` are fitted first.
    TypeError
        ``estimators`` is neither a dict nor a list, or ``groups`` mixes types, as numbers and
        strings. Nothing has been trained.

    Warns
    -----
    UserWarning
        ``scoring="roc_auc"``, and a model that had ``predict_proba`` in the first split lacks it in
        another, as a search with another best estimator does. Accuracy is compared instead.

    See Also
    --------
    compare_predictions : The same for predictions that are made already.

    Notes
    -----
    The bootstrap draws groups (without ``groups``, images) 9999 times, and scores predictions as
    they are: its intervals say how much other groups would change the scores, and do not say how
    much another training would. All pairs are tested. p is corrected by Holm's method; intervals
    are not corrected.

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
    estimators = model_fits.name_models_to_fit(estimators)
    X, y, groups = indexable(X, y, groups)
    y, classes = check_y_and_classes(y)
    groups = check_groups(y, groups)
    rng = check_random_state(random_state)
    splits = check_splits(make_splits(cv, n_repeats, X, y, groups, rng), y)
    shared = splits_that_share_groups(splits, groups)
    if shared:
        raise ValueError(
            f"split {shared[0]} has images of one group on both sides: let cv be an integer, or "
            "a splitter that keeps groups together, as StratifiedGroupKFold does"
        )
    _check_scoring_to_compare(scoring, test, splits, y)
    lacking = [
        name
        for name, each in estimators.items()
        if not model_fits.model_may_have(each, "predict_proba")
    ]
    if scoring == "roc_auc" and lacking:
        raise ValueError(f"scoring='roc_auc' needs predict_proba: {', '.join(lacking)} has none")
    # Fold by fold, so that a model that cannot be trained shows before much work is lost; in the
    # first fold models whose methods appear only after fit come first, for the same reason.
    first = sorted(
        estimators, key=lambda name: model_fits.model_shows_all_methods(estimators[name])
    )
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
        labels, _, fit_seconds = found
        if verbose > 0:
            print(
                f"compare_models: {name}, split {number + 1} of {len(splits)}: accuracy "
                f"{np.mean(labels == y[splits[number][1]]):.3f}, {fit_seconds:.1f} s",
                flush=True,
            )
    without = [name for name, found in predictions.items() if predictions_lack_probabilities(found)]
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
    y: ArrayLike,
    predictions: Mapping[str, Sequence[tuple]],
    splits: Sequence[tuple[ArrayLike, ArrayLike]],
    groups: ArrayLike | None = None,
    *,
    scoring: str = "accuracy",
    test: str = "auto",
    random_state: int | np.random.RandomState | None = None,
) -> ModelComparison:
    """Compare classifiers by predictions that are made already.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Class labels.
    predictions : dict of {str: list of tuple}
        For each model and each split ``(labels, probabilities, fit_seconds)``: predicted labels of
        shape (n_test,); probabilities of shape (n_test, n_classes), with columns in the order of
        the sorted labels of ``y``; seconds of the fit. The last two may be left out, or None.
    splits : list of (train, test)
        Rows, the same for all models. Several splits with the same test rows are one set of test
        images that was predicted several times, by networks of several seeds for instance.
    groups : array-like of shape (n_samples,), default=None
        Group of each image, such as the patient. The notes say where a split has a group on both
        sides.
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
    y, classes = check_y_and_classes(y)
    groups = check_groups(y, groups)
    splits = check_splits(splits, y)
    _check_scoring_to_compare(scoring, test, splits, y)
    truth = np.searchsorted(classes, y)
    folds = {
        name: check_all_predictions(name, found, splits, classes, scoring)
        for name, found in predictions.items()
    }
    seed = check_random_state(random_state).randint(2**31)
    numbers = None if groups is None else np.unique(groups, return_inverse=True)[1]
    compared = Predictions(truth, classes, splits, folds, numbers, scoring, test)
    return conclude(compared, np.random.default_rng(seed))


def _check_scoring_to_compare(scoring, test, splits, y):
    """Raise where a score or a test is unknown, or cannot be computed from the splits."""
    for given, name, known in ((scoring, "scoring", NAMES), (test, "test", TESTS)):
        if given not in known:
            raise ValueError(f"{name}={given!r} must be one of {list(known)}")
    classes = np.unique(y)
    lacking = [n for n, (_, rows) in enumerate(splits) if len(np.unique(y[rows])) < len(classes)]
    if scoring == "roc_auc" and lacking:
        raise ValueError(f"scoring='roc_auc': the test images of split {lacking[0]} lack a class")
    one = have_one_test_set(splits)
    if test in ("corrected_t", "wilcoxon") and one:
        raise ValueError(f"test={test!r} needs several test sets: give folds, or test='auto'")
    if test == "mcnemar" and not (one and scoring == "accuracy"):
        raise ValueError("test='mcnemar' compares accuracies on one set of test images")
