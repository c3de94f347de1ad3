"""One message to every holder of a class at Google: one call, however many they are.

Adding a message is not idempotent and Google keeps doubles, so a class that has its id already, from a try
whose answer was lost, gets no second one. A class keeps ten; those that are over make room by a PUT.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from app.campaigns import google_route
from app.errors import TemporaryFailure
from app.job_queue import JsonScalar, Retry
from app.jobs import google_access
from app.jobs.google_turns import Lane, Turns
from app.passes import budget, class_messages
from app.passes.models import ClassMessage
from app.wallets.google.api import Body, GoogleApi, Messaged
from app.wallets.google.errors import IssuerRefused, NotAccepted
from app.wiring import Services

RETRY = Retry(attempts_max=200, first_wait_seconds=2, longest_wait_seconds=900)
KEPT = 9  # beside the new one: Google allows ten
_NO_CLASS = "Google has no such class any more: it is written again with the next pass that changes"


async def send_class_message(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Add a message to its class, ringing where the day allows it.

    Raises TemporaryFailure for another try, in quiet hours until their end; PermanentFailure when Google
    will not have it.
    """
    google = google_access.connected(services)
    message_id = str(args["message_id"])
    async with services.sessions() as session:
        message = await session.get(ClassMessage, message_id)
        if message is None or message.state != "queued":
            return
        decision = await class_messages.decide(session, message, now=services.clock())
    if decision.outcome == budget.DEFERRED and decision.until is not None:
        await _note(services, message_id, decision.why)
        left = (decision.until - services.clock()).total_seconds()
        raise TemporaryFailure(f"the message waits: {decision.why}", retry_after_seconds=left)
    if message.campaign_id is not None:
        async with services.sessions.begin() as session:
            if await google_route.withdraw_if_refused(session, message, now=services.clock()):
                return
    try:
        notify, why = await _add(google, message, decision, Turns(services, Lane.CAMPAIGN))
    except IssuerRefused as failure:
        await _note(services, message_id, str(failure))
        raise google_access.stop(services, failure) from failure
    except NotAccepted as failure:
        async with services.sessions.begin() as session:
            await class_messages.record_refused(session, message_id, str(failure))
            if message.campaign_id is not None:
                await google_route.tell_each(session, message, now=services.clock())
        raise
    except TemporaryFailure as failure:
        await _note(services, message_id, str(failure))
        raise
    async with services.sessions.begin() as session:
        await class_messages.record_sent(session, message_id, notify, why, now=services.clock())


async def _note(services: Services, message_id: str, why: str) -> None:
    async with services.sessions.begin() as session:
        await class_messages.record_waiting(session, message_id, why)


async def _add(
    google: GoogleApi, message: ClassMessage, decision: budget.Decision, turns: Turns
) -> tuple[budget.Outcome, str]:
    """Add it unless it is there; whether it rang, and why. Raises what `GoogleApi` raises."""
    resource, class_id = message.resource, message.class_id
    async with turns.one():
        stored = await google.get(resource, class_id)
    if stored is None:
        raise NotAccepted(_NO_CLASS)
    held = cast("Sequence[dict[str, Any]]", stored.get("messages", []))
    before = next((each for each in held if each.get("id") == message.id), None)
    if before is not None:
        rang = before.get("messageType") == "TEXT_AND_NOTIFY"
        return ("rings", "within_budget") if rang else ("silent", decision.why)
    if len(held) > KEPT:
        async with turns.one():
            await google.replace(
                resource, class_id, {**stored, "reviewStatus": "UNDER_REVIEW", "messages": held[-KEPT:]}
            )
    body = _body(message)
    if decision.outcome == budget.RINGS:
        async with turns.one():
            added = await google.add_message(resource, class_id, {**body, "messageType": "TEXT_AND_NOTIFY"})
        if added is Messaged.ADDED:
            return "rings", decision.why
    async with turns.one():
        added = await google.add_message(resource, class_id, {**body, "messageType": "TEXT"})
    if added is Messaged.MISSING:
        raise NotAccepted(_NO_CLASS)
    return "silent", decision.why if decision.outcome != budget.RINGS else "google_quota"


def _body(message: ClassMessage) -> Body:
    own = message.language
    others = sorted(each for each in message.texts if each != own)
    return {
        "id": message.id,
        "header": message.header,
        "localizedBody": {
            "defaultValue": {"language": own, "value": message.texts[own]},
            "translatedValues": [{"language": each, "value": message.texts[each]} for each in others],
        },
        "body": message.texts[own],
        "displayInterval": {
            "start": {"date": message.created_at.isoformat()},
            "end": {"date": message.shown_until.isoformat()},
        },
    }
