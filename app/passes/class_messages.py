"""Messages to a whole class at Google: every holder of a programme's pass is told by one call.

A class has a day of its own at Google, three rings, besides that of each pass. So these are written down by
themselves: what rang, what was silent and why, and in the story of every pass that somebody held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import new_id
from app.job_queue import enqueue, kinds
from app.members.models import Program
from app.passes import budget, trace
from app.passes.models import ClassMessage, GoogleClass, GoogleObject, Pass

TEXT_LENGTH_MAX = 500
HEADER_LENGTH_MAX = 60
SHOWN_FOR_MAX = timedelta(days=365)
SHOWN_FOR = timedelta(days=30)
_PAGE = 2000
PREPARED = "prepared"  # a campaign's, which is sent when all passes have its text


class BadClassMessage(Exception):
    """A message to a class cannot be sent like this; says which part and what to write instead."""

    def __init__(self, pointer: str, words: str) -> None:
        super().__init__(words)
        self.pointer = pointer


class NoClass(Exception):
    """Google has no pass of this programme, or none of this template, to write to."""


class UnknownClassMessage(Exception):
    """There is no such message in this programme."""


@dataclass(frozen=True)
class Wording:
    """What is to be shown. `texts` by language; `header` None: the programme's name."""

    texts: Mapping[str, str]
    header: str | None = None
    asks_to_ring: bool = True
    shown_until: datetime | None = None  # None: for thirty days


async def create(
    session: AsyncSession,
    program: Program,
    wording: Wording,
    *,
    template: str | None,
    by: str,
    now: datetime,
) -> list[ClassMessage]:
    """Queue a message to each class of a programme, or of one of its templates; oldest class first.

    Raises BadClassMessage, NoClass.
    """
    made = await prepare(session, program, wording, template=template, by=by, now=now)
    await send(session, made)
    return made


async def prepare(
    session: AsyncSession,
    program: Program,
    wording: Wording,
    *,
    template: str | None,
    by: str,
    now: datetime,
    campaign_id: str | None = None,
) -> list[ClassMessage]:
    """The messages that `create` queues, not queued yet. Raises BadClassMessage, NoClass."""
    _check(wording, program, now=now)
    made = [
        ClassMessage(
            id=new_id("cms"),
            program_id=program.id,
            class_id=class_id,
            resource=resource,
            header=(wording.header or program.name)[:HEADER_LENGTH_MAX],
            language=program.language,
            texts=dict(wording.texts),
            asks_to_ring=wording.asks_to_ring,
            shown_until=wording.shown_until or now + SHOWN_FOR,
            state=PREPARED,
            notify="",
            why="",
            by=by,
            campaign_id=campaign_id,
            created_at=now,
        )
        for class_id, resource in await _classes(session, program.id, template)
    ]
    if not made:
        which = f"template {template!r}" if template else "this programme"
        raise NoClass(f"Google Wallet has no pass of {which} yet: issue one, or see `passbell doctor`")
    session.add_all(made)
    await session.flush()
    return made


async def send(session: AsyncSession, messages: Sequence[ClassMessage]) -> None:
    """Queue what was prepared."""
    for each in messages:
        each.state = "queued"
        await enqueue(session, kinds.CLASS_MESSAGE, {"message_id": each.id}, priority=kinds.MESSAGE)


async def covers(session: AsyncSession, class_id: str, text: str, *, now: datetime) -> bool:
    """Whether everybody who holds a card of this class reads this text already, or will in a moment."""
    query = select(ClassMessage.texts).where(
        ClassMessage.class_id == class_id,
        ClassMessage.campaign_id.is_not(None),
        ClassMessage.state != "refused",
        ClassMessage.shown_until > now,
    )
    return any(text in texts.values() for texts in await session.scalars(query))


def _check(wording: Wording, program: Program, *, now: datetime) -> None:
    if program.language not in wording.texts:
        raise BadClassMessage(
            f"/texts/{program.language}", f"must have a text in the programme's language, {program.language}"
        )
    for language, text in wording.texts.items():
        if not text.strip():
            raise BadClassMessage(f"/texts/{language}", "must not be empty")
        if len(text) > TEXT_LENGTH_MAX:
            raise BadClassMessage(f"/texts/{language}", f"must have at most {TEXT_LENGTH_MAX} characters")
    if wording.header is not None and not 0 < len(wording.header.strip()) <= HEADER_LENGTH_MAX:
        raise BadClassMessage("/header", f"must have 1 to {HEADER_LENGTH_MAX} characters")
    if wording.shown_until is not None and not now < wording.shown_until <= now + SHOWN_FOR_MAX:
        raise BadClassMessage("/shown_until", "must be a time to come, within a year")


async def _classes(session: AsyncSession, program_id: str, template: str | None) -> Sequence[tuple[str, str]]:
    query = (
        select(GoogleClass.class_id, GoogleClass.resource)
        .where(GoogleClass.program_id == program_id, GoogleClass.body_hash != "")
        .order_by(GoogleClass.class_id)
    )
    if template is not None:
        of_template = select(GoogleObject.class_id).join(Pass).where(Pass.template == template)
        query = query.where(
            GoogleClass.class_id.in_(of_template.where(GoogleObject.program_id == program_id))
        )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def by_id(session: AsyncSession, program_id: str, message_id: str) -> ClassMessage:
    """The message with this id. Raises UnknownClassMessage."""
    found = await session.get(ClassMessage, message_id)
    if found is None or found.program_id != program_id:
        raise UnknownClassMessage(f"no message to a class {message_id}")
    return found


async def decide(session: AsyncSession, message: ClassMessage, *, now: datetime) -> budget.Decision:
    """Whether it rings now: the day of its class, and the programme's quiet hours."""
    if not message.asks_to_ring:
        return budget.Decision(budget.SILENT, "not_asked_to")
    program = await session.get_one(Program, message.program_id)
    return await decide_for(session, program, message.class_id, now=now)


async def decide_for(
    session: AsyncSession, program: Program, class_id: str, *, now: datetime
) -> budget.Decision:
    """Whether a message to this class would ring at a moment."""
    quiet = budget.quiet_until(budget.rules_of(program), now)
    if quiet is not None:
        return budget.Decision(budget.DEFERRED, "quiet_hours", quiet)
    rang = (
        select(func.count())
        .select_from(ClassMessage)
        .where(
            ClassMessage.class_id == class_id,
            ClassMessage.notify == budget.RINGS,
            ClassMessage.sent_at > now - budget.DAY,
        )
    )
    if (await session.scalar(rang) or 0) >= budget.GOOGLE_PER_DAY:
        return budget.Decision(budget.SILENT, "day_full")
    return budget.Decision(budget.RINGS, "within_budget")


async def record_sent(
    session: AsyncSession, message_id: str, notify: budget.Outcome, why: str, *, now: datetime
) -> int:
    """Note that Google has it, also in the story of each pass that somebody holds; how many those are."""
    message = await session.get_one(ClassMessage, message_id)
    details = {"notify": notify, "why": why, "message_id": message_id}
    held, after = 0, ""
    while page := await _holders(session, message.class_id, after):
        lines = [
            trace.Line(message.program_id, pass_id, trace.GOOGLE_MESSAGE, version, details)
            for pass_id, version in page
        ]
        await trace.record_lines(session, lines, now=now)
        held, after = held + len(page), page[-1][0]
    message.state, message.notify, message.why = "sent", notify, why
    message.holders, message.sent_at = held, now
    return held


async def _holders(session: AsyncSession, class_id: str, after: str) -> list[tuple[str, int]]:
    query = (
        select(Pass.id, Pass.version)
        .join(GoogleObject, GoogleObject.pass_id == Pass.id)
        .where(GoogleObject.class_id == class_id, GoogleObject.has_users, Pass.id > after)
        .order_by(Pass.id)
        .limit(_PAGE)
    )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def record_waiting(session: AsyncSession, message_id: str, why: str) -> None:
    """Note why it has not been sent yet."""
    (await session.get_one(ClassMessage, message_id)).why = why[:400]


async def record_refused(session: AsyncSession, message_id: str, why: str) -> None:
    """Note that Google will not have it."""
    message = await session.get_one(ClassMessage, message_id)
    message.state, message.why = "refused", why[:400]
