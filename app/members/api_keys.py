"""Keys of the REST API: "pb_live_<id>_<secret>_<checksum>", shown once, kept as a hash, with scopes.

The fixed prefix lets secret scanners find a leaked key; the checksum tells a mistyped key from an unknown
one without asking the database.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import new_id
from app.members.models import ApiKey

SCOPES = (
    "members:read",
    "members:write",
    "accounts:read",
    "accounts:write",
    "transactions:write",
    "passes:read",
    "passes:write",
    "templates:read",
    "messages:read",
    "messages:write",
    "devices:read",
    "webhooks:read",
    "webhooks:write",
    "sources:read",
    "sources:write",
    "inbox:read",
    "inbox:write",
    "program:read",
    "program:write",
    "segments:read",
    "segments:write",
    "campaigns:read",
    "campaigns:write",
    "approvals:write",
)
EVERY_SCOPE = "*"
USE_NOTED_EVERY = timedelta(minutes=1)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SECRET_LENGTH = 32  # 160 random bits
_KEY = re.compile(r"pb_live_([0-9a-z]{26})_([0-9a-z]{32})_([0-9a-f]{8})")


class BadApiKey(Exception):
    """The key is not one of ours, was mistyped, is past its date or was revoked: the text says which."""


class UnknownApiKey(Exception):
    """No key of this programme has this id."""


class UnknownScope(Exception):
    """A scope that does not exist was asked for; the text lists those that do."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a key speaks for, and what it may do."""

    key_id: str
    program_id: str
    scopes: frozenset[str]
    expires_at: datetime | None = None

    def may(self, scope: str) -> bool:
        """Whether the key has this scope. Writing members or passes includes reading them."""
        return not self.scopes.isdisjoint((scope, EVERY_SCOPE, scope.replace(":read", ":write")))


async def create_key(
    session: AsyncSession,
    program_id: str,
    *,
    name: str,
    scopes: Sequence[str],
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """A new key: its row, and the key itself, which nobody can be shown a second time.

    Raises UnknownScope.
    """
    if unknown := set(scopes) - {*SCOPES, EVERY_SCOPE}:
        raise UnknownScope(f"unknown scope {', '.join(sorted(unknown))}: there are * and {', '.join(SCOPES)}")
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    row = ApiKey(
        id=new_id("key"),
        program_id=program_id,
        name=name,
        secret_hash=_hash(secret),
        scopes=sorted(set(scopes)),
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    await session.flush()
    stem = f"pb_live_{row.id.removeprefix('key_')}_{secret}"
    return row, f"{stem}_{_checksum(stem)}"


async def caller_of(session: AsyncSession, key: str, *, now: datetime) -> Caller:
    """Whom this key speaks for; its use is noted at most once a minute. Raises BadApiKey."""
    key_id, secret = _parts(key)
    row = await session.get(ApiKey, key_id)
    if row is None or not hmac.compare_digest(row.secret_hash, _hash(secret)):
        raise BadApiKey("this API key is not known here")
    if row.revoked_at is not None:
        raise BadApiKey("this API key was revoked: create another")
    if row.expires_at is not None and row.expires_at <= now:
        raise BadApiKey("this API key is past its date: create another")

    if row.last_used_at is None or row.last_used_at <= now - USE_NOTED_EVERY:
        await session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=now))
    return Caller(row.id, row.program_id, frozenset(cast("list[str]", row.scopes)), row.expires_at)


async def list_keys(session: AsyncSession, program_id: str) -> Sequence[ApiKey]:
    """The programme's keys, newest first, revoked ones too."""
    query = select(ApiKey).where(ApiKey.program_id == program_id).order_by(ApiKey.id.desc())
    return (await session.scalars(query)).all()


def state_of(key: ApiKey, *, now: datetime) -> Literal["active", "expired", "revoked"]:
    """Whether a key is in use, and if not, why."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"


async def revoke(session: AsyncSession, key_id: str, *, now: datetime) -> ApiKey:
    """Take a key out of use for good. May be repeated. Raises UnknownApiKey."""
    row = await session.get(ApiKey, key_id, with_for_update=True)
    if row is None:
        raise UnknownApiKey(f"no API key {key_id}: `passbell key list` shows them")
    row.revoked_at = row.revoked_at or now
    await session.flush()
    return row


def _parts(key: str) -> tuple[str, str]:
    match = _KEY.fullmatch(key)
    if match is None:
        raise BadApiKey("an API key looks like pb_live_..., with 76 characters in all")
    if _checksum(key.rpartition("_")[0]) != match[3]:
        raise BadApiKey("this API key was cut or mistyped: its checksum is wrong")
    return f"key_{match[1]}", match[2]


def _checksum(stem: str) -> str:
    return f"{zlib.crc32(stem.encode()):08x}"


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
