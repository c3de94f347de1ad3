"""The four processes as robots of the portal: how each is registered, what it asks of us, what it gives."""

import hashlib
from collections.abc import Sequence
from typing import Any

from app.crm.bitrix24.deliveries import RobotRan
from app.crm.bitrix24.rest import Command
from app.crm.bitrix24.source import Bitrix24Settings
from app.crm.events import CardWanted, Event, Person, PointsMoved, PurchaseChanged

ISSUE, ADJUST, ACCRUE, CHECK = "passbell_issue", "passbell_adjust", "passbell_accrue", "passbell_check"
SENDER = "passbell"  # the code of our SMS provider


class UnknownRobot(Exception):
    """The portal ran a robot that is none of ours."""


def _words(ru: str, en: str) -> dict[str, str]:
    return {"ru": ru, "en": en}


def _field(ru: str, en: str, kind: str = "string", **more: str) -> dict[str, Any]:
    return {"Name": _words(ru, en), "Type": kind, **more}


# What each robot gives back to the portal's automation.
GIVES = {
    "has_card": _field("Есть карта (Y/N)", "Has a card (Y/N)"),
    "card_number": _field("Номер карты", "Card number"),
    "balance": _field("Баланс", "Balance", "int"),
    "tier": _field("Уровень", "Tier"),
    "redeemable": _field("Можно списать", "May be redeemed", "int"),
    "error": _field("Что не получилось", "What went wrong"),
}
_ROBOTS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    ISSUE: (
        _words("Passbell: выпустить карту", "Passbell: issue a card"),
        {
            "opening_points": _field("Начальный баланс", "Opening balance", "int"),
            "sends_link": _field("Отправить ссылку по SMS", "Send the link by SMS", "bool", Default="Y"),
        },
    ),
    ADJUST: (
        _words("Passbell: начислить или списать баллы", "Passbell: add or redeem points"),
        {
            "points": _field("Баллы: 100 или -100", "Points: 100 or -100", "int", Required="Y"),
            "reason": _field("Причина", "Reason"),
        },
    ),
    ACCRUE: (_words("Passbell: начислить за сделку", "Passbell: earn for the deal"), {}),
    CHECK: (_words("Passbell: проверить карту", "Passbell: check the card"), {}),
}


def registrations(handler: str) -> list[Command]:
    """The calls that make the robots known to a portal; each works on deals and on contacts."""
    filters = {"INCLUDE": [["crm", "CCrmDocumentDeal"], ["crm", "CCrmDocumentContact"]]}
    return [
        Command(
            "bizproc.robot.add",
            {
                "CODE": code,
                "HANDLER": handler,
                "AUTH_USER_ID": 1,
                "USE_SUBSCRIPTION": "Y",
                "NAME": names,
                "PROPERTIES": properties,
                "RETURN_PROPERTIES": GIVES,
                "FILTER": filters,
            },
        )
        for code, (names, properties) in _ROBOTS.items()
    ]


def events(
    ran: RobotRan, purchase: PurchaseChanged | None, person: Person, settings: Bitrix24Settings
) -> Sequence[Event]:
    """What a robot asks for; `purchase` is the deal it ran on. Raises UnknownRobot."""
    given = ran.properties
    if ran.code == ISSUE:
        opening = given.get("opening_points") or str(settings.opening_points)
        return [CardWanted(person, opening, sends_link=given.get("sends_link", "Y") != "N")]
    if ran.code == ADJUST:
        points = given.get("points", "")
        spent = points.strip().startswith("-")
        return [PointsMoved(reference(ran), person, points, given.get("reason", ""), spent=spent)]
    if ran.code == ACCRUE:
        return [purchase] if purchase is not None else []
    if ran.code == CHECK:
        return []
    raise UnknownRobot(ran.code)


def reference(ran: RobotRan) -> str:
    """What the ledger calls one run of a robot, the same when the portal repeats it."""
    return f"robot:{hashlib.sha256(ran.event_token.encode()).hexdigest()[:32]}"
