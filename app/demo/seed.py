"""The demo's programmes: a coffee house and a chess school, and an API key for each."""

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from app.enrolment.programs import apply, load_program
from app.members.api_keys import create_key

PROGRAMS = Path(__file__).parent / "programs"
KEY_VALID_FOR = timedelta(days=30)


async def seed(session: AsyncSession, *, now: datetime) -> dict[str, str]:
    """Bring the demo's programmes to what their files say; a new API key for each, by its slug."""
    keys: dict[str, str] = {}
    for file in sorted(PROGRAMS.glob("*.toml")):
        program = await apply(session, load_program(file), now=now)
        _, keys[program.slug] = await create_key(
            session, program.id, name="demo desk", scopes=["*"], now=now, expires_at=now + KEY_VALID_FOR
        )
    return keys
