"""classTemplateInfo: the rows of the card, what stands around its barcode, the order below it."""

from app.wallets.google.compile.fields import Layout
from app.wallets.google.compile.shown import Json, given
from app.wallets.templates.google import Google

_ITEMS = {
    1: ("oneItem", ("item",)),
    2: ("twoItems", ("startItem", "endItem")),
    3: ("threeItems", ("startItem", "middleItem", "endItem")),
}


def template_info(layout: Layout, google: Google) -> Json:
    """The layout of a kind of pass; without a row of ours Google lays it out by itself."""
    rows = [row for keys in layout.rows if (row := _row(layout, keys))]
    return given(
        cardTemplateOverride=given(cardRowTemplateInfos=rows),
        cardBarcodeSectionDetails=_around_barcode(layout, google),
        detailsTemplateOverride=given(
            detailsItemInfos=[{"item": item} for key in google.details if (item := _item(layout, key))]
        ),
    )


def _row(layout: Layout, keys: tuple[str, ...]) -> Json:
    items = [item for key in keys if (item := _item(layout, key))]
    if not items:
        return {}
    name, places = _ITEMS[len(items)]
    return {name: dict(zip(places, items, strict=True))}


def _item(layout: Layout, key: str) -> Json:
    return given(firstValue=_selector(layout, key))


def _selector(layout: Layout, key: str) -> Json:
    path = layout.path(key)
    return {"fields": [{"fieldPath": path}]} if path else {}


def _around_barcode(layout: Layout, google: Google) -> Json:
    first, second = (*google.above_barcode, "", "")[:2]
    places = {"firstTopDetail": first, "secondTopDetail": second, "firstBottomDetail": google.below_barcode}
    details = {place: given(fieldSelector=_selector(layout, key)) for place, key in places.items() if key}
    return given(**details)
