"""What Google has of our passes: which class and object, what was sent of it, and who holds it."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
from sqlalchemy import and_, exists, func, nulls_first, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import oldest_id, upsert
from app.job_queue import kinds
from app.members.models import Program
from app.passes import trace
from app.passes.models import GoogleClass, GoogleObject, Pass, Update
from app.passes.versions import GOOGLE, enqueue_updates

REFUSAL_LENGTH = 400
CLASS_LEASE = timedelta(seconds=60)

# What Google notifies of; its hash is kept beside the fields' own, under a name no field has.
_RINGING = ("loyaltyPoints", "secondaryLoyaltyPoints")
BALANCES = "balances"
NEWS = "news"  # likewise, of the newest message that was added to the object
_RESERVED = (BALANCES, NEWS)


def hashes_of(body: Mapping[str, Any]) -> dict[str, str]:
    """By field, a short hash of its shape and one of its value; and the hash of the balances."""
    balances = [cast("dict[str, Any]", body.get(name) or {}).get("balance") for name in _RINGING]
    hashes = {name: f"{_hash(_shape(value))}.{_hash(value)}" for name, value in body.items()}
    return hashes | {BALANCES: _hash(balances)}


def changes(body: Mapping[str, Any], sent: Mapping[str, str]) -> dict[str, Any]:
    """What of a body Google does not have yet; null for a field that is no more."""
    hashes = hashes_of(body)
    gone = dict.fromkeys(name for name in sent if name not in body and name not in _RESERVED)
    return gone | {name: value for name, value in body.items() if sent.get(name) != hashes[name]}


def must_replace(body: Mapping[str, Any], sent: Mapping[str, str]) -> bool:
    """Whether a PATCH would leave something behind: it merges objects, and keeps keys that are no more."""
    hashes = hashes_of(body)
    return any(
        name in sent and name not in _RESERVED and sent[name].partition(".")[0] != shape.partition(".")[0]
        for name, shape in hashes.items()
    )


def body_hash(body: Mapping[str, Any]) -> str:
    """The whole hash of a class, by which a new design is known."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _hash(value: Any) -> str:
    return hashlib.blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=6).hexdigest()


def _shape(value: Any) -> Any:
    """The keys of an object and of those in it. Lists have none: they are replaced whole."""
    if not isinstance(value, dict):
        return None
    return {key: _shape(each) for key, each in cast("dict[str, Any]", value).items()}


async def class_is_current(session: AsyncSession, class_id: str, body: Mapping[str, Any]) -> bool:
    """Whether Google has this class as it is now."""
    found = await session.scalar(select(GoogleClass.body_hash).where(GoogleClass.class_id == class_id))
    return found == body_hash(body)


async def claim_class(
    session: AsyncSession,
    program_id: str,
    class_id: str,
    resource: str,
    body: Mapping[str, Any],
    *,
    now: datetime,
) -> bool:
    """Take a class for writing, alone; False when it is written by now, or being written."""
    is_free = or_(GoogleClass.leased_until.is_(None), GoogleClass.leased_until < now)
    statement = (
        upsert(session, GoogleClass)
        .values(
            class_id=class_id,
            program_id=program_id,
            resource=resource,
            body_hash="",
            leased_until=now + CLASS_LEASE,
        )
        .on_conflict_do_update(
            index_elements=["class_id"],
            set_={"leased_until": now + CLASS_LEASE},
            where=and_(is_free, GoogleClass.body_hash != body_hash(body)),
        )
        .returning(GoogleClass.class_id)
    )
    return await session.scalar(statement) is not None


async def class_written(
    session: AsyncSession, class_id: str, body: Mapping[str, Any] | None, *, now: datetime
) -> None:
    """Note that Google has this class; None: that it has not, or that it could not be written."""
    values: dict[str, Any] = {"leased_until": None}
    if body is not None:
        values |= {"body_hash": body_hash(body), "written_at": now}
    await session.execute(update(GoogleClass).where(GoogleClass.class_id == class_id).values(**values))


async def forget_class(session: AsyncSession, class_id: str) -> None:
    """Note that Google has no such class, though we thought so."""
    await session.execute(
        update(GoogleClass).where(GoogleClass.class_id == class_id).values(body_hash="", leased_until=None)
    )


async def record_sent(
    session: AsyncSession,
    issued: Pass,
    *,
    resource: str,
    body: Mapping[str, Any],
    has_users: bool | None,
    now: datetime,
) -> None:
    """Note that Google has this body. `has_users` is what it said of the holders; None: nothing."""
    known = await session.get(GoogleObject, issued.id, populate_existing=True)
    if known is None:
        known = GoogleObject(
            pass_id=issued.id,
            program_id=issued.program_id,
            object_id=body["id"],
            class_id=body["classId"],
            resource=resource,
            inserted_at=now,
            has_users=False,
            refusal="",
        )
        session.add(known)
    # A message from before Google had the pass rings nobody: it stands on the card.
    news = (known.sent or {}).get(NEWS, news_hash(issued.message))
    known.class_id, known.sent, known.refusal = body["classId"], hashes_of(body) | {NEWS: news}, ""
    if has_users is not None:
        known.has_users, known.checked_at = has_users, now


def news_hash(text: str) -> str:
    """The hash of a message, by which a new one is known."""
    return _hash(text)


async def record_news(session: AsyncSession, pass_id: str, text: str) -> None:
    """Note that Google has this message of a pass, or needs it no more."""
    known = await session.get_one(GoogleObject, pass_id, populate_existing=True)
    known.sent = {**known.sent, NEWS: news_hash(text)}


async def record_refusal(session: AsyncSession, pass_id: str, reason: str) -> None:
    """Note why Google did not take the newest version, for whoever asks what is wrong."""
    statement = update(GoogleObject).where(GoogleObject.pass_id == pass_id)
    await session.execute(statement.values(refusal=reason[:REFUSAL_LENGTH]))


async def owe(session: AsyncSession, issued: Pass, *, priority: int, now: datetime) -> None:
    """Have a pass live at Google too, from its present version on."""
    statement = (
        upsert(session, Update)
        .values(
            pass_id=issued.id,
            wallet=GOOGLE,
            program_id=issued.program_id,
            wanted_version=issued.version,
            sent_version=0,
            queued=True,
            priority=priority,
            attempts=0,
            wanted_at=now,
            touched_at=now,
        )
        .on_conflict_do_nothing()
        .returning(Update.pass_id)
    )
    edges = [(pass_id, GOOGLE) for pass_id in await session.scalars(statement)]
    await enqueue_updates(session, edges, priority=priority)


async def owe_missing(
    session: AsyncSession,
    *,
    not_in: Collection[str],
    issued_after: datetime | None,
    limit: int,
    now: datetime,
) -> int:
    """Have passes live at Google that do not yet, except in some countries; how many.

    `issued_after` looks at new passes only, which costs nothing; None at all of them.
    """
    is_there = exists().where(Update.pass_id == Pass.id, Update.wallet == GOOGLE)
    query = (
        select(Pass)
        .join(Program, Program.id == Pass.program_id)
        .where(Pass.state == "active", Program.country.not_in(not_in), ~is_there)
        .order_by(Pass.id)
        .limit(limit)
    )
    if issued_after is not None:
        query = query.where(Pass.id >= oldest_id("pas", issued_after))
    found = (await session.scalars(query)).all()
    for issued in found:
        await owe(session, issued, priority=kinds.LIVE if issued_after else kinds.BULK, now=now)
    return len(found)


async def record_held(
    session: AsyncSession, object_id: str, *, is_save: bool, now: datetime
) -> GoogleObject | None:
    """Note that somebody saved or removed a pass, in its story too; None for an object that is not ours."""
    query = select(GoogleObject).where(GoogleObject.object_id == object_id).with_for_update()
    known = await session.scalar(query, execution_options={"populate_existing": True})
    if known is None:
        return None
    if is_save:
        known.saved_at, known.has_users = now, True
    else:
        known.removed_at = now  # somebody else may hold it still: Google is asked
    kind = trace.INSTALLED if is_save else trace.UNINSTALLED
    details = {"wallet": GOOGLE}
    await trace.record(session, known.program_id, [known.pass_id], kind, details=details, now=now)
    return known


async def record_holders(session: AsyncSession, pass_id: str, *, has_users: bool, now: datetime) -> None:
    """Note what Google answered when it was asked whether anybody holds a pass."""
    statement = update(GoogleObject).where(GoogleObject.pass_id == pass_id)
    await session.execute(statement.values(has_users=has_users, checked_at=now))


async def unasked(session: AsyncSession, *, limit: int) -> Sequence[str]:
    """The passes of which Google was asked longest ago, or never."""
    oldest = nulls_first(GoogleObject.checked_at.asc())
    return (await session.scalars(select(GoogleObject.pass_id).order_by(oldest).limit(limit))).all()


async def refused(session: AsyncSession) -> tuple[int, str]:
    """How many passes Google does not take as they are now, and why it did not take the newest of them."""
    count = await session.scalar(select(func.count()).where(GoogleObject.refusal != "")) or 0
    newest = (
        select(GoogleObject.refusal)
        .where(GoogleObject.refusal != "")
        .order_by(GoogleObject.pass_id.desc())
        .limit(1)
    )
    return count, (await session.scalar(newest) or "").rstrip(".")


async def beside(session: AsyncSession, issued: Pass) -> list[str]:
    """The serial numbers of the member's other passes that Google has, oldest first.

    Google refuses a link to an object it has not, and keeps every one it took.
    """
    query = (
        select(Pass.serial_number)
        .join(GoogleObject, GoogleObject.pass_id == Pass.id)
        .where(
            Pass.member_id == issued.member_id,
            Pass.template != issued.template,
            Pass.state == "active",
        )
        .order_by(Pass.id)
    )
    return list(await session.scalars(query))
