"""Evidence: the images of an audit, and what several checks need of them, computed once."""

import functools

import numpy as np

from ..classifiers import CNNClassifier
from ..images import checking
from ..images.errors import image_read_error
from ..images.progress import ProgressBar
from . import cross_validation, fingerprints, pictures
from .summaries import ImageSummary, summarise_images

# What bounds the time of the default estimator: images times epochs of a fit, and how many epochs
# there are at least and at most.
_IMAGES_SEEN, _EPOCHS = 10_000, (2, 10)


class Evidence:
    """The images of an audit, those of X before those of X_test, and what checks need of them.

    Everything is computed when a check first asks for it, and kept. It follows from the arguments
    alone: a check finds the same whichever other checks run.

    Parameters
    ----------
    X : list of str or ndarray
        Checked paths or pixels.
    y : ndarray of shape (n_train,)
    groups : ndarray of shape (n_train,), or None
    X_test : list of str or ndarray, or None
    y_test : ndarray of shape (n_test,), or None
    source : ndarray of shape (n_train,), str, or None
    estimator : classifier, or None
        None is a quick CNN on thumbnails.
    cv : int
    seed : int
        Of the folds, of the permuted labels and of models that have no seed.
    verbose : int

    Attributes
    ----------
    n_train, n_test : int
    files : list of str
        None for an image of an array; an empty list where there are arrays only.
    labels : list
        None for an image that has no label.
    """

    def __init__(self, X, y, groups, X_test, y_test, source, estimator, cv, seed, verbose):
        self.X, self.y, self.groups, self.X_test, self.y_test = X, y, groups, X_test, y_test
        self.cv, self.seed = cv, seed
        self._source, self._estimator, self._verbose = source, estimator, verbose
        self.n_train = len(X)
        self.n_test = 0 if X_test is None else len(X_test)
        parts = [X] if X_test is None else [X, X_test]
        self.files = []
        if any(isinstance(part, list) for part in parts):
            for part in parts:
                self.files += part if isinstance(part, list) else [None] * len(part)
        self.labels = y.tolist() + ([None] * self.n_test if y_test is None else y_test.tolist())

    def say_in_audit(self, what):
        """Print what is being done, when asked to."""
        if self._verbose:
            print(f"audit_images: {what}", flush=True)

    def name_of(self, row):
        """Name an image as a user's code finds it: ``X[3]``, ``X_test[0]``."""
        return f"X[{row}]" if row < self.n_train else f"X_test[{row - self.n_train}]"

    def describe(self, row):
        """Return the columns of a table that say which image is meant."""
        columns = {"image": self.name_of(row)}
        if self.files:
            columns["file"] = self.files[row]
        return columns

    @functools.cached_property
    def summaries(self):
        """Summary of each image, or a sentence that says why it cannot be read."""
        summaries = self._summarise_evidence("X", self.X)
        if self.X_test is not None:
            summaries += self._summarise_evidence("X_test", self.X_test)
        return summaries

    def _summarise_evidence(self, name, X):
        """Summarise the images of X or of X_test; raise where none can be read."""
        pixels = X if isinstance(X, list) else checking.check_image_shape_of_x(X, None)
        bar = ProgressBar(len(X), f"audit_images: reading images of {name}", self._verbose)
        bar.start()
        summaries = summarise_images(pixels, bar.show)
        bar.close()
        if not any(isinstance(summary, ImageSummary) for summary in summaries):
            raise image_read_error(dict(zip(X, summaries, strict=True)))
        return summaries

    @functools.cached_property
    def is_visible(self):
        """Which images can be read and show anything: ndarray of shape (n,), bool."""
        return np.array(
            [isinstance(each, ImageSummary) and not each.is_empty for each in self.summaries]
        )

    @functools.cached_property
    def pairs(self):
        """Pairs of images that show one picture: fingerprints.Pairs."""
        rows = np.flatnonzero(self.is_visible)
        self.say_in_audit("comparing images")
        if not len(rows):
            none = np.zeros(0, int)
            return fingerprints.Pairs(none, none, none.astype(str), none.astype(float))
        visible = [self.summaries[row] for row in rows]
        pairs = fingerprints.find_pairs_of_fingerprints(
            fingerprints.fingerprint_thumbnails(np.stack([each.thumbnail for each in visible])),
            [each.digest for each in visible],
            np.array([each.side for each in visible]),
        )
        return pairs._replace(first=rows[pairs.first], second=rows[pairs.second])

    @functools.cached_property
    def pictures(self):
        """Number of the picture that each image shows: ndarray of shape (n,), int."""
        return pictures.number_pictures(len(self.summaries), self.pairs)

    @functools.cached_property
    def joined_groups(self):
        """Group of each image of X, joined where groups share a picture: ndarray of int."""
        return pictures.join_groups_that_share_pictures(self.pictures[: self.n_train], self.groups)

    @functools.cached_property
    def keep(self):
        """Which images of X to learn from: ndarray of shape (n_train,), bool."""
        n = self.n_train
        return pictures.one_image_of_each_picture(
            self.pictures[:n], self.labels[:n], self.is_visible[:n]
        )

    @functools.cached_property
    def leaked(self):
        """Which images of X_test are also in X: ndarray of shape (n_test,), bool; or None."""
        if self.X_test is None:
            return None
        return np.isin(self.pictures[self.n_train :], self.pictures[: self.n_train])

    def images_were_compared(self):
        """Tell whether a check has asked which images show one picture."""
        return "pictures" in vars(self)

    @functools.cached_property
    def folds(self):
        """The images to learn from, for cross-validation: cross_validation.Folds."""
        return cross_validation.make_folds_to_cross_validate(
            self.y, self.keep, self.joined_groups, self.cv, self.seed
        )

    @functools.cached_property
    def splits(self):
        """Training and test positions of each fold, the same for all models."""
        return self.folds.splits()

    @property
    def summaries_to_learn_from(self):
        """Summaries of the images that models are cross-validated on."""
        return [self.summaries[row] for row in self.folds.rows]

    @property
    def source_to_learn_from(self):
        """Source of each image that models are cross-validated on, or None."""
        return None if self._source is None else self._source[self.folds.rows]

    @functools.cached_property
    def cross_validated(self):
        """Out-of-fold predictions of the estimator: cross_validation.CrossValidated."""
        return self._cross_validate_evidence("labels as they are", self.folds, self.splits)

    @functools.cached_property
    def cross_validated_on_permuted_labels(self):
        """Out-of-fold predictions of the estimator that was fitted on permuted labels."""
        permuted = self.folds.with_permuted_labels()
        return self._cross_validate_evidence("permuted labels", permuted, permuted.splits())

    def _cross_validate_evidence(self, what, folds, splits):
        def after_fold(n_done):
            self.say_in_audit(f"fitting the estimator, {what}, fold: {n_done} of {folds.n_folds}")

        estimator, X = self._estimator_and_images()
        return cross_validation.cross_validate(
            estimator, X, folds, splits, folds.classes, after_fold
        )

    def _estimator_and_images(self):
        """Return the estimator with a seed, and the images to learn from as it takes them."""
        rows = self.folds.rows
        if self._estimator is not None:
            X = [self.X[row] for row in rows] if isinstance(self.X, list) else self.X[rows]
            return cross_validation.clone_to_cross_validate(self._estimator, self.seed), X
        # Thumbnails: files need not be read again.
        thumbnails = np.stack([each.thumbnail for each in self.summaries_to_learn_from])
        epochs = int(np.clip(_IMAGES_SEEN // len(rows), *_EPOCHS))
        estimator = CNNClassifier(image_size=48, epochs=epochs, random_state=self.seed)
        return estimator, np.rint(255 * thumbnails.astype(np.float32)).astype(np.uint8)
