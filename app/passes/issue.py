"""Issuing a pass, taking it out of use, and the two secrets it has."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import locked, new_id
from app.job_queue import kinds
from app.members.models import Member
from app.passes import google_objects, trace
from app.passes.models import Pass, PassLink, Update
from app.passes.versions import APPLE, GOOGLE, mark_changed


class UnknownPass(Exception):
    """No pass has this id."""


class UnknownLink(Exception):
    """This link was never given out, was revoked, or is past its date."""


async def issue(
    session: AsyncSession,
    member: Member,
    *,
    template: str,
    now: datetime,
    wallets: Collection[str] = (APPLE,),
    expires_at: datetime | None = None,
) -> Pass:
    """Issue a pass to a member, at version 1. Phones come for it; Google is owed it at once.

    `expires_at` is when wallets take it away from the others: a coupon's end, a ticket's day.
    """
    issued = Pass(
        id=new_id("pas"),
        program_id=member.program_id,
        member_id=member.id,
        serial_number=secrets.token_hex(16),
        template=template,
        state="active",
        message="",
        version=1,
        last_modified=int(now.timestamp()),
        expires_at=expires_at,
        created_at=now,
    )
    session.add(issued)
    await session.flush()
    session.add(
        Update(
            pass_id=issued.id,
            wallet=APPLE,
            program_id=member.program_id,
            wanted_version=1,
            sent_version=1,
            wanted_at=now,
            touched_at=now,
        )
    )
    await session.flush()
    await trace.record(session, member.program_id, [issued.id], trace.ISSUED, version=1, now=now)
    if GOOGLE in wallets:
        await google_objects.owe(session, issued, priority=kinds.LIVE, now=now)
    return issued


async def by_id(session: AsyncSession, program_id: str, pass_id: str) -> Pass:
    """The pass with this id. Raises UnknownPass."""
    found = await session.scalar(select(Pass).where(Pass.id == pass_id, Pass.program_id == program_id))
    if found is None:
        raise UnknownPass(pass_id)
    return found


async def set_state(
    session: AsyncSession, program_id: str, pass_id: str, state: str, *, reason: str, now: datetime
) -> Pass:
    """Void ("voided") a pass or put it back in use ("active"), and tell its phones. May be repeated.

    Nobody can delete a pass from a phone: a voided one turns grey there and moves to the expired passes.
    Raises UnknownPass.
    """
    await by_id(session, program_id, pass_id)
    found = await locked(session, select(Pass).where(Pass.id == pass_id))
    if found.state == state:
        return found
    found.state = state
    await session.flush()
    kind = trace.VOIDED if state == "voided" else trace.RESTORED
    await trace.record(session, program_id, [pass_id], kind, details={"reason": reason}, now=now)
    await mark_changed(session, program_id, [pass_id], because={"state": state}, now=now)
    await session.refresh(found)
    return found


async def reissue(
    session: AsyncSession, program_id: str, pass_id: str, *, reason: str, now: datetime
) -> Pass:
    """Void a pass and issue another with new secrets: a lost phone, a leaked link. Raises UnknownPass."""
    old = await set_state(session, program_id, pass_id, "voided", reason=reason, now=now)
    await session.execute(
        update(PassLink)
        .where(PassLink.pass_id == pass_id, PassLink.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    member = (await session.scalars(select(Member).where(Member.id == old.member_id))).one()
    wallets = (await session.scalars(select(Update.wallet).where(Update.pass_id == old.id))).all()
    return await issue(
        session, member, template=old.template, wallets=wallets, expires_at=old.expires_at, now=now
    )


async def make_link(session: AsyncSession, issued: Pass, *, now: datetime) -> str:
    """A new secret token for /p/{token}: 22 characters, 128 random bits. Only its hash is kept."""
    token = secrets.token_urlsafe(16)
    session.add(
        PassLink(token_hash=_hash(token), program_id=issued.program_id, pass_id=issued.id, created_at=now)
    )
    await session.flush()
    return token


async def by_link(session: AsyncSession, token: str, *, now: datetime) -> tuple[Pass, PassLink]:
    """The pass a link leads to. Changes nothing: link scanners open links too. Raises UnknownLink."""
    query = (
        select(Pass, PassLink)
        .join(Pass, Pass.id == PassLink.pass_id)
        .where(PassLink.token_hash == _hash(token))
    )
    row = (await session.execute(query)).one_or_none()
    if row is None or row.PassLink.revoked_at or (row.PassLink.expires_at and row.PassLink.expires_at <= now):
        raise UnknownLink("this link does not lead to a card (any more)")
    return row.Pass, row.PassLink


def authentication_token(secret_key: bytes, serial_number: str) -> str:
    """Apple's per-pass token: 43 characters, the same for the pass's whole life, and stored nowhere."""
    digest = hmac.digest(secret_key, b"passbell.pass.v1|" + serial_number.encode(), hashlib.sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_authentic(secret_key: bytes, serial_number: str, token: str) -> bool:
    """Whether a phone's token is this pass's, compared in constant time."""
    return hmac.compare_digest(authentication_token(secret_key, serial_number).encode(), token.encode())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
