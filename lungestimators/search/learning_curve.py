"""LearningCurve: scores of the folds of a trial while they learn, and when to prune."""

import numpy as np

# How often a fold is scored while it learns, and how many steps it has for the pruner. Trials of
# different numbers of epochs are so compared after equal shares of their epochs: the learning rate
# falls to zero over all epochs of a trial, so that equal numbers of epochs would say little.
STEPS_PER_FOLD = 20

# The user attribute of a trial that holds the scores and times of its folds.
FOLDS = "folds"


class LearningCurve:
    """Scores of a trial at every step of its folds; reports them to the pruner.

    Parameters
    ----------
    trial : optuna.Trial
    n_splits : int
        Number of folds.
    metric : str
        The score that is reported and maximized.

    Attributes
    ----------
    pruned : bool
        Whether the pruner has ended the trial.
    """

    def __init__(self, trial, n_splits, metric):
        self.pruned = False
        self._trial = trial
        self._n_splits = n_splits
        self._metric = metric
        self._fold, self._is_fold_scored = -1, False
        self._tables = {}  # metric -> scores of shape (n_splits, STEPS_PER_FOLD)
        self._n_epochs, self._epochs_per_fold = 0, None
        self._times = []

    def begin_fold(self):
        """Begin the next fold."""
        self._fold, self._is_fold_scored = self._fold + 1, False

    def end_fold(self, fit_time, score_time):
        """End a fold, and keep its seconds unless it was pruned before its last step."""
        if not self.pruned or self._is_fold_scored:
            self._times.append((fit_time, score_time))

    def count_epoch(self, epochs_per_fold):
        """Count one epoch that was run, and keep how many epochs a fold has."""
        self._n_epochs += 1
        self._epochs_per_fold = epochs_per_fold

    def add_scores(self, scores, steps):
        """Store scores of the current fold, report the trial's value, and ask the pruner.

        The value is the one that the trial would have if it ended here: the mean over folds at
        each step (over those folds that have reached the step), and of these means the highest. So
        the values of a fold continue those of the fold before, and after a fold the value is the
        trial's value over the folds so far.

        Parameters
        ----------
        scores : dict of str to float
        steps : range
            The steps that these scores are for, from 0; at the last one the fold is scored.
        """
        for name, score in scores.items():
            empty = np.full((self._n_splits, STEPS_PER_FOLD), np.nan)
            self._tables.setdefault(name, empty)[self._fold, steps] = score
        table = self._tables[self._metric][: self._fold + 1]
        known = ~np.isnan(table)
        is_known = known.any(axis=0)
        self._is_fold_scored = steps.stop == STEPS_PER_FOLD
        if not is_known.any():  # NaN says nothing for or against the trial
            return
        means = np.where(known, table, 0).sum(axis=0)[is_known] / known.sum(axis=0)[is_known]
        for step in steps:
            self._trial.report(means.max(), self._fold * STEPS_PER_FOLD + step + 1)
        is_complete = self._is_fold_scored and self._fold + 1 == self._n_splits
        self.pruned = not is_complete and self._trial.should_prune()

    @property
    def n_folds(self):
        """Number of folds that were begun."""
        return self._fold + 1

    def has_value(self):
        """Whether there is a step at which every finished fold has a score."""
        return self._best_step() is not None

    def value_of_trial(self):
        """Return the highest mean over folds of the scores at one step."""
        return float(np.mean(self._tables[self._metric][:, self._best_step()]))

    def as_dict(self):
        """Return the scores of finished folds at the best step, epochs and times, as plain data.

        Returns
        -------
        dict
            "n_epochs" (run in all folds), "fit_time" and "score_time" (seconds, one each finished
            fold); if there is a best step, "test" (metric to one score each finished fold); if
            epochs were counted, "best_epoch" (from 1).
        """
        folds = {
            "n_epochs": self._n_epochs,
            "fit_time": [fit_time for fit_time, _ in self._times],
            "score_time": [score_time for _, score_time in self._times],
        }
        step = self._best_step()
        if step is None:
            return folds
        n_folds = len(self._times)
        folds["test"] = {k: table[:n_folds, step].tolist() for k, table in self._tables.items()}
        if self._epochs_per_fold is not None:
            # The first epoch that ends at this step or after it.
            folds["best_epoch"] = -(-(step + 1) * self._epochs_per_fold // STEPS_PER_FOLD)
        return folds

    def _best_step(self):
        """Return the step of the highest mean over finished folds, the last of equal ones."""
        if not self._times:
            return None
        means = self._tables[self._metric][: len(self._times)].mean(axis=0)
        if np.isnan(means).all():
            return None
        return int(np.flatnonzero(means == np.nanmax(means))[-1])
