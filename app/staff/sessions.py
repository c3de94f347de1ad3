"""Signing in and out: sessions are rows, so that they can be listed and ended at once."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import rate_limits
from app.db import Sessions, new_id
from app.staff import audit, passwords, users
from app.staff.audit import Actor
from app.staff.models import SignInSession, User, UserLink

LASTS = timedelta(hours=12)
IDLE = timedelta(hours=2)
SEEN_EVERY = timedelta(minutes=1)  # a write for each click would be one too many
TRIES, TRIES_SECONDS = 10, 900.0  # for one e-mail, and for one network


class NotSignedIn(Exception):
    """E-mail, password or code are not right. Which of them is not said."""


class CodeNeeded(Exception):
    """The password is right; the code of the second factor is to come."""


class TooManyTries(Exception):
    """Somebody guesses."""


@dataclass(frozen=True)
class SignedIn:
    """Who a request comes from."""

    user_id: str
    name: str
    email: str
    role: str
    session_id: str

    @property
    def actor(self) -> Actor:
        return Actor(self.user_id, self.name)


async def count_try(session: AsyncSession, email: str, address: str, *, now: datetime) -> None:
    """Count a try, in a transaction of its own. Raises TooManyTries."""
    network = rate_limits.network_of(address, ipv4_bits=32)
    for key in (f"sign-in:{email.strip().lower()[:100]}", f"sign-in-from:{network}"):
        if not await rate_limits.take(session, key, limit=TRIES, period_seconds=TRIES_SECONDS, now=now):
            raise TooManyTries("too many tries: wait a quarter of an hour")


async def with_password(sessions: Sessions, email: str, password: str) -> User:
    """Whose password this is; nothing is held while it is checked. Raises NotSignedIn."""
    async with sessions() as session:
        found = await users.by_email(session, email)
    is_right = await passwords.is_right(password, found.password_hash if found else None)
    if found is None or not is_right:
        raise NotSignedIn
    return found


async def unchanged(session: AsyncSession, known: User) -> User:
    """Whose password was right, locked. Raises NotSignedIn where they were shut out or changed it."""
    user = await users.to_change(session, known.id)
    if not user.is_active or user.password_hash != known.password_hash:
        raise NotSignedIn
    return user


async def sign_in(
    session: AsyncSession, secret_key: bytes, known: User, *, code: str, browser: str, now: datetime
) -> tuple[User, str]:
    """The user whose password was right, and the secret of a new session. Raises NotSignedIn, CodeNeeded."""
    user = await unchanged(session, known)
    secret = users.totp_of(secret_key, user)
    if secret is not None:
        if not code:
            raise CodeNeeded
        step = passwords.totp_step(secret, code.replace(" ", ""), after=user.totp_step, now=now)
        if step is None:
            raise NotSignedIn
        user.totp_step = step
    return user, await begin(session, user, browser=browser, now=now)


async def begin(session: AsyncSession, user: User, *, browser: str, now: datetime) -> str:
    """A new session of a user who proved who they are; its secret, for the cookie."""
    token = secrets.token_urlsafe(32)
    begun = SignInSession(
        token_hash=users.digest(token),
        id=new_id("ses"),
        user_id=user.id,
        browser=browser[:200],
        created_at=now,
        seen_at=now,
        expires_at=now + LASTS,
    )
    session.add(begun)
    await session.flush()
    await audit.record(session, Actor(user.id, user.name), "session.begun", begun.id, now=now)
    return token


async def signed_in(session: AsyncSession, token: str, *, now: datetime) -> tuple[SignedIn, bool] | None:
    """Who holds this cookie, and whether it is time to note that they are there; None for nobody."""
    row = (
        await session.execute(
            select(User.id, User.name, User.email, User.role, SignInSession.id, SignInSession.seen_at)
            .join(SignInSession, SignInSession.user_id == User.id)
            .where(
                SignInSession.token_hash == users.digest(token),
                SignInSession.expires_at > now,
                SignInSession.seen_at > now - IDLE,
                User.is_active,
            )
        )
    ).one_or_none()
    if row is None:
        return None
    return SignedIn(row[0], row[1], row[2], row[3], row[4]), row[5] <= now - SEEN_EVERY


async def note_seen(session: AsyncSession, session_id: str, *, now: datetime) -> None:
    """Note that its browser is there."""
    await session.execute(update(SignInSession).where(SignInSession.id == session_id).values(seen_at=now))


async def of_user(session: AsyncSession, user_id: str, *, now: datetime) -> Sequence[SignInSession]:
    """Where a user is signed in, newest first."""
    query = select(SignInSession).where(
        SignInSession.user_id == user_id, SignInSession.expires_at > now, SignInSession.seen_at > now - IDLE
    )
    return (await session.scalars(query.order_by(SignInSession.created_at.desc()))).all()


async def end(session: AsyncSession, session_id: str, *, user_id: str, by: Actor, now: datetime) -> None:
    """End a session of this user. May be repeated."""
    ended = await session.execute(
        delete(SignInSession)
        .where(SignInSession.id == session_id, SignInSession.user_id == user_id)
        .returning(SignInSession.id)
    )
    if ended.first() is not None:
        await audit.record(session, by, "session.ended", session_id, now=now)


async def forget_old(session: AsyncSession, *, now: datetime) -> None:
    """Drop the sessions and links that are over."""
    await session.execute(delete(SignInSession).where(SignInSession.expires_at <= now))
    await session.execute(delete(UserLink).where(UserLink.expires_at <= now))
