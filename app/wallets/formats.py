"""Dates, numbers and money as people of a language and country write them (CLDR, by Babel)."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial
from typing import cast
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_currency, format_percent, parse_pattern

from app.wallets.content import Value

DATE_FORMATS = ("short", "medium", "long", "full")
_PLURAL_TAGS = ("zero", "one", "two", "few", "many", "other")
_DIGITS_MAX = 30


@lru_cache(maxsize=256)
def formats_for(language: str, country: str, currency: str, time_zone: str) -> "Formats":
    """The formats of a language in a country, made once. Raises ValueError for a language not in CLDR."""
    return Formats(_locale(language, country), currency, ZoneInfo(time_zone))


class Formats:
    """Turns scalars into text. What is not a number or a date is returned as it is; None becomes ""."""

    def __init__(self, locale: Locale, currency: str, time_zone: ZoneInfo) -> None:
        self.locale = locale
        self.currency = currency
        self.time_zone = time_zone
        self._number = locale.decimal_formats[None]
        symbols = cast("dict[str, str]", locale.number_symbols["latn"])
        self._group, self._minus = symbols["group"], symbols["minusSign"]
        # Babel's general formatter takes 7 µs a number; most languages group plain digits by three: 0.3 µs.
        self._groups_by_three = all(
            self._number.apply(sample, locale) == self._grouped(sample) for sample in (1234, -1234567)
        )
        self._plural_tag = lru_cache(maxsize=1024)(cast("Callable[[Decimal], str]", locale.plural_form))
        self._plural_tags = _plural_tags(self._plural_tag)
        self._date = lru_cache(maxsize=4096)(partial(format_date, locale=locale))
        self._whole_money = parse_pattern(locale.currency_formats["standard"].pattern.replace(".00", ""))

    def number(self, value: Value) -> str:
        """12401 as "12,401" or "12 401"."""
        if type(value) is int and self._groups_by_three:
            return self._grouped(value)
        amount = _decimal(value)
        return _plain(value) if amount is None else self._number.apply(amount, self.locale)

    def _grouped(self, value: int) -> str:
        return f"{value:,}".replace(",", self._group).replace("-", self._minus)

    def money(self, value: Value, currency: str | None = None) -> str:
        """An amount in whole units (1500, or "12.50" for twelve and a half) with its currency's sign.

        Whole amounts are written without decimals.
        """
        amount = _decimal(value)
        if amount is None:
            return _plain(value)
        code = currency or self.currency
        if amount == amount.to_integral_value():
            return self._whole_money.apply(amount, self.locale, currency=code, currency_digits=False)
        return format_currency(amount, code, locale=self.locale)

    def percent(self, value: Value) -> str:
        """5 as "5%" or "5 %"; the value is in per cent, not a fraction."""
        amount = _decimal(value)
        return _plain(value) if amount is None else self._percentage(amount / 100)

    def basis_points(self, value: Value) -> str:
        """550 as "5.5%": the unit of tiers' rates."""
        amount = _decimal(value)
        return _plain(value) if amount is None else self._percentage(amount / 10_000)

    def _percentage(self, fraction: Decimal) -> str:
        return format_percent(fraction, locale=self.locale, decimal_quantization=False)

    def date(self, value: Value, width: str = "long") -> str:
        """A date, or the day of a moment in the programme's time zone: "2 January 2026"."""
        if isinstance(value, datetime):
            value = value.astimezone(self.time_zone).date()
        return self._date(value, width) if isinstance(value, date) else _plain(value)

    def time(self, value: Value, width: str = "short") -> str:
        """The time of a moment in the programme's time zone."""
        if not isinstance(value, datetime):
            return _plain(value)
        return format_time(value, width, tzinfo=self.time_zone, locale=self.locale)

    def date_time(self, value: Value, width: str = "medium") -> str:
        """A moment in the programme's time zone."""
        if not isinstance(value, datetime):
            return self.date(value, width)
        return format_datetime(value, width, tzinfo=self.time_zone, locale=self.locale)

    def plural(self, value: Value, *forms: str) -> str:
        """The form of a word that goes with a number: балл, балла, баллов for Russian.

        The forms are in CLDR's order (zero, one, two, few, many, other), only those that the language
        uses with whole numbers; where too few are given, the last one stands for the rest.
        """
        amount = _decimal(value)
        if amount is None or not forms:
            return ""
        used = self._plural_tags
        position = used.index(self._plural_tag(amount)) if amount == int(amount) else len(used) - 1
        return forms[min(position, len(forms) - 1)]

    def text(self, value: Value) -> str:
        """A scalar without a format of its own: dates and moments in the language's medium form."""
        if isinstance(value, str):
            return value
        if isinstance(value, datetime):
            return self.date_time(value)
        if isinstance(value, date):
            return self.date(value)
        return _plain(value)


def _plain(value: Value) -> str:
    return "" if value is None else str(value)


def _decimal(value: Value) -> Decimal | None:
    """The number a value holds, if it holds one of a size people write."""
    if isinstance(value, int):
        return Decimal(value)
    if not isinstance(value, str) or len(value) > _DIGITS_MAX:
        return None
    try:
        amount = Decimal(value.strip())
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and abs(amount.adjusted()) <= _DIGITS_MAX else None


def _plural_tags(tag_of: Callable[[Decimal], str]) -> tuple[str, ...]:
    """The categories a language uses with whole numbers, in CLDR's order."""
    used = {tag_of(Decimal(number)) for number in range(201)}
    return tuple(tag for tag in _PLURAL_TAGS if tag in used)


@lru_cache(maxsize=64)
def _locale(language: str, country: str) -> Locale:
    """Russian of Kazakhstan where CLDR has it, else the language alone."""
    base = language.replace("-", "_").split("_")[0]
    for tag in (f"{base}_{country}", base):
        try:
            return Locale.parse(tag)
        except (UnknownLocaleError, ValueError):
            continue
    raise ValueError(f"language {language!r} is not known to CLDR: use a BCP 47 language such as 'ru'")
