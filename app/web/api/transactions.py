"""Moving points: earn, redeem, adjust, reverse. The hottest door of the program."""

import hashlib
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Response
from pydantic import Field, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from app.members import people
from app.members.models import Program
from app.points import amounts, ledger
from app.points.ledger import POINTS_MAX, Posted
from app.web.api.accounts import EntryOut
from app.web.api.idempotency import OnlyOnce
from app.web.api.keys import TransactionsWrite
from app.web.api.values import Given, IdInBody, IdInPath, Money, Reason, SourceEvent, Taken, Word
from app.web.dependencies import Now
from app.web.errors import Problem

router = APIRouter(tags=["transactions"])

_SOURCE_EVENT_LENGTH_MAX = 128
_Debit = Annotated[int, Field(strict=True, ge=1, le=POINTS_MAX, examples=[100])]


class _Movement(Taken):
    """What every movement may say."""

    reason: Reason = Field("", description="Why, in words: stands in the ledger")
    source: Word = Field("api", description="Which system says so")
    source_event: SourceEvent | None = Field(
        None,
        description="The source's own id of what happened, such as an order's: counted once, whatever the "
        "Idempotency-Key. Default: the Idempotency-Key",
        examples=["order:1042"],
    )


class _Acting(_Movement):
    member_id: IdInBody | None = Field(None, description="Which member of the account acted")


class Earn(_Acting):
    """Credit points, or what a purchase earns at the rate of the account's tier."""

    kind: Literal["earn"]
    points: _Debit | None = None
    amount: Money | None = Field(None, description="Of the purchase, in the programme's currency")

    @model_validator(mode="after")
    def _says_how_much(self) -> "Earn":
        if (self.points is None) == (self.amount is None):
            raise ValueError("give either points or amount")
        return self


class Redeem(_Acting):
    """Debit points the member spends; those that expire first go first."""

    kind: Literal["redeem"]
    points: _Debit


class Adjust(_Acting):
    """Correct the balance by hand: above zero credits, below zero debits."""

    kind: Literal["adjust"]
    points: Annotated[int, Field(strict=True, ge=-POINTS_MAX, le=POINTS_MAX, examples=[-20])]


class Reverse(_Movement):
    """Undo an entry by an opposite one."""

    kind: Literal["reverse"]
    reverses: IdInBody = Field(examples=["ent_01k9xv3m8qf7w2c5r1t0abcdex"])


NewTransaction = Annotated[
    Earn | Redeem | Adjust | Reverse,
    Body(
        discriminator="kind",
        openapi_examples={
            "earn": {
                "summary": "100 points for an order",
                "value": {"kind": "earn", "points": 100, "reason": "Order 1042"},
            },
            "purchase": {
                "summary": "What 199.00 earns at the tier's rate",
                "value": {"kind": "earn", "amount": "199.00", "source": "till", "source_event": "order:1042"},
            },
            "redeem": {
                "summary": "Spend 50 points",
                "value": {"kind": "redeem", "points": 50, "reason": "Cappuccino"},
            },
            "adjust": {
                "summary": "Take 20 back",
                "value": {"kind": "adjust", "points": -20, "reason": "Miscounted"},
            },
            "reverse": {
                "summary": "Undo an entry",
                "value": {"kind": "reverse", "reverses": "ent_01k9xv3m8qf7w2c5r1t0abcdex"},
            },
        },
    ),
]


class TransactionOut(Given):
    """What a movement came to."""

    object: Literal["transaction"] = "transaction"
    entry: EntryOut | None = Field(description="null: the purchase was too small to earn a point")
    balance: int = Field(description="Of the account, now", examples=[1250])
    repeated: bool = Field(description="The source had reported this event before: nothing was changed")


@router.post(
    "/accounts/{account_id}/transactions",
    status_code=201,
    summary="Move points",
    responses={201: {"model": TransactionOut}},
)
async def post_transaction(
    account_id: IdInPath, wanted: NewTransaction, caller: TransactionsWrite, once: OnlyOnce, now: Now
) -> Response:
    """Earn, redeem, adjust or reverse points. Every pass of the account changes, and its phones ring."""

    async def work(session: AsyncSession) -> TransactionOut:
        event = wanted.source_event or source_event_of(once.key)
        posted, currency = await _post(session, caller.program_id, account_id, wanted, event, now)
        if posted is not None and not posted.repeated:
            balance = posted.entry.balance_after
        else:
            balance = (await people.account_by_id(session, caller.program_id, account_id)).balance
        return TransactionOut(
            entry=None if posted is None else EntryOut.of(posted.entry, currency),
            balance=balance,
            repeated=posted is not None and posted.repeated,
        )

    return await once.answer(caller, wanted, work, now=now)


def source_event_of(key: str) -> str:
    """The source event of a movement that names none: its Idempotency-Key, where that is short enough."""
    return key if len(key) <= _SOURCE_EVENT_LENGTH_MAX else hashlib.sha256(key.encode()).hexdigest()


async def _post(
    session: AsyncSession,
    program_id: str,
    account_id: str,
    wanted: Earn | Redeem | Adjust | Reverse,
    source_event: str,
    now: datetime,
) -> tuple[Posted | None, str]:
    """Post the movement; what came of it, and the currency of its amount ("" where it has none)."""
    if isinstance(wanted, Reverse):
        return await _reverse(session, program_id, account_id, wanted, source_event, now), ""
    if isinstance(wanted, Earn) and wanted.amount is not None:
        return await _earn_for_purchase(session, program_id, account_id, wanted, source_event, now)
    points = wanted.points
    assert points is not None  # Earn has either points or an amount
    post = _POSTS[wanted.kind]
    posted = await post(
        session,
        account_id,
        points,
        reason=wanted.reason,
        source=wanted.source,
        source_event=source_event,
        member_id=wanted.member_id,
        program_id=program_id,
        now=now,
    )
    return posted, ""


_POSTS = {"earn": ledger.earn, "redeem": ledger.redeem, "adjust": ledger.adjust}


async def _earn_for_purchase(
    session: AsyncSession, program_id: str, account_id: str, wanted: Earn, source_event: str, now: datetime
) -> tuple[Posted | None, str]:
    program = await session.get_one(Program, program_id)
    assert wanted.amount is not None
    posted = await ledger.earn_for_purchase(
        session,
        account_id,
        amounts.minor_units(wanted.amount, program.currency),
        reason=wanted.reason,
        source=wanted.source,
        source_event=source_event,
        member_id=wanted.member_id,
        program_id=program_id,
        now=now,
    )
    return posted, program.currency


async def _reverse(
    session: AsyncSession,
    program_id: str,
    account_id: str,
    wanted: Reverse,
    source_event: str,
    now: datetime,
) -> Posted:
    original = await ledger.entry(session, wanted.reverses, program_id=program_id)
    if original is None or original.account_id != account_id:
        detail = f"account {account_id} has no entry {wanted.reverses}"
        raise Problem(404, "unknown_entry", detail, pointer="/body/reverses")
    return await ledger.reverse(
        session,
        original.id,
        reason=wanted.reason,
        source=wanted.source,
        source_event=source_event,
        program_id=program_id,
        now=now,
    )
