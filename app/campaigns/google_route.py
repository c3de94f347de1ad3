"""How a campaign reaches Google Wallet: each card by calls of its own, or all of a class by one message.

Google takes some twenty calls a second: a million cards are a day, a message to their class is one call. But
everybody who holds a card of the class reads it. So it is for a campaign that says the same to all of them,
while each of them may be told; whatever changes that, the cards are told one by one.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.consent import agrees, newest_words, suppressed_on
from app.campaigns.definition import Definition, parse
from app.campaigns.models import Campaign, Plan, Recipient
from app.campaigns.schedule import due_at
from app.campaigns.wording import is_fixed, render
from app.job_queue import kinds
from app.members.models import Member, Program
from app.passes import budget, class_messages
from app.passes.class_messages import TEXT_LENGTH_MAX, Wording
from app.passes.models import ClassMessage, GoogleClass, GoogleObject, Pass, Update
from app.passes.versions import GOOGLE, enqueue_updates

CLASS, OBJECT, NONE = "class", "object", "none"
_NOT_FOR_ALL = "somebody who may not be told holds a card by now"
CALLS_PER_SECOND = 18  # what Google's 20 leave with room to spare: facts of its documentation, and measured
_CALLS_PER_OBJECT = 3  # the change, a look at its messages, the message
_CALLS_PER_CLASS = 2


async def forecast(
    session: AsyncSession, program: Program, plan_id: str, definition: Definition
) -> dict[str, Any]:
    """What the plan says of Google: the route and why, cards, calls and the seconds they take."""
    cards = await _cards(session, plan_id)
    classes = await _classes(session, program.id)
    why = _why_one_by_one(definition, program)
    if not why and await _somebody_else_holds(session, program.id, plan_id, "planned"):
        why = "others_hold_it"
    if not why and not classes:
        why = "no_class"  # Google has refused it so far, or it was never written
    if not cards:
        route, calls = NONE, 0
    elif why:
        route, calls = OBJECT, cards * _CALLS_PER_OBJECT
    else:
        route, calls = CLASS, len(classes) * _CALLS_PER_CLASS
    return {
        "route": route,
        "why": why if route == OBJECT else "",
        "cards": cards,
        "calls": calls,
        "seconds": -(-calls // CALLS_PER_SECOND),
    }


async def notifications(
    session: AsyncSession, program: Program, plan_id: str, definition: Definition, *, now: datetime
) -> dict[str, int]:
    """What the messages to the classes will do: how many members ring, are told in silence, or later."""
    at = max(now, due_at(definition, program.time_zone) or now)
    found = {budget.RINGS: 0, budget.SILENT: 0, budget.DEFERRED: 0}
    members = await session.execute(
        select(GoogleObject.class_id, func.count(Pass.member_id.distinct()))
        .join(Pass, Pass.id == GoogleObject.pass_id)
        .join(Recipient, and_(Recipient.plan_id == plan_id, Recipient.member_id == Pass.member_id))
        .where(GoogleObject.program_id == program.id, GoogleObject.has_users)
        .group_by(GoogleObject.class_id)
    )
    for class_id, count in members:
        decision = await class_messages.decide_for(session, program, class_id, now=at)
        found[decision.outcome] += count
    return found


def _why_one_by_one(definition: Definition, program: Program) -> str:
    """Why these words cannot go to a whole class; empty when they can."""
    arms = definition.arms
    texts = [text for arm in arms for text in arm.texts.values()]
    hindrances = {
        "another_channel": definition.channel != "wallet",
        "is_a_test": bool(definition.variants or definition.hold_out_percent),
        "gives_points": any(definition.points_of(arm.name) for arm in arms),
        "own_clocks": definition.zone == "member",
        "names_the_member": not all(is_fixed(text) for text in texts),
        "too_long": any(len(text) > TEXT_LENGTH_MAX for text in texts),
        "no_text_in_our_language": any(program.language not in arm.texts for arm in arms),
    }
    return next((why for why, is_so in hindrances.items() if is_so), "")


async def _cards(session: AsyncSession, plan_id: str) -> int:
    query = (
        select(func.count())
        .select_from(GoogleObject)
        .join(Pass, Pass.id == GoogleObject.pass_id)
        .join(Recipient, Recipient.member_id == Pass.member_id)
        .where(
            Recipient.plan_id == plan_id,
            Recipient.route == "wallet",
            Recipient.state == "planned",
            Pass.state == "active",
            GoogleObject.has_users,
        )
    )
    return await session.scalar(query) or 0


async def _classes(session: AsyncSession, program_id: str) -> list[str]:
    query = select(GoogleClass.class_id).where(
        GoogleClass.program_id == program_id, GoogleClass.body_hash != ""
    )
    return list(await session.scalars(query))


async def _somebody_else_holds(session: AsyncSession, program_id: str, plan_id: str, state: str) -> bool:
    """Whether anybody holds a card who is not a recipient in this state, or may not be told now."""
    words, suppressed = newest_words(program_id), suppressed_on(program_id, "wallet")
    is_recipient = exists().where(
        Recipient.plan_id == plan_id,
        Recipient.member_id == Member.id,
        Recipient.route == "wallet",
        Recipient.state == state,
    )
    may_be_told: ColumnElement[bool] = agrees("wallet", words.c.given, suppressed.c.member_id)
    query = (
        select(GoogleObject.pass_id)
        .join(Pass, Pass.id == GoogleObject.pass_id)
        .join(Member, Member.id == Pass.member_id)
        .outerjoin(words, words.c.member_id == Member.id)
        .outerjoin(suppressed, suppressed.c.member_id == Member.id)
        .where(
            GoogleObject.program_id == program_id,
            GoogleObject.has_users,
            or_(~is_recipient, ~may_be_told, Member.state != "active"),
        )
        .limit(1)
    )
    return await session.scalar(query) is not None


async def begin(
    session: AsyncSession, program: Program, campaign: Campaign, plan: Plan, *, now: datetime
) -> None:
    """Write the messages to the classes, where the plan says so and nobody has changed that; unsent."""
    if plan.totals.get("google", {}).get("route") != CLASS or await _messages(session, campaign.id):
        return
    if await _somebody_else_holds(session, program.id, plan.id, "planned"):
        return
    texts = {
        language: render(text, {}, program, language, bonus=0)
        for language, text in parse(plan.definition).texts.items()
    }
    await class_messages.prepare(
        session,
        program,
        Wording(texts),
        template=None,
        by=campaign.created_by,
        campaign_id=campaign.id,
        now=now,
    )


async def kept_for_class(session: AsyncSession, campaign_id: str) -> str:
    """The wallet whose cards are not told one by one: Google's while a message to their class waits."""
    return GOOGLE if await _messages(session, campaign_id) else ""


async def finish(session: AsyncSession, campaign: Campaign, *, now: datetime) -> None:
    """All recipients have their text: send the messages to the classes, or tell each card after all."""
    messages = await _messages(session, campaign.id)
    if not messages:
        return
    if await _somebody_else_holds(session, campaign.program_id, campaign.plan_id or "", "done"):
        await give_up(session, campaign, _NOT_FOR_ALL, now=now)
    else:
        await class_messages.send(session, messages)


async def withdraw_if_refused(session: AsyncSession, message: ClassMessage, *, now: datetime) -> bool:
    """Send no message to the class where somebody has refused while it waited; the others' cards are told.

    Whether it was withdrawn.
    """
    campaign = await session.get(Campaign, message.campaign_id)
    if campaign is None or not await _somebody_else_holds(
        session, campaign.program_id, campaign.plan_id or "", "done"
    ):
        return False
    await class_messages.record_refused(session, message.id, _NOT_FOR_ALL)
    await tell_each(session, message, now=now)
    return True


async def give_up(session: AsyncSession, campaign: Campaign, why: str, *, now: datetime) -> None:
    """Send no message to the classes; who was told on other phones is told at Google card by card."""
    for message in await _messages(session, campaign.id):
        await class_messages.record_refused(session, message.id, why)
        await tell_each(session, message, now=now)


async def tell_each(session: AsyncSession, message: ClassMessage, *, now: datetime) -> None:
    """Have the cards of a class told one by one that a campaign's message to the class did not reach.

    Who has refused meanwhile is left out: their card follows with its next change.
    """
    words = newest_words(message.program_id)
    suppressed = suppressed_on(message.program_id, "wallet")
    done = (
        select(Recipient.member_id)
        .join(Campaign, Campaign.plan_id == Recipient.plan_id)
        .outerjoin(words, words.c.member_id == Recipient.member_id)
        .outerjoin(suppressed, suppressed.c.member_id == Recipient.member_id)
        .where(
            Campaign.id == message.campaign_id,
            Recipient.state == "done",
            Recipient.route == "wallet",
            agrees("wallet", words.c.given, suppressed.c.member_id),
        )
    )
    of_class = (
        select(Pass.id)
        .join(GoogleObject, GoogleObject.pass_id == Pass.id)
        .where(GoogleObject.class_id == message.class_id, Pass.state == "active", Pass.member_id.in_(done))
    )
    newest = select(Pass.version).where(Pass.id == Update.pass_id).scalar_subquery()
    statement = (
        update(Update)
        .where(Update.wallet == GOOGLE, Update.pass_id.in_(of_class), Update.wanted_version < newest)
        .values(wanted_version=newest, wanted_at=now, touched_at=now, queued=True, priority=kinds.BULK)
        .returning(Update.pass_id)
        .execution_options(synchronize_session=False)
    )
    owed = [(pass_id, GOOGLE) for pass_id in await session.scalars(statement)]
    await enqueue_updates(session, owed, priority=kinds.BULK)


async def _messages(session: AsyncSession, campaign_id: str) -> list[ClassMessage]:
    """The campaign's messages to classes that are not sent yet."""
    query = select(ClassMessage).where(
        ClassMessage.campaign_id == campaign_id, ClassMessage.state == class_messages.PREPARED
    )
    return list(await session.scalars(query.order_by(ClassMessage.id)))
