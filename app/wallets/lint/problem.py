"""What the lint finds, and how the checks look at JSON whose types nobody has checked yet."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

Level = Literal["error", "warning"]
Json = dict[str, Any]

_W3C = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Problem:
    """One fault. `code` is stable; `where` is a path in pass.json, a file or a key of the template."""

    level: Level
    code: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.level}: {self.code}: {self.where}: {self.text}"


def error(code: str, where: str, text: str) -> Problem:
    """A fault with which the pass would not open, not show or not notify."""
    return Problem("error", code, where, text)


def warning(code: str, where: str, text: str) -> Problem:
    """Something that works but is probably not what was meant."""
    return Problem("warning", code, where, text)


def items(tree: Json, key: str) -> list[Any]:
    """The list under a key, or nothing where there is no list."""
    value = tree.get(key)
    return cast("list[Any]", value) if isinstance(value, list) else []


def objects(tree: Json, key: str) -> Iterator[tuple[str, Json]]:
    """The objects of a list under a key, each with its path; anything else is `wrong-type`'s to name."""
    for index, item in enumerate(items(tree, key)):
        if isinstance(item, dict):
            yield f"{key}[{index}]", cast("Json", item)


def is_number(value: object) -> bool:
    """Whether a JSON value is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_numbers(tree: Json, keys: tuple[str, ...], where: str) -> Iterator[Problem]:
    """`number-as-text` for keys that must be JSON numbers: Wallet drops the key, and says nothing."""
    for key in keys:
        if key in tree and not is_number(tree[key]):
            yield error("number-as-text", f"{where}.{key}", f"must be a JSON number, not {tree[key]!r}")


def check_date(value: object, where: str) -> Iterator[Problem]:
    """Faults of a W3C date: each of them makes the whole pass unreadable, without a word."""
    text = value if isinstance(value, str) else repr(value)
    if re.search(r"T\d\d:\d\d:\d\d[.,]\d", text):
        yield error("date-milliseconds", where, f"{text!r}: leave the fraction of the second out")
    elif re.search(r"T.*[+-]\d{4}$", text):
        yield error("date-offset-without-colon", where, f"{text!r}: write the offset as +05:00")
    elif not re.search(r"(Z|[+-]\d\d:\d\d)$", text) and _is_iso(text):
        yield error("date-without-offset", where, f"{text!r}: add the offset, such as +05:00")
    elif not _W3C.fullmatch(text) or not _is_iso(text):
        yield error("date-invalid", where, f"{text!r}: write a date like 2026-02-01T08:00:00+05:00")


def _is_iso(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
