"""The fields of a pass: where each style shows them, and what becomes of those it does not show."""

from html import escape
from typing import Any

from app.wallets.apple.compile.nodes import OMIT, Dynamic, Shown, freeze, native, rendered
from app.wallets.content import Loss
from app.wallets.templates import PassField, PassTemplate
from app.wallets.templates.definition import Link, NativeFormat, Placement

KEYS: dict[Placement, str] = {
    "header": "headerFields",
    "primary": "primaryFields",
    "secondary": "secondaryFields",
    "auxiliary": "auxiliaryFields",
    "back": "backFields",
    "additional_info": "additionalInfoFields",
    "footer": "footerFields",
}
_CLASSIC: tuple[Placement, ...] = ("header", "primary", "secondary", "auxiliary", "back")
# Where Wallet looks for fields, by style. posterGeneric is iOS 27's; its generic twin serves older phones.
SHOWN_BY: dict[str, tuple[Placement, ...]] = {
    "storeCard": _CLASSIC,
    "coupon": _CLASSIC,
    "generic": _CLASSIC,
    "eventTicket": (*_CLASSIC, "additional_info"),
    "boardingPass": (*_CLASSIC, "additional_info"),
    "posterGeneric": ("header", "primary", "footer", "back"),
}
_ALIGN = {
    "left": "PKTextAlignmentLeft",
    "center": "PKTextAlignmentCenter",
    "right": "PKTextAlignmentRight",
    "natural": "PKTextAlignmentNatural",
}
_DETECT = {
    "phone": "PKDataDetectorTypePhoneNumber",
    "link": "PKDataDetectorTypeLink",
    "address": "PKDataDetectorTypeAddress",
    "calendar": "PKDataDetectorTypeCalendarEvent",
}
_NUMBER = {
    "decimal": "PKNumberStyleDecimal",
    "percent": "PKNumberStylePercent",
    "scientific": "PKNumberStyleScientific",
    "spell_out": "PKNumberStyleSpellOut",
}


def fields_node(template: PassTemplate, language: str, style: str) -> tuple[dict[str, Any], list[Loss]]:
    """The lists of fields of one style, in the template's order, and what that style cannot show."""
    lists: dict[str, list[Any]] = {}
    losses: list[Loss] = []
    for field in template.definition.fields:
        if "apple" not in field.wallets:
            continue
        placement, loss = _place(template, field, style)
        losses += loss
        if placement:
            lists.setdefault(KEYS[placement], []).append(_field(template, language, field, placement))
    return {key: lists[key] for key in KEYS.values() if key in lists}, losses


def _place(template: PassTemplate, field: PassField, style: str) -> tuple[Placement | None, list[Loss]]:
    if field.placement in SHOWN_BY[style]:
        return field.placement, []
    where = f"fields.{field.key}"
    if template.style == "posterGeneric" and style == "generic":
        return None, [] if field.placement == "footer" else [_moved(where, style, field)]
    if template.style == "posterGeneric" and field.placement in ("secondary", "auxiliary"):
        text = f"an iOS 27 poster has no {field.placement} fields: only older phones show this one"
        return None, [Loss("apple", where, text)]
    return "back", [_moved(where, style, field)]


def _moved(where: str, style: str, field: PassField) -> Loss:
    return Loss("apple", where, f"a {style} has no {field.placement} fields: it moves to the back")


def _field(template: PassTemplate, language: str, field: PassField, placement: Placement) -> Any:
    value = template.text(field.value, language)
    node: dict[str, Any] = {"key": field.key}
    if field.label:
        node["label"] = rendered(template.text(field.label, language))
    node["value"] = native(value) if field.format else rendered(value)
    if field.link:
        node["attributedValue"] = _link(template, language, field.link)
    if field.change_message:
        node["changeMessage"] = rendered(template.text(field.change_message, language))
    if field.align:
        node["textAlignment"] = _ALIGN[field.align]
    if field.detect is not None:
        node["dataDetectorTypes"] = [_DETECT[each] for each in field.detect]
    if field.row is not None and placement == "auxiliary":
        node["row"] = field.row
    if field.semantics:
        node["semantics"] = tree_node(template, language, field.semantics)
    if field.format:
        node |= _native_keys(field.format)
    return _unless_empty(node) if field.hide_when_empty else node


def _unless_empty(node: dict[str, Any]) -> Any:
    prepared = freeze(node)
    if not isinstance(prepared, Dynamic):
        return node

    def fill(shown: Shown) -> Any:
        filled = prepared.fill(shown)
        return OMIT if filled["value"] == "" else filled

    return Dynamic(fill)


def _link(template: PassTemplate, language: str, link: Link) -> Any:
    """An <a> element, the only markup Wallet reads; what is filled in is escaped."""
    url, words = template.text(link.url, language), template.text(link.text, language)

    def fill(shown: Shown) -> str:
        href = escape(url.render(shown.values, shown.formats))
        return f'<a href="{href}">{escape(words.render(shown.values, shown.formats), quote=False)}</a>'

    return Dynamic(fill)


def _native_keys(format_: NativeFormat) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    if format_.number:
        keys["numberStyle"] = _NUMBER[format_.number]
    if format_.currency:
        keys["currencyCode"] = format_.currency
    for key, style in (("dateStyle", format_.date), ("timeStyle", format_.time)):
        if style:
            keys[key] = f"PKDateStyle{style.capitalize()}"
    if format_.relative:
        keys["isRelative"] = True
    if format_.ignores_time_zone:
        keys["ignoresTimeZone"] = True
    return keys


def tree_node(template: PassTemplate, language: str, tree: Any) -> Any:
    """A free tree (semantics, apple.json) with its strings made ready; lone expressions keep their type."""
    if isinstance(tree, str):
        return native(template.text(tree, language))
    if isinstance(tree, dict):
        return {key: tree_node(template, language, value) for key, value in tree.items()}  # pyright: ignore
    if isinstance(tree, list | tuple):
        return [tree_node(template, language, value) for value in tree]  # pyright: ignore
    return tree
