"""From a template and a member's content to pass.json: what Apple Wallet shows.

Everything that does not depend on the content is prepared once per template and language; a pass then
costs a few tens of microseconds. Signing and packing are `pass_file.py`'s.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import orjson

from app.wallets.apple.compile.barcodes import BarcodesNode
from app.wallets.apple.compile.fields import fields_node, tree_node
from app.wallets.apple.compile.nodes import Dynamic, Shown, freeze
from app.wallets.apple.compile.top_level import top_level_node, transit_type
from app.wallets.content import Loss, PassContent, PassIdentity
from app.wallets.formats import formats_for
from app.wallets.images import draw_stamps
from app.wallets.overrides import merged
from app.wallets.templates import PassTemplate
from app.wallets.text import Text, cleaned

__all__ = ["Compiled", "Loss", "PassIdentity", "compile_pass"]


@dataclass(frozen=True)
class Compiled:
    """pass.json, the files drawn for this pass, and what Wallet will not show of the template.

    The losses are found when somebody asks: a phone that fetches its pass does not.
    """

    pass_json: bytes
    extra_files: dict[str, bytes]
    find_losses: Callable[[], tuple[Loss, ...]]

    @property
    def losses(self) -> tuple[Loss, ...]:
        return self.find_losses()


@dataclass(frozen=True)
class _Program:
    """A template in one language, ready to be filled in."""

    language: str
    tree: Any
    barcodes: BarcodesNode
    losses: tuple[Loss, ...]
    stamps: Text | None


def compile_pass(template: PassTemplate, content: PassContent, identity: PassIdentity) -> Compiled:
    """What this member's pass says now. Pure; never fails on the content's values.

    Texts are in the member's language where the template speaks it, else in the template's first. The
    country, currency and time zone are the content's.
    """
    program = _program(template, template.language_for(content.language))
    formats = formats_for(program.language, content.country, content.currency, content.time_zone)
    shown = Shown(content, {**content.values, "barcode": content.barcode}, formats)
    pass_json: dict[str, Any] = {
        "formatVersion": 1,
        "passTypeIdentifier": identity.pass_type_identifier,
        "teamIdentifier": identity.team_identifier,
        "serialNumber": identity.serial_number,
        "authenticationToken": identity.authentication_token,
        "webServiceURL": identity.web_service_url,
        **program.tree.fill(shown),
    }
    find_losses = partial(_losses, program, shown)
    return Compiled(orjson.dumps(pass_json), _stamps(template, program, shown), find_losses)


@lru_cache(maxsize=512)
def _program(template: PassTemplate, language: str) -> _Program:
    tree = top_level_node(template, language)
    losses: list[Loss] = []
    for style in ("posterGeneric", "generic") if template.style == "posterGeneric" else (template.style,):
        fields, lost = fields_node(template, language, style)
        tree[style] = transit_type(template) | fields
        losses += lost
    barcodes = BarcodesNode(template, language)
    tree["barcodes"] = Dynamic(barcodes.fill)
    stamps = template.definition.stamps
    return _Program(
        language=language,
        tree=freeze(merged(tree, tree_node(template, language, template.apple))),
        barcodes=barcodes,
        losses=tuple(losses),
        stamps=template.text(stamps.count, language) if stamps else None,
    )


def _losses(program: _Program, shown: Shown) -> tuple[Loss, ...]:
    language = _language_loss(program.language, shown.content.language)
    return (*program.losses, *program.barcodes.losses(shown), *language)


def _language_loss(spoken: str, wanted: str) -> list[Loss]:
    if wanted.lower().startswith(spoken.lower()):
        return []
    return [Loss("apple", "languages", f"the template does not speak {wanted!r}: shown in {spoken!r}")]


def _stamps(template: PassTemplate, program: _Program, shown: Shown) -> dict[str, bytes]:
    definition = template.definition.stamps
    if definition is None or template.stamp_art is None or program.stamps is None:
        return {}
    text = cleaned(str(program.stamps.value(shown.values, shown.formats)))
    count = int(text) if text.removeprefix("-").isdecimal() else 0
    return draw_stamps(template.stamp_art, count, definition.of)
