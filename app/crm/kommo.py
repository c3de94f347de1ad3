"""amoCRM and Kommo: leads that are won or lost, and contacts. A lead's contact is asked for.

Source: Kommo, "Webhooks" (general and digital pipeline). Nothing is signed: the secret address is the proof,
and the account's subdomain is compared too where the settings name it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.crm import Ask, BadSourceSettings, Delivery
from app.crm.events import ContactChanged, DealTouched, Event, Person, PurchaseChanged
from app.crm.form_body import at, items_at, read_body, read_time, text_at
from app.crm.signatures import is_among

WON = "142"  # the system's own status, in every pipeline
_SETTINGS = frozenset({"api_url", "subdomain"})
_ACTIONS = ("add", "update", "status", "restore")


def check_settings(settings: Mapping[str, Any]) -> None:
    if unknown := settings.keys() - _SETTINGS:
        raise BadSourceSettings(f"unknown {', '.join(sorted(unknown))}: there are api_url and subdomain")
    if not str(settings.get("api_url", "")).startswith(("https://", "http://")):
        raise BadSourceSettings("api_url: the account's address, such as https://school.amocrm.ru")


def has_secret_address(settings: Mapping[str, Any]) -> bool:
    return True


def is_authentic(delivery: Delivery, secrets: Sequence[str], settings: Mapping[str, Any]) -> bool:
    return is_among(delivery.token, secrets)


def event_id(delivery: Delivery, settings: Mapping[str, Any]) -> str | None:
    return None


def parse(delivery: Delivery, settings: Mapping[str, Any]) -> Sequence[Event]:
    """Raises Unreadable."""
    body = read_body(delivery)
    wanted = settings.get("subdomain")
    if wanted and text_at(body, "account.subdomain") not in (wanted, None):
        return []
    leads = {lead for lead in _leads(body) if lead is not None}
    deals = [DealTouched(lead) for lead in sorted(leads)]
    contacts = [ContactChanged(person) for each in _of(body, "contacts") if (person := _person(each)).contact]
    return [*deals, *contacts]


def _leads(body: object) -> Iterator[str | None]:
    for each in _of(body, "leads"):
        yield text_at(each, "id")
    yield text_at(body, "lead.event.id") or text_at(body, "lead.id")  # the digital pipeline's own form


def _of(body: object, entity: str) -> Iterator[object]:
    for action in _ACTIONS:
        yield from items_at(body, f"{entity}.{action}")


def _person(contact: object) -> Person:
    """A contact as webhooks have it (`custom_fields`, `code`) or the API (`..._values`, `field_code`)."""
    contact_id = text_at(contact, "id")
    is_webhook = at(contact, "custom_fields") is not None
    by_code = {
        text_at(each, "code" if is_webhook else "field_code"): text_at(each, "values.0.value")
        for each in items_at(contact, "custom_fields" if is_webhook else "custom_fields_values")
    }
    return Person(
        contact=f"contact:{contact_id}" if contact_id else None,
        phone=by_code.get("PHONE"),
        name=text_at(contact, "name"),
        email=by_code.get("EMAIL"),
    )


def api_url(settings: Mapping[str, Any]) -> str:
    return settings["api_url"]


async def read_deal(ask: Ask, deal: str, settings: Mapping[str, Any]) -> PurchaseChanged | None:
    """A lead as it is: worth its price while it is won. Raises Unreadable."""
    lead = await ask(f"/api/v4/leads/{deal}?with=contacts")
    if lead is None:
        return None
    is_won = text_at(lead, "status_id") == WON
    contacts = list(items_at(lead, "_embedded.contacts"))
    main = next((each for each in contacts if text_at(each, "is_main") == "true"), next(iter(contacts), None))
    contact = text_at(main, "id")
    person = Person()
    if is_won and contact:
        person = _person(await ask(f"/api/v4/contacts/{contact}"))
    return PurchaseChanged(
        f"deal:{deal}",
        person,
        (text_at(lead, "price") or "0") if is_won else "0",
        reason=text_at(lead, "name") or f"Deal {deal}",
        as_of=read_time(text_at(lead, "updated_at")),
    )
