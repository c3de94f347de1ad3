"""Limits against SMS pumping: an attacker earns from every SMS we can be made to send.

In the order they are asked: address block, phone, block of neighbouring numbers, the programme's hour, the
day's spend. A limit answers alike for known and unknown numbers, so it tells nobody who is a member.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app import rate_limits

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True)
class Limit:
    """At most `limit` in the period. `held`: it guards the purse, so managers are told."""

    name: str
    limit: int
    period_seconds: float
    held: bool = False


PHONE_DAY = Limit("phone_day", 5, DAY)
PHONE = (Limit("phone_minute", 1, MINUTE), Limit("phone_10min", 3, 10 * MINUTE), PHONE_DAY)
ADDRESS = Limit("address_hour", 30, HOUR)  # a /24 or /64: a shop's Wi-Fi fits, a bot farm does not
ADDRESS_UNPROVEN = Limit("unproven_hour", 3, HOUR)  # without proof of work: no JavaScript
NUMBERS = Limit("numbers_hour", 20, HOUR, held=True)  # neighbours: all but the last four digits
PROGRAM_HOUR_SHARE = 4  # a quarter of the day's limit may go out in one hour


class TooMany(Exception):
    """A limit is reached: come back later. `is_news`: nobody was told of it within the hour."""

    def __init__(self, limit: Limit, *, retry_after_seconds: float, is_news: bool) -> None:
        super().__init__(limit.name)
        self.limit, self.retry_after_seconds, self.is_news = limit, retry_after_seconds, is_news


async def take(
    session: AsyncSession,
    program_id: str,
    secret_key: bytes,
    *,
    phone: str,
    address: str,
    is_proven: bool,
    per_day: int,
    slack: int = 1,
    now: datetime,
) -> None:
    """Count one form filled for this phone from this address. Raises TooMany at the first limit reached.

    Each limit is multiplied by `slack`: in the demo one person plays all customers on one address.
    """
    network = rate_limits.network_of(address)
    asked = [
        (ADDRESS if is_proven else ADDRESS_UNPROVEN, network),
        *((limit, _pseudonym(secret_key, phone)) for limit in PHONE),
        *_of_program(program_id, secret_key, phone, per_day),
    ]
    await _take_all(session, program_id, asked, slack=slack, now=now)


async def take_unseen(
    session: AsyncSession, program_id: str, secret_key: bytes, *, phone: str, per_day: int, now: datetime
) -> None:
    """Count somebody who joins through another system, which hides their address. Raises TooMany."""
    asked = [(PHONE_DAY, _pseudonym(secret_key, phone)), *_of_program(program_id, secret_key, phone, per_day)]
    await _take_all(session, program_id, asked, slack=1, now=now)


def _of_program(program_id: str, secret_key: bytes, phone: str, per_day: int) -> list[tuple[Limit, str]]:
    """What guards a programme's purse."""
    hourly = Limit("program_hour", max(1, per_day // PROGRAM_HOUR_SHARE), HOUR, held=True)
    daily = Limit("program_day", per_day, DAY, held=True)
    return [(NUMBERS, _pseudonym(secret_key, phone[:-4])), (hourly, program_id), (daily, program_id)]


async def _take_all(
    session: AsyncSession, program_id: str, asked: list[tuple[Limit, str]], *, slack: int, now: datetime
) -> None:
    for limit, subject in asked:
        key, period = f"enrol:{limit.name}:{subject}", limit.period_seconds
        if not await rate_limits.take(
            session, key, limit=limit.limit * slack, period_seconds=period, now=now
        ):
            wait = await rate_limits.seconds_until_free(
                session, key, limit=limit.limit * slack, period_seconds=period, now=now
            )
            news = f"enrol:told:{program_id}:{limit.name}"
            raise TooMany(
                limit,
                retry_after_seconds=wait,
                is_news=limit.held
                and await rate_limits.take(session, news, limit=1, period_seconds=HOUR, now=now),
            )


def _pseudonym(secret_key: bytes, phone: str) -> str:
    """Enough of an HMAC to count by. A plain hash of so few possible numbers could be turned back."""
    return hmac.digest(secret_key, b"passbell.limits.v1|" + phone.encode(), hashlib.sha256).hex()[:32]
