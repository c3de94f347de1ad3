"""What is sent back to us: a letter that bounced (RFC 3464), a reader who complained (RFC 5965).

Both are mails of their own, multipart/report, with a part for machines, and the letter they speak of or its
headers. Ours is known by its Message-ID, which is our message's id at our domain.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.policy import default
from typing import Literal

Kind = Literal["bounced", "delayed", "delivered", "complained"]

_OURS = re.compile(r"^message-id:\s*<(msg_[0-9a-z]+)@", re.ASCII | re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b", re.ASCII)
_BY_ACTION: dict[str, Kind] = {
    "failed": "bounced",
    "delayed": "delayed",
    "delivered": "delivered",
    "relayed": "delivered",
    "expanded": "delivered",
}
# Enhanced codes (RFC 3463) that say the address itself is no good: no such mailbox, domain, or user any more.
_NO_SUCH_ADDRESS = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})


class UnreadableReport(ValueError):
    """The mail is no report about a letter of ours; the message says what is missing."""


@dataclass(frozen=True)
class Report:
    """What became of one letter. `status` is the enhanced code (RFC 3463), empty where none was given."""

    message_id: str
    kind: Kind
    status: str = ""

    @property
    def is_bad_address(self) -> bool:
        """Whether no letter will ever arrive there."""
        return self.kind == "bounced" and is_bad_address(self.status)


def is_bad_address(status: str) -> bool:
    """Whether an enhanced status code says that there is no such address."""
    return status in _NO_SUCH_ADDRESS


def status_in(words: str) -> str:
    """The enhanced code in a server's words, such as "5.1.1"; empty without one."""
    found = _STATUS.search(words)
    return found[0] if found else ""


def read(mail: bytes) -> Report:
    """Read a report as it came. Raises UnreadableReport."""
    message = message_from_bytes(mail, policy=default)
    if message.get_content_type() != "multipart/report":
        raise UnreadableReport("this mail is no report: its type is not multipart/report")
    parts = list(message.walk())
    message_id = _ours(parts)
    if any(part.get_content_type() == "message/feedback-report" for part in parts):
        return Report(message_id, "complained")
    for fields in _recipients(parts):
        action = str(fields.get("Action", "")).strip().lower()
        if action in _BY_ACTION:
            return Report(message_id, _BY_ACTION[action], status_in(str(fields.get("Status", ""))))
    raise UnreadableReport("the report names no recipient with an action (RFC 3464, 2.3.3)")


def _ours(parts: Sequence[Message]) -> str:
    for part in parts:
        if part.get_content_type() in ("text/rfc822-headers", "message/rfc822"):
            found = _OURS.search(part.as_string())
            if found:
                return found[1]
    raise UnreadableReport(
        "the report returns no letter of ours: it must hold its headers, with the Message-ID"
    )


def _recipients(parts: Sequence[Message]) -> Iterator[Message]:
    """The groups of fields of message/delivery-status; the first, of the whole letter, has no action."""
    for part in parts:
        if part.get_content_type() == "message/delivery-status":
            yield from (each for each in part.walk() if each is not part)
