"""What REST says of a deal and of a contact, in the new form (crm.item.*) and in the old one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

Outcome = Literal["open", "won", "lost"]

DEAL, CONTACT = 2, 3  # entityTypeId
_OUTCOMES: dict[str, Outcome] = {"S": "won", "F": "lost"}


@dataclass(frozen=True, slots=True)
class Deal:
    """A deal as it stands. `amount` is as REST wrote it."""

    id: int
    title: str
    amount: str
    currency: str
    outcome: Outcome
    contact_id: int | None
    assigned_by: int | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class Contact:
    """A person as the CRM keeps them; `phones` are not normalised."""

    id: int
    name: str
    phones: tuple[str, ...]
    email: str | None
    birthday: str | None
    assigned_by: int | None
    webform_id: int | None


def deal(item: Mapping[str, Any], *, counts_from: datetime | None = None) -> Deal:
    """A deal of crm.item.get or of crm.deal.get.

    One that came to its stage before `counts_from` is "open", whatever it is: what was won before the
    programme began earns nothing, however often its title is edited now.
    """
    semantic = str(_either(item, "stageSemanticId", "STAGE_SEMANTIC_ID") or "P")
    moved_at = _moment(_either(item, "movedTime", "MOVED_TIME"))
    is_old = counts_from is not None and moved_at is not None and moved_at < counts_from
    return Deal(
        id=int(_either(item, "id", "ID")),
        title=str(_either(item, "title", "TITLE") or ""),
        amount=str(_either(item, "opportunity", "OPPORTUNITY") or "0"),
        currency=str(_either(item, "currencyId", "CURRENCY_ID") or ""),
        outcome="open" if is_old else _OUTCOMES.get(semantic, "open"),
        contact_id=_number(_either(item, "contactId", "CONTACT_ID")),
        assigned_by=_number(_either(item, "assignedById", "ASSIGNED_BY_ID")),
        updated_at=_moment(_either(item, "updatedTime", "DATE_MODIFY")),
    )


def contact(item: Mapping[str, Any]) -> Contact:
    """A contact of crm.item.get or of crm.contact.get."""
    names = (_either(item, "name", "NAME"), _either(item, "lastName", "LAST_NAME"))
    return Contact(
        id=int(_either(item, "id", "ID")),
        name=" ".join(str(each).strip() for each in names if each),
        phones=_communications(item, "PHONE"),
        email=next(iter(_communications(item, "EMAIL")), None),
        birthday=str(_either(item, "birthdate", "BIRTHDATE") or "") or None,
        assigned_by=_number(_either(item, "assignedById", "ASSIGNED_BY_ID")),
        webform_id=_number(_either(item, "webformId", "WEBFORM_ID")),
    )


def _communications(item: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    new = cast("list[dict[str, Any]]", item.get("fm") or [])
    old = cast("list[dict[str, Any]]", item.get(kind) or [])
    values = [each.get("value") for each in new if each.get("typeId") == kind]
    values += [each.get("VALUE") for each in old]
    return tuple(str(value) for value in values if value)


def _either(item: Mapping[str, Any], new: str, old: str) -> Any:
    return item.get(new, item.get(old))


def _number(value: object) -> int | None:
    """An id; None for none, which REST writes as null, 0 or "0"."""
    text = str(value or "")
    return int(text) or None if text.isdecimal() else None


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
