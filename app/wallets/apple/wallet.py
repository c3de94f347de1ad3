"""Apple Wallet, ready to use: from a pass's content to the bytes of its signed .pkpass."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from app.wallets.apple.compile import Compiled, compile_pass
from app.wallets.apple.pass_file import PassFileBuilder
from app.wallets.apple.signing import CmsSigner
from app.wallets.content import PassContent, PassIdentity
from app.wallets.templates import PassTemplate, UnknownTemplate


@dataclass(frozen=True)
class Preview:
    """A pass to be drawn on a page: pass.json without its secrets, and a picture for each slot ("logo")."""

    pass_json: dict[str, Any]
    images: dict[str, bytes]


class AppleWallet:
    """Signs passes of one pass type. The key is loaded and every template prepared once, here."""

    def __init__(
        self,
        templates: Mapping[str, PassTemplate],
        cms: CmsSigner,
        *,
        pass_type_identifier: str,
        team_identifier: str,
        web_service_url: str,
    ) -> None:
        self.pass_type_identifier = pass_type_identifier
        self.team_identifier = team_identifier
        self._web_service_url = web_service_url
        self._templates = templates
        self._builders = {
            name: PassFileBuilder(template.static_files, cms) for name, template in templates.items()
        }

    def pass_file(
        self,
        template_name: str,
        content: PassContent,
        *,
        serial_number: str,
        authentication_token: str,
        now: datetime,
    ) -> bytes:
        """The signed .pkpass that shows this content. Raises UnknownTemplate."""
        compiled = self._compiled(template_name, content, serial_number, authentication_token)
        return self._builders[template_name].build(compiled.pass_json, extra=compiled.extra_files, now=now)

    def _compiled(
        self, template_name: str, content: PassContent, serial_number: str, authentication_token: str
    ) -> Compiled:
        template = self._templates.get(template_name)
        if template is None:
            raise UnknownTemplate(f"pass template {template_name!r} is not in the templates' folder")
        identity = PassIdentity(
            pass_type_identifier=self.pass_type_identifier,
            team_identifier=self.team_identifier,
            serial_number=serial_number,
            authentication_token=authentication_token,
            web_service_url=self._web_service_url,
        )
        return compile_pass(template, content, identity)


def preview(template: PassTemplate, content: PassContent, *, serial_number: str) -> Preview:
    """What a pass shows, to be drawn on a page: its JSON without secrets. Needs no certificate."""
    identity = PassIdentity(
        pass_type_identifier="",
        team_identifier="",
        serial_number=serial_number,
        authentication_token="",
        web_service_url="",
    )
    compiled = compile_pass(template, content, identity)
    shown: dict[str, Any] = orjson.loads(compiled.pass_json)
    for secret in ("authenticationToken", "webServiceURL"):
        shown.pop(secret, None)
    return Preview(shown, _images({**template.static_files, **compiled.extra_files}, content.language))


def _images(files: Mapping[str, bytes], language: str) -> dict[str, bytes]:
    """By slot ("logo"), the sharpest picture for a screen: @2x, in the language where there is one."""
    images: dict[str, bytes] = {}
    for folder in ("", f"{language}.lproj/"):
        for suffix in (".png", "@3x.png", "@2x.png"):
            for path, data in files.items():
                if path.startswith(folder) and path.endswith(suffix):
                    slot = path.removeprefix(folder).removesuffix(suffix)
                    if "/" not in slot and "@" not in slot:
                        images[slot] = data
    return images
