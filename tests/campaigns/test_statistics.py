"""The arithmetic of tests, held against scipy's."""

import pytest
from scipy import stats
from scipy.stats.contingency import chi2_contingency

from app.campaigns.statistics import detectable, newcombe, sample_size, uplift, wilson, z_score

COUNTS = [(30, 1000, 20, 1000), (5, 40, 9, 60), (0, 50, 3, 50), (50, 50, 49, 50), (410, 1000, 440, 1000)]


@pytest.mark.parametrize("counts", COUNTS)
def test_the_p_value_is_that_of_the_chi_square_test(counts):
    successes, size, other_successes, other_size = counts
    table = [
        [successes, size - successes],
        [other_successes, other_size - other_successes],
    ]

    found = uplift(*counts)

    expected = chi2_contingency(table, correction=False)
    assert found is not None
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-9)
    assert z_score(*counts) ** 2 == pytest.approx(expected.statistic)
    assert found.better == pytest.approx(stats.norm.cdf(z_score(*counts)))


@pytest.mark.parametrize("counts", COUNTS)
def test_wilsons_interval_is_scipys_and_newcombes_holds_the_difference(counts):
    successes, size, other_successes, other_size = counts

    low, high = wilson(successes, size)
    expected = stats.binomtest(successes, size).proportion_ci(method="wilson")
    lower, upper = newcombe(*counts)

    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert lower <= successes / size - other_successes / other_size <= upper


def test_newcombes_interval_is_the_one_of_his_paper():
    # Newcombe 1998, table II, method 10: 56/70 against 48/80.
    assert newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_the_sample_size_has_the_power_it_promises():
    size = sample_size(0.05, 0.08)

    critical = stats.norm.ppf(0.975)
    pooled = (2 * 0.065 * 0.935 / size) ** 0.5
    spread = ((0.05 * 0.95 + 0.08 * 0.92) / size) ** 0.5
    power = stats.norm.sf((critical * pooled - 0.03) / spread)

    assert power == pytest.approx(0.8, abs=0.001)
    assert power >= 0.8


def test_what_can_be_detected_is_the_size_turned_round():
    rise = detectable(0.05, 1059)

    assert rise is not None
    assert sample_size(0.05, 0.05 + rise) <= 1059
    assert detectable(0.05, 1) is None


def test_nobody_in_an_arm_compares_with_nothing():
    assert uplift(0, 0, 1, 5) is None
    with pytest.raises(ValueError, match="equal"):
        sample_size(0.1, 0.1)
