"""Rows for tests, with sensible defaults: `await make_member(session, name="Anna")`.

Each maker adds its row to the session and flushes; what it stands on is made too where it is not given.
"""

from datetime import UTC, datetime
from itertools import count
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Base, Row, new_id
from app.members.models import Account, Member, Program, Tier
from app.passes import issue
from app.passes.models import Pass

NOON = datetime(2030, 6, 3, 12, 0, tzinfo=UTC)  # a Monday

_numbers = count(1)


async def make_program(session: AsyncSession, **fields: Any) -> Program:
    number = next(_numbers)
    defaults = {
        "id": new_id("prg"),
        "slug": f"coffee{number}",
        "name": "Coffee House",
        "country": "RU",
        "language": "en",
        "currency": "RUB",
        "time_zone": "Europe/Moscow",
        "template": "coffee",
        "created_at": NOON,
    }
    return await _add(session, Program(**defaults | fields))


async def make_tier(session: AsyncSession, program: Program | None = None, **fields: Any) -> Tier:
    program = program or await make_program(session)
    number = next(_numbers)
    defaults = {
        "id": new_id("tier"),
        "program_id": program.id,
        "code": f"tier{number}",
        "names": {"en": f"Tier {number}", "ru": f"Уровень {number}"},
        "threshold": number,
        "rate_basis_points": 500,
    }
    return await _add(session, Tier(**defaults | fields))


async def make_account(session: AsyncSession, program: Program | None = None, **fields: Any) -> Account:
    """An account with a phone of its own. A `balance` given here has no entries behind it."""
    program = program or await make_program(session)
    defaults = {
        "id": new_id("acc"),
        "program_id": program.id,
        "phone": f"+7916{next(_numbers):07}",
        "created_at": NOON,
    }
    return await _add(session, Account(**defaults | fields))


async def make_member(session: AsyncSession, account: Account | None = None, **fields: Any) -> Member:
    account = account or await make_account(session)
    defaults = {
        "id": new_id("mem"),
        "program_id": account.program_id,
        "account_id": account.id,
        "card_number": f"4000{next(_numbers):08}",
        "name": "Anna",
        "phone": account.phone,
        "language": "en",
        "answers": {},
        "created_at": NOON,
    }
    return await _add(session, Member(**defaults | fields))


async def make_pass(session: AsyncSession, member: Member | None = None, **fields: Any) -> Pass:
    member = member or await make_member(session)
    defaults = {
        "id": new_id("pas"),
        "program_id": member.program_id,
        "member_id": member.id,
        "serial_number": f"serial-{new_id('s')}",
        "template": "coffee",
        "last_modified": int(NOON.timestamp()),
        "created_at": NOON,
    }
    return await _add(session, Pass(**defaults | fields))


async def make_issued(session: AsyncSession, account: Account | None = None, **fields: Any) -> Pass:
    """A pass as `issue` issues it, with what its wallets are owed, to a new member of the account."""
    member = await make_member(session, account, **fields)
    return await issue.issue(session, member, template="coffee", now=NOON)


async def _add(session: AsyncSession, row: Row) -> Row:
    assert isinstance(row, Base)
    session.add(row)
    await session.flush()
    return row
