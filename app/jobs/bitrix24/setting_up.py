"""Making a portal ready: custom fields, robots, our SMS provider, the deal's tab, the events we listen to."""

from collections.abc import Mapping

import structlog

from app.crm.bitrix24 import robots
from app.crm.bitrix24 import source as bitrix24
from app.crm.bitrix24.rest import Command, Refused
from app.deals import portals
from app.inbox import sources
from app.inbox.models import Source
from app.job_queue import JsonScalar
from app.jobs.bitrix24 import asking
from app.wiring import Services

log = structlog.get_logger(__name__)

EVENTS = (
    "ONCRMDEALADD",
    "ONCRMDEALUPDATE",
    "ONCRMDEALDELETE",
    "ONCRMCONTACTADD",
    "ONCRMCONTACTUPDATE",
)
_THERE_ALREADY = ("ALREADY", "уже существует", "already")
_LABELS = {
    "card": ("Номер карты лояльности", "Loyalty card number", "string"),
    "link": ("Ссылка на карту", "Link to the card", "url"),
    "balance": ("Баланс баллов", "Points balance", "integer"),
    "tier": ("Уровень карты", "Card tier", "string"),
}


async def set_up(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Register everything; what is registered already stays. May be repeated."""
    source_id = str(args["source_id"])
    async with services.sessions.begin() as session:
        source = await session.get_one(Source, source_id)
        tokens = await portals.tokens_of(session, services.secret_key, source_id, now=services.clock())
    wanted = _fields(bitrix24.settings_of(source.settings).fields)
    if tokens is not None:
        wanted |= _of_application(services, source)
    batch = await asking.batch(services, source, wanted)
    for name, failure in batch.errors.items():
        if not isinstance(failure, Refused):
            raise failure
        if not any(word in str(failure) for word in _THERE_ALREADY):
            log.error("bitrix24.not_set_up", source=source.slug, what=name, reason=str(failure))
    log.info("bitrix24.set_up", source=source.slug, calls=len(wanted))


def _fields(fields: bitrix24.Fields) -> dict[str, Command]:
    found: dict[str, Command] = {}
    for kind, (ru, en, type_) in _LABELS.items():
        name: str = getattr(fields, kind)
        if name:
            values = {"FIELD_NAME": name.removeprefix("UF_CRM_"), "USER_TYPE_ID": type_}
            labels = {"EDIT_FORM_LABEL": {"ru": ru, "en": en}, "LIST_COLUMN_LABEL": {"ru": ru, "en": en}}
            found[f"field_{kind}"] = Command("crm.contact.userfield.add", {"fields": values | labels})
    return found


def _of_application(services: Services, source: Source) -> dict[str, Command]:
    """What only an application may register. Its addresses hold the source's secret, which proves them."""
    secret = sources.read_secrets(services.secret_key, source)[sources.CURRENT]
    address = f"{services.settings.public_url}/hooks/{source.slug}/{secret}"
    names = {"ru": "Passbell: на карту в телефоне", "en": "Passbell: onto the card in the phone"}
    tab = {
        "PLACEMENT": "CRM_DEAL_DETAIL_TAB",
        "HANDLER": f"{services.settings.public_url}/bitrix24/{source.slug}/deal",
        "TITLE": "Карта лояльности",
        "LANG_ALL": {"ru": {"TITLE": "Карта лояльности"}, "en": {"TITLE": "Loyalty card"}},
    }
    sender = {"CODE": robots.SENDER, "TYPE": "SMS", "HANDLER": address, "NAME": names}
    found = {
        "sender": Command("messageservice.sender.add", sender),
        "tab": Command("placement.bind", tab),
    }
    for command in robots.registrations(address):
        found[str(command.params["CODE"])] = command
    for event in EVENTS:
        found[event] = Command("event.bind", {"event": event, "handler": address})
    return found
