"""Console users: added with a link to set their password, given a role, and shut out."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import locked, new_id
from app.sealing import seal, unseal
from app.staff import audit
from app.staff.audit import Actor
from app.staff.models import SignInSession, User, UserLink
from app.staff.roles import ROLES

LINK_FOR = timedelta(hours=48)
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+")


class UnknownUser(Exception):
    """No user has this id or e-mail."""


class BadUser(Exception):
    """A user cannot be like this; `field` is email, name or role."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


class LastOwner(Exception):
    """Somebody must be left who may let others in."""


class LinkOver(Exception):
    """The link was used, or is too old."""


async def add(
    session: AsyncSession, *, email: str, name: str, role: str, language: str, by: Actor, now: datetime
) -> tuple[User, str]:
    """A new user, and the secret of the link by which they set a password. Raises BadUser."""
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email) or len(email) > 254:
        raise BadUser("email", "write an e-mail address, such as anna@example.com")
    if role not in ROLES:
        raise BadUser("role", f"there is no role {role}: there are {', '.join(ROLES)}")
    name = name.strip() or email.partition("@")[0]
    if len(name) > 128 or not name.isprintable():
        raise BadUser("name", "a name has at most 128 printable characters")
    if await session.scalar(select(User.id).where(User.email == email)) is not None:
        raise BadUser("email", f"{email} is a user already")
    user = User(id=new_id("usr"), email=email, name=name, role=role, language=language, created_at=now)
    session.add(user)
    await session.flush()
    await audit.record(session, by, "user.added", user.id, after=_shown(user), now=now)
    return user, await make_link(session, user, by=by, now=now)


async def by_email(session: AsyncSession, email: str) -> User | None:
    """The user with this e-mail."""
    return await session.scalar(select(User).where(User.email == email.strip().lower()))


async def to_change(session: AsyncSession, user_id: str) -> User:
    """The user, locked. Raises UnknownUser."""
    if await session.scalar(select(User.id).where(User.id == user_id)) is None:
        raise UnknownUser(f"no user {user_id}")
    return await locked(session, select(User).where(User.id == user_id))


async def everybody(session: AsyncSession) -> Sequence[User]:
    """All users by name."""
    return (await session.scalars(select(User).order_by(User.name, User.id))).all()


async def make_link(session: AsyncSession, user: User, *, by: Actor, now: datetime) -> str:
    """A new secret link to set a password; earlier ones end. Its token is shown once."""
    await session.execute(delete(UserLink).where(UserLink.user_id == user.id))
    token = secrets.token_urlsafe(24)
    session.add(UserLink(token_hash=digest(token), user_id=user.id, expires_at=now + LINK_FOR))
    await session.flush()
    await audit.record(session, by, "user.link_made", user.id, now=now)
    return token


async def user_of_link(session: AsyncSession, token: str, *, now: datetime) -> User:
    """Whose link this is. Raises LinkOver."""
    query = select(UserLink).where(UserLink.token_hash == digest(token), UserLink.expires_at > now)
    link = await session.scalar(query)
    user = None if link is None else await session.get(User, link.user_id)
    if user is None or not user.is_active:
        raise LinkOver
    return user


async def set_password(session: AsyncSession, token: str, password_hash: str, *, now: datetime) -> User:
    """Use a link. Every session ends, and the second factor stays. Raises LinkOver."""
    user = await to_change(session, (await user_of_link(session, token, now=now)).id)
    user.password_hash = password_hash
    await session.execute(delete(UserLink).where(UserLink.user_id == user.id))
    await session.execute(delete(SignInSession).where(SignInSession.user_id == user.id))
    await audit.record(session, Actor(user.id, user.name), "user.password_set", user.id, now=now)
    return user


async def set_role(session: AsyncSession, user_id: str, role: str, *, by: Actor, now: datetime) -> User:
    """Give a user another role; it counts from their next click. Raises UnknownUser, BadUser, LastOwner."""
    if role not in ROLES:
        raise BadUser("role", f"there is no role {role}: there are {', '.join(ROLES)}")
    user = await to_change(session, user_id)
    before = _shown(user)
    if role != "owner":
        await _leave_an_owner(session, user)
    user.role = role
    if before["role"] != role:
        await audit.record(session, by, "user.role_set", user.id, before=before, after=_shown(user), now=now)
    return user


async def set_active(
    session: AsyncSession, user_id: str, *, is_active: bool, by: Actor, now: datetime
) -> User:
    """Shut a user out, with every session, or let them in again. Raises UnknownUser, LastOwner."""
    user = await to_change(session, user_id)
    if user.is_active == is_active:
        return user
    if not is_active:
        await _leave_an_owner(session, user)
        await session.execute(delete(SignInSession).where(SignInSession.user_id == user.id))
        await session.execute(delete(UserLink).where(UserLink.user_id == user.id))
    before = _shown(user)
    user.is_active = is_active
    action = "user.let_in" if is_active else "user.shut_out"
    await audit.record(session, by, action, user.id, before=before, after=_shown(user), now=now)
    return user


async def set_totp(
    session: AsyncSession, secret_key: bytes, user: User, secret: str | None, *, step: int, now: datetime
) -> None:
    """Keep a second factor whose first code was right at `step`; None takes it away. The user is locked."""
    user.totp_sealed = None if secret is None else seal(secret_key, user.id, {"totp": secret})
    user.totp_step = step
    action = "user.second_factor_removed" if secret is None else "user.second_factor_added"
    await audit.record(session, Actor(user.id, user.name), action, user.id, now=now)


def totp_of(secret_key: bytes, user: User) -> str | None:
    """The secret of the user's second factor. Raises CannotUnseal."""
    return None if user.totp_sealed is None else unseal(secret_key, user.id, user.totp_sealed)["totp"]


def digest(token: str) -> str:
    """What is kept of a secret token."""
    return hashlib.sha256(token.encode()).hexdigest()


async def _leave_an_owner(session: AsyncSession, user: User) -> None:
    if user.role != "owner" or not user.is_active:
        return
    owners = await session.scalar(
        select(func.count()).select_from(User).where(User.role == "owner", User.is_active, User.id != user.id)
    )
    if not owners:
        raise LastOwner("somebody must be left who may let others in: make another owner first")


def _shown(user: User) -> dict[str, str | bool]:
    return {"email": user.email, "name": user.name, "role": user.role, "is_active": user.is_active}
