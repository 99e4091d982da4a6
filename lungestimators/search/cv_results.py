"""The attribute ``cv_results_`` of a search, from its trials, and warnings of failed trials."""

import warnings

import numpy as np
from scipy.stats import rankdata

from .. import studies
from .._compat import optuna
from .learning_curve import FOLDS


def make_cv_results(trials, space, n_splits):
    """Return ``cv_results_``, one row a trial, as scikit-learn's searches have it.

    Parameters
    ----------
    trials : list of optuna.trial.FrozenTrial
        Finished trials.
    space : Space
    n_splits : int

    Returns
    -------
    dict of str to list, ndarray or numpy.ma.MaskedArray
        Scores of folds that did not end are NaN. Means over folds are NaN for trials that were
        pruned or failed.
    """
    folds = [trial.user_attrs.get(FOLDS, {}) for trial in trials]
    complete = np.array([trial.state == optuna.trial.TrialState.COMPLETE for trial in trials])
    results = {
        "number": np.array([trial.number for trial in trials]),
        "state": np.array([trial.state.name.lower() for trial in trials], dtype=object),
        "n_epochs": np.array([some.get("n_epochs", 0) for some in folds]),
    }

    def add_columns(name, values, splits):
        table = np.full((len(trials), n_splits), np.nan)
        for row, some in zip(table, values, strict=True):
            row[: len(some)] = some
        for number in range(n_splits if splits else 0):
            results[f"split{number}_{name}"] = table[:, number]
        for statistic in (np.mean, np.std):
            column = np.array([statistic(row) for row in table])
            results[f"{statistic.__name__}_{name}"] = np.where(complete, column, np.nan)

    for name in ("fit_time", "score_time"):
        add_columns(name, [some.get(name, []) for some in folds], splits=False)
    params = [space.from_stored(trial.params) for trial in trials]
    for name in space.given:
        results[f"param_{name}"] = _masked_cv_results_column(
            [some.get(name, np.ma.masked) for some in params]
        )
    results["params"] = params
    results["best_epoch"] = _masked_cv_results_column(
        [some.get("best_epoch", np.ma.masked) for some in folds]
    )
    metrics = dict.fromkeys(name for some in folds for name in some.get("test", {}))
    for name in metrics:
        add_columns(
            f"test_{name}", [some.get("test", {}).get(name, []) for some in folds], splits=True
        )
        means = results[f"mean_test_{name}"]
        worst = np.nanmin(means, initial=0) - 1
        ranks = rankdata(-np.where(np.isnan(means), worst, means), method="min")
        results[f"rank_test_{name}"] = ranks.astype(np.int32)
    return results


def check_failed_trials_for_cv_results(trials):
    """Raise if no trial is complete; warn if some trials failed."""
    errors = [t.user_attrs[studies.ERROR] for t in trials if studies.ERROR in t.user_attrs]
    if not any(trial.state == optuna.trial.TrialState.COMPLETE for trial in trials):
        if errors:
            kind = TypeError if all(e.startswith("TypeError") for e in errors) else ValueError
            raise kind(
                f"{len(errors)} of {len(trials)} trials failed, and none is complete; the first "
                f"failed with {errors[0]}"
            )
        if not trials:
            raise ValueError("No trial was begun before timeout: give the search more time")
        raise ValueError(
            f"No trial is complete, and {len(trials)} were pruned: give the search more trials or "
            "a gentler pruner"
        )
    if errors:
        warnings.warn(
            f"{len(errors)} of {len(trials)} trials failed and are NaN in cv_results_; the first "
            f"with {errors[0]}",
            UserWarning,
            stacklevel=4,
        )


def warn_of_nan_in_cv_results(results):
    """Warn if complete trials have a score of NaN; only metrics that do not count can be NaN."""
    complete = results["state"] == "complete"
    for name in results:
        if name.startswith("mean_test_") and np.isnan(results[name][complete]).any():
            n_nan = np.isnan(results[name][complete]).sum()
            warnings.warn(
                f"{name} is NaN in {n_nan} of {complete.sum()} complete trials: its scorer "
                "returned NaN",
                UserWarning,
                stacklevel=4,
            )


def _masked_cv_results_column(values):
    """Return a masked column: of bool, int or float if all values are, else of objects."""
    kinds = {type(value) for value in values if value is not np.ma.masked}
    dtype = kinds.pop() if len(kinds) == 1 and kinds <= {bool, int, float} else object
    column = np.ma.MaskedArray(np.empty(len(values), dtype=dtype), mask=True)
    for row, value in enumerate(values):
        if value is not np.ma.masked:
            column[row] = value
    return column
