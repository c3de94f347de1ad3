"""Amounts of money as people write them, and in the minor units the ledger counts."""

from decimal import Decimal

from app.points.rates import decimals_of


class InvalidAmount(Exception):
    """The text is no amount of this currency; says what to write instead."""


def minor_units(amount: str, currency: str) -> int:
    """19900 for "199.00" in RUB, 500 for "500" in JPY. Raises InvalidAmount for too many decimals."""
    decimals = decimals_of(currency)
    scaled = Decimal(amount).scaleb(decimals)
    if scaled != scaled.to_integral_value():
        raise InvalidAmount(f"{currency} has {decimals} decimals: {amount} has more")
    return int(scaled)


def amount_text(amount_minor_units: int, currency: str) -> str:
    """The amount as people write it: "199.00" for 19900 in RUB."""
    decimals = decimals_of(currency)
    return f"{Decimal(amount_minor_units).scaleb(-decimals):.{decimals}f}"
