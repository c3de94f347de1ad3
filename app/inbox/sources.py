"""Sources: adding, pausing, giving new secrets, and the secrets themselves."""

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app import standard_webhooks
from app.crm import Crm
from app.db import locked, new_id
from app.inbox.models import SLUG_LENGTH, Source
from app.sealing import CannotUnseal, seal, unseal

CURRENT, PREVIOUS, PREVIOUS_UNTIL = "current", "previous", "previous_until"
API_TOKEN = "api_token"  # noqa: S105  the name of one: with which we ask the source back
BOTH_VALID_FOR = timedelta(hours=24)  # after a rotation: senders change over one by one
RESERVED = frozenset({"sms", "email"})  # addresses of receipts and of reports about letters
_SLUG = re.compile(rf"[a-z0-9][a-z0-9-]{{0,{SLUG_LENGTH - 1}}}")


class UnknownSource(Exception):
    """No source of this programme has this id or slug."""


class BadSource(Exception):
    """A source cannot be made this way; says what to change."""


class SlugTaken(Exception):
    """Another source of this installation has this slug."""


async def add(
    session: AsyncSession,
    secret_key: bytes,
    program_id: str,
    crm: Crm,
    *,
    kind: str,
    slug: str,
    name: str = "",
    settings: Mapping[str, Any],
    secret: str | None = None,
    api_token: str | None = None,
    now: datetime,
) -> tuple[Source, str]:
    """A new source, and its secret: the one given (the vendor's), or a new one.

    `api_token` is for sources that are asked back.

    Raises BadSource, BadSourceSettings, SlugTaken.
    """
    if not _SLUG.fullmatch(slug) or slug in RESERVED:
        raise BadSource(
            f"a slug has 1 to {SLUG_LENGTH} of a-z, 0-9 and -, and is not {' or '.join(sorted(RESERVED))}"
        )
    settings = _storable(settings)
    crm.check_settings(settings)
    secret = _checked(crm, settings, secret)
    source = Source(
        id=new_id("src"),
        program_id=program_id,
        kind=kind,
        slug=slug,
        name=name or slug,
        settings=settings,
        sealed=b"",
        state="active",
        created_at=now,
    )
    write_secrets(secret_key, source, {CURRENT: secret} | ({API_TOKEN: api_token} if api_token else {}))
    session.add(source)
    try:
        await session.flush()
    except IntegrityError as error:
        raise SlugTaken(f"there is a source {slug} already: choose another slug") from error
    return source, secret


async def rotate(
    session: AsyncSession,
    secret_key: bytes,
    source: Source,
    crm: Crm,
    *,
    secret: str | None = None,
    api_token: str | None = None,
    now: datetime,
) -> str:
    """Give a source another secret; the old one is valid for a day more. The new one.

    An `api_token` replaces the one there is.

    Raises BadSource.
    """
    mine = await locked(session, select(Source).where(Source.id == source.id))
    try:
        kept = read_secrets(secret_key, mine)
    except CannotUnseal:  # the installation's secret is another now: this is how a source is mended
        kept = {}
    fresh = _checked(crm, mine.settings, secret)
    if CURRENT in kept:
        until = (now + BOTH_VALID_FOR).isoformat()
        kept |= {PREVIOUS: kept[CURRENT], PREVIOUS_UNTIL: until}
    if api_token:
        kept[API_TOKEN] = api_token
    write_secrets(secret_key, mine, kept | {CURRENT: fresh})
    await session.flush()
    return fresh


async def change(
    session: AsyncSession,
    source: Source,
    crm: Crm,
    *,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    state: str | None = None,
) -> Source:
    """Change a source's name, settings or state ("active", "paused"). Raises BadSource, BadSourceSettings."""
    mine = await locked(session, select(Source).where(Source.id == source.id))
    if settings is not None:
        mine.settings = _storable(settings)
        crm.check_settings(mine.settings)
    mine.name = name or mine.name
    mine.state = state or mine.state
    await session.flush()
    return mine


async def source_by_id(session: AsyncSession, program_id: str, which: str) -> Source:
    """The programme's source with this id or slug. Raises UnknownSource."""
    query = select(Source).where(
        Source.program_id == program_id, (Source.id == which) | (Source.slug == which)
    )
    if (found := await session.scalar(query)) is None:
        raise UnknownSource(f"no source {which}")
    return found


async def list_sources(session: AsyncSession, program_id: str) -> Sequence[Source]:
    """The programme's sources, oldest first."""
    query = select(Source).where(Source.program_id == program_id).order_by(Source.id)
    return (await session.scalars(query)).all()


def read_secrets(secret_key: bytes, source: Source) -> dict[str, str]:
    """Everything secret about a source, by name. Raises CannotUnseal."""
    return unseal(secret_key, source.id, source.sealed)


def write_secrets(secret_key: bytes, source: Source, values: Mapping[str, str]) -> None:
    """Replace everything secret about a source; flushing is the caller's."""
    source.sealed = seal(secret_key, source.id, values)


def valid_secrets(kept: Mapping[str, str], *, now: datetime) -> list[str]:
    """The secrets that prove a delivery now: the current one, and its forerunner for a while."""
    found = [kept[CURRENT]]
    if PREVIOUS in kept and datetime.fromisoformat(kept[PREVIOUS_UNTIL]) > now:
        found.append(kept[PREVIOUS])
    return found


def _storable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as both databases keep them: no NUL, no half letters, no numbers beyond JSON's."""
    try:
        text = orjson.dumps(dict(settings))
    except TypeError as error:
        raise BadSource(f"the settings are no JSON that can be kept: {error}") from error
    if b"\\u0000" in text:
        raise BadSource("the settings must not contain the NUL character (U+0000)")
    return orjson.loads(text)


def _checked(crm: Crm, settings: Mapping[str, Any], secret: str | None) -> str:
    if secret is None:
        return (
            secrets.token_urlsafe(24) if crm.has_secret_address(settings) else standard_webhooks.new_secret()
        )
    if len(secret) < 16 or len(secret) > 256 or not (secret.isascii() and secret.isprintable()):
        raise BadSource("a secret has 16 to 256 printable ASCII characters")
    if crm.has_secret_address(settings) and not re.fullmatch(r"[\w-]+", secret):
        raise BadSource("the secret stands in an address: only letters, digits, - and _")
    return secret
