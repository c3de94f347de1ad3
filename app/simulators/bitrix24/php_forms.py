"""Forms as PHP nests them: "data[FIELDS][ID]=7405" is {"data": {"FIELDS": {"ID": "7405"}}} and back."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import cast
from urllib.parse import parse_qsl, urlencode

Nested = dict[str, "str | Nested"]

_FIELDS_MAX = 1000
_DEPTH_MAX = 8
_PART = re.compile(r"\[([^\[\]]*)\]")


class BadForm(Exception):
    """The bytes are no form that PHP would read: wrong encoding, too many fields, a name without an end."""


def decode(body: bytes | str) -> Nested:
    """The nested fields of a form. All values are strings; an empty "[]" counts up from 0. Raises BadForm."""
    try:
        text = body.decode() if isinstance(body, bytes) else body
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise BadForm("this is no form") from error
    form: Nested = {}
    for name, value in pairs:
        _put(form, _path(name), value)
    return form


def _path(name: str) -> list[str]:
    stem, bracket, _ = name.partition("[")
    rest = name[len(stem) :]
    parts = _PART.findall(rest)
    if bracket and "".join(f"[{part}]" for part in parts) != rest:
        raise BadForm(f"{name[:64]!r} is no field's name")
    if len(parts) > _DEPTH_MAX:
        raise BadForm("fields are nested too deeply")
    return [stem, *parts]


def _put(form: Nested, path: Sequence[str], value: str) -> None:
    place = form
    for part in path[:-1]:
        inner = place.setdefault(part or str(len(place)), {})
        if not isinstance(inner, dict):
            raise BadForm("a field is both a value and a group")
        place = inner
    place[path[-1] or str(len(place))] = value


def encode(fields: Mapping[str, object]) -> str:
    """The form of nested mappings and sequences, as PHP's http_build_query writes it."""
    return urlencode(list(_flat(fields)))


def _flat(fields: Mapping[str, object], stem: str = "") -> Iterator[tuple[str, str]]:
    for key, value in fields.items():
        name = f"{stem}[{key}]" if stem else key
        if isinstance(value, Mapping):
            yield from _flat(cast("Mapping[str, object]", value), name)
        elif isinstance(value, list | tuple):
            items = cast("Sequence[object]", value)
            yield from _flat({str(number): each for number, each in enumerate(items)}, name)
        elif value is not None:
            yield name, str(value)
