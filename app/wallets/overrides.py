"""apple.json and google.json: what a template says in a wallet's own words, merged over the rest."""

from typing import Any, cast


def merged(tree: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid on the compiled tree: objects merge, everything else replaces, null removes."""
    result = tree | over
    for key, value in over.items():
        if value is None:
            del result[key]
        elif isinstance(value, dict) and isinstance(tree.get(key), dict):
            result[key] = merged(cast("dict[str, Any]", tree[key]), cast("dict[str, Any]", value))
    return result
