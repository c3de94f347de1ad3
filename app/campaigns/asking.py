"""The moment a condition is asked at, and what days mean then: shared by both compilers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import eq, ge, gt, le, lt
from typing import Any
from zoneinfo import ZoneInfo

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "is": eq,
    "at_least": ge,
    "at_most": le,
    "above": gt,
    "below": lt,
}
_YEAR = 365


@dataclass(frozen=True)
class Asking:
    """Now, and today in the programme's time zone."""

    now: datetime
    today: date

    @classmethod
    def at(cls, now: datetime, time_zone: str) -> "Asking":
        return cls(now, now.astimezone(ZoneInfo(time_zone)).date())

    @property
    def month_day(self) -> int:
        """31 May as 531."""
        return _month_day(self.today)

    def ago(self, days: int) -> datetime:
        return self.now - timedelta(days=days)

    def ahead(self, days: int) -> datetime:
        return self.now + timedelta(days=days)

    def is_near(self, days_of_year: Sequence[int], days: int) -> bool:
        """Whether one of these, such as 531, is today or comes within so many days."""
        return not self.anniversaries(days).isdisjoint(days_of_year)

    def anniversaries(self, days: int) -> frozenset[int]:
        """The days of the year from today on, as 531. Who was born on 29 February celebrates on the 28th
        in other years."""
        ahead = [self.today + timedelta(days=number) for number in range(min(days, _YEAR) + 1)]
        found = {_month_day(day) for day in ahead}
        ordinary = any(_month_day(day) == 228 and (day + timedelta(days=1)).day == 1 for day in ahead)
        return frozenset(found | {229}) if ordinary else frozenset(found)


def _month_day(day: date) -> int:
    return day.month * 100 + day.day
