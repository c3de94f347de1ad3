"""The requests that bring one pass at Google to its newest version, in their order."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.errors import PermanentFailure, TemporaryFailure
from app.jobs.google_turns import Turns
from app.passes import budget, google_objects, outbox
from app.passes.models import Pass
from app.wallets.google.api import NOTIFY, Body, GoogleApi, Inserted
from app.wallets.google.errors import NotAccepted
from app.wiring import Services

_CLASS_BUSY_SECONDS = 1.0


@dataclass(frozen=True)
class Card:
    """A pass as Google must have it, and what Google has."""

    taken: outbox.Taken
    issued: Pass
    kind: str  # loyalty | offer | ...
    body: Body
    class_body: Body
    is_class_current: bool
    sent: Mapping[str, str]
    decision: budget.Decision
    purpose: budget.Purpose
    is_held: bool  # by somebody's phone
    has_counted: bool  # this try counted the ring; one before it may have rung already

    @property
    def resource(self) -> str:
        return f"{self.kind}Object"

    @property
    def key(self) -> str:
        return f"v{self.taken.version}"


@dataclass(frozen=True)
class Brought:
    """What came of it: the object as Google has it then, None where nothing had to be sent."""

    stored: Body | None
    is_inserted: bool = False


async def bring(services: Services, google: GoogleApi, card: Card, turns: Turns) -> Brought:
    """Send what Google has not. Raises what `GoogleApi` raises."""
    if not card.is_class_current:
        await _write_class(services, google, card, turns)
    if not card.sent:
        return await _insert(services, google, card, turns)
    changes = google_objects.changes(card.body, card.sent)
    if not changes:
        return Brought(None)
    asking = NOTIFY if card.decision.outcome == "rings" else {}
    if google_objects.must_replace(card.body, card.sent):
        stored = await _replace(google, card, turns, asking)
    else:
        async with turns.one():
            stored = await google.patch(card.resource, card.body["id"], changes | asking)
    if stored is None:  # Google lost it: it is ours to make again
        return await _insert(services, google, card, turns)
    return Brought(stored)


async def _replace(google: GoogleApi, card: Card, turns: Turns, asking: Body) -> Body | None:
    """PUT the whole body; the messages that were added to the object stay."""
    async with turns.one():
        found = await google.get(card.resource, card.body["id"], fields="messages")
    if found is None:
        return None
    async with turns.one():
        return await google.replace(card.resource, card.body["id"], {**card.body, **found, **asking})


async def _insert(services: Services, google: GoogleApi, card: Card, turns: Turns) -> Brought:
    async with turns.one():
        inserted = await google.insert(card.resource, card.body)
    if inserted is Inserted.NO_CLASS:
        await _forget_class(services, card)
        await _write_class(services, google, card, turns)
        async with turns.one():
            inserted = await google.insert(card.resource, card.body)
    if inserted is Inserted.NEW:
        return Brought({"hasUsers": False}, is_inserted=True)
    # It is there: from a try whose answer was lost, or from before our database was restored.
    async with turns.one():
        found = await google.get(card.resource, card.body["id"])
    if found is None or not _holds(found, card.body):
        found = await _replace(google, card, turns, {})
    return Brought(found, is_inserted=True)


def _holds(found: Body, body: Body) -> bool:
    """Whether Google has every field of ours, as it should be."""
    return all(found.get(name) == value for name, value in body.items())


async def _forget_class(services: Services, card: Card) -> None:
    async with services.sessions.begin() as session:
        await google_objects.forget_class(session, card.body["classId"])


async def _write_class(services: Services, google: GoogleApi, card: Card, turns: Turns) -> None:
    """Insert the class, or change it to the present design. One worker at a time; the others go on."""
    class_id, resource = card.body["classId"], f"{card.kind}Class"
    program_id, now = card.taken.program_id, services.clock()
    async with services.sessions.begin() as session:
        is_ours = await google_objects.claim_class(
            session, program_id, class_id, resource, card.class_body, now=now
        )
        is_current = await google_objects.class_is_current(session, class_id, card.class_body)
    if is_current or (card.sent and not is_ours):
        return
    if not is_ours:
        raise TemporaryFailure("the class is being written", retry_after_seconds=_CLASS_BUSY_SECONDS)
    try:
        async with turns.one():
            inserted = await google.insert(resource, card.class_body)
        if inserted is Inserted.KNOWN:
            await _change_class(google, resource, card.class_body, turns)
    except NotAccepted:
        raise  # the claim stays until its time is over: a bad design is tried once a minute, not by each pass
    except (TemporaryFailure, PermanentFailure):
        await _class_written(services, class_id, None)
        raise
    await _class_written(services, class_id, card.class_body)


async def _class_written(services: Services, class_id: str, body: Body | None) -> None:
    async with services.sessions.begin() as session:
        await google_objects.class_written(session, class_id, body, now=services.clock())


async def _change_class(google: GoogleApi, resource: str, body: Body, turns: Turns) -> None:
    async with turns.one():
        found = await google.get(resource, body["id"], fields="messages")
    async with turns.one():
        await google.replace(resource, body["id"], {**body, **(found or {})})
