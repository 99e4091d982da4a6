"""Tests and intervals, against published examples and independent code."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_moons
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.svm import SVC

from lungestimators.comparison import statistics


def test_the_corrected_t_test_is_that_of_scikit_learns_published_example():
    # "Statistical comparison of models using grid search", scikit-learn's example gallery: ten
    # times ten folds, RBF against linear; corrected t = 0.750, right-tailed p = 0.227.
    X, y = make_moons(noise=0.352, random_state=1, n_samples=100)
    folds = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    rbf, linear = (
        cross_val_score(SVC(kernel=kernel, random_state=0), X, y, cv=folds, scoring="roc_auc")
        for kernel in ("rbf", "linear")
    )
    found = statistics.corrected_t_test(rbf - linear, 10 / 90)
    assert found.statistic == pytest.approx(0.750, abs=5e-4)
    assert found.pvalue / 2 == pytest.approx(0.227, abs=5e-4)
    # The uncorrected test of the same differences calls the difference real.
    assert stats.ttest_rel(rbf, linear).pvalue < 0.05


def test_the_corrected_interval_is_wider_than_if_folds_were_independent():
    found = statistics.corrected_t_test(np.array([0.80, 0.84, 0.88, 0.92, 0.96]), 20 / 80)
    # t(0.975, 4 df) = 2.776; variance 0.004 times (1/5 + 20/80).
    half = 2.7764 * np.sqrt(0.004 * 0.45)
    assert found.low == pytest.approx(0.88 - half, rel=1e-4)
    assert found.high == pytest.approx(0.88 + half, rel=1e-4)


def test_without_a_correction_it_is_students_test():
    differences = np.random.default_rng(0).normal(0.3, 1, 12)
    found = statistics.corrected_t_test(differences, 0)
    expected = stats.ttest_1samp(differences, 0)
    assert found.pvalue == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_folds_without_any_difference_have_p_1_and_one_fold_is_refused():
    assert statistics.corrected_t_test(np.zeros(10), 0.25).pvalue == 1
    assert statistics.wilcoxon_test(np.zeros(10)) == 1
    with pytest.raises(ValueError, match="two folds"):
        statistics.corrected_t_test(np.zeros(1), 0.25)


def test_wilcoxons_ranks_do_not_depend_on_rounding():
    differences = np.array([0.8 - 0.7, 0.9 - 0.8, 0.3 - 0.2, 0.2 - 0.3, 0.5 - 0.1, 0.6 - 0.1])
    exact = np.array([1, 1, 1, -1, 4, 5]) / 10
    assert statistics.wilcoxon_test(differences) == stats.wilcoxon(exact).pvalue


def test_mcnemars_p_is_that_of_the_published_table():
    # Agresti, Categorical Data Analysis: approval of a president in two surveys, 794, 150, 86,
    # 570; exact p = 3.716e-05, as in the manual of R's package exact2x2.
    first = np.repeat([1.0, 1, 0, 0], [794, 150, 86, 570])
    second = np.repeat([1.0, 0, 1, 0], [794, 150, 86, 570])
    p, test = statistics.mcnemar_test(first, second, np.arange(1600), 0)
    assert test == "mcnemar"
    assert p == pytest.approx(3.716e-05, rel=1e-4)
    assert p == pytest.approx(stats.binomtest(86, 236).pvalue)


@pytest.mark.parametrize("n", [*range(1, 13), 236])
def test_mcnemars_p_is_that_of_the_binomial_formula(n):
    # Of 2**n equally likely ways to be right alone, those with at most the smaller number, twice.
    for wins in range(n + 1):
        ways = sum(math.comb(n, k) for k in range(min(wins, n - wins) + 1))
        expected = min(Fraction(2 * ways, 2**n), Fraction(1))
        first = np.repeat([1.0, 0.0], [wins, n - wins])
        p, test = statistics.mcnemar_test(first, 1 - first, np.arange(n), 0)
        assert test == "mcnemar"
        assert p == pytest.approx(float(expected), rel=1e-11)


def test_mcnemars_p_of_two_wins_and_eight_losses_is_that_worked_by_hand():
    # 2 * (1 + 10 + 45) / 1024; images on which both are right or both are wrong do not count.
    first = np.array([1.0] * 2 + [0.0] * 8 + [1.0] * 5 + [0.0] * 5)
    second = np.array([0.0] * 2 + [1.0] * 8 + [1.0] * 5 + [0.0] * 5)
    p, _ = statistics.mcnemar_test(first, second, np.arange(20), 0)
    assert p == pytest.approx(112 / 1024, rel=1e-12)


def test_mcnemar_takes_patients_and_not_images_for_independent():
    # Ten patients of eight images; the first model wins on seven whole patients, loses on three.
    first = np.repeat([1.0] * 7 + [0.0] * 3, 8)
    groups = np.repeat(np.arange(10), 8)
    assert statistics.mcnemar_test(first, 1 - first, np.arange(80), 0)[0] < 0.001
    by_patient, _ = statistics.mcnemar_test(first, 1 - first, groups, 0)
    assert by_patient == pytest.approx(stats.binomtest(3, 10).pvalue)


def test_patients_of_different_weight_are_exchanged_in_all_ways():
    first, second = np.array([1.0, 1, 1, 0, 1]), np.zeros(5)
    groups = np.array([0, 0, 1, 2, 3])  # differences 2, 1, 0, 1
    # Of 8 ways to set signs, 2 have a sum as far from 0 as 4.
    p, test = statistics.mcnemar_test(first, second, groups, 0)
    assert (p, test) == (pytest.approx(2 / 8), "permutation")
    assert statistics.mcnemar_test(first, first, groups, 0)[0] == 1


def test_holms_correction_is_the_published_one():
    # Encyclopaedias' standard example: 0.01, 0.04, 0.03 and 0.005, of which two remain below 0.05.
    np.testing.assert_allclose(
        statistics.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02], rtol=1e-12
    )
    assert statistics.holm([]).shape == (0,)


def test_holms_correction_is_the_one_worked_by_hand():
    # 0.01 * 4; 0.02 * 3; 0.025 * 2 is less than that, and 0.9 * 1.
    np.testing.assert_allclose(
        statistics.holm([0.9, 0.025, 0.01, 0.02]), [0.9, 0.06, 0.04, 0.06], rtol=1e-12
    )
    assert statistics.holm([0.6, 0.7]).tolist() == [1, 1]
    assert statistics.holm([0.3]).tolist() == [0.3]


@pytest.mark.parametrize("seed", range(20))
def test_holms_corrected_p_rejects_what_his_procedure_rejects(seed):
    # Holm (1979): from the smallest p on, reject while p <= level / number of hypotheses left.
    rng = np.random.default_rng(seed)
    pvalues = rng.random(rng.integers(1, 30)) ** rng.integers(1, 8)
    corrected = statistics.holm(pvalues)
    for level in rng.random(50):
        rejected = set()
        for left, test in zip(range(len(pvalues), 0, -1), np.argsort(pvalues), strict=True):
            if pvalues[test] > level / left:
                break
            rejected.add(test)
        assert set(np.flatnonzero(corrected <= level)) == rejected


def test_wilsons_interval_is_the_published_one():
    # Altman et al., Statistics with Confidence, 2000: 81 of 263, 0.255 to 0.366.
    low, high = statistics.wilson_interval(81 / 263, 263)
    assert (round(low, 3), round(high, 3)) == (0.255, 0.366)


def test_wilsons_interval_of_whole_numbers_is_that_of_scipy():
    for n, right in ((1, 0), (1, 1), (10, 0), (10, 10), (40, 13), (263, 81), (1000, 999)):
        for error in (0.05, 0.01):
            expected = stats.binomtest(right, n).proportion_ci(1 - error, method="wilson")
            found = statistics.wilson_interval(right / n, n, error)
            assert found == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert statistics.wilson_interval(np.array([0.0, 1.0]), np.array([7, 9]))[1][1] == 1


def test_with_one_image_a_patient_the_bootstrap_is_scipys():
    rng = np.random.default_rng(0)
    right = rng.random(80) < 0.8
    (values,) = statistics.bootstrap(
        [lambda weights: weights @ right / weights.sum(axis=1)], np.arange(80), 0
    )
    low, high, _ = statistics.percentile_interval(values)
    expected = stats.bootstrap((right,), np.mean, method="percentile", rng=rng).confidence_interval
    assert low == pytest.approx(expected.low, abs=0.013)  # one image is 0.0125
    assert high == pytest.approx(expected.high, abs=0.013)


def test_the_bootstrap_draws_whole_patients_the_same_for_all_statistics():
    groups = np.array([0, 0, 0, 1, 2, 2])
    first, again = statistics.bootstrap(
        [lambda w: w[:, 0] * 100 + w[:, 3] * 10 + w[:, 4]] * 2, groups, 0
    )
    np.testing.assert_array_equal(first, again)
    drawn = np.array([first // 100, first // 10 % 10, first % 10])
    assert (drawn.sum(axis=0) == 3).all()  # of three patients
    (alike,) = statistics.bootstrap([lambda w: np.ptp(w[:, :3], axis=1)], groups, 0)
    assert not alike.any()


def test_intervals_by_patient_cover_the_truth_where_intervals_by_image_do_not(monkeypatch):
    monkeypatch.setattr(statistics, "N_RESAMPLES", 999)  # enough on average over 100 studies
    rng = np.random.default_rng(0)
    truth, n_patients, n_images = 0.7, 40, 6
    groups = np.repeat(np.arange(n_patients), n_images)
    covered = {"patient": 0, "image": 0}
    for _ in range(100):
        right = np.repeat(rng.random(n_patients) < truth, n_images).astype(float)

        def accuracy(weights, right=right):
            return weights @ right / weights.sum(axis=1)

        for unit, drawn in (("patient", groups), ("image", np.arange(len(groups)))):
            (values,) = statistics.bootstrap([accuracy], drawn, rng.integers(2**31))
            low, high, _ = statistics.percentile_interval(values)
            covered[unit] += low <= truth <= high
    assert 88 <= covered["patient"] <= 99
    assert covered["image"] < 75


def test_an_interval_leaves_undefined_resamples_out_and_its_p_agrees_with_it():
    values = np.random.default_rng(0).normal(2, 1, 9999)
    values[:100] = np.nan
    low, high, p = statistics.percentile_interval(values)
    assert (low, high) == pytest.approx(tuple(np.nanquantile(values, [0.025, 0.975])))
    assert (p < 0.05) == (low > 0)
    assert statistics.percentile_interval(np.zeros(9999)) == (0, 0, 1)


@pytest.mark.parametrize("n_zeros", [0, 1, 5, 20, 45, 60])
def test_wilcoxons_p_of_few_folds_that_differ_is_exact(n_zeros):
    # Of 2**5 ways to set five signs, two are the most extreme; folds without a difference tell
    # nothing.
    differences = np.r_[[0.1, 0.2, 0.1, 0.3, 0.1], np.zeros(n_zeros)]
    assert statistics.wilcoxon_test(differences) == 2 / 2**5


def test_an_interval_of_few_defined_resamples_is_none():
    values = np.full(9999, np.nan)
    values[:4000] = 0.8
    low, high, p = statistics.percentile_interval(values)
    assert np.isnan([low, high]).all()
    assert p == 1
    values[:6000] = 0.8
    assert statistics.percentile_interval(values)[:2] == (0.8, 0.8)
