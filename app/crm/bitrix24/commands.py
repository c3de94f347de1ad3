"""The calls we make, as data: reading deals with their contacts, and writing back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from app.crm.bitrix24.facts import CONTACT, DEAL
from app.crm.bitrix24.rest import Command

DEALS_AT_ONCE = 25  # each with its contact: fifty commands
DEAL_FIELDS = [
    "id",
    "title",
    "opportunity",
    "currencyId",
    "stageSemanticId",
    "stageId",
    "contactId",
    "assignedById",
    "updatedTime",
    "movedTime",
]


def item(kind: int, id_: int | str) -> Command:
    """One deal or contact."""
    return Command("crm.item.get", {"entityTypeId": kind, "id": id_, "useOriginalUfNames": "Y"})


def deals_with_contacts(deal_ids: Sequence[int]) -> dict[str, Command]:
    """Each deal as "d7" and its contact as "c7"."""
    commands: dict[str, Command] = {}
    for id_ in deal_ids:
        commands[f"d{id_}"] = item(DEAL, id_)
        commands[f"c{id_}"] = item(CONTACT, f"$result[d{id_}][item][contactId]")
    return commands


def contacts(contact_ids: Sequence[int]) -> dict[str, Command]:
    """Each contact as "c12"."""
    return {f"c{id_}": item(CONTACT, id_) for id_ in contact_ids}


def changed_deals(since: datetime, *, after_id: int) -> Command:
    """Deals changed at a moment or later, fifty in the order of their ids, those after one id."""
    filters: dict[str, Any] = {">id": after_id, ">=updatedTime": since.isoformat(timespec="seconds")}
    # start=-1: the total is not counted, which on a large portal costs more than the page.
    params = {"entityTypeId": DEAL, "filter": filters, "order": {"id": "ASC"}, "start": -1}
    return Command("crm.item.list", params | {"select": DEAL_FIELDS})


def write_fields(contact_id: int, fields: Mapping[str, object]) -> Command:
    """Set custom fields of a contact."""
    params = {"entityTypeId": CONTACT, "id": contact_id, "fields": dict(fields), "useOriginalUfNames": "Y"}
    return Command("crm.item.update", params)


def notify(user_id: int, message: str, *, tag: str) -> Command:
    """A line in a manager's notifications; it takes the place of an older one with its tag."""
    # CLIENT_ID: from an incoming webhook, a tag is only taken with one.
    params = {"USER_ID": user_id, "MESSAGE": message, "TAG": tag, "CLIENT_ID": "passbell"}
    return Command("im.notify.system.add", params)


def timeline(kind: str, id_: int, comment: str) -> Command:
    """A comment in the story of a deal or contact."""
    fields = {"ENTITY_TYPE": kind, "ENTITY_ID": id_, "COMMENT": comment}
    return Command("crm.timeline.comment.add", {"fields": fields})


def answer_robot(event_token: str, values: Mapping[str, object], log: str) -> Command:
    """What a robot of ours found: its values go on into the portal's automation."""
    params = {"EVENT_TOKEN": event_token, "RETURN_VALUES": dict(values), "LOG_MESSAGE": log}
    return Command("bizproc.event.send", params)


def text_status(code: str, message_id: str, status: str) -> Command:
    """What became of a text: queued, sent, delivered, undelivered or failed."""
    params = {"CODE": code, "MESSAGE_ID": message_id, "STATUS": status}
    return Command("messageservice.message.status.update", params)
