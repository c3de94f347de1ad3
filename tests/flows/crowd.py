"""Thousands of members with passes and registered phones, inserted in a few statements."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Base, new_id
from app.members import api_keys
from app.members.models import Account, Member, Program
from app.passes.models import Pass, Registration, Update
from app.passes.versions import APPLE
from tests.make import make_program

ROWS_AT_ONCE = 1000
TEMPLATE = "coffee"


@dataclass(frozen=True)
class Holder:
    """One member: the account, the pass, and the phone that holds it."""

    account_id: str
    pass_id: str
    serial_number: str
    device: str
    push_token: str


@dataclass(frozen=True)
class Crowd:
    """A programme's members, and the key of its till."""

    program: Program
    api_key: str
    holders: tuple[Holder, ...]


async def make_crowd(session: AsyncSession, size: int, *, now: datetime, with_phones: bool = True) -> Crowd:
    """A programme with so many accounts; each has a member with a pass, and a phone where asked for."""
    program_id = new_id("prg")
    holders = tuple(_holder() for _ in range(size))
    # Before any change: passes move their date by whole seconds.
    issued = now - timedelta(minutes=1)
    accounts, members, passes, updates, registrations = [], [], [], [], []
    for number, holder in enumerate(holders):
        member_id = new_id("mem")
        shared = {"program_id": program_id}
        accounts.append(shared | {"id": holder.account_id, "created_at": issued})
        members.append(
            shared
            | {
                "id": member_id,
                "account_id": holder.account_id,
                "card_number": f"{number:08}",
                "name": "Anna",
                "language": "en",
                "answers": {},
                "created_at": issued,
            }
        )
        passes.append(
            shared
            | {
                "id": holder.pass_id,
                "member_id": member_id,
                "serial_number": holder.serial_number,
                "template": TEMPLATE,
                "last_modified": int(issued.timestamp()),
                "created_at": issued,
            }
        )
        updates.append(
            shared
            | {
                "pass_id": holder.pass_id,
                "wallet": APPLE,
                "wanted_version": 1,
                "sent_version": 1,
                "wanted_at": issued,
                "touched_at": issued,
            }
        )
        registrations.append(
            shared
            | {
                "device_library_identifier": holder.device,
                "pass_id": holder.pass_id,
                "push_service": "apns",
                "push_token": holder.push_token,
                "pushed_version": 1,
                "registered_at": issued,
                "seen_at": issued,
            }
        )
    # Not before the rows are made: PostgreSQL ends a transaction in which nothing happens for ten seconds.
    program = await make_program(session, id=program_id, template=TEMPLATE)
    _, api_key = await api_keys.create_key(session, program.id, name="till", scopes=["*"], now=now)
    await _insert(session, Account, accounts)
    await _insert(session, Member, members)
    await _insert(session, Pass, passes)
    await _insert(session, Update, updates)
    if with_phones:
        await _insert(session, Registration, registrations)
    return Crowd(program, api_key, holders)


def _holder() -> Holder:
    return Holder(
        account_id=new_id("acc"),
        pass_id=new_id("pas"),
        serial_number=secrets.token_hex(16),
        device=secrets.token_hex(16),
        push_token=secrets.token_hex(32),
    )


async def _insert(session: AsyncSession, table: type[Base], rows: Sequence[dict[str, object]]) -> None:
    for start in range(0, len(rows), ROWS_AT_ONCE):
        await session.execute(insert(table), rows[start : start + ROWS_AT_ONCE])
