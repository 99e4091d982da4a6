"""Tests and intervals for classifiers that were scored on the same images.

SciPy does what it can. What it lacks is here: the correction for folds that share training images,
Holm's correction, and resampling whole patients.
"""

from typing import NamedTuple

import numpy as np
from scipy import special, stats

N_RESAMPLES = 9999
_BATCH = 2**21  # weights at once: 16 MiB
_ROUNDING = 1e-12  # differences of scores below it are none


class TTest(NamedTuple):
    """Result of :func:`corrected_t_test`: a mean, its 95 % interval, t and p."""

    mean: float
    low: float
    high: float
    statistic: float
    pvalue: float


def corrected_t_test(differences, ratio):
    """Student's t-test with the variance corrected for folds that share training images.

    The folds of a cross-validation overlap in what they are trained on, so that the variance
    between them understates how much another training set would change the score. Nadeau and
    Bengio (2003) add the ratio of tested to training images to 1/n; Bouckaert and Frank (2004) do
    the same for repeated cross-validation, n being the folds of all repeats.

    Parameters
    ----------
    differences : ndarray of shape (n_folds,)
        Difference of two models' scores in each fold; or scores, for their interval alone.
    ratio : float
        Tested images per training image of a fold.

    Returns
    -------
    TTest
        Mean, 95 % interval, t and the two-sided p. Differences that are all 0 have p = 1.

    Raises
    ------
    ValueError
        There is one fold only.
    """
    n = len(differences)
    if n < 2:
        raise ValueError("the corrected t-test needs two folds or more")
    mean = differences.mean()
    error = np.sqrt(differences.var(ddof=1) * (1 / n + ratio))
    if error < _ROUNDING:
        same = abs(mean) < _ROUNDING
        return TTest(mean, mean, mean, 0.0 if same else np.copysign(np.inf, mean), float(same))
    statistic = mean / error
    half = stats.t.ppf(0.975, n - 1) * error
    p = 2 * stats.t.sf(abs(statistic), n - 1)
    return TTest(mean, mean - half, mean + half, statistic, p)


def wilcoxon_test(differences):
    """Return the p of Wilcoxon's signed-rank test of differences between folds.

    The test takes folds for independent, which they are not: p is too small. p is 1 where all
    differences are 0, and where ranks favour one model and the mean, by which models are ordered,
    favours the other. Folds without a difference are left out, so that p is not below
    ``2**(1 - n)`` where n folds differ.
    """
    # Differences that are equal but for rounding must have equal ranks.
    differences = np.round(differences, 12)
    # SciPy leaves zeros out too, but counts them when it chooses between the exact distribution and
    # the normal one: 5 wins and 20 zeros had p = 0.025, where 0.0625 is right.
    differences = differences[differences != 0]
    if not len(differences):
        return 1.0
    ranks = np.sign(differences) * stats.rankdata(np.abs(differences))
    if ranks.sum() * differences.mean() <= 0:
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)


def mcnemar_test(first, second, groups, random_state):
    """McNemar's exact test on one set of test images.

    Where a patient has several images, or images were scored several times, patients and not
    images are exchanged between the models (a permutation test); with one image each that is
    McNemar's test.

    Parameters
    ----------
    first, second : ndarray of shape (n_images,)
        Whether, or how often, each model was right on each image.
    groups : ndarray of shape (n_images,), int
        Patient of each image.
    random_state : int or numpy Generator
        For the permutations.

    Returns
    -------
    pvalue : float
        Two-sided.
    test : {"mcnemar", "permutation"}
        Which it was: McNemar's where all patients that differ do so by the same.
    """
    differences = np.bincount(groups, weights=first - second)
    differences = differences[np.abs(differences) > _ROUNDING]
    if not len(differences):
        return 1.0, "mcnemar"
    if np.ptp(np.abs(differences)) < _ROUNDING:
        wins = np.count_nonzero(differences > 0)
        return float(stats.binomtest(wins, len(differences)).pvalue), "mcnemar"
    found = stats.permutation_test(
        (differences,),
        lambda x, axis: x.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=N_RESAMPLES,
        batch=max(1, _BATCH // len(differences)),
        rng=random_state,
    )
    return float(found.pvalue), "permutation"


def holm(pvalues):
    """Return p-values corrected for the number of tests by Holm's method (1979).

    The smallest of n p-values is multiplied by n, the next by n - 1, and so on. A corrected p-value
    is neither below that of a smaller p-value nor above 1.

    Parameters
    ----------
    pvalues : array-like of shape (n_tests,)

    Returns
    -------
    ndarray of shape (n_tests,)
        In the order of ``pvalues``.
    """
    pvalues = np.asarray(pvalues, dtype=float)
    order = np.argsort(pvalues)
    corrected = np.empty_like(pvalues)
    corrected[order] = np.maximum.accumulate(pvalues[order] * np.arange(len(pvalues), 0, -1))
    return np.minimum(corrected, 1)


def wilson_interval(share, n, error=0.05):
    """Return Wilson's interval of a share of n observations.

    SciPy's function takes whole numbers of successes only. The audit has a share of images, and
    counts the groups of the images as observations.

    Parameters
    ----------
    share : float or ndarray
    n : int or ndarray
        Number of observations.
    error : float
        Probability that the true share is outside the interval.

    Returns
    -------
    low, high : float or ndarray
    """
    z = special.ndtri(1 - error / 2)
    twice = 2 * (n + z**2)
    centre = (2 * n * share + z**2) / twice
    half = z / twice * np.sqrt(4 * n * share * (1 - share) + z**2)
    return np.where(share == 0, 0, centre - half)[()], np.where(share == 1, 1, centre + half)[()]


def wilson_interval_over_folds(accuracy, n):
    """Return Wilson's interval of a mean over folds, as if all images were tested at once."""
    low, high = wilson_interval(round(accuracy * n) / n, n)
    return float(low), float(high)


def bootstrap(statistics, groups, random_state):
    """Draw patients with replacement many times, and return statistics of the drawn images.

    Parameters
    ----------
    statistics : collection of callable
        Functions from weights of shape (n_resamples, n_images), how often each image was drawn, to
        an array of shape (n_resamples,). All get the same resamples, so that their differences are
        paired.
    groups : ndarray of shape (n_images,), int
        Patient of each image, 0 to n_patients - 1.
    random_state : int or numpy Generator

    Returns
    -------
    ndarray of shape (len(statistics), 9999)
        NaN where a statistic is undefined, as an AUC without one of the classes is.
    """
    rng = np.random.default_rng(random_state)
    n_groups = groups.max() + 1
    batch = max(1, _BATCH // len(groups))
    values = np.empty((len(statistics), N_RESAMPLES))
    for start in range(0, N_RESAMPLES, batch):
        n = min(batch, N_RESAMPLES - start)
        drawn = rng.integers(n_groups, size=(n, n_groups)) + n_groups * np.arange(n)[:, None]
        times = np.bincount(drawn.ravel(), minlength=n * n_groups).reshape(n, n_groups)
        weights = times[:, groups].astype(float)
        for row, statistic in enumerate(statistics):
            values[row, start : start + n] = statistic(weights)
    return values


def percentile_interval(values):
    """Return the 95 % interval of resampled values, and the two-sided p of the value 0.

    Undefined values are left out. Where p is below 0.05, the interval does not contain 0. Where
    fewer than half of the values are defined, there is no interval (NaN), and p is 1: the defined
    values come from samples that are unlike most.
    """
    defined = ~np.isnan(values)
    if defined.sum() < len(values) / 2 or not defined.any():
        return np.nan, np.nan, 1.0
    values = values[defined]
    low, high = np.quantile(values, [0.025, 0.975])
    tail = min((values <= _ROUNDING).sum(), (values >= -_ROUNDING).sum())
    return float(low), float(high), min(1.0, 2 * (tail + 1) / (len(values) + 1))
