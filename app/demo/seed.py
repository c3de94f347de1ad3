"""The demo's programmes: a coffee house and a chess school, a few members, and an API key for each."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.enrolment.programs import apply, load_program
from app.members import people
from app.members.api_keys import create_key
from app.members.models import Member, Program
from app.passes import issue
from app.points import ledger

PROGRAMS = Path(__file__).parent / "programs"
KEY_VALID_FOR = timedelta(days=30)

# Name, language, purchases in roubles, days since joining. They have no phone number: nobody gets an SMS.
MEMBERS: dict[str, list[tuple[str, str, list[int], int]]] = {
    "coffee": [
        ("Maria Belova", "en", [8400, 6200, 9900], 140),
        ("Denis Orlov", "en", [3200, 1750], 61),
        ("Ольга Ким", "ru", [24000, 11800], 33),
        ("Peter Lang", "en", [640], 5),
    ],
    "school": [
        ("Тимур Ахметов", "ru", [12000, 12000], 80),
        ("Соня Левина", "ru", [9000], 41),
    ],
}


async def seed(session: AsyncSession, *, now: datetime) -> dict[str, str]:
    """Bring the demo's programmes to what their files say; a new API key for each, by its slug."""
    keys: dict[str, str] = {}
    for file in sorted(PROGRAMS.glob("*.toml")):
        program = await apply(session, load_program(file), now=now)
        if not await session.scalar(select(Member.id).where(Member.program_id == program.id).limit(1)):
            for name, language, purchases, days in MEMBERS.get(program.slug, []):
                await _join(session, program, name, language, purchases, now=now - timedelta(days=days))
        _, keys[program.slug] = await create_key(
            session, program.id, name="demo desk", scopes=["*"], now=now, expires_at=now + KEY_VALID_FOR
        )
    return keys


async def _join(
    session: AsyncSession, program: Program, name: str, language: str, purchases: list[int], *, now: datetime
) -> None:
    """A member who joined at `now` and bought something every other day since."""
    account, _ = await people.find_or_create_account(session, program, None, now)
    nothing: dict[str, Any] = {}
    member = await people.add_member(
        session,
        program,
        account,
        name=name,
        phone=None,
        email=None,
        birthday=None,
        language=language,
        answers=nothing,
        now=now,
    )
    await issue.issue(session, member, template=program.template, now=now)
    for number, roubles in enumerate(purchases):
        await ledger.earn_for_purchase(
            session,
            account.id,
            roubles * 100,
            reason="Purchase",
            source="till",
            source_event=f"seed:{member.id}:{number}",
            member_id=member.id,
            program_id=program.id,
            now=now + timedelta(days=2 * number),
        )
