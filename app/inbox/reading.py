"""Amounts, points and days as sources write them."""

import re
from datetime import date
from decimal import Decimal

from app.inbox.reasons import CannotApply
from app.members.models import Program
from app.points.rates import decimals_of
from app.points.refusals import POINTS_MAX

_NUMBER = re.compile(r"[+-]?[0-9]{1,16}(\.[0-9]{1,9})?")
_THOUSANDS = re.compile(r"(?<=\d)[ \u00a0\u202f'](?=\d{3})")


def amount(text: str, currency: str | None, program: Program) -> int:
    """Minor units of the programme's currency: 100050 for "1 000,50" in RUB.

    Raises CannotApply for another currency, a negative amount, and what is no amount.
    """
    if currency is not None and currency.upper() != program.currency:
        raise CannotApply("foreign_currency", currency=currency, expected=program.currency)
    plain = _plain(text)
    if plain is None:
        raise CannotApply("bad_amount", amount=text)
    value = Decimal(plain)
    if value < 0:
        raise CannotApply("negative_amount", amount=text)
    scaled = value.scaleb(decimals_of(program.currency))
    if scaled != scaled.to_integral_value() or scaled > POINTS_MAX:
        raise CannotApply("bad_amount", amount=text)
    return int(scaled)


def points(text: str) -> int:
    """A whole number of points, signed. Raises CannotApply."""
    plain = _plain(text)
    if plain is None or Decimal(plain) != int(Decimal(plain)) or abs(Decimal(plain)) > POINTS_MAX:
        raise CannotApply("bad_points", points=text)
    return int(Decimal(plain))


def day(text: str | None) -> date | None:
    """A day such as 2012-05-31, also where a time follows it. None for what is no day: it is not vital."""
    try:
        return date.fromisoformat(text[:10]) if text else None
    except ValueError:
        return None


def _plain(text: str) -> str | None:
    """The number with a point and nothing else; None for what is none, or could be two ("1,000")."""
    tight = _THOUSANDS.sub("", text.strip())
    if "," in tight and "." in tight:
        decimal_mark = max(",.", key=tight.rfind)
        tight = tight.replace({",": ".", ".": ","}[decimal_mark], "").replace(decimal_mark, ".")
    elif re.fullmatch(r"[+-]?[0-9]+,[0-9]{3}", tight):
        return None
    else:
        tight = tight.replace(",", ".")
    return tight if _NUMBER.fullmatch(tight) else None
