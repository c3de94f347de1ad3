"""What makes a pass a loyalty card, an offer, a gift card or a generic pass."""

from decimal import Decimal, InvalidOperation

from app.wallets.content import Value
from app.wallets.google.compile.fields import layout_of
from app.wallets.google.compile.shown import Json, Shown, given
from app.wallets.google.images import pictures_of
from app.wallets.templates import PassField

INT32_MAX = 2**31 - 1


def issuer_name(shown: Shown) -> str:
    """The source of the issuer's name: never empty, for Google insists on it."""
    definition = shown.template.definition
    for source in (definition.google.issuer_name, definition.organization):
        if source and shown.text(source):
            return source
    return shown.template.name


def title(shown: Shown) -> str:
    """The source of what the pass is called: never empty."""
    definition = shown.template.definition
    for source in (definition.google.title, definition.logo_text, definition.description):
        if source and shown.text(source):
            return source
    return issuer_name(shown)


def loyalty_class(shown: Shown) -> Json:
    google = shown.template.definition.google
    return {
        **shown.named("programName", title(shown)),
        "programLogo": logo(shown),
        **wide_logo(shown, "wideProgramLogo"),
        **shown.named("accountIdLabel", google.account_id_label),
        **shown.named("accountNameLabel", google.account_name_label),
    }


def loyalty_object(shown: Shown) -> Json:
    layout = layout_of(shown.template)
    google = shown.template.definition.google
    return given(
        accountId=shown.text(google.account_id),
        accountName=shown.text(google.account_name),
        loyaltyPoints=_points(shown, layout.points),
        secondaryLoyaltyPoints=_points(shown, layout.secondary_points),
    )


def _points(shown: Shown, field: PassField | None) -> Json:
    """A balance with its label: the change of it is what Google rings for."""
    if field is None or not shown.text(field.value):
        return {}
    return {**shown.either("label", field.label), "balance": _balance(shown, field)}


def _balance(shown: Shown, field: PassField) -> Json:
    currency = field.format.currency if field.format else None
    if currency and (amount := money(shown.amount(field.value), currency)):
        return {"money": amount}
    value = shown.value(field.value)
    if type(value) is int and -INT32_MAX <= value <= INT32_MAX:
        return {"int": value}
    return {"string": shown.text(field.value)}


def money(value: Value, currency: str) -> Json:
    """An amount in whole units (1500 or "12.50") as Google's Money; empty where it is no number."""
    try:
        amount = Decimal(str(value).strip())
        micros = amount.scaleb(6)
    except InvalidOperation:
        return {}
    if not amount.is_finite() or abs(micros) >= 2**63:
        return {}
    return {"micros": str(int(micros)), "currencyCode": currency}


def offer_class(shown: Shown) -> Json:
    google = shown.template.definition.google
    return {
        **shown.named("title", title(shown)),
        **shown.named("provider", issuer_name(shown)),
        "titleImage": logo(shown),
        **wide_logo(shown, "wideTitleImage"),
        "redemptionChannel": google.redemption_channel.upper(),
    }


def gift_card_class(shown: Shown) -> Json:
    google = shown.template.definition.google
    return {
        **shown.named("merchantName", title(shown)),
        "programLogo": logo(shown),
        **wide_logo(shown, "wideProgramLogo"),
        **shown.named("cardNumberLabel", google.account_id_label),
        "allowBarcodeRedemption": bool(shown.template.definition.barcodes),
    }


def gift_card_object(shown: Shown) -> Json:
    number = shown.text(shown.template.definition.google.account_id) or shown.content.barcode
    field = layout_of(shown.template).points
    currency = field.format.currency if field and field.format and field.format.currency else None
    balance = money(shown.amount(field.value), currency or shown.content.currency) if field else {}
    return given(cardNumber=number, balance=balance)


def generic_object(shown: Shown) -> Json:
    """A generic pass has all of its looks on the object."""
    definition = shown.template.definition
    field = layout_of(shown.template).points
    has_header = field is not None and bool(shown.text(field.value))
    header = field.value if field is not None and has_header else title(shown)
    subheader = field.label if field is not None and has_header else ""
    expires = definition.google.remind_before_expiry and shown.content.expires_at is not None
    return given(
        cardTitle=shown.localized(issuer_name(shown)),
        header=shown.localized(header),
        subheader=shown.localized(subheader) if subheader and shown.text(subheader) else {},
        logo=logo(shown),
        **wide_logo(shown, "wideLogo"),
        hexBackgroundColor=definition.colors.background,
        notifications={"expiryNotification": {"enableNotification": True}} if expires else {},
    )


def logo(shown: Shown) -> Json:
    """The template's logo, called by the issuer's name."""
    return shown.image(pictures_of(shown.template).logo, issuer_name(shown))


def wide_logo(shown: Shown, key: str) -> Json:
    """The wide logo under this key, where the template has one."""
    picture = pictures_of(shown.template).wide_logo
    return {key: shown.image(picture, issuer_name(shown))} if picture else {}
