"""What a test of the ledger asks the database: balances and lots; and an account to ask about."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members.models import Account, Program
from app.points.models import Lot
from tests.make import NOON, make_account, make_program, make_tier

FACTS: dict[str, Any] = {"reason": "test", "source": "till", "now": NOON}


async def make_book(session: AsyncSession, **fields: Any) -> Account:
    """An account in a programme with a silver (from 0) and a gold (from 1,000 points) tier."""
    program = await make_program(session, **{"points_expire_after_days": 30} | fields)
    await make_tier(session, program, code="silver", threshold=0, rate_basis_points=500)
    await make_tier(session, program, code="gold", threshold=1000, rate_basis_points=1000)
    return await make_account(session, program)


async def program_of(session: AsyncSession, account: Account) -> Program:
    return await session.get_one(Program, account.program_id)


async def balance(session: AsyncSession, account: Account) -> int:
    return (await session.scalars(select(Account.balance).where(Account.id == account.id))).one()


async def lots(session: AsyncSession, account: Account) -> list[int]:
    """What is left of each lot, oldest first."""
    query = select(Lot.remaining).where(Lot.account_id == account.id).order_by(Lot.sequence)
    return list(await session.scalars(query))
