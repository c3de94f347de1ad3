"""Accounts: the balance, the tier, who shares it, and its ledger."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field, model_validator
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members import people
from app.members.models import Account, Member, Program, Tier
from app.points import amounts, entries, tiers
from app.points.entries import EntryView
from app.points.models import Lot
from app.web.api import paging
from app.web.api.keys import AccountsRead, AccountsWrite
from app.web.api.paging import Cursor, Limit
from app.web.api.values import Given, IdInPath, Page, Taken, Time, Word
from app.web.dependencies import Now, Reading, Transaction
from app.web.errors import Problem

router = APIRouter(tags=["accounts"])

EXPIRING_SHOWN_MAX = 5


class TierOut(Given):
    """A tier as an account shows it."""

    code: str = Field(examples=["gold"])
    names: dict[str, str] = Field(examples=[{"en": "Gold", "ru": "Золотой"}])
    is_manual: bool = Field(description="Set by hand: earning does not move it")


class ExpiringOut(Given):
    """Points that expire next."""

    points: int = Field(examples=[150])
    at: Time


class AccountOut(Given):
    """The holder of a points balance, shared by the members on one phone number."""

    id: str = Field(examples=["acc_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["account"] = "account"
    phone: str | None = Field(examples=["+79123456789"])
    balance: int = Field(examples=[1250])
    tier: TierOut | None
    tier_points: int = Field(description="Earned in the rolling period that decides the tier")
    members: list[str] = Field(examples=[["mem_01k9xv3m8qf7w2c5r1t0abcdex"]])
    expiring: list[ExpiringOut] = Field(description="The points that expire next, soonest first")
    created_at: Time


class EntryOut(Given):
    """One line of an account's ledger. Never changed: a correction is another entry."""

    id: str = Field(examples=["ent_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["entry"] = "entry"
    account_id: str
    member_id: str | None
    sequence: int = Field(description="1, 2, 3 ... within the account")
    kind: Literal["opening", "earn", "redeem", "adjust", "reverse", "expire"]
    points: int = Field(description="Signed: a credit is above zero", examples=[150])
    balance_after: int = Field(examples=[1250])
    amount: str | None = Field(description="Of the purchase it was earned for", examples=["199.00"])
    reason: str
    source: str = Field(examples=["api"])
    source_event: str = Field(description="The source's own id of what happened")
    reverses: str | None = Field(description="The entry it undoes")
    at: Time

    @classmethod
    def of(cls, entry: EntryView, currency: str) -> "EntryOut":
        amount = entry.amount_minor_units
        return cls(
            id=entry.id,
            account_id=entry.account_id,
            member_id=entry.member_id,
            sequence=entry.sequence,
            kind=entry.kind,  # pyright: ignore[reportArgumentType]  the table's CHECK holds it
            points=entry.points,
            balance_after=entry.balance_after,
            amount=None if amount is None else amounts.amount_text(amount, currency),
            reason=entry.reason,
            source=entry.source,
            source_event=entry.source_event,
            reverses=entry.reverses_id,
            at=entry.at,
        )


@router.get("/accounts", summary="List accounts, or find the one of a phone")
async def list_accounts(
    caller: AccountsRead,
    session: Reading,
    phone: Annotated[str | None, Query(max_length=32, examples=["+79123456789"])] = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[AccountOut]:
    query = select(Account).where(Account.program_id == caller.program_id)
    if phone is not None:
        program = await session.get_one(Program, caller.program_id)
        query = query.where(Account.phone == people.parse_phone(phone, program.country))
    page = await paging.page(session, query, Account.id, limit=limit, cursor=cursor)
    return page.of(await _shown(session, page.rows))


@router.get("/accounts/{account_id}", summary="One account: balance, tier, members, what expires next")
async def get_account(account_id: IdInPath, caller: AccountsRead, session: Reading) -> AccountOut:
    account = await people.account_by_id(session, caller.program_id, account_id)
    return (await _shown(session, [account]))[0]


class TierChange(Taken):
    """The tier an account shall have: one by its code, or the one its points give."""

    code: Word | None = Field(None, examples=["gold"], description="Set by hand, until `automatic`")
    automatic: Literal[True] | None = Field(None, description="Let the tier follow the points again")

    @model_validator(mode="after")
    def _says_which(self) -> "TierChange":
        if (self.code is None) == (self.automatic is None):
            raise ValueError('give either code or "automatic": true')
        return self


@router.put("/accounts/{account_id}/tier", summary="Set an account's tier, or let it follow the points")
async def put_tier(
    account_id: IdInPath, wanted: TierChange, caller: AccountsWrite, session: Transaction, now: Now
) -> AccountOut:
    """Give a tier by hand, or take that back. The passes show it. May be repeated."""
    if wanted.code is None:
        await tiers.follow_points(session, account_id, program_id=caller.program_id, now=now)
    else:
        query = select(Tier.id).where(Tier.program_id == caller.program_id, Tier.code == wanted.code)
        tier_id = await session.scalar(query)
        if tier_id is None:
            raise Problem(
                422, "unknown_tier", f"the programme has no tier {wanted.code}", pointer="/body/code"
            )
        await tiers.set_tier(session, account_id, tier_id, program_id=caller.program_id, now=now)
    return await show(session, await people.account_by_id(session, caller.program_id, account_id))


@router.get("/accounts/{account_id}/entries", summary="An account's ledger, newest first")
async def list_entries(
    account_id: IdInPath,
    caller: AccountsRead,
    session: Reading,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Annotated[
        int | None, Query(ge=1, le=2**53, description="`next_cursor` of the page before")
    ] = None,
) -> Page[EntryOut]:
    account = await people.account_by_id(session, caller.program_id, account_id)
    program = await session.get_one(Program, caller.program_id)
    found = await entries.history(session, account.id, before=cursor, limit=limit + 1)
    shown = found[:limit]
    has_more = len(found) > limit
    return Page(
        data=[EntryOut.of(entry, program.currency) for entry in shown],
        has_more=has_more,
        next_cursor=str(shown[-1].sequence) if has_more else None,
    )


async def show(session: AsyncSession, account: Account) -> AccountOut:
    """An account as the API gives it."""
    return (await _shown(session, [account]))[0]


async def _shown(session: AsyncSession, accounts: list[Account]) -> list[AccountOut]:
    ids = [account.id for account in accounts]
    members: dict[str, list[str]] = {id_: [] for id_ in ids}
    for row in await session.execute(
        select(Member.account_id, Member.id).where(Member.account_id.in_(ids)).order_by(Member.id)
    ):
        members[row.account_id].append(row.id)
    tier_ids = {account.tier_id for account in accounts if account.tier_id}
    tiers = {tier.id: tier for tier in await session.scalars(select(Tier).where(Tier.id.in_(tier_ids)))}
    expiring = await _expiring(session, ids)
    return [
        AccountOut(
            id=account.id,
            phone=account.phone,
            balance=account.balance,
            tier=_tier(tiers.get(account.tier_id or ""), account),
            tier_points=account.tier_points,
            members=members[account.id],
            expiring=expiring.get(account.id, []),
            created_at=account.created_at,
        )
        for account in accounts
    ]


def _tier(tier: Tier | None, account: Account) -> TierOut | None:
    if tier is None:
        return None
    return TierOut(code=tier.code, names=tier.names, is_manual=account.tier_is_manual)


async def _expiring(session: AsyncSession, account_ids: list[str]) -> dict[str, list[ExpiringOut]]:
    query = (
        select(Lot.account_id, Lot.remaining, Lot.expires_at)
        .where(Lot.account_id.in_(account_ids), Lot.remaining > 0, Lot.expires_at.is_not(None))
        .order_by(Lot.expires_at)
    )
    by_date: dict[str, dict[datetime, int]] = {}
    for row in await session.execute(query):
        dates = by_date.setdefault(row.account_id, {})
        if row.expires_at in dates or len(dates) < EXPIRING_SHOWN_MAX:
            dates[row.expires_at] = dates.get(row.expires_at, 0) + row.remaining
    return {
        account_id: [ExpiringOut(points=points, at=at) for at, points in dates.items()]
        for account_id, dates in by_date.items()
    }
