"""Apple Wallet, ready to use: from a pass's content to the bytes of its signed .pkpass."""

from collections.abc import Mapping
from datetime import datetime

from app.errors import PermanentFailure
from app.wallets.apple.compile import compile_pass
from app.wallets.apple.pass_file import PassFileBuilder
from app.wallets.apple.signing import CmsSigner
from app.wallets.content import PassContent, PassIdentity
from app.wallets.templates import PassTemplate


class UnknownTemplate(PermanentFailure):
    """A pass names a template whose folder is not there."""


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
        compiled = compile_pass(template, content, identity)
        return self._builders[template_name].build(compiled.pass_json, extra=compiled.extra_files, now=now)
