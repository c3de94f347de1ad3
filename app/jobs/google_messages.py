"""The newest message of a pass, as one in Google Wallet: it rings where the budget allows, else it is text.

Adding a message is not idempotent and Google keeps doubles. So its id is made of the text, and an object that
holds the id already, from a try whose answer was lost, gets no second one.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from app.errors import TemporaryFailure
from app.jobs.google_sending import Card
from app.jobs.google_turns import Turns
from app.members.models import Program
from app.passes import budget, class_messages, google_objects, trace
from app.passes.versions import GOOGLE
from app.wallets.google.api import Body, GoogleApi, Messaged
from app.wallets.google.errors import IssuerRefused, NotAccepted, TooFast
from app.wiring import Services

SHOWN_FOR = timedelta(days=30)
KEPT = 7  # beside the new one; Google allows ten, and a person reads the newest


class MessageDeferred(TemporaryFailure):
    """The message waits for the end of the quiet hours: no failure of Google's."""


async def tell_news(
    services: Services, google: GoogleApi, card: Card, stored: Body | None, turns: Turns
) -> None:
    """Add the pass's message to its object, unless Google has it. `stored` is the object, where just read.

    Raises what `GoogleApi` raises, and MessageDeferred in quiet hours: until their end.
    """
    text = card.issued.message
    news = google_objects.news_hash(text)
    if not card.sent or card.sent.get(google_objects.NEWS, news) == news:
        return
    if text and card.is_held and not await _is_told_by_class(services, card, text):
        await _tell(services, google, card, stored, turns, f"news-{news}")
    async with services.sessions.begin() as session:
        await google_objects.record_news(session, card.issued.id, text)


async def _is_told_by_class(services: Services, card: Card, text: str) -> bool:
    async with services.read_sessions() as session:
        return await class_messages.covers(session, card.body["classId"], text, now=services.clock())


async def _tell(
    services: Services, google: GoogleApi, card: Card, stored: Body | None, turns: Turns, message_id: str
) -> None:
    decision, header, has_counted = await _decide(services, card, message_id)
    if decision.outcome == "deferred" and decision.until is not None:
        await _tell_story(services, card, "deferred", decision.why)
        left = (decision.until - services.clock()).total_seconds()
        raise MessageDeferred(f"the message waits: {decision.why}", retry_after_seconds=left)
    if stored is None or "messages" not in stored:
        async with turns.one():
            stored = await google.get(card.resource, card.body["id"], fields="messages") or {}
    held = cast("Sequence[dict[str, Any]]", stored.get("messages", []))
    if any(each.get("id") == message_id for each in held):
        return
    try:
        if len(held) > KEPT:
            async with turns.one():
                await google.replace(card.resource, card.body["id"], {**card.body, "messages": held[-KEPT:]})
        why = await _add(
            services, google, card, turns, decision, _message(services, card, message_id, header)
        )
    except (TooFast, IssuerRefused, NotAccepted):
        if has_counted:
            async with services.sessions.begin() as session:
                await budget.give_back(session, card.issued.id, GOOGLE, "message", key=message_id)
        raise
    await _tell_story(services, card, "rings" if why == "within_budget" else "silent", why)


async def _tell_story(services: Services, card: Card, notify: budget.Outcome, why: str) -> None:
    taken = card.taken
    async with services.sessions.begin() as session:
        await trace.record_once(
            session,
            taken.program_id,
            taken.pass_id,
            trace.GOOGLE_MESSAGE,
            version=taken.version,
            details={"notify": notify, "why": why},
            now=services.clock(),
        )


async def _add(
    services: Services, google: GoogleApi, card: Card, turns: Turns, decision: budget.Decision, message: Body
) -> str:
    """Add it, ringing where it may; why it rang or did not."""
    if decision.outcome == "rings":
        async with turns.one():
            added = await google.add_message(
                card.resource, card.body["id"], {**message, "messageType": "TEXT_AND_NOTIFY"}
            )
        if added is not Messaged.OVER_QUOTA:
            return decision.why
    async with turns.one():
        await google.add_message(card.resource, card.body["id"], {**message, "messageType": "TEXT"})
    return decision.why if decision.outcome != "rings" else "google_quota"


def _message(services: Services, card: Card, message_id: str, header: str) -> Body:
    now = services.clock()
    interval = {"start": {"date": now.isoformat()}, "end": {"date": (now + SHOWN_FOR).isoformat()}}
    return {"id": message_id, "header": header, "body": card.issued.message, "displayInterval": interval}


async def _decide(services: Services, card: Card, message_id: str) -> tuple[budget.Decision, str, bool]:
    """Whether it rings, under which header, and whether this try counted the ring."""
    now, taken = services.clock(), card.taken
    async with services.sessions.begin() as session:
        program = await session.get_one(Program, taken.program_id)
        if await budget.is_counted(session, taken.pass_id, GOOGLE, "message", key=message_id):
            return budget.Decision("rings", "within_budget"), program.name, False
        rang = await budget.rang_today(session, taken.pass_id, now=now)
        decision = budget.decide(budget.rules_of(program), rang, GOOGLE, "message", card.purpose, now=now)
        if decision.outcome == "rings":
            await budget.count(
                session,
                taken.program_id,
                taken.pass_id,
                GOOGLE,
                "message",
                key=message_id,
                purpose=card.purpose,
                now=now,
            )
        return decision, program.name, decision.outcome == "rings"
