"""The arithmetic of tests: how many people it takes, what the difference is, and how sure one may be.

Two proportions, the textbook's formulas: the pooled z-test, Newcombe's interval by Wilson's scores
(Statistics in Medicine 17, 1998, method 10), and the sample size of Fleiss, Levin and Paik (2003, 4.14).
"""

from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist

_NORMAL = NormalDist()
ALPHA, POWER = 0.05, 0.8


@dataclass(frozen=True)
class Uplift:
    """How much more often something happened in one arm than in another.

    `difference` and its interval are in shares (0.01 is one percentage point). `relative` is the difference
    as a share of the other arm's rate; None where that is zero. `p_value` is two-sided; `better` is the
    probability that the arm's true rate is the higher one, from the same normal approximation.
    """

    rate: float
    other_rate: float
    difference: float
    low: float
    high: float
    relative: float | None
    p_value: float
    better: float


def uplift(successes: int, size: int, other_successes: int, other_size: int) -> Uplift | None:
    """An arm against another, such as the hold-out; None while one of them has nobody."""
    if not size or not other_size:
        return None
    rate, other = successes / size, other_successes / other_size
    low, high = newcombe(successes, size, other_successes, other_size)
    z = z_score(successes, size, other_successes, other_size)
    return Uplift(
        rate=rate,
        other_rate=other,
        difference=rate - other,
        low=low,
        high=high,
        relative=(rate - other) / other if other else None,
        p_value=2 * (1 - _NORMAL.cdf(abs(z))),
        better=_NORMAL.cdf(z),
    )


def z_score(successes: int, size: int, other_successes: int, other_size: int) -> float:
    """The pooled z of two proportions; 0 where both are all or nothing alike."""
    pooled = (successes + other_successes) / (size + other_size)
    error = sqrt(pooled * (1 - pooled) * (1 / size + 1 / other_size))
    return (successes / size - other_successes / other_size) / error if error else 0.0


def wilson(successes: int, size: int, *, alpha: float = ALPHA) -> tuple[float, float]:
    """Wilson's interval of one proportion."""
    z = _NORMAL.inv_cdf(1 - alpha / 2)
    rate = successes / size
    middle = rate + z * z / (2 * size)
    spread = z * sqrt(rate * (1 - rate) / size + z * z / (4 * size * size))
    bottom = 1 + z * z / size
    return (max(0.0, (middle - spread) / bottom), min(1.0, (middle + spread) / bottom))


def newcombe(
    successes: int, size: int, other_successes: int, other_size: int, *, alpha: float = ALPHA
) -> tuple[float, float]:
    """The interval of the difference of two proportions."""
    rate, other = successes / size, other_successes / other_size
    low, high = wilson(successes, size, alpha=alpha)
    other_low, other_high = wilson(other_successes, other_size, alpha=alpha)
    difference = rate - other
    return (
        difference - sqrt((rate - low) ** 2 + (other_high - other) ** 2),
        difference + sqrt((high - rate) ** 2 + (other - other_low) ** 2),
    )


def sample_size(rate: float, other_rate: float, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """How many members each of two equal arms needs to tell these rates apart.

    Raises ValueError for equal rates: no number tells them apart.
    """
    if rate == other_rate:
        raise ValueError("equal rates cannot be told apart")
    middle = (rate + other_rate) / 2
    z_alpha, z_beta = _NORMAL.inv_cdf(1 - alpha / 2), _NORMAL.inv_cdf(power)
    top = z_alpha * sqrt(2 * middle * (1 - middle)) + z_beta * sqrt(
        rate * (1 - rate) + other_rate * (1 - other_rate)
    )
    return ceil((top / (rate - other_rate)) ** 2)


def detectable(rate: float, size: int) -> float | None:
    """The smallest rise over `rate` that arms of this size tell apart; None where none does."""
    low, high = 0.0, 1.0 - rate
    if high <= 0 or size < sample_size(rate, 1.0):
        return None
    for _ in range(40):
        middle = (low + high) / 2
        if middle > 0 and sample_size(rate, rate + middle) <= size:
            high = middle
        else:
            low = middle
    return high
