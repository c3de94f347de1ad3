"""google.json, merged last: {"class": {...}, "object": {...}} in Google's own words.

Three shorthands keep it short: where Google wants a LocalizedString a text will do, where it wants an Image
the name of a file in images/google/, and where it wants a Uri an address.
"""

from collections.abc import Mapping
from typing import Any, cast

from app.wallets.google import schema
from app.wallets.google.compile.shown import Json, Shown
from app.wallets.overrides import merged


def overridden(shown: Shown, body: Json, part: str, schema_name: str) -> Json:
    """The body with `part` ("class" or "object") of google.json over it."""
    over = shown.template.google.get(part)
    return (
        merged(body, _filled(shown, schema_name, cast("Json", over))) if isinstance(over, Mapping) else body
    )


def _filled(shown: Shown, kind: str, tree: Any) -> Any:
    """A part of google.json with its strings filled in, knowing what type Google wants there."""
    if isinstance(tree, str):
        return _string(shown, kind, tree)
    if isinstance(tree, Mapping):
        items = cast("Mapping[str, Any]", tree).items()
        return {key: _filled(shown, schema.type_of(kind, key), value) for key, value in items}
    if isinstance(tree, list | tuple):
        return [_filled(shown, kind.strip("[]"), item) for item in cast("list[Any]", tree)]
    return tree


def _string(shown: Shown, kind: str, source: str) -> Any:
    if kind == "LocalizedString":
        return shown.localized(source)
    if kind == "Image" and source in shown.template.google_images:
        return shown.image(shown.template.google_images[source], "")
    if kind == "Image":
        return {"sourceUri": {"uri": shown.text(source)}}
    if kind == "Uri":
        return {"uri": shown.text(source)}
    if kind in ("integer", "number"):
        value = shown.value(source)
        return value if isinstance(value, int) else shown.text(source)
    return shown.text(source)
