"""Sending one e-mail through an SMTP server.

Errors as in `app.channels.sms`: surely not accepted (TemporaryFailure, PermanentFailure) or, when the
connection is lost after the text was handed over, OutcomeUnknown. Source: RFC 5321, 4.2.1 and 6.1.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as WIRE_FORMAT
from email.utils import formatdate, parseaddr
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from aiosmtplib import SMTP, SMTPException, SMTPRecipientRefused, SMTPResponseException

from app.channels.bounces import is_bad_address, status_in
from app.channels.sms import OutcomeUnknown
from app.errors import PermanentFailure, TemporaryFailure
from app.settings import PREFIX, Settings

_DEADLINE_SECONDS = 30.0
_PORTS = {"smtp": 587, "smtps": 465}
_URL_REMEDY = f"{PREFIX}SMTP_URL: write smtp://user:password@host:587 or smtps://user:password@host:465"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class AddressRefused(PermanentFailure):
    """There is no such address, says the server. `status` is its enhanced code (RFC 3463)."""

    def __init__(self, status: str) -> None:
        super().__init__(f"bounced {status}")
        self.status = status


class WrongEmailSettings(ValueError):
    """The mail server cannot be opened; the message names the variable and the remedy."""


@dataclass(frozen=True)
class Email:
    """One letter. `message_id` is our message's id: with it a mail program shows a repeated letter once."""

    recipient: str
    subject: str
    text: str
    html: str | None
    message_id: str
    unsubscribe_url: str | None = None  # of a campaign: mail programs show a button for it


@dataclass(frozen=True)
class Server:
    """Where to hand letters over. `is_tls`: from the first byte, else STARTTLS where it is offered."""

    host: str
    port: int
    is_tls: bool = False
    username: str | None = None
    password: str | None = None


class EmailSender:
    """Letters from one address through one server; each has a connection of its own."""

    def __init__(
        self,
        server: Server,
        email_from: str,
        *,
        bounces_to: str | None = None,
        deadline_seconds: float = _DEADLINE_SECONDS,
    ) -> None:
        """`bounces_to` hears of letters that do not arrive, in place of the sender (RFC 5321, 3.3).

        Raises WrongEmailSettings when `email_from` is not like "Passbell <cards@example.com>".
        """
        name, address = parseaddr(email_from)
        try:
            self._sender = Address(name, addr_spec=address)
        except (ValueError, IndexError, MessageError) as error:
            raise WrongEmailSettings(f"{PREFIX}EMAIL_FROM: write Passbell <cards@example.com>") from error
        self._bounces_to = bounces_to or self._sender.addr_spec
        self._server, self._deadline_seconds = server, deadline_seconds

    async def send(self, email: Email) -> None:
        """Hand one letter to the server.

        Raises TemporaryFailure, PermanentFailure, or OutcomeUnknown: never resend that one blindly.
        """
        content = self._content(email)
        client = self._client()
        try:
            await self._open(client, email.recipient)
            await self._hand_over(client, content)
        finally:
            client.close()

    def _client(self) -> SMTP:
        # A password never crosses a network unencrypted: there STARTTLS is then a must.
        must_encrypt = self._server.password is not None and self._server.host not in _LOOPBACK
        return SMTP(
            hostname=self._server.host,
            port=self._server.port,
            username=self._server.username,
            password=self._server.password,
            use_tls=self._server.is_tls,
            start_tls=None if self._server.is_tls or not must_encrypt else True,
            timeout=self._deadline_seconds,
        )

    def _content(self, email: Email) -> bytes:
        message = EmailMessage(policy=WIRE_FORMAT)
        try:
            message["From"] = self._sender
            message["To"] = Address(addr_spec=email.recipient)
            message["Subject"] = email.subject
            message["Message-ID"] = f"<{email.message_id}@{self._sender.domain}>"
            message["Date"] = formatdate()
            message["Auto-Submitted"] = "auto-generated"  # RFC 3834: holiday notices stay away
            if email.unsubscribe_url is not None:  # RFC 8058: one click, without a page
                message["List-Unsubscribe"] = f"<{email.unsubscribe_url}>"
                message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
            message.set_content(email.text)
            if email.html is not None:
                message.add_alternative(email.html, subtype="html")
            return message.as_bytes()
        except (ValueError, IndexError, MessageError) as error:
            raise PermanentFailure("e-mail: the recipient or the subject is malformed") from error

    async def _open(self, client: SMTP, recipient: str) -> None:
        """Everything before the letter itself: whatever fails here, it was not accepted."""
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await client.connect()
                await client.mail(self._bounces_to)
                await client.rcpt(recipient)
        except SMTPRecipientRefused as error:
            if is_bad_address(status := status_in(error.message)):
                raise AddressRefused(status) from error
            _refuse(error)
        except SMTPResponseException as error:
            _refuse(error)
        except UnicodeError as error:
            raise PermanentFailure("e-mail: the address has letters this server cannot take") from error
        except (SMTPException, OSError) as error:
            raise TemporaryFailure(f"e-mail: no connection ({type(error).__name__})") from error

    async def _hand_over(self, client: SMTP, content: bytes) -> None:
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await client.data(content)
        except SMTPResponseException as error:
            _refuse(error)
        except (SMTPException, OSError) as error:
            raise OutcomeUnknown(f"e-mail: no answer ({type(error).__name__})") from error
        with contextlib.suppress(SMTPException, OSError):  # accepted already: a lost goodbye changes nothing
            await client.quit(timeout=1)


def open_email(settings: Settings) -> EmailSender | None:
    """The sender the settings describe; None where no mail server is set. Raises WrongEmailSettings."""
    if settings.smtp_url is None:
        return None
    if not settings.email_from:
        raise WrongEmailSettings(f"{PREFIX}EMAIL_FROM is needed beside {PREFIX}SMTP_URL")
    server = _server(settings.smtp_url.get_secret_value())
    return EmailSender(server, settings.email_from, bounces_to=settings.email_bounces_to)


def _server(url: str) -> Server:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError) as error:
        raise WrongEmailSettings(_URL_REMEDY) from error
    if not host or parts.scheme not in _PORTS:
        raise WrongEmailSettings(_URL_REMEDY)
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    return Server(host, port, parts.scheme == "smtps", username, password)


def _refuse(error: SMTPResponseException) -> NoReturn:
    """The server's words stay out: they often repeat the address."""
    if 400 <= error.code < 500:
        raise TemporaryFailure(f"e-mail: the server answered {error.code}") from error
    raise PermanentFailure(f"e-mail: the server answered {error.code}") from error
