"""What an iPhone writes on the lock screen when a pass changes, in the phone's language."""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from babel.core import UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_currency, format_decimal, format_percent, format_scientific

from app.simulators.iphone.opening import Json, OpenedPass

_STYLES = {"Short": "short", "Medium": "medium", "Long": "long", "Full": "full"}
_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"\s*=\s*"((?:[^"\\]|\\.)*)"\s*;', re.DOTALL)
_ESCAPE = re.compile(r"\\(U[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True)
class Notification:
    """A line on the lock screen: no sound, and tapping it opens the pass."""

    serial_number: str
    title: str  # the organisation
    text: str
    field: str  # the key of the field that changed


def notification(old: OpenedPass, new: OpenedPass, locale: str) -> Notification | None:
    """What the lock screen says of a change, or None when no field with a change message changed.

    Of several, the first in the order of pass.json (Apple DTS, developer forum 797708).
    """
    before = {field["key"]: field["value"] for field in old.fields()}
    strings = strings_of(new, locale)
    for field in new.fields():
        message = str(field.get("changeMessage") or "")
        if not message or field["key"] not in before or before[field["key"]] == field["value"]:
            continue
        text = _message(strings.get(message, message), format_value(field, locale, strings))
        if text.strip():
            title = str(new.pass_json["organizationName"])
            return Notification(new.serial_number, title, text, field["key"])
    return None


def _message(message: str, value: str) -> str:
    """Without a place for the value iOS only says that something changed."""
    return message.replace("%@", value) if "%@" in message else "Pass changed"


def format_value(field: Json, locale: str, strings: dict[str, str]) -> str:
    """A field's value as iOS formats it: money, number, date and time styles, else the text itself."""
    value: Any = field["value"]
    language = _known(locale)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(field, value, language)
    if "dateStyle" in field or "timeStyle" in field:
        return _date(field, str(value), language)
    return strings.get(str(value), str(value))


def _number(field: Json, value: float, locale: str) -> str:
    if "currencyCode" in field:
        return format_currency(value, field["currencyCode"], locale=locale)
    match field.get("numberStyle"):
        case "PKNumberStylePercent":
            return format_percent(value, locale=locale)
        case "PKNumberStyleScientific":
            return format_scientific(value, locale=locale)
        case "PKNumberStyleDecimal":
            return format_decimal(value, locale=locale)
        case _:
            return str(value)


def _date(field: Json, value: str, locale: str) -> str:
    at = datetime.fromisoformat(value)
    day = _STYLES.get(str(field.get("dateStyle", "")).removeprefix("PKDateStyle"))
    time = _STYLES.get(str(field.get("timeStyle", "")).removeprefix("PKDateStyle"))
    if day and time:
        joined = format_datetime(at, "short", tzinfo=at.tzinfo, locale=locale)
        return joined if day == time == "short" else f"{_day(at, day, locale)}, {_time(at, time, locale)}"
    if day:
        return _day(at, day, locale)
    return _time(at, time, locale) if time else ""


def _day(at: datetime, style: Any, locale: str) -> str:
    return format_date(at, style, locale=locale)


def _time(at: datetime, style: Any, locale: str) -> str:
    return format_time(at, style, tzinfo=at.tzinfo, locale=locale)


@lru_cache(maxsize=64)
def _known(locale: str) -> str:
    try:
        format_decimal(1, locale=locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return "en"
    return locale.replace("-", "_")


def strings_of(opened: OpenedPass, locale: str) -> dict[str, str]:
    """The translations the pass brings for a locale ("ru-KZ", else "ru"), none if it has none."""
    for language in (locale, re.split("[-_]", locale)[0]):
        found = opened.files.get(f"{language}.lproj/pass.strings")
        if found is not None:
            encoding = "utf-16" if found[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
            pairs = _PAIR.findall(found.decode(encoding))
            return {_unescaped(key): _unescaped(value) for key, value in pairs}
    return {}


def _unescaped(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPES.get(code, code)

    return _ESCAPE.sub(replace, text)
