"""Bodies and what stands in them: PHP's nested form fields as a tree, values by their path, times."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qsl

import orjson

from app.crm import Delivery, Unreadable

FIELDS_MAX = 5000
DEPTH_MAX = 12
_PART = re.compile(r"\[([^\[\]]*)\]")
_STEP = re.compile(r"[^.\[\]]+")


def read_form(body: bytes) -> dict[str, Any]:
    """`leads[status][0][id]=7&x=1` as {"leads": {"status": {"0": {"id": "7"}}}, "x": "1"}.

    Every value is a string; of a repeated name the last counts. Raises Unreadable.
    """
    try:
        pairs = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"
        )
    except ValueError as error:
        raise Unreadable("the body is no form") from error
    tree: dict[str, Any] = {}
    for name, value in pairs:
        head, *rest = [name.partition("[")[0], *_PART.findall(name[name.find("[") :] if "[" in name else "")]
        if len(rest) > DEPTH_MAX:
            raise Unreadable(f"the field {name[:64]} is nested too deeply")
        _put(tree, [head, *rest], value)
    return tree


def _put(tree: dict[str, Any], path: Sequence[str], value: str) -> None:
    """Hang a value into the tree; where a text stands in the way, it makes room."""
    place = tree
    for part in path[:-1]:
        below = place.get(part)
        if not isinstance(below, dict):
            below = place[part] = {}
        place = cast("dict[str, Any]", below)
    place[path[-1]] = value


def read_json(body: bytes) -> Any:
    """The body's JSON value. Raises Unreadable."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unreadable("the body is not JSON") from error


def read_body(delivery: Delivery) -> Any:
    """A form or JSON, by the Content-Type. Raises Unreadable."""
    content_type = delivery.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_form = content_type == "application/x-www-form-urlencoded"
    return read_form(delivery.body) if is_form else read_json(delivery.body)


def at(tree: object, path: str) -> object:
    """The value at "order.items[0].price" (or "$.order.items.0.price"); None where there is nothing."""
    for step in _STEP.findall(path.removeprefix("$")):
        if isinstance(tree, Mapping):
            tree = cast("Mapping[str, object]", tree).get(step)
        elif isinstance(tree, list) and step.isdecimal() and int(step) < len(cast("list[object]", tree)):
            tree = cast("list[object]", tree)[int(step)]
        else:
            return None
    return tree


def text_at(tree: object, path: str) -> str | None:
    """The same as text; None for nothing, an empty text, and what is no single value."""
    found = at(tree, path)
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, str | int | float):
        return str(found).strip() or None
    return None


def items_at(tree: object, path: str) -> Iterator[object]:
    """The items of a list, or of what PHP sends for one: {"0": ..., "1": ...}; none where there is none."""
    found = at(tree, path)
    if isinstance(found, Mapping):
        yield from cast("Mapping[str, object]", found).values()
    elif isinstance(found, list):
        yield from cast("list[object]", found)


def read_time(text: str | None) -> datetime | None:
    """A time with its zone (RFC 3339), or a Unix second. Raises Unreadable."""
    if text is None:
        return None
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text[:12]), UTC)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise Unreadable(f"{text[:64]} is no time such as 2026-11-25T10:00:00+03:00") from error
    if at.tzinfo is None:
        raise Unreadable(f"the time {text[:64]} has no time zone")
    return at
