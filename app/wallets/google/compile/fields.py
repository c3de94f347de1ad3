"""Which field goes where: the balance, the text modules of class and object, the rows of the card."""

from dataclasses import dataclass
from functools import lru_cache

from app.wallets.google.compile.kinds import kind_of
from app.wallets.google.compile.shown import SHARED_NAMES
from app.wallets.templates import PassField, PassTemplate
from app.wallets.templates.definition import Placement
from app.wallets.templates.google import GoogleKind

TEXTS_SHOWN_MAX = 10  # of the class, and again of the object
ROWS_MAX, ROW_ITEMS_MAX = 3, 3
_FRONT: tuple[tuple[Placement, ...], ...] = (("header", "primary"), ("secondary",), ("auxiliary", "footer"))

# The parts of an object that are more than a text module, by kind: the first row of what Google calls rings.
POINTS_PATH: dict[GoogleKind, str] = {
    "loyalty": "object.loyaltyPoints.balance",
    "giftCard": "object.balance",
    "generic": "",  # the header: always on the card, and in no row
}
SECONDARY_PATH: dict[GoogleKind, str] = {"loyalty": "object.secondaryLoyaltyPoints.balance"}


@dataclass(frozen=True)
class Layout:
    """The template's fields as Google shows them. `rows` and the others name fields by key."""

    kind: GoogleKind
    points: PassField | None
    secondary_points: PassField | None
    class_texts: tuple[PassField, ...]
    object_texts: tuple[PassField, ...]
    rows: tuple[tuple[str, ...], ...]
    rest: tuple[str, ...]  # front fields that no row has room for

    def path(self, key: str) -> str:
        """Where Google finds a field: "object.textModulesData['member']"; "" where no row may show it."""
        if self.points and key == self.points.key:
            return POINTS_PATH[self.kind]
        if self.secondary_points and key == self.secondary_points.key:
            return SECONDARY_PATH[self.kind]
        owner = "class" if key in {field.key for field in self.class_texts} else "object"
        return f"{owner}.textModulesData['{key}']"


@lru_cache(maxsize=256)
def layout_of(template: PassTemplate) -> Layout:
    """Where each field of the template goes at Google."""
    kind = kind_of(template)
    fields = [field for field in template.definition.fields if "google" in field.wallets]
    points, secondary = _points(template, kind, fields)
    special = {field.key for field in (points, secondary) if field}
    texts = [field for field in fields if field.key not in special]
    shared = [field for field in texts if _is_shared(template, field)]
    rows, rest = _rows(template, kind, fields, points)
    return Layout(
        kind=kind,
        points=points,
        secondary_points=secondary,
        class_texts=tuple(shared),
        object_texts=tuple(field for field in texts if field not in shared),
        rows=rows,
        rest=rest,
    )


def _points(
    template: PassTemplate, kind: GoogleKind, fields: list[PassField]
) -> tuple[PassField | None, PassField | None]:
    """The balance and what stands beside it: named in [google], else the first primary and header fields."""
    google, by_key = template.definition.google, {field.key: field for field in fields}
    primary = [field for field in fields if field.placement == "primary"]
    headers = [field for field in fields if field.placement == "header"]
    candidates = [*primary, *headers]
    points = by_key.get(google.points) or next(iter(candidates), None)
    if kind not in POINTS_PATH or points is None:
        return None, None
    beside = by_key.get(google.secondary_points) or next((each for each in headers if each != points), None)
    return points, beside if kind in SECONDARY_PATH else None


def _is_shared(template: PassTemplate, field: PassField) -> bool:
    return all(
        template.text(source, language).names <= SHARED_NAMES
        for source in (field.value, field.label)
        for language in template.languages
    )


def _rows(
    template: PassTemplate, kind: GoogleKind, fields: list[PassField], points: PassField | None
) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """At most three rows of at most three, and the front fields that are left over."""
    if template.definition.google.rows:
        return template.definition.google.rows, ()
    hidden = points.key if points and not POINTS_PATH[kind] else None
    rows: list[tuple[str, ...]] = []
    for placements in _FRONT:
        keys = [field.key for field in fields if field.placement in placements and field.key != hidden]
        if points and points.key in keys:  # the balance first
            keys.sort(key=lambda key: key != points.key)
        rows += [tuple(keys[start : start + ROW_ITEMS_MAX]) for start in range(0, len(keys), ROW_ITEMS_MAX)]
    return tuple(rows[:ROWS_MAX]), tuple(key for row in rows[ROWS_MAX:] for key in row)
