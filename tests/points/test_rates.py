"""How many points a purchase earns: integers, rounded down, in the minor units of its currency."""

import pytest

from app.points.rates import points_for_purchase
from app.points.refusals import POINTS_MAX, PointsOutOfRange


@pytest.mark.parametrize(
    ("amount_minor_units", "currency", "rate_basis_points", "points"),
    [
        (20_000, "RUB", 500, 10),  # 5 % of 200.00
        (19_999, "RUB", 500, 9),  # 9.9995 is not 10
        (1, "RUB", 500, 0),
        (200, "JPY", 500, 10),  # yen have no hundredths
        (200_000, "KWD", 500, 10),  # dinars have thousandths
        (20_000, "RUB", 0, 0),
        (POINTS_MAX, "RUB", 10_000, POINTS_MAX // 100),
    ],
)
def test_a_purchase_earns_its_rate_rounded_down(amount_minor_units, currency, rate_basis_points, points):
    earned = points_for_purchase(amount_minor_units, currency=currency, rate_basis_points=rate_basis_points)

    assert earned == points


@pytest.mark.parametrize("amount_minor_units", [0, -1, POINTS_MAX + 1])
def test_an_amount_out_of_range_is_refused(amount_minor_units):
    with pytest.raises(PointsOutOfRange):
        points_for_purchase(amount_minor_units, currency="RUB", rate_basis_points=500)
