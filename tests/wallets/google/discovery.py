"""Google's own description of its API, held to the letter: an unknown name or another type is a fault."""

import json
import re
from functools import cache
from typing import Any

from googleapiclient.discovery_cache import get_static_doc


@cache
def document() -> dict[str, Any]:
    return json.loads(get_static_doc("walletobjects", "v1") or "{}")


def assert_valid(kind: str, end: str, body: dict[str, Any]) -> None:
    """`kind` "loyalty", `end` "Class" or "Object"."""
    json.dumps(body)
    _object(f"{kind[0].upper()}{kind[1:]}{end}", body, end.lower())


def _object(schema: str, body: Any, where: str) -> None:
    properties = document()["schemas"][schema]["properties"]
    assert isinstance(body, dict), f"{where} is {body!r}"
    for key, value in body.items():
        assert key in properties, f"{where}.{key} is not in {schema}"
        about = properties[key]
        assert not about.get("deprecated"), f"{where}.{key} is given up"
        assert value not in ("", None, [], {}), f"{where}.{key} is empty"
        _value(about, value, f"{where}.{key}")


def _value(about: dict[str, Any], value: Any, where: str) -> None:
    if "$ref" in about:
        _object(about["$ref"], value, where)
    elif about["type"] == "array":
        assert isinstance(value, list), where
        for index, item in enumerate(value):
            _value(about["items"], item, f"{where}[{index}]")
    elif "enum" in about:
        current = zip(about["enum"], about.get("enumDeprecated", [False] * 99), strict=False)
        assert value in [each for each, is_gone in current if not is_gone], f"{where}: {value!r}"
    else:
        types = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}
        assert isinstance(value, types[about["type"]]), f"{where}: {value!r}"
        if about.get("format") == "int64":
            assert re.fullmatch(r"-?\d{1,19}", value), f"{where}: {value!r}"
