"""What a portal posts to us, by its shape: an event, a robot, a text for a phone, an installation.

An event says that something changed and nothing of what: the rest is read by REST. Everything may carry
tokens when we are its application.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from app.crm import Delivery, Unreadable
from app.crm.bitrix24.rest import Tokens
from app.crm.form_body import at, read_form, text_at

Kind = Literal["deal", "contact"]

_EVENT = re.compile(r"ONCRM(DEAL|CONTACT)(ADD|UPDATE|DELETE)")
_DOCUMENT = re.compile(r"(DEAL|CONTACT)_([0-9]{1,15})")
_SECRETS = re.compile(
    rb"((?:^|&)auth(?:\[|%5B)(?:access_token|refresh_token|application_token)(?:\]|%5D)=)[^&]*",
    re.IGNORECASE,
)
_TOKEN_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Changed:
    """A deal or contact was made ("ADD"), changed ("UPDATE") or deleted ("DELETE")."""

    kind: Kind
    id: int
    what: str


@dataclass(frozen=True, slots=True)
class RobotRan:
    """A robot of ours works on a deal or a contact, and waits for its values."""

    code: str
    kind: Kind
    id: int
    event_token: str
    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StageReached:
    """The stock robot "outgoing webhook": it names a document; what to do stands in the address' query."""

    kind: Kind
    id: int


@dataclass(frozen=True, slots=True)
class TextWanted:
    """A "send SMS" step that chose us as its provider."""

    message_id: str
    code: str
    phone: str
    text: str


@dataclass(frozen=True, slots=True)
class Installed:
    """The application was installed: its tokens came along."""


Posted = Changed | RobotRan | StageReached | TextWanted | Installed


def read(body: bytes) -> Posted | None:
    """What a body says; None for what does not concern us. Raises Unreadable."""
    form = read_form(body)
    event = (text_at(form, "event") or "").upper()
    if event == "ONAPPINSTALL":
        return Installed()
    if event:
        return _changed(event, form)
    if text_at(form, "message_id"):
        return TextWanted(
            message_id=text_at(form, "message_id") or "",
            code=text_at(form, "code") or "",
            phone=text_at(form, "message_to") or text_at(form, "properties.phone_number") or "",
            text=text_at(form, "message_body") or text_at(form, "properties.message_text") or "",
        )
    return _on_document(form)


def _changed(event: str, form: Mapping[str, Any]) -> Changed | None:
    match = _EVENT.fullmatch(event)
    if match is None:
        return None
    id_ = text_at(form, "data.FIELDS.ID") or ""
    if not id_.isdecimal():
        raise Unreadable("data[FIELDS][ID] is no number")
    return Changed(_kind(match[1]), int(id_), match[2])


def _on_document(form: Mapping[str, Any]) -> RobotRan | StageReached:
    match = _DOCUMENT.fullmatch(text_at(form, "document_id.2") or "")
    if match is None:
        raise Unreadable("document_id names neither a deal nor a contact")
    kind, id_ = _kind(match[1]), int(match[2])
    token = text_at(form, "event_token")
    if token is None:
        return StageReached(kind, id_)
    properties = at(form, "properties")
    named = cast("dict[str, Any]", properties) if isinstance(properties, dict) else {}
    values = {name: value for name, value in named.items() if isinstance(value, str)}
    return RobotRan(text_at(form, "code") or "", kind, id_, token, values)


def _kind(word: str) -> Kind:
    return "deal" if word == "DEAL" else "contact"


def application_token(delivery: Delivery) -> str:
    """The token that marks what the portal posts; "" where there is none. Never raises."""
    return _auth(delivery.body).get("application_token", "")


def tokens(body: bytes) -> Tokens | None:
    """The application's tokens, where they came along."""
    auth = _auth(body)
    access, refresh = auth.get("access_token"), auth.get("refresh_token")
    if not access or not refresh:
        return None
    seconds = auth.get("expires_in", "")
    return Tokens(access, refresh, int(seconds) if seconds.isdecimal() else _TOKEN_SECONDS)


def posted_at(delivery: Delivery) -> datetime | None:
    """When the portal posted it, by its own clock; None where it does not say."""
    stamp = text_at(read_form(delivery.body), "ts") or ""
    return datetime.fromtimestamp(int(stamp), UTC) if re.fullmatch(r"[0-9]{9,11}", stamp) else None


def without_secrets(body: bytes) -> bytes:
    """The body without what would let its reader into the portal, or pass for it."""
    return _SECRETS.sub(rb"\1...", body)


def event_id(delivery: Delivery) -> str | None:
    """The same for a delivery that comes twice: Bitrix24 numbers none, so from what it is about.

    A robot on a stage says nothing that tells a repetition from the deal's coming back there, and an event
    of a deal nothing that tells it from another edit in the same second: each counts. Both only make us read
    the deal, and a second reading changes nothing.
    """
    try:
        form = read_form(delivery.body)
    except Unreadable:
        return None
    if token := text_at(form, "event_token"):
        return f"robot:{token}"
    if message_id := text_at(form, "message_id"):
        return f"text:{message_id}"
    if document := text_at(form, "document_id.2"):
        return f"stage:{document[:32]}:{delivery.received_at.isoformat()}"
    parts = [text_at(form, path) for path in ("event", "data.FIELDS.ID", "ts")]
    if not all(parts):
        return None
    named = ":".join(each.lower() for each in parts if each)
    return f"{named}:{delivery.received_at.isoformat()}" if named.startswith("oncrmdeal") else named


def _auth(body: bytes) -> dict[str, str]:
    try:
        auth = at(read_form(body), "auth")
    except Unreadable:
        return {}
    named = cast("dict[str, Any]", auth) if isinstance(auth, dict) else {}
    return {name: value for name, value in named.items() if isinstance(value, str)}
