"""What happens to the members of one chunk: points, the text on their passes, an SMS for those without."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.consent import reachable
from app.campaigns.definition import REST, Definition
from app.campaigns.models import Campaign, Recipient
from app.campaigns.wording import render
from app.job_queue import kinds
from app.members.messages import Channel, queue_message
from app.members.models import Member, Program
from app.passes.models import Pass
from app.passes.versions import mark_changed
from app.points.movements import Movement
from app.points.posting import post
from app.points.refusals import MemberBlocked, PointsOutOfRange, UnknownMember

SOURCE = "campaign"
PURPOSE = "campaign"


@dataclass(frozen=True)
class _Job:
    """One chunk of a campaign."""

    program: Program
    campaign: Campaign
    definition: Definition
    now: datetime

    def variant(self, recipient: Recipient) -> str:
        """The arm whose text and points a member gets: of the rest, the winner."""
        return self.campaign.winner or "" if recipient.variant == REST else recipient.variant

    def points(self, recipient: Recipient) -> int:
        return self.definition.points_of(self.variant(recipient))

    def text(self, recipient: Recipient, texts: Mapping[str, str]) -> str:
        bonus = self.points(recipient)
        source = texts[recipient.language]
        return render(source, recipient.facts, self.program, recipient.language, bonus=bonus)


async def deliver(
    session: AsyncSession,
    program: Program,
    campaign: Campaign,
    definition: Definition,
    chunk: Sequence[Recipient],
    *,
    now: datetime,
) -> int:
    """Carry the plan out for these recipients; how many something happened to. The rest say why not."""
    job = _Job(program, campaign, definition, now)
    allowed = await _allowed(session, job, chunk)
    credited = await _credit(session, job, [each for each in chunk if each.member_id in allowed.active])
    held = await _passes(session, chunk, credited)
    told = await _change_passes(session, job, chunk, allowed, held, credited)
    await _write(session, job, chunk, allowed)
    for recipient in chunk:
        reached = recipient.member_id in told or recipient.message_id is not None
        if reached or (recipient.account_id in credited and job.points(recipient)):
            recipient.state, recipient.done_at = "done", now
        else:
            recipient.state = "skipped"
            recipient.reason = recipient.reason or _why_not(recipient, allowed)
    await session.flush()
    return sum(1 for recipient in chunk if recipient.state == "done")


@dataclass(frozen=True)
class _Allowed:
    """Who may be told now, whatever was true when the plan was made."""

    active: set[str]
    by_channel: Mapping[str, set[str]]
    full: set[str]  # have had as many campaigns as the cap allows

    def may(self, recipient: Recipient) -> bool:
        return (
            recipient.member_id in self.by_channel.get(recipient.route, set())
            and recipient.member_id not in self.full
        )


def _why_not(recipient: Recipient, allowed: _Allowed) -> str:
    if recipient.member_id not in allowed.active:
        return "blocked"
    if recipient.member_id in allowed.full:
        return "cap"
    if recipient.route != "points" and recipient.member_id not in allowed.by_channel[recipient.route]:
        return "no_consent"
    return "no_wallet"


async def _allowed(session: AsyncSession, job: _Job, chunk: Sequence[Recipient]) -> _Allowed:
    ids = [recipient.member_id for recipient in chunk]
    active = await session.scalars(select(Member.id).where(Member.id.in_(ids), Member.state == "active"))
    routes = {recipient.route for recipient in chunk} & {"wallet", "sms", "email"}
    by_channel = {route: await reachable(session, job.program.id, ids, route) for route in sorted(routes)}
    return _Allowed(set(active), by_channel, await _full(session, job, ids))


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


async def _credit(session: AsyncSession, job: _Job, chunk: Sequence[Recipient]) -> set[str]:
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
    session: AsyncSession, chunk: Sequence[Recipient], credited: set[str]
) -> Sequence[Row[str, str, str, str]]:
    """The active passes of the chunk's members, and all those of accounts whose balance moved."""
    members = [recipient.member_id for recipient in chunk if recipient.route == "wallet"]
    query = (
        select(Pass.id, Pass.member_id, Pass.message, Member.account_id)
        .join(Member, Member.id == Pass.member_id)
        .where(Pass.state == "active", Pass.member_id.in_(members) | Member.account_id.in_(sorted(credited)))
        .order_by(Pass.id)
        .with_for_update(of=Pass)
    )
    return (await session.execute(query)).all()


async def _change_passes(
    session: AsyncSession,
    job: _Job,
    chunk: Sequence[Recipient],
    allowed: _Allowed,
    held: Sequence[Row[str, str, str, str]],
    credited: set[str],
) -> set[str]:
    """Put the texts on the passes and mark all of them changed, each once; the members who are told."""
    by_member = {each.member_id: each for each in chunk if each.route == "wallet" and allowed.may(each)}
    changed: set[str] = set()
    texts: defaultdict[str, list[str]] = defaultdict(list)
    told: set[str] = set()
    for row in held:
        recipient = by_member.get(row.member_id)
        if recipient is not None:
            text = job.text(recipient, job.definition.texts_on("wallet", job.variant(recipient)))
            if text and text != row.message:
                texts[text].append(row.id)
                told.add(row.member_id)
                recipient.pass_id = recipient.pass_id or row.id
            elif row.member_id not in told:
                recipient.reason = "same_text"
        if row.account_id in credited:
            changed.add(row.id)
    for text, pass_ids in texts.items():
        changed.update(pass_ids)
        await session.execute(
            update(Pass).where(Pass.id.in_(pass_ids)).values(message=text),
            execution_options={"synchronize_session": False},
        )
    await _mark(session, job, sorted(changed), by_member)
    return told


async def _mark(
    session: AsyncSession, job: _Job, pass_ids: Sequence[str], by_member: Mapping[str, Recipient]
) -> None:
    """One new version of every pass, told after everything that is not a campaign."""
    because = {"campaign_id": job.campaign.id}
    await mark_changed(session, job.program.id, pass_ids, because=because, now=job.now, priority=kinds.BULK)
    versions = await session.execute(
        select(Pass.id, Pass.member_id, Pass.version).where(Pass.id.in_(pass_ids))
    )
    for row in versions:
        recipient = by_member.get(row.member_id)
        if recipient is not None and recipient.pass_id in (None, row.id):
            recipient.pass_id, recipient.version = row.id, row.version


async def _write(session: AsyncSession, job: _Job, chunk: Sequence[Recipient], allowed: _Allowed) -> None:
    """An SMS or an e-mail to those whose route it is, in the same commit as their state: never twice."""
    mine = [each for each in chunk if each.route in ("sms", "email") and allowed.may(each)]
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
