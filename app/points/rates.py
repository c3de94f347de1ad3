"""How many points a purchase earns. Integers only: no rounding surprises, no floating point."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members.models import Account, Program, Tier
from app.points.refusals import POINTS_MAX, NoEarningRate, PointsOutOfRange, UnknownAccount

BASIS_POINTS = 10_000  # 100 %

# ISO 4217: currencies whose minor unit is not a hundredth. (CLDR's digits are for display and differ.)
_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_DECIMALS: dict[str, int] = dict.fromkeys(_WHOLE.split(), 0)
_DECIMALS.update(dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3))
_DECIMALS.update(dict.fromkeys(("CLF", "UYW"), 4))


def decimals_of(currency: str) -> int:
    """How many decimals amounts in a currency (ISO 4217) have: 2 for RUB, 0 for JPY."""
    return _DECIMALS.get(currency, 2)


def points_for_purchase(amount_minor_units: int, *, currency: str, rate_basis_points: int) -> int:
    """The points a purchase earns: its amount times the rate, rounded down to whole points.

    500 basis points of 199.99 roubles (`amount_minor_units` 19999) are 9 points. What is cut off is not
    carried over to the next purchase.

    Raises PointsOutOfRange for an amount that is not 1 to 2**53.
    """
    if not 1 <= amount_minor_units <= POINTS_MAX:
        raise PointsOutOfRange(amount_minor_units)
    minor_units = 10 ** decimals_of(currency)
    return amount_minor_units * rate_basis_points // (BASIS_POINTS * minor_units)


@dataclass(frozen=True, slots=True)
class EarningRate:
    """What a purchase on an account earns, and in which currency its amount is."""

    program_id: str
    currency: str  # ISO 4217
    basis_points: int


async def earning_rate(
    session: AsyncSession, account_id: str, *, program_id: str | None = None
) -> EarningRate:
    """The rate of the account's tier; before its first tier, of the one its points would give it.

    Raises UnknownAccount (also for another programme's), NoEarningRate.
    """
    within_reach = (
        select(Tier.rate_basis_points)
        .where(Tier.program_id == Account.program_id, Tier.threshold <= Account.tier_points)
        .order_by(Tier.threshold.desc())
        .limit(1)
        .correlate(Account)
        .scalar_subquery()
    )
    query = (
        select(
            Account.program_id,
            Program.currency,
            func.coalesce(Tier.rate_basis_points, within_reach).label("basis_points"),
        )
        .join(Program, Program.id == Account.program_id)
        .outerjoin(Tier, Tier.id == Account.tier_id)
        .where(Account.id == account_id)
    )
    row = (await session.execute(query)).one_or_none()
    if row is None or program_id not in (None, row.program_id):
        raise UnknownAccount(account_id)
    rate: int | None = row.basis_points
    if rate is None:
        raise NoEarningRate(account_id)
    return EarningRate(row.program_id, row.currency, rate)
