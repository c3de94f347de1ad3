"""Posting one movement: write it, or say exactly why not."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import new_id
from app.members.models import Account, Member
from app.passes.versions import mark_account_changed
from app.points.announcing import listening, tell
from app.points.entries import EntryView, entry_of_event, reversal_of
from app.points.movements import Movement, Written, write
from app.points.refusals import (
    POINTS_MAX,
    AlreadyReversed,
    BadFact,
    MemberBlocked,
    NotEnoughPoints,
    PointsOutOfRange,
    SequenceOutOfStep,
    SourceEventReused,
    UnknownAccount,
    UnknownMember,
)

ATTEMPTS_MAX = 3  # the second one already holds the account's lock
_LENGTHS_MAX = {"reason": 256, "source": 64, "source_event": 128}


@dataclass(frozen=True, slots=True)
class Posted:
    """A movement's line in the ledger; `repeated`: it was already there and nothing was changed."""

    entry: EntryView
    repeated: bool


async def post_and_tell(session: AsyncSession, movement: Movement) -> Posted:
    """Write a movement and mark every pass of the account changed. Raises as `post` does."""
    posted = await post(session, movement)
    if not posted.repeated:
        entry = posted.entry
        await mark_account_changed(
            session,
            entry.program_id,
            entry.account_id,
            because={"entry_id": entry.id, "kind": entry.kind},
            now=movement.now,
        )
    return posted


async def post(session: AsyncSession, movement: Movement) -> Posted:
    """Write a movement without telling the phones: the caller does that, once for all it posts.

    Raises what stands in the movement's way, with nothing changed.
    """
    _check_texts(movement)
    if session.new or session.dirty:
        await session.flush()  # an account made a moment ago may not be in the database yet
    entry_id = new_id("ent")
    listened = await listening(session, movement)
    for _ in range(ATTEMPTS_MAX):
        written = await session.run_sync(lambda sync: write(sync.connection(), entry_id, movement))
        if written is not None:
            line = _line(entry_id, movement, written)
            if listened is not None:
                await tell(session, line, listened)
            return Posted(line, repeated=False)
        if (first := await _first_of(session, movement)) is not None:
            return first
        # What stood in the way is gone, and the account is ours now: the next attempt decides.
    raise SequenceOutOfStep(movement.account_id)


def same_event(first: EntryView, movement: Movement) -> Posted:
    """The answer to an event that was recorded before.

    Raises SourceEventReused when it was something else then. A purchase is compared by its amount,
    for the points depend on the tier of the day; the wording of the reason does not matter.
    """
    size = "points" if movement.amount_minor_units is None else "amount_minor_units"
    facts = ("account_id", "kind", "reverses_id", "amount_minor_units", size)
    if any(getattr(first, fact) != getattr(movement, fact) for fact in facts):
        raise SourceEventReused(first)
    return Posted(first, repeated=True)


def _check_texts(movement: Movement) -> None:
    for field, length_max in _LENGTHS_MAX.items():
        value: str = getattr(movement, field)
        if not value and field != "reason":
            raise BadFact(field, "must not be empty")
        if len(value) > length_max:
            raise BadFact(field, f"{len(value)} characters; at most {length_max} are allowed")
        if "\0" in value:
            raise BadFact(field, "must not contain a NUL character")


async def _first_of(session: AsyncSession, movement: Movement) -> Posted | None:
    """Lock the account and find why a movement was not written: what repeats it, or None if nothing now.

    Raises the reason otherwise.
    """
    account = (
        await session.execute(
            select(Account.program_id, Account.balance)
            .where(Account.id == movement.account_id)
            .with_for_update()
        )
    ).one_or_none()
    if account is None or movement.program_id not in (None, account.program_id):
        raise UnknownAccount(movement.account_id)
    first = await entry_of_event(session, account.program_id, movement.source, movement.source_event)
    if first is not None:
        return same_event(first, movement)
    if movement.reverses_id and (by := await reversal_of(session, movement.reverses_id)):
        raise AlreadyReversed(movement.reverses_id, by.id)
    await _check_member(session, movement)
    _check_balance(account.balance, movement)
    return None


async def _check_member(session: AsyncSession, movement: Movement) -> None:
    query = select(Member.id, Member.state).where(Member.account_id == movement.account_id)
    states = {row.id: row.state for row in await session.execute(query)}
    if movement.member_id is not None:
        if movement.member_id not in states:
            raise UnknownMember(movement.member_id, movement.account_id)
        states = {movement.member_id: states[movement.member_id]}
    if states and not movement.by_operator and set(states.values()) == {"blocked"}:
        raise MemberBlocked(movement.account_id, movement.member_id)


def _check_balance(balance: int, movement: Movement) -> None:
    after = balance + movement.points
    if after < 0:
        raise NotEnoughPoints(balance, asked=-movement.points)
    if after > POINTS_MAX:
        raise PointsOutOfRange(movement.points, allowed=f"a balance of at most {POINTS_MAX}")


def _line(entry_id: str, movement: Movement, written: Written) -> EntryView:
    return EntryView(
        id=entry_id,
        program_id=written.program_id,
        account_id=movement.account_id,
        sequence=written.sequence,
        kind=movement.kind,
        points=movement.points,
        balance_after=written.balance,
        reason=movement.reason,
        source=movement.source,
        source_event=movement.source_event,
        reverses_id=movement.reverses_id,
        at=movement.now,
        member_id=movement.member_id,
        amount_minor_units=movement.amount_minor_units,
        tier_points=movement.tier_points,
    )
