"""Which of Google's seven kinds of pass a template is, and what its resources are called."""

from app.wallets.templates import PassTemplate
from app.wallets.templates.definition import Style
from app.wallets.templates.google import GoogleKind

_BY_STYLE: dict[Style, GoogleKind] = {
    "storeCard": "loyalty",
    "coupon": "offer",
    "generic": "generic",
    "posterGeneric": "generic",
    "eventTicket": "eventTicket",
}


def kind_of(template: PassTemplate) -> GoogleKind:
    """The kind the template names, else the one nearest to its style."""
    definition = template.definition
    if definition.google.kind:
        return definition.google.kind
    if definition.style == "boardingPass":
        return "flight" if definition.transit == "air" else "transit"
    return _BY_STYLE[definition.style]


def class_schema(kind: GoogleKind) -> str:
    """The name of the class in Google's discovery document: "LoyaltyClass"."""
    return f"{kind[0].upper()}{kind[1:]}Class"


def object_schema(kind: GoogleKind) -> str:
    """The name of the object in Google's discovery document: "LoyaltyObject"."""
    return f"{kind[0].upper()}{kind[1:]}Object"
