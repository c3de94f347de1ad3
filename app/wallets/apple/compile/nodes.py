"""A JSON tree with texts in it, prepared once so that filling it in costs almost nothing.

What does not depend on the content is serialised when the tree is frozen; the rest are functions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, cast

import orjson

from app.wallets.content import PassContent, Value
from app.wallets.formats import Formats
from app.wallets.text import Text, cleaned


class Omit:
    """The value of a key or an item that is left out."""


OMIT = Omit()
EXACT_MAX = 2**53  # beyond it a JSON number is not what was written


@dataclass(frozen=True, slots=True)
class Shown:
    """What one pass is filled from."""

    content: PassContent
    values: dict[str, Value]
    formats: Formats


Fill = Callable[[Shown], Any]


@dataclass(frozen=True, slots=True)
class Dynamic:
    """A part of the tree that is known only with the content; gives JSON, or OMIT."""

    fill: Fill


def rendered(text: Text) -> Any:
    """A text as a node: itself where it is fixed."""
    if text.fixed is not None:
        return text.fixed
    return Dynamic(lambda shown: text.render(shown.values, shown.formats))


def native(text: Text) -> Any:
    """A lone expression as a JSON number or W3C date; anything else as text."""
    if text.lone is None:
        return rendered(text)
    return Dynamic(lambda shown: as_json(text.value(shown.values, shown.formats), shown.formats))


def as_json(value: Value, formats: Formats) -> str | int:
    """A scalar as Apple wants it: dates with their offset and without milliseconds, midnight for a day."""
    if isinstance(value, datetime):
        return w3c(value.astimezone(formats.time_zone))
    if isinstance(value, date):
        return w3c(datetime.combine(value, time(), formats.time_zone))
    if isinstance(value, str):
        return cleaned(value)
    if value is None:
        return ""
    return value if abs(value) <= EXACT_MAX else str(value)


def w3c(moment: datetime) -> str:
    """A moment as Wallet reads it: "2026-02-01T08:00:00+05:00".

    With milliseconds, or with seconds in the offset (local mean time, before time zones), the pass would
    not open.
    """
    offset = moment.utcoffset()
    if offset is not None and offset.total_seconds() % 60:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="seconds")


def freeze(node: Any) -> Any:
    """The tree with every part that is the same in all passes serialised, and the rest as one Dynamic."""
    prepared = _prepared(node)
    return prepared if isinstance(prepared, Dynamic) else orjson.Fragment(orjson.dumps(prepared))


def _prepared(node: Any) -> Any:
    if isinstance(node, dict):
        return _prepared_dict(cast("dict[str, Any]", node))
    if isinstance(node, list | tuple):
        return _prepared_list(list(cast("list[Any]", node)))
    return w3c(node) if isinstance(node, datetime) else node


def _prepared_dict(node: dict[str, Any]) -> Any:
    parts = {key: _prepared(value) for key, value in node.items()}
    fills = [(key, part.fill) for key, part in parts.items() if isinstance(part, Dynamic)]
    if not fills:
        return parts
    start = {key: None if isinstance(part, Dynamic) else freeze(part) for key, part in parts.items()}

    def fill(shown: Shown) -> dict[str, Any]:
        filled: dict[str, Any] = start.copy()
        for key, part in fills:
            value = part(shown)
            if value is OMIT:
                del filled[key]
            else:
                filled[key] = value
        return filled

    return Dynamic(fill)


def _prepared_list(node: list[Any]) -> Any:
    parts = [_prepared(value) for value in node]
    if not any(isinstance(part, Dynamic) for part in parts):
        return parts
    fills: list[Fill] = [
        part.fill if isinstance(part, Dynamic) else _constant(freeze(part)) for part in parts
    ]

    def fill(shown: Shown) -> list[Any]:
        return [value for part in fills if (value := part(shown)) is not OMIT]

    return Dynamic(fill)


def _constant(value: Any) -> Fill:
    return lambda shown: value
