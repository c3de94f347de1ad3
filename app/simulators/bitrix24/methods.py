"""The REST methods of the simulated portal: each takes its parameters and gives what stands in "result"."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from app.simulators.bitrix24.portal import STAGES, Contact, Deal, Portal, Sent

DEAL, CONTACT = 2, 3
PAGE = 50
DUPLICATES_MAX = 20
_CODE = re.compile(r"[a-zA-Z0-9._-]+")
_STATUSES = ("queued", "sent", "delivered", "undelivered", "failed")

Params = dict[str, Any]


class RestError(Exception):
    """What the portal answers instead of a result."""

    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(code)
        self.status, self.code, self.description = status, code, description


@dataclass(frozen=True)
class Page:
    """One page of a list: `next` is where the following one starts."""

    result: object
    total: int
    next: int | None


@dataclass(frozen=True)
class Method:
    """`needs_app`: an incoming webhook may not call it."""

    scope: str
    run: Callable[[Portal, Params], object]
    needs_app: bool = False


def _item(portal: Portal, params: Params) -> dict[str, Any]:
    found = _found(portal, _kind(params), _number(params, "id"))
    return {"item": _shown(found)}


def _items(portal: Portal, params: Params) -> Page:
    kind = _kind(params)
    rows = [_shown(each) for each in (portal.deals if kind == DEAL else portal.contacts).values()]
    wanted = cast("dict[str, Any]", params.get("filter") or {})
    rows = [row for row in rows if all(_matches(row, name, value) for name, value in wanted.items())]
    for name, way in reversed(list(cast("dict[str, str]", params.get("order") or {"id": "asc"}).items())):
        rows.sort(key=lambda row: row[name], reverse=way.lower() == "desc")
    start = max(0, int(params.get("start") or 0))
    page = rows[start : start + PAGE]
    return Page({"items": page}, len(rows), start + PAGE if start + PAGE < len(rows) else None)


def _matches(row: dict[str, Any], name: str, value: object) -> bool:
    sign, field = re.fullmatch(r"(>=|<=|>|<|=|@|)(\w+)", name).groups()  # type: ignore[union-attr]
    if field not in row:
        raise RestError(400, "INVALID_ARG_VALUE", f"Invalid filter: field '{field}' is not allowed in filter")
    have = row[field]
    if sign == "@":
        return str(have) in {str(each) for each in cast("list[object]", value)}
    want = type(have)(value)  # type: ignore[call-arg]
    return {"": have == want, "=": have == want, ">": have > want, ">=": have >= want, "<": have < want,
            "<=": have <= want}[sign]  # fmt: skip


def _update(portal: Portal, params: Params) -> dict[str, Any]:
    found = _found(portal, _kind(params), _number(params, "id"))
    fields = cast("dict[str, Any]", params.get("fields") or {})
    for name, value in fields.items():
        if not name.startswith("UF_CRM_"):
            raise RestError(400, "INVALID_ARG_VALUE", f"Field {name} cannot be changed here")
        if isinstance(found, Contact) and name not in portal.userfields:
            continue  # REST passes over fields that are not there
        found.fields[name] = value
    found.updated = portal.now_text()
    portal.tell("ONCRMDEALUPDATE" if isinstance(found, Deal) else "ONCRMCONTACTUPDATE", found.id)
    return {"item": _shown(found)}


def _old_deal(portal: Portal, params: Params) -> dict[str, Any]:
    """The deprecated form, in which everything is a string."""
    deal = _found(portal, DEAL, _number(params, "id"))
    assert isinstance(deal, Deal)
    return {
        "ID": str(deal.id),
        "TITLE": deal.title,
        "STAGE_ID": deal.stage,
        "STAGE_SEMANTIC_ID": STAGES[deal.stage],
        "OPPORTUNITY": f"{deal.amount:.2f}",
        "CURRENCY_ID": deal.currency,
        "CONTACT_ID": str(deal.contacts[0]) if deal.contacts else None,
        "ASSIGNED_BY_ID": str(deal.assigned_by),
        "CLOSED": "N" if STAGES[deal.stage] == "P" else "Y",
        "DATE_MODIFY": deal.updated,
        "MOVED_TIME": deal.moved,
    }


def _deal_contacts(portal: Portal, params: Params) -> list[dict[str, Any]]:
    deal = _found(portal, DEAL, _number(params, "id"))
    assert isinstance(deal, Deal)
    return [
        {"CONTACT_ID": id_, "SORT": 10 * (place + 1), "ROLE_ID": 0, "IS_PRIMARY": "N" if place else "Y"}
        for place, id_ in enumerate(deal.contacts)
    ]


def _find_by_phone(portal: Portal, params: Params) -> dict[str, list[int]] | list[object]:
    if params.get("type") not in ("PHONE", "EMAIL"):
        raise RestError(400, "", "Communication type is not defined")
    values = _listed(params.get("values"))[:DUPLICATES_MAX]
    wanted = {_digits(str(value)) for value in values}
    found = [c.id for c in portal.contacts.values() if wanted & {_digits(phone) for phone in c.phones}]
    return {"CONTACT": found[:DUPLICATES_MAX]} if found else []


def _add_userfield(portal: Portal, params: Params) -> int:
    fields = cast("dict[str, Any]", params.get("fields") or {})
    name = str(fields.get("FIELD_NAME", "")).upper()
    if not re.fullmatch(r"(UF_CRM_)?[A-Z0-9_]{1,50}", name):
        raise RestError(400, "ERROR_CORE", "Field FIELD_NAME is wrong")
    name = name if name.startswith("UF_CRM_") else f"UF_CRM_{name}"
    if name in portal.userfields:
        raise RestError(400, "ERROR_CORE", f"Поле {name} для объекта CRM_CONTACT уже существует.")
    portal.userfields[name] = fields
    return portal.next_id("userfield")


def _notify(portal: Portal, params: Params) -> int:
    if not str(params.get("USER_ID", "")).isdigit():
        raise RestError(400, "USER_ID_EMPTY", "User ID can't be empty")
    if not params.get("MESSAGE"):
        raise RestError(400, "MESSAGE_EMPTY", "Message can't be empty")
    tag = params.get("TAG")
    if tag:  # the newer notice takes the older one's place
        portal.sent = [each for each in portal.sent if each.params.get("TAG") != tag]
    return _record("im.notify.system.add")(portal, params)


def _record(method: str) -> Callable[[Portal, Params], int]:
    def run(portal: Portal, params: Params) -> int:
        portal.sent.append(Sent(method, params))
        return portal.next_id("sent")

    return run


def _add_robot(portal: Portal, params: Params) -> bool:
    code = str(params.get("CODE", ""))
    if not _CODE.fullmatch(code):
        raise RestError(400, "ERROR_ACTIVITY_VALIDATION_FAILURE", "Wrong activity code!")
    if not str(params.get("HANDLER", "")).startswith(("http://", "https://")):
        raise RestError(400, "ERROR_UNSUPPORTED_PROTOCOL", "Unsupported handler protocol")
    if not params.get("NAME"):
        raise RestError(400, "ERROR_ACTIVITY_VALIDATION_FAILURE", "Empty activity NAME!")
    if code in portal.app.robots:
        raise RestError(400, "ERROR_ACTIVITY_ALREADY_INSTALLED", "Activity or Robot already installed!")
    portal.app.robots[code] = params
    return True


def _add_sender(portal: Portal, params: Params) -> bool:
    code = str(params.get("CODE", ""))
    if not _CODE.fullmatch(code):
        raise RestError(400, "ERROR_SENDER_VALIDATION_FAILURE", "Wrong sender code!")
    if params.get("TYPE") != "SMS":
        raise RestError(400, "ERROR_SENDER_VALIDATION_FAILURE", "Unknown sender message TYPE!")
    if not params.get("NAME"):
        raise RestError(400, "ERROR_SENDER_VALIDATION_FAILURE", "Empty sender NAME!")
    if code in portal.app.senders:
        raise RestError(400, "ERROR_SENDER_ALREADY_INSTALLED", "Sender already installed!")
    portal.app.senders[code] = params
    return True


def _bind_placement(portal: Portal, params: Params) -> bool:
    portal.app.placements[str(params["PLACEMENT"])] = str(params["HANDLER"])
    return True


def _bind_event(portal: Portal, params: Params) -> bool:
    portal.subscribe(str(params["event"]), str(params["handler"]))
    return True


def _message_status(portal: Portal, params: Params) -> bool:
    if params.get("CODE") not in portal.app.senders:
        raise RestError(400, "ERROR_MESSAGE_NOT_FOUND", "Message not found!")
    if params.get("STATUS") not in _STATUSES:
        raise RestError(400, "ERROR_MESSAGE_STATUS_INCORRECT", "Message status incorrect!")
    _record("messageservice.message.status.update")(portal, params)
    return True


def _answer_robot(portal: Portal, params: Params) -> bool:
    if not params.get("EVENT_TOKEN"):
        raise RestError(400, "ERROR_EVENT_TOKEN", "Wrong event token")
    _record("bizproc.event.send")(portal, params)
    return True


METHODS: dict[str, Method] = {
    "server.time": Method("basic", lambda portal, _params: portal.now_text()),
    "crm.item.get": Method("crm", _item),
    "crm.item.list": Method("crm", _items),
    "crm.item.update": Method("crm", _update),
    "crm.deal.get": Method("crm", _old_deal),
    "crm.deal.contact.items.get": Method("crm", _deal_contacts),
    "crm.duplicate.findbycomm": Method("crm", _find_by_phone),
    "crm.contact.userfield.add": Method("crm", _add_userfield),
    "crm.timeline.comment.add": Method("crm", _record("crm.timeline.comment.add")),
    "im.notify.system.add": Method("im", _notify),
    "bizproc.robot.add": Method("bizproc", _add_robot, needs_app=True),
    "bizproc.event.send": Method("bizproc", _answer_robot, needs_app=True),
    "messageservice.sender.add": Method("messageservice", _add_sender, needs_app=True),
    "messageservice.message.status.update": Method("messageservice", _message_status, needs_app=True),
    "placement.bind": Method("placement", _bind_placement, needs_app=True),
    "event.bind": Method("crm", _bind_event, needs_app=True),
}


def _found(portal: Portal, kind: int, id_: int) -> Deal | Contact:
    found = portal.deals.get(id_) if kind == DEAL else portal.contacts.get(id_)
    if found is None:
        raise RestError(400, "NOT_FOUND", "Элемент не найден")
    return found


def _kind(params: Params) -> int:
    kind = _number(params, "entityTypeId")
    if kind not in (DEAL, CONTACT):
        raise RestError(400, "ENTITY_TYPE_NOT_SUPPORTED", "Entity type is not supported")
    return kind


def _number(params: Params, name: str) -> int:
    value = str(params.get(name, params.get(name.upper(), "")))
    if not value.isdigit():
        raise RestError(400, "100", f"Could not find value for parameter {{{name}}}")
    return int(value)


def _listed(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(cast("dict[str, object]", value).values())
    return cast("list[object]", value) if isinstance(value, list) else []


def _digits(phone: str) -> str:
    return re.sub(r"\D", "", phone).removeprefix("8").removeprefix("7")


def _shown(item: Deal | Contact) -> dict[str, Any]:
    shared = {"id": item.id, "assignedById": item.assigned_by, "updatedTime": item.updated, **item.fields}
    if isinstance(item, Deal):
        return shared | {
            "title": item.title,
            "stageId": item.stage,
            "stageSemanticId": STAGES[item.stage],
            "opportunity": float(item.amount),
            "currencyId": item.currency,
            "contactId": item.contacts[0] if item.contacts else 0,
            "contactIds": list(item.contacts),
            "closed": "N" if STAGES[item.stage] == "P" else "Y",
            "categoryId": 0,
            "movedTime": item.moved,
        }
    return shared | {
        "name": item.name,
        "lastName": item.last_name,
        "webformId": item.webform,
        "fm": [
            {"id": number, "valueType": "WORK", "value": phone, "typeId": "PHONE"}
            for number, phone in enumerate(item.phones, 1)
        ],
    }
