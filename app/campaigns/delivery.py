"""What happens to the members of one chunk: points, the text on their passes, an SMS for those without."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import google_route
from app.campaigns.consent import reachable
from app.campaigns.definition import REST, Definition
from app.campaigns.models import Campaign, Recipient
from app.campaigns.wording import render
from app.db import Json, UtcDateTime
from app.members.messages import Channel, queue_message
from app.members.models import Member, Program
from app.passes.models import Pass
from app.passes.versions import mark_retold
from app.points.movements import Movement
from app.points.posting import post
from app.points.refusals import MemberBlocked, PointsOutOfRange, UnknownMember
from app.sql import IDS_GIVEN, typed_text

SOURCE = "campaign"
PURPOSE = "campaign"


# What of a recipient's row is read, in the order of Due's fields.
DUE_COLUMNS = (
    Recipient.position,
    Recipient.member_id,
    Recipient.account_id,
    Recipient.language,
    Recipient.route,
    Recipient.variant,
    Recipient.facts,
    Recipient.reason,
)


@dataclass(slots=True)
class Due:
    """A recipient whose time it is, and what became of it. No model: loading those costs too much."""

    position: int
    member_id: str
    account_id: str
    language: str
    route: str
    variant: str
    facts: dict[str, Any]
    reason: str
    is_done: bool = False
    version: int | None = None
    pass_id: str | None = None
    message_id: str | None = None


# The plan stands in each row: were it a parameter, SQLite would walk through the whole plan for each of them.
_FIELDS = ("plan_id", "position", "state", "reason", "version", "pass_id", "message_id")
_NUMBERS = ("position", "version")


def _given(elements: str, read: str) -> str:
    """The rows as a SELECT; `read` is how a dialect reads one of a row's values."""
    values = [(name, read.format(number)) for number, name in enumerate(_FIELDS)]
    columns = [
        f"CAST({value} AS bigint) AS {name}" if name in _NUMBERS else f"{value} AS {name}"
        for name, value in values
    ]
    return f"SELECT {', '.join(columns)} FROM {elements}(:rows)"  # noqa: S608  constants of this file


_RECORD = {
    dialect: typed_text(
        f"""UPDATE recipients SET state = given.state, reason = given.reason, version = given.version,
          pass_id = given.pass_id, message_id = given.message_id,
          done_at = CASE WHEN given.state = 'done' THEN :now END
        FROM ({_given(elements, read)}) given
        WHERE recipients.plan_id = given.plan_id AND recipients.position = given.position""",  # noqa: S608
        {"rows": Json(), "now": UtcDateTime()},
    )
    for dialect, elements, read in (
        ("sqlite", "json_each", "json_extract(value, '$[{}]')"),
        ("postgresql", "jsonb_array_elements", "value->>{}"),
    )
}

# Locked in the order of their ids, as every change of many passes does it.
_HELD = {
    dialect: typed_text(
        f"""WITH asked AS ({asked})
        SELECT passes.id, passes.member_id, passes.message, passes.version
        FROM asked JOIN passes ON passes.member_id = asked.id
        WHERE passes.state = 'active' ORDER BY passes.id{lock}""",  # noqa: S608  constants of this file
        {"ids": Json()},
    )
    for dialect, asked, lock in (
        ("sqlite", IDS_GIVEN["sqlite"], ""),
        ("postgresql", IDS_GIVEN["postgresql"], " FOR UPDATE OF passes"),
    )
}


@dataclass(frozen=True)
class _Job:
    """One chunk of a campaign."""

    program: Program
    campaign: Campaign
    definition: Definition
    now: datetime

    def variant(self, recipient: Due) -> str:
        """The arm whose text and points a member gets: of the rest, the winner."""
        return self.campaign.winner or "" if recipient.variant == REST else recipient.variant

    def points(self, recipient: Due) -> int:
        return self.definition.points_of(self.variant(recipient))

    def text(self, recipient: Due, texts: Mapping[str, str]) -> str:
        bonus = self.points(recipient)
        source = texts[recipient.language]
        return render(source, recipient.facts, self.program, recipient.language, bonus=bonus)


async def deliver(
    session: AsyncSession,
    program: Program,
    campaign: Campaign,
    definition: Definition,
    chunk: Sequence[Due],
    *,
    now: datetime,
) -> int:
    """Carry the plan out for these recipients; how many something happened to. The rest say why not."""
    job = _Job(program, campaign, definition, now)
    allowed = await _allowed(session, job, chunk)
    credited = await _credit(session, job, [each for each in chunk if each.member_id in allowed.active])
    held, moved = await _passes(session, chunk, credited)
    told = await _change_passes(session, job, chunk, allowed, held, moved)
    await _write(session, job, chunk, allowed)
    for recipient in chunk:
        reached = recipient.member_id in told or recipient.message_id is not None
        if reached or (recipient.account_id in credited and job.points(recipient)):
            recipient.is_done = True
        else:
            recipient.reason = recipient.reason or _why_not(recipient, allowed)
    await _record(session, job, chunk)
    return sum(1 for recipient in chunk if recipient.is_done)


async def _record(session: AsyncSession, job: _Job, chunk: Sequence[Due]) -> None:
    rows = [
        [
            job.campaign.plan_id,
            each.position,
            "done" if each.is_done else "skipped",
            each.reason,
            each.version,
            each.pass_id,
            each.message_id,
        ]
        for each in chunk
    ]
    statement = _RECORD[session.get_bind().dialect.name]
    await session.flush()
    await session.execute(statement, {"rows": rows, "now": job.now})


@dataclass(frozen=True)
class _Allowed:
    """Who may be told now, whatever was true when the plan was made."""

    active: set[str]
    by_channel: Mapping[str, set[str]]
    full: set[str]  # have had as many campaigns as the cap allows

    def may(self, recipient: Due) -> bool:
        return (
            recipient.member_id in self.by_channel.get(recipient.route, set())
            and recipient.member_id not in self.full
        )


def _why_not(recipient: Due, allowed: _Allowed) -> str:
    if recipient.member_id not in allowed.active:
        return "blocked"
    if recipient.member_id in allowed.full:
        return "cap"
    if recipient.route != "points" and recipient.member_id not in allowed.by_channel[recipient.route]:
        return "no_consent"
    return "no_wallet"


async def _allowed(session: AsyncSession, job: _Job, chunk: Sequence[Due]) -> _Allowed:
    ids = [recipient.member_id for recipient in chunk]
    active, by_channel = await reachable(session, job.program.id, ids)
    return _Allowed(active, by_channel, await _full(session, job, ids))


async def _full(session: AsyncSession, job: _Job, ids: Sequence[str]) -> set[str]:
    cap = job.definition.cap
    if cap is None:
        return set()
    recent = select(Recipient.member_id).where(
        Recipient.member_id.in_(ids),
        Recipient.state == "done",
        Recipient.route != "points",
        Recipient.done_at > job.now - timedelta(days=cap.days),
    )
    return set(
        await session.scalars(recent.group_by(Recipient.member_id).having(func.count() >= cap.campaigns))
    )


async def _credit(session: AsyncSession, job: _Job, chunk: Sequence[Due]) -> set[str]:
    """Post the points, once for each member whatever is repeated; the accounts that moved."""
    moved: set[str] = set()
    for recipient in chunk:
        points = job.points(recipient)
        if not points:
            continue
        movement = Movement(
            recipient.account_id,
            "adjust",
            points,
            job.campaign.name,
            SOURCE,
            f"{job.campaign.id}:{recipient.member_id}",
            job.now,
            program_id=job.program.id,
            member_id=recipient.member_id,
            by_operator=True,
        )
        try:
            await post(session, movement)
        except (MemberBlocked, UnknownMember, PointsOutOfRange) as refusal:
            recipient.reason = type(refusal).__name__[:32]
            continue
        moved.add(recipient.account_id)
    return moved


async def _passes(
    session: AsyncSession, chunk: Sequence[Due], credited: set[str]
) -> tuple[Sequence[Row[str, str, str, int]], set[str]]:
    """The active passes of the chunk's members, and all those of accounts whose balance moved.

    Besides, whose balance moved: the members of those accounts.
    """
    moved: set[str] = set()
    if credited:
        moved.update(await session.scalars(select(Member.id).where(Member.account_id.in_(sorted(credited)))))
    members = {recipient.member_id for recipient in chunk if recipient.route == "wallet"} | moved
    statement = _HELD[session.get_bind().dialect.name]
    return (await session.execute(statement, {"ids": sorted(members)})).all(), moved


async def _change_passes(
    session: AsyncSession,
    job: _Job,
    chunk: Sequence[Due],
    allowed: _Allowed,
    held: Sequence[Row[str, str, str, int]],
    moved: set[str],
) -> set[str]:
    """Put the texts on the passes and mark all of them changed, each once; the members who are told."""
    by_member = {each.member_id: each for each in chunk if each.route == "wallet" and allowed.may(each)}
    texts: dict[str, str | None] = {}
    told: set[str] = set()
    for row in held:
        if row.member_id in moved:
            texts[row.id] = None
        recipient = by_member.get(row.member_id)
        if recipient is None:
            continue
        text = job.text(recipient, job.definition.texts_on("wallet", job.variant(recipient)))
        if text and text != row.message:
            texts[row.id] = text
            told.add(row.member_id)
            recipient.pass_id = recipient.pass_id or row.id
        elif row.member_id not in told:
            recipient.reason = "same_text"
    because = {"campaign_id": job.campaign.id}
    by_class = await google_route.kept_for_class(session, job.campaign.id)
    await mark_retold(session, job.program.id, texts, because=because, now=job.now, but_wallet=by_class)
    for row in held:
        recipient = by_member.get(row.member_id)
        if row.id in texts and recipient is not None and recipient.pass_id in (None, row.id):
            recipient.pass_id, recipient.version = row.id, row.version + 1  # they are locked
    return told


async def _write(session: AsyncSession, job: _Job, chunk: Sequence[Due], allowed: _Allowed) -> None:
    """An SMS or an e-mail to those whose route it is, in the same commit as their state: never twice."""
    mine = [each for each in chunk if each.route in ("sms", "email") and allowed.may(each)]
    if not mine:
        return
    ids = [each.member_id for each in mine]
    rows = await session.execute(select(Member.id, Member.phone, Member.email).where(Member.id.in_(ids)))
    addresses = {row.id: {"sms": row.phone, "email": row.email} for row in rows}
    held = await session.execute(
        select(Pass.member_id, Pass.id).where(Pass.member_id.in_(ids), Pass.state == "active")
    )
    cards: dict[str, str] = {row.member_id: row.id for row in held}
    for recipient in mine:
        address = addresses.get(recipient.member_id, {}).get(recipient.route)
        if address is None:
            continue
        subjects = job.definition.subjects_on(recipient.route)
        message = await queue_message(
            session,
            program_id=job.program.id,
            member_id=recipient.member_id,
            channel=cast(Channel, recipient.route),
            purpose=PURPOSE,
            recipient=address,
            text=job.text(recipient, job.definition.texts_on(recipient.route, job.variant(recipient))),
            subject=job.text(recipient, subjects) if subjects else None,
            now=job.now,
        )
        recipient.message_id = message.id
        recipient.pass_id = cards.get(recipient.member_id)  # whose link they may open
