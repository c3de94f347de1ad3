"""The portal itself: what it holds, and what people do in it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta, timezone
from decimal import Decimal
from typing import Any

from app.clock import Clock, utc_now
from app.simulators.bitrix24.calls import Calls, Plan
from app.simulators.bitrix24.limits import Limits, Meter

DOMAIN = "school.bitrix24.ru"
MOSCOW = timezone(timedelta(hours=3))
STAGES = {"NEW": "P", "PREPARATION": "P", "EXECUTING": "P", "WON": "S", "LOSE": "F"}
TOKEN_SECONDS = 3600
MANAGER = 7


@dataclass
class Contact:
    """A person in the CRM. `phones` are as people typed them."""

    id: int
    name: str
    last_name: str = ""
    phones: tuple[str, ...] = ()
    assigned_by: int = MANAGER
    webform: int | None = None
    fields: dict[str, Any] = field(default_factory=dict[str, Any])  # UF_CRM_*
    updated: str = ""


@dataclass
class Deal:
    """A deal; `contacts` in the order of the card, the first is the main one."""

    id: int
    title: str
    amount: Decimal
    currency: str
    stage: str
    contacts: tuple[int, ...]
    assigned_by: int = MANAGER
    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    updated: str = ""
    moved: str = ""  # when it came to its stage


@dataclass(frozen=True)
class Sent:
    """A notification, timeline line, robot's answer or message status that REST has written."""

    method: str
    params: Mapping[str, Any]


@dataclass
class App:
    """The local application: its id and secret, and the tokens that are valid."""

    client_id: str = "local.5f3b"
    client_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    access: dict[str, float] = field(default_factory=dict[str, float])  # token, until when
    refresh: set[str] = field(default_factory=set[str])
    robots: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    senders: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    placements: dict[str, str] = field(default_factory=dict[str, str])


class Portal:
    """One portal. `webhook_secret` opens its incoming webhook, `application_token` marks what it posts."""

    def __init__(
        self,
        *,
        plan: Plan | None = None,
        limits: Limits | None = None,
        clock: Clock = utc_now,
        first_id: int = 1,
    ) -> None:
        self.clock = clock
        self.meter = Meter(limits or Limits())
        self.calls = Calls(plan or Plan())
        self.member_id = secrets.token_hex(16)
        self.application_token = secrets.token_hex(16)
        self.webhook_user, self.webhook_secret = 1, secrets.token_hex(8)
        self.app = App()
        self.contacts: dict[int, Contact] = {}
        self.deals: dict[int, Deal] = {}
        self.userfields: dict[str, dict[str, Any]] = {}
        self.sent: list[Sent] = []
        self.answers_html = 0  # so many REST requests are answered by a proxy's page instead
        self._handlers: list[tuple[str, str]] = []
        self._first_id = first_id
        self._next_ids: dict[str, int] = {}

    def next_id(self, kind: str) -> int:
        self._next_ids[kind] = self._next_ids.get(kind, self._first_id - 1) + 1
        return self._next_ids[kind]

    def now_text(self) -> str:
        """The moment as REST writes it: "2025-01-29T14:05:52+03:00"."""
        return self.clock().astimezone(MOSCOW).isoformat(timespec="seconds")

    # --- what people do ---

    def add_contact(
        self, name: str, *phones: str, last_name: str = "", webform: int | None = None
    ) -> Contact:
        contact = Contact(self.next_id("contact"), name, last_name, phones, webform=webform)
        contact.updated = self.now_text()
        self.contacts[contact.id] = contact
        self.tell("ONCRMCONTACTADD", contact.id)
        return contact

    def edit_contact(self, contact: Contact, **values: Any) -> None:
        for name, value in values.items():
            setattr(contact, name, value)
        contact.updated = self.now_text()
        self.tell("ONCRMCONTACTUPDATE", contact.id)

    def add_deal(
        self, amount: str | int, *contacts: Contact, title: str = "Курс шахмат", currency: str = "RUB"
    ) -> Deal:
        ids = tuple(contact.id for contact in contacts)
        deal = Deal(self.next_id("deal"), title, Decimal(amount), currency, "NEW", ids)
        deal.updated = deal.moved = self.now_text()
        self.deals[deal.id] = deal
        self.tell("ONCRMDEALADD", deal.id)
        return deal

    def edit_deal(self, deal: Deal, **values: Any) -> None:
        """Change a deal's title, amount, stage, currency or contacts: every edit is an event."""
        deal.updated = self.now_text()
        if values.get("stage", deal.stage) != deal.stage:
            deal.moved = deal.updated
        for name, value in values.items():
            setattr(deal, name, Decimal(value) if name == "amount" else value)
        self.tell("ONCRMDEALUPDATE", deal.id)

    def win(self, deal: Deal) -> None:
        self.edit_deal(deal, stage="WON")

    def lose(self, deal: Deal) -> None:
        self.edit_deal(deal, stage="LOSE")

    def delete_deal(self, deal: Deal) -> None:
        del self.deals[deal.id]
        self.tell("ONCRMDEALDELETE", deal.id)

    def run_robot(self, code: str, document: str, properties: Mapping[str, str]) -> str:
        """Let a robot of the application work on "DEAL_7" or "CONTACT_3"; its event token."""
        token = secrets.token_hex(20)
        kind = "CCrmDocumentDeal" if document.startswith("DEAL") else "CCrmDocumentContact"
        fields = {
            "workflow_id": f"{secrets.token_hex(6)}.{self.next_id('workflow')}",
            "code": code,
            "document_id": ["crm", kind, document],
            "document_type": ["crm", kind, document.split("_", maxsplit=1)[0]],
            "event_token": token,
            "properties": dict(properties),
            "use_subscription": "Y",
            "timeout_duration": "60",
        }
        self._post_for_app(self.app.robots[code]["HANDLER"], fields)
        return token

    def run_webhook_robot(self, url: str, document: str) -> None:
        """The stock robot "outgoing webhook" on a stage: it knows a document and nothing of the event."""
        kind = "CCrmDocumentDeal" if document.startswith("DEAL") else "CCrmDocumentContact"
        self.calls.put(url, {"document_id": ["crm", kind, document], "auth": self._webhook_auth()})

    def send_sms(self, code: str, phone: str, text: str) -> str:
        """A "send SMS" step through the application's provider; the message's id."""
        message_id = secrets.token_hex(16)
        fields = {
            "module_id": "bizproc",
            "document_id": ["crm", "CCrmDocumentContact", "CONTACT_1"],
            "properties": {"phone_number": phone, "message_text": text},
            "type": "SMS",
            "code": code,
            "message_id": message_id,
            "message_to": phone,
            "message_body": text,
        }
        self._post_for_app(self.app.senders[code]["HANDLER"], fields)
        return message_id

    # --- what it tells others ---

    def subscribe(self, event: str, url: str) -> None:
        """Set up an outgoing webhook for one kind of event."""
        self._handlers.append((event.upper(), url))

    def tell(self, event: str, object_id: int) -> None:
        for wanted, url in self._handlers:
            if wanted == event:
                fields = {
                    "event": event,
                    "event_handler_id": "975",
                    "data": {"FIELDS": {"ID": object_id}},
                    "ts": int(self.clock().timestamp()),
                    "auth": self._webhook_auth(),
                }
                self.calls.put(url, fields)

    def install(self, url: str) -> None:
        """Install the local application: ONAPPINSTALL with tokens goes to its handler."""
        self.calls.put(
            url,
            {
                "event": "ONAPPINSTALL",
                "data": {"VERSION": "1", "ACTIVE": "Y", "INSTALLED": "Y", "LANGUAGE_ID": "ru"},
                "ts": int(self.clock().timestamp()),
                "auth": self.app_auth(),
            },
        )

    def app_auth(self) -> dict[str, object]:
        """What an application is given: the webhook's five values, and fresh tokens."""
        access, refresh = self.grant()
        return self._webhook_auth() | {
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": TOKEN_SECONDS,
            "scope": "crm,im,bizproc,placement,messageservice",
            "status": "L",
            "user_id": self.webhook_user,
        }

    def tab_request(self, deal: Deal) -> tuple[dict[str, str], dict[str, str]]:
        """The query and the form with which the portal opens the application's tab in a deal's card."""
        access, refresh = self.grant()
        query = {"DOMAIN": DOMAIN, "PROTOCOL": "1", "LANG": "ru", "APP_SID": secrets.token_hex(16)}
        form = {
            "AUTH_ID": access,
            "AUTH_EXPIRES": str(TOKEN_SECONDS),
            "REFRESH_ID": refresh,
            "member_id": self.member_id,
            "APPLICATION_TOKEN": self.application_token,
            "PLACEMENT": "CRM_DEAL_DETAIL_TAB",
            "PLACEMENT_OPTIONS": f'{{"ID":"{deal.id}"}}',
        }
        return query, form

    def grant(self) -> tuple[str, str]:
        """A new access token and a new refresh token."""
        access, refresh = secrets.token_hex(32), secrets.token_hex(32)
        self.app.access[access] = self.clock().timestamp() + TOKEN_SECONDS
        self.app.refresh.add(refresh)
        return access, refresh

    def _webhook_auth(self) -> dict[str, object]:
        return {
            "domain": DOMAIN,
            "client_endpoint": f"https://{DOMAIN}/rest/",
            "server_endpoint": "https://oauth.bitrix24.tech/rest/",
            "member_id": self.member_id,
            "application_token": self.application_token,
        }

    def _post_for_app(self, url: str, fields: dict[str, Any]) -> None:
        now = int(self.clock().timestamp())
        self.calls.put(url, fields | {"ts": now, "auth": self.app_auth()})
