"""The condition of a segment: one JSON tree, read and checked here.

    {"all": [...]}, {"any": [...]}, {"not": {...}}
    {"field": "points", "op": "at_least", "value": 100}
    {"events": {"kinds": ["redeem"], "measure": "count", "op": "at_least", "value": 2, "within_days": 30}}
    {"expiring": {"within_days": 7, "op": "at_least", "value": 50}}
    {"pass_expiring": {"within_days": 3, "template": "coupon"}}
    {"campaign": {"id": "cmp_...", "within_days": 30}}
    {"calendar": {"dates": ["12-31"], "within_days": 2}}

{"all": []} is everybody. A field without a value answers no to every question but {"op": "known"}.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast

from app.campaigns.fields import ENTRY_KINDS, OPERATORS, Field, Takes

NODES_MAX = 100
DEPTH_MAX = 10
VALUES_MAX = 1000
TEXT_MAX = 256
DAYS_MAX = 36_500
NUMBER_MAX = 2**53
COMPARISONS = tuple(op for op in OPERATORS["number"] if op != "known")
_WAYS = ("all", "any", "not", "field", "events", "expiring", "pass_expiring", "campaign", "calendar")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY_OF_YEAR = re.compile(r"[0-9]{2}-[0-9]{2}")


class InvalidCondition(Exception):
    """A condition that cannot be asked: where in it, and what to write instead."""

    def __init__(self, path: str, remedy: str) -> None:
        super().__init__(f"{path or '/'}: {remedy}")
        self.path, self.remedy = path, remedy


@dataclass(frozen=True)
class Every:
    parts: tuple["Condition", ...]


@dataclass(frozen=True)
class Either:
    parts: tuple["Condition", ...]


@dataclass(frozen=True)
class Negated:
    part: "Condition"


@dataclass(frozen=True)
class Test:
    """A question about one field. Dates are ISO texts, moments are aware."""

    field: Field
    op: str
    value: Any


@dataclass(frozen=True)
class Events:
    """A question about the account's ledger: how many entries of these kinds, or how many points in them.

    `source` is where they came from, a till for instance; None is anywhere.
    """

    kinds: tuple[str, ...]
    source: str | None
    measure: str  # count | points
    op: str
    value: int
    within_days: int | None


@dataclass(frozen=True)
class Expiring:
    """How many points of the account expire within so many days."""

    within_days: int
    op: str
    value: int


@dataclass(frozen=True)
class PassExpiring:
    """Whether a pass of the member, of this template or any, ends within so many days: a coupon, a ticket."""

    within_days: int
    template: str | None


@dataclass(frozen=True)
class Calendar:
    """Whether one of these days of the year (31 May is 531) is today or comes within so many days."""

    dates: tuple[int, ...]
    within_days: int


@dataclass(frozen=True)
class Received:
    """Whether a campaign reached the member: this one, or any."""

    campaign_id: str | None
    within_days: int | None


Condition = Every | Either | Negated | Test | Events | Expiring | PassExpiring | Calendar | Received


def parse(tree: object, fields: Mapping[str, Field]) -> Condition:
    """A condition read from JSON. Raises InvalidCondition."""
    return _Reader(fields).read(tree, "", 1)


class _Reader:
    """Reads one tree, and counts how much of it there is."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self._fields = fields
        self._nodes = 0

    def read(self, tree: object, path: str, depth: int) -> Condition:
        node = _object(tree, path)
        self._nodes += 1
        if self._nodes > NODES_MAX or depth > DEPTH_MAX:
            raise InvalidCondition(
                path, f"too much: at most {NODES_MAX} parts, {DEPTH_MAX} deep; make lists instead"
            )
        ways = [way for way in _WAYS if way in node]
        if len(ways) != 1:
            raise InvalidCondition(path, f"write exactly one of {', '.join(_WAYS)}")
        way = ways[0]
        if way in ("all", "any"):
            _only(node, (way,), path)
            parts = self._parts(node[way], f"{path}/{way}", depth)
            return Every(parts) if way == "all" else Either(parts)
        if way == "not":
            _only(node, ("not",), path)
            return Negated(self.read(node["not"], f"{path}/not", depth + 1))
        if way == "field":
            return self._test(node, path)
        _only(node, (way,), path)
        return _HISTORIES[way](_object(node[way], f"{path}/{way}"), f"{path}/{way}")

    def _parts(self, tree: object, path: str, depth: int) -> tuple[Condition, ...]:
        return tuple(
            self.read(part, f"{path}/{place}", depth + 1) for place, part in enumerate(_list(tree, path))
        )

    def _test(self, node: Mapping[str, Any], path: str) -> Test:
        _only(node, ("field", "op", "value"), path)
        asked = self._fields.get(node["field"]) if isinstance(node["field"], str) else None
        if asked is None:
            known = ", ".join(sorted(self._fields))
            raise InvalidCondition(f"{path}/field", f"there is no such field; use one of {known}")
        operators = OPERATORS[asked.type]
        op = _one_of(node.get("op"), tuple(operators), f"{path}/op")
        value = _VALUES[operators[op]](node.get("value"), f"{path}/value")
        if asked.options and operators[op] in ("text", "texts"):
            values = cast("tuple[str, ...]", value if operators[op] == "texts" else (value,))
            for each in values:
                _one_of(each, asked.options, f"{path}/value")
        return Test(asked, op, value)


def _events(node: Mapping[str, Any], path: str) -> Events:
    _only(node, ("kinds", "source", "measure", "op", "value", "within_days"), path)
    kinds = tuple(
        _one_of(kind, ENTRY_KINDS, f"{path}/kinds/{place}")
        for place, kind in enumerate(_list(node.get("kinds"), f"{path}/kinds"))
    )
    if not kinds:
        raise InvalidCondition(f"{path}/kinds", f"name at least one of {', '.join(ENTRY_KINDS)}")
    return Events(
        kinds=kinds,
        source=None if node.get("source") is None else _text(node["source"], f"{path}/source"),
        measure=_one_of(node.get("measure", "count"), ("count", "points"), f"{path}/measure"),
        op=_one_of(node.get("op"), COMPARISONS, f"{path}/op"),
        value=_number(node.get("value"), f"{path}/value"),
        within_days=_some_days(node, path),
    )


def _expiring(node: Mapping[str, Any], path: str) -> Expiring:
    _only(node, ("within_days", "op", "value"), path)
    return Expiring(
        within_days=_days(node.get("within_days"), f"{path}/within_days"),
        op=_one_of(node.get("op"), COMPARISONS, f"{path}/op"),
        value=_number(node.get("value"), f"{path}/value"),
    )


def _pass_expiring(node: Mapping[str, Any], path: str) -> PassExpiring:
    _only(node, ("within_days", "template"), path)
    template = None if node.get("template") is None else _text(node["template"], f"{path}/template")
    return PassExpiring(_days(node.get("within_days"), f"{path}/within_days"), template)


def _calendar(node: Mapping[str, Any], path: str) -> Calendar:
    _only(node, ("dates", "within_days"), path)
    dates = tuple(
        _day_of_year(each, f"{path}/dates/{place}")
        for place, each in enumerate(_list(node.get("dates"), f"{path}/dates"))
    )
    if not dates:
        raise InvalidCondition(f"{path}/dates", "name at least one day, like 12-31")
    return Calendar(dates, _days(node.get("within_days", 0), f"{path}/within_days"))


def _received(node: Mapping[str, Any], path: str) -> Received:
    _only(node, ("id", "within_days"), path)
    campaign_id = None if node.get("id") is None else _text(node["id"], f"{path}/id")
    return Received(campaign_id, _some_days(node, path))


_HISTORIES: dict[str, Callable[[Mapping[str, Any], str], Condition]] = {
    "events": _events,
    "expiring": _expiring,
    "pass_expiring": _pass_expiring,
    "calendar": _calendar,
    "campaign": _received,
}


def _some_days(node: Mapping[str, Any], path: str) -> int | None:
    return None if node.get("within_days") is None else _days(node["within_days"], f"{path}/within_days")


def _object(tree: object, path: str) -> Mapping[str, Any]:
    if not isinstance(tree, Mapping):
        raise InvalidCondition(path, 'write an object such as {"field": "points", "op": "at_least", ...}')
    return cast("Mapping[str, Any]", tree)


def _list(tree: object, path: str) -> Sequence[object]:
    if not isinstance(tree, list):
        raise InvalidCondition(path, "write a list")
    return cast("list[object]", tree)


def _only(node: Mapping[str, Any], names: Sequence[str], path: str) -> None:
    for name in node:
        if name not in names:
            raise InvalidCondition(f"{path}/{name}", f"is not known here; there are {', '.join(names)}")


def _one_of(value: object, known: Sequence[str], path: str) -> str:
    if not isinstance(value, str) or value not in known:
        raise InvalidCondition(path, f"use one of {', '.join(known)}")
    return value


def _text(value: object, path: str) -> str:
    is_text = isinstance(value, str) and value.isprintable() and len(value) <= TEXT_MAX
    if not is_text or not value:
        raise InvalidCondition(path, f"write a text of 1 to {TEXT_MAX} printable characters")
    return cast(str, value)


def _texts(value: object, path: str) -> tuple[str, ...]:
    values = _list(value, path)
    if not 1 <= len(values) <= VALUES_MAX:
        raise InvalidCondition(path, f"write 1 to {VALUES_MAX} texts; for more make a list of members")
    return tuple(_text(each, f"{path}/{place}") for place, each in enumerate(values))


def _number(value: object, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > NUMBER_MAX:
        raise InvalidCondition(path, "write a whole number")
    return value


def _days(value: object, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= DAYS_MAX:
        raise InvalidCondition(path, f"write a number of days, 0 to {DAYS_MAX}")
    return value


def _yes_no(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidCondition(path, "write true or false")
    return value


def _date(value: object, path: str) -> str:
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value).isoformat()
    except ValueError as error:
        raise InvalidCondition(path, "there is no such day") from error
    raise InvalidCondition(path, "write a date like 2026-05-31")


def _day_of_year(value: object, path: str) -> int:
    """31 May, written 05-31, as 531."""
    if isinstance(value, str) and _DAY_OF_YEAR.fullmatch(value):
        day = _date(f"2000-{value}", path)  # a leap year: 29 February is a day
        return int(day[5:7]) * 100 + int(day[8:10])
    raise InvalidCondition(path, "write a day of the year like 12-31")


def _moment(value: object, path: str) -> datetime:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not 1970 <= at.year <= 2999:
        raise InvalidCondition(path, "write a time with its zone, like 2026-05-31T12:00:00Z")
    return at


_VALUES: dict[Takes, Callable[[object, str], Any]] = {
    "text": _text,
    "texts": _texts,
    "number": _number,
    "days": _days,
    "yes_no": _yes_no,
    "date": _date,
    "moment": _moment,
}
