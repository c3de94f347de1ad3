"""The fields Google Wallet's API knows, to check a body before it is sent: Google drops the others silently.

The table is made from Google's discovery document by `python -m tests.wallets.google.schema_table`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, cast


class Fault(NamedTuple):
    """What is wrong with a body: the path of keys, and what to write instead."""

    where: str
    text: str


@cache
def fields_of(schema: str) -> Mapping[str, str]:
    """The fields of a schema ("LoyaltyObject") and their types, by schema.json."""
    return _table()[schema]


def type_of(schema: str, field: str) -> str:
    """The type of a field ("[Image]"); "" for what Google does not know."""
    return _table().get(schema, {}).get(field, "").lstrip("!")


def is_schema(kind: str) -> bool:
    """Whether a type of a field is a schema, with fields of its own."""
    return kind in _table()


def faults(schema: str, body: Mapping[str, Any], where: str = "") -> Iterator[Fault]:
    """Every field of a body that Google would drop or refuse for its name or type."""
    for path, kind, value in _fields(schema, body, where):
        if not kind:
            yield Fault(path, "Google has no field of this name: it would be dropped without a word")
        elif kind.startswith("!"):
            yield Fault(path, "Google gave this field up: remove it")
        else:
            yield from _check(kind, value, path)


def unknown_field(resource: str, body: Mapping[str, Any]) -> str | None:
    """The path of the first field of a "loyaltyObject" that Google does not know, at any depth."""
    return _unknown(f"{resource[0].upper()}{resource[1:]}", body, "")


def _unknown(schema: str, body: Mapping[str, Any], where: str) -> str | None:
    for path, kind, value in _fields(schema, body, where):
        if not kind:
            return path
        inner = kind.lstrip("!").strip("[]")
        nodes = cast("list[object]", value) if isinstance(value, list) else [value]
        for node in nodes if is_schema(inner) else ():
            if isinstance(node, Mapping) and (
                found := _unknown(inner, cast("Mapping[str, Any]", node), path)
            ):
                return found
    return None


def _fields(schema: str, body: Mapping[str, Any], where: str) -> Iterator[tuple[str, str, Any]]:
    """Path, type ("" for an unknown field) and value of each field."""
    known = fields_of(schema)
    for key, value in body.items():
        yield f"{where}.{key}" if where else key, known.get(key, ""), value


def _check(kind: str, value: object, path: str) -> Iterator[Fault]:
    if kind.startswith("["):
        if not isinstance(value, list | tuple):
            yield Fault(path, f"must be a list, not {value!r}")
            return
        for index, item in enumerate(cast("list[object]", value)):
            yield from _check(kind[1:-1], item, f"{path}[{index}]")
    elif is_schema(kind):
        if isinstance(value, Mapping):
            yield from faults(kind, cast("Mapping[str, Any]", value), path)
        else:
            yield Fault(path, f"must be an object, not {value!r}")
    elif not _fits(kind, value):
        yield Fault(path, f"must be {_WORDS.get(kind) or kind.replace('|', ', ')}, not {value!r}")


def _fits(kind: str, value: object) -> bool:
    if kind in _TYPES:
        return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
    if kind == "int64":
        return isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value) is not None
    return value in kind.split("|")


_TYPES: dict[str, type[Any] | tuple[type[Any], ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}
_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "int64": "a whole number in quotes",
}


@cache
def _table() -> dict[str, dict[str, str]]:
    return json.loads((files("app.wallets.google") / "schema.json").read_text("utf-8"))
