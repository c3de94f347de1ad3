"""Google Wallet, ready to use: a pass's class, object and save link. Pure; `api.py` sends them."""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from app.wallets.content import PassContent
from app.wallets.google.compile import Ids, compile_class, compile_object, kind_of
from app.wallets.google.compile.shown import Shown
from app.wallets.google.images import HostedImages
from app.wallets.google.save_link import SAVE_URL, save_link
from app.wallets.google.service_account import ServiceAccount
from app.wallets.templates import PassTemplate, UnknownTemplate
from app.wallets.templates.google import GoogleKind

CALLBACK_PATH = "/google/callback"

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class GoogleProgram:
    """What a class says of the programme whose passes it holds. `slug` is part of its id, for ever."""

    slug: str
    name: str
    language: str
    currency: str
    country: str
    time_zone: str

    def content(self) -> PassContent:
        """What all members of the programme share, as a template is filled from it."""
        return PassContent(
            values={"program_name": self.name},
            barcode="",
            language=self.language,
            currency=self.currency,
            country=self.country,
            time_zone=self.time_zone,
        )


class GoogleWallet:
    """Writes classes, objects and save links of one issuer. Ids are the same whenever they are asked for.

    Issuer ids are texts: they exceed what a JSON number keeps exactly.
    """

    def __init__(
        self,
        templates: Mapping[str, PassTemplate],
        account: ServiceAccount,
        *,
        issuer_id: str,
        public_url: str,
        secret_key: bytes,
        save_url: str = SAVE_URL,
    ) -> None:
        self.issuer_id = issuer_id
        self.account = account
        self.images = HostedImages(public_url, templates)
        self.callback_url = f"{public_url}{CALLBACK_PATH}"
        self._origin = urlsplit(public_url).netloc
        self._templates = templates
        self._secret_key = secret_key
        self._save_url = save_url

    def kind(self, template_name: str) -> GoogleKind:
        """Which of Google's kinds these passes are: its resources are `loyaltyClass` and `loyaltyObject`."""
        return kind_of(self._template(template_name))

    def links_others(self, template_name: str) -> bool:
        """Whether Google is to put the member's other passes beside one of these."""
        return self._template(template_name).definition.google.links_others

    def class_id(self, template_name: str, program: GoogleProgram, content: PassContent | None = None) -> str:
        """The id of the class of these passes: "3388000000022.coffee.coffee.loyalty".

        Google can delete no class and change no class's kind, so the kind is in it. `content` is needed
        where the template keeps a class for each flight or event (class_by).
        """
        template = self._template(template_name)
        parts = [program.slug, template_name, kind_of(template)]
        if template.definition.google.class_by:
            shown = Shown(template, content or program.content(), self.images.url)
            parts.append(_suffix(shown.text(template.definition.google.class_by)))
        return ".".join([self.issuer_id, *(_NOT_IN_ID.sub("-", part) for part in parts)])

    def object_id(self, serial_number: str) -> str:
        """The id of a pass at Google: "3388000000022.9f86d0..."."""
        return f"{self.issuer_id}.{_NOT_IN_ID.sub('-', serial_number)}"

    def class_body(
        self, template_name: str, program: GoogleProgram, content: PassContent | None = None
    ) -> dict[str, Any]:
        """The class to insert or update. `content` as for `class_id`. Raises UnknownTemplate."""
        template = self._template(template_name)
        shared = content if content and template.definition.google.class_by else program.content()
        return compile_class(
            template,
            shared,
            class_id=self.class_id(template_name, program, content),
            callback_url=self.callback_url,
            image_url=self.images.url,
        )

    def object_body(
        self,
        template_name: str,
        program: GoogleProgram,
        content: PassContent,
        *,
        serial_number: str,
        linked: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The object to insert or update. `linked` are serial numbers of passes Google puts beside it.

        Raises UnknownTemplate.
        """
        template = self._template(template_name)
        rotates = template.definition.google.rotating_barcode is not None
        ids = Ids(
            object_id=self.object_id(serial_number),
            class_id=self.class_id(template_name, program, content),
            linked_ids=[self.object_id(each) for each in linked],
            totp_key=totp_key(self._secret_key, serial_number) if rotates else None,
        )
        return compile_object(template, content, ids, image_url=self.images.url)

    def save_link(self, template_name: str, *, serial_number: str, class_id: str, now: datetime) -> str:
        """The address behind "Add to Google Wallet", for an object that is at Google already."""
        ids = {"id": self.object_id(serial_number), "classId": class_id}
        payload = {f"{self.kind(template_name)}Objects": [ids]}
        return save_link(self.account, payload, origins=[self._origin], now=now, save_url=self._save_url)

    def _template(self, name: str) -> PassTemplate:
        template = self._templates.get(name)
        if template is None:
            raise UnknownTemplate(f"pass template {name!r} is not in the templates' folder")
        return template


def totp_key(secret_key: bytes, serial_number: str) -> bytes:
    """The secret of a pass's rotating barcode: 20 bytes, the same for its life, and stored nowhere."""
    return hmac.digest(secret_key, b"passbell.totp.v1|" + serial_number.encode(), hashlib.sha1)


def _suffix(text: str) -> str:
    """A part of an id for any text: readable, and never the same for two texts."""
    return f"{_NOT_IN_ID.sub('-', text)[:40]}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
