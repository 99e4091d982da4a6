"""Is this data set fit to learn from? Duplicates, leaks, doubtful labels, shortcuts."""

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_consistent_length

from ..classifiers import CNNClassifier
from ..images import checking, columns
from ..images.errors import read_error
from ..validation import check_groups, check_y, is_whole_number
from . import findings, fingerprints, shortcuts, trials
from .report import AuditReport, Check
from .summaries import Look, look_at

# What bounds the time of the default estimator: images times epochs of a fit, and how many epochs
# there are at least and at most.
_IMAGES_SEEN, _EPOCHS = 10_000, (2, 10)


def audit_images(
    X,
    y,
    groups=None,
    X_test=None,
    y_test=None,
    *,
    source=None,
    estimator=None,
    cv=5,
    random_state=None,
    verbose=0,
):
    """Find out whether a data set is fit to learn from, before anything is learnt from it.

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
        Their labels; without them only leaks are looked for.
    source : array-like of shape (n_images,), default=None
        Where each image comes from, a hospital say: tried as a shortcut.
    estimator : classifier, default=None
        What shall be trained on these images; it is cloned, and fitted twice in each fold. ``None``
        is a quick ``CNNClassifier(image_size=48)`` on grey thumbnails, of 10 epochs, of fewer for
        more than 1000 images.
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
        Print it; ``groups_``, ``keep_`` and ``leaked_`` are for what comes next, ``to_dict()`` for
        machines.

    Raises
    ------
    ValueError, TypeError
        An argument is not what it should be. Nothing has been read then.
    ImageReadError
        No image of X or of X_test can be read.

    Notes
    -----
    Duplicates that were cropped or rotated are not found. Of images below 48 pixels a side, copies
    that were rescaled are missed: little is left to tell them by.

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
    """
    train = _check_images("X", X)
    y = check_y(X, y)
    groups = check_groups(y, groups)
    if len(np.unique(y)) < 2:
        raise ValueError(f"y holds one class only ({y[0]!r}): an audit needs two or more")
    test = None if X_test is None else _check_images("X_test", X_test)
    if y_test is not None:
        if X_test is None:
            raise ValueError("y_test was given without X_test")
        y_test = check_y(X_test, y_test)
    source = _check_source(y, source)
    _check_options(estimator, cv)
    seed = int(check_random_state(random_state).randint(2**31))

    tell = _Teller(verbose)
    n = len(y)
    labels = y.tolist() + ([] if test is None else _labels(y_test, len(test)))
    looks = _read("X", train, tell) + ([] if test is None else _read("X_test", test, tell))
    names = _files(train) + _files(test)
    subject = findings.Subject(n, names if any(names) else [], labels, looks)
    visible = subject.visible()
    tell("comparing images")
    pairs = _pairs(looks, np.flatnonzero(visible))
    cluster = fingerprints.join(len(looks), (pairs.first, pairs.second))
    groups_ = _joined(cluster[:n], groups)
    keep = findings.keep(cluster[:n], labels, visible[:n])
    leaked = None if test is None else np.isin(cluster[n:], cluster[:n])

    found = [
        findings.unreadable(subject),
        findings.empty(subject),
        findings.repeated(subject, cluster, pairs),
        findings.contradictions(subject, cluster),
    ]
    if groups is not None:
        found.append(findings.shared_patients(subject, cluster, groups))
    if test is not None:
        found.append(findings.leaks(subject, cluster, pairs, leaked))
    trial = trials.prepare(y, keep, groups_, cv, seed)
    found.append(trials.balance(trial, y, cv))
    if y_test is not None:
        found.append(trials.unknown_labels(y, y_test))
    found += _cross_validated(trial, train, subject, source, estimator, tell)
    return AuditReport(found, _conclusion(found), groups_, keep, leaked)


def _check_images(name, X):
    """Return X as a list of str or as an array; nothing is read yet."""
    if columns.holds_paths(X):
        return columns.as_paths(X)
    if np.size(X) == 0:
        raise ValueError(f"{name} holds no image")
    X = checking.stack_images(X)
    if np.ndim(X) not in (3, 4):
        raise ValueError(
            f"{name} has {np.ndim(X)} dimensions: images are paths, or an array of shape (n, "
            "height, width) or (n, height, width, channels)"
        )
    X = checking.check_pixels(X)
    checking.as_images(X, None)
    return X


def _check_source(y, source):
    if source is None:
        return None
    source = column_or_1d(source)
    check_consistent_length(y, source)
    return source.astype(str)


def _check_options(estimator, cv):
    if not is_whole_number(cv) or cv < 2:
        raise ValueError(f"cv={cv!r} must be a whole number of folds, 2 or more")
    if estimator is not None and not (is_classifier(estimator) and hasattr(estimator, "fit")):
        raise TypeError(f"estimator={estimator!r} must be a classifier, as scikit-learn knows them")


def _labels(y_test, n_test):
    return [None] * n_test if y_test is None else y_test.tolist()


def _files(X):
    if X is None:
        return []
    return X if isinstance(X, list) else [None] * len(X)


class _Teller:
    """Print what is being done, when asked to."""

    def __init__(self, verbose):
        self.verbose = verbose

    def __call__(self, what):
        if self.verbose:
            print(f"audit_images: {what}", flush=True)

    def counter(self, what, total, every):
        """Return a function that is called with how many are done."""

        def count(done):
            if done % every == 0 or done == total:
                self(f"{what}: {done} of {total}")

        return count


def _read(name, X, tell):
    pixels = X if isinstance(X, list) else checking.as_images(X, None)
    every = max(1, len(X) // 10)
    looks = look_at(pixels, tell.counter(f"reading images of {name}", len(X), every))
    if not any(isinstance(look, Look) for look in looks):
        raise read_error(dict(zip(X, looks, strict=True)))
    return looks


def _pairs(looks, rows):
    """Pairs of duplicates among the rows that show something."""
    if not len(rows):
        none = np.zeros(0, int)
        return fingerprints.Pairs(none, none, none.astype(str), none.astype(float))
    prints = fingerprints.fingerprints(np.stack([looks[row].thumbnail for row in rows]))
    sides = np.array([looks[row].side for row in rows])
    pairs = fingerprints.find(prints, [looks[row].digest for row in rows], sides)
    return pairs._replace(first=rows[pairs.first], second=rows[pairs.second])


def _joined(cluster, groups):
    """Number the groups that duplicates and the given groups form together."""
    links = [_links(cluster)]
    if groups is not None:
        links.append(_links(groups))
    return fingerprints.join(len(cluster), *links)


def _links(values):
    """Link every row to the first that has its value."""
    _, first, number = np.unique(values, return_index=True, return_inverse=True)
    return first[number], np.arange(len(values))


def _cross_validated(trial, train, subject, source, estimator, tell):
    """The checks that fit models."""
    if trial.n_folds < 2:
        why = "A class is too small to cross-validate."
        advice = "Add images of the smallest class, or leave the class out."
        return [
            Check("labels", "skipped", why, [], trials.LABELS_RULE, advice),
            Check("shortcuts", "skipped", why, [], "", advice),
        ]
    splits = trial.splits()
    looks = [subject.looks[row] for row in trial.rows]
    scores = []
    for name, features, sees_lung in trials.candidates(
        looks, None if source is None else source[trial.rows]
    ):
        tell(f"looking for a shortcut: {name}")
        score = features  # why there are none
        if not isinstance(features, str):
            model = shortcuts.model(trial.seed)
            numbers = np.arange(len(trial.classes))
            found = shortcuts.predict(model, features, trial.y, numbers, trial.groups, splits)
            score = found.score
        scores.append((name, score, sees_lung))
    if estimator is None:
        estimator, X = _default(looks, trial.seed)
    else:
        estimator = _seeded(estimator, trial.seed)
        X = [train[row] for row in trial.rows] if isinstance(train, list) else train[trial.rows]
    predictions = []
    permuted = np.random.default_rng(trial.seed).permutation(trial.y)
    for what, y in (("labels as they are", trial.y), ("permuted labels", permuted)):
        count = tell.counter(f"fitting the estimator, {what}, fold", trial.n_folds, 1)
        # Permuted labels have folds of their own: each is to hold all classes.
        splits = trial._replace(y=y).splits()
        predictions.append(
            shortcuts.predict(estimator, X, y, trial.classes, trial.groups, splits, count)
        )
    real, chance = predictions
    return [
        trials.doubtful_labels(trial, real, subject),
        trials.compare(trial, scores, real.score, chance.score),
    ]


def _default(looks, seed):
    """A quick CNN, and the thumbnails that it sees: files need not be read again."""
    thumbnails = np.stack([look.thumbnail for look in looks]).astype(np.float32)
    epochs = int(np.clip(_IMAGES_SEEN // len(looks), *_EPOCHS))
    estimator = CNNClassifier(image_size=48, epochs=epochs, random_state=seed)
    return estimator, np.rint(255 * thumbnails).astype(np.uint8)


def _seeded(estimator, seed):
    """A clone whose every ``random_state`` that is None has a seed."""
    estimator = clone(estimator)
    unset = {
        name: seed
        for name, value in estimator.get_params().items()
        if name.split("__")[-1] == "random_state" and value is None
    }
    return estimator.set_params(**unset)


def _conclusion(found):
    """Whether an accuracy on these images can be trusted, and why not, in words."""
    faults, warnings = (
        "; ".join(
            check.consequence
            for check in found
            if check.verdict == verdict and check.consequence != trials.FEW
        )
        for verdict in ("fault", "warning")
    )
    shortcut = next(check for check in found if check.name == "shortcuts")
    if faults:
        words = [f"A model's accuracy on these images cannot be trusted: {faults}."]
    elif shortcut.verdict == "skipped":
        words = ["Whether a model's accuracy can be trusted was not tested: there is too little."]
    elif shortcut.consequence == trials.FEW:
        words = [f"Nothing was found, but that says little: {trials.FEW}."]
    else:
        words = ["Nothing was found that would make a model's accuracy on these images worthless."]
    if warnings:
        words.append(f"Mind that {warnings}.")
    return " ".join(words)
