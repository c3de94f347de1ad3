"""What stands below the card: texts, links, pictures, offers beside it, labelled values, the app's button."""

from app.wallets.google.compile.fields import Layout
from app.wallets.google.compile.shown import Json, Shown, given
from app.wallets.templates import PassField
from app.wallets.templates.google import AppLink, ValueAdded


def class_modules(shown: Shown, layout: Layout) -> Json:
    """The modules that every member's pass has: Google keeps them in one place for all."""
    google = shown.template.definition.google
    return given(
        textModulesData=_texts(shown, layout.class_texts),
        linksModuleData=given(uris=_links(shown, is_shared=True)),
        imageModulesData=[
            {
                "id": f"image{index}",
                "mainImage": shown.image(shown.template.google_images[each.file], each.text),
            }
            for index, each in enumerate(google.images)
            if each.file in shown.template.google_images
        ],
        valueAddedModuleData=[
            _value_added(shown, each, index)
            for index, each in enumerate(google.value_added)
            if _is_shared_offer(shown, each)
        ],
        appLinkData=_app_link(shown, google.app_link) if google.app_link else {},
    )


def object_modules(shown: Shown, layout: Layout) -> Json:
    """The modules of one member's pass."""
    google = shown.template.definition.google
    return given(
        textModulesData=_texts(shown, layout.object_texts),
        linksModuleData=given(uris=_links(shown, is_shared=False)),
        valueAddedModuleData=[
            _value_added(shown, each, index)
            for index, each in enumerate(google.value_added)
            if not _is_shared_offer(shown, each)
        ],
        infoModuleData=_info(shown) if layout.kind != "generic" else {},
    )


def _texts(shown: Shown, fields: tuple[PassField, ...]) -> list[Json]:
    """A text module for each field that has something to say: Google would show a lone header."""
    return [
        {"id": field.key, **shown.either("header", field.label), **shown.either("body", field.value)}
        for field in fields
        if shown.text(field.value)
    ]


def _links(shown: Shown, *, is_shared: bool) -> list[Json]:
    """The links of [google] and of the fields, those that are the same for all or those that are not."""
    definition = shown.template.definition
    links = [(f"link{index}", each.url, each.text) for index, each in enumerate(definition.google.links)]
    links += [
        (field.key, field.link.url, field.link.text)
        for field in definition.fields
        if field.link and "google" in field.wallets
    ]
    return [
        {"id": key, "uri": uri, **shown.either("description", text)}
        for key, url, text in links
        if (shown.is_shared(url) and shown.is_shared(text)) == is_shared and (uri := shown.text(url))
    ]


def _is_shared_offer(shown: Shown, offer: ValueAdded) -> bool:
    return all(shown.is_shared(each) for each in (offer.header, offer.body, offer.url))


def _value_added(shown: Shown, offer: ValueAdded, index: int) -> Json:
    picture = shown.template.google_images.get(offer.image)
    return given(
        header=shown.localized(offer.header),
        body=shown.localized(offer.body) if offer.body else {},
        uri=shown.text(offer.url),
        image=shown.image(picture, offer.header) if picture else {},
        sortIndex=index + 1,
        viewConstraints=given(displayInterval=interval(shown.moment(offer.starts), shown.moment(offer.ends))),
    )


def interval(start: str, end: str) -> Json:
    """A TimeInterval; a side that is not known is left open."""
    return {side: {"date": moment} for side, moment in (("start", start), ("end", end)) if moment}


def _info(shown: Shown) -> Json:
    fields = {field.key: field for field in shown.template.definition.fields}
    rows = [
        [
            {**shown.either("label", fields[key].label), **shown.either("value", fields[key].value)}
            for key in row
            if shown.text(fields[key].value)
        ]
        for row in shown.template.definition.google.info
    ]
    return given(labelValueRows=[{"columns": columns} for columns in rows if columns])


def _app_link(shown: Shown, link: AppLink) -> Json:
    url = shown.text(link.url)
    target = given(packageName=link.package) or given(targetUri=given(uri=url))
    where = "androidAppLinkInfo" if link.package else "webAppLinkInfo"
    return given(**{where: given(appTarget=target)}) | given(
        displayText=shown.localized(link.text) if link.text else {}
    )
