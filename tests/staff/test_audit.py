"""The audit log: whatever is changed or taken out afterwards shows."""

import asyncio

import pytest
from sqlalchemy import text

from app.staff import audit
from app.staff.audit import CLI, BrokenChain
from tests.make import NOON


async def written(sessions, count=3):
    """Some entries; their hashes."""
    hashes = []
    for number in range(count):
        async with sessions.begin() as session:
            entry = await audit.record(
                session,
                CLI,
                "user.role_set",
                f"usr_{number}",
                before={"role": "a"},
                after={"role": "б"},
                now=NOON,
            )
            hashes.append(entry.hash)
    return hashes


async def verified(sessions, **options):
    async with sessions() as session:
        return await audit.verify(session, **options)


async def test_a_whole_chain_is_told_with_its_newest_hash(sessions):
    assert await verified(sessions) == (0, audit.FIRST)
    hashes = await written(sessions)

    assert await verified(sessions) == (3, hashes[-1])
    assert await verified(sessions, known=hashes[0]) == (3, hashes[-1])


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_entries SET who = 'usr_9' WHERE number = 2",
        "UPDATE audit_entries SET subject = 'usr_9' WHERE number = 3",
        "UPDATE audit_entries SET after = before WHERE number = 1",
        "DELETE FROM audit_entries WHERE number = 2",
        "DELETE FROM audit_entries WHERE number = 1",
    ],
)
async def test_what_was_changed_or_taken_out_shows(sessions, change):
    await written(sessions)
    async with sessions.begin() as session:
        await session.execute(text(change))

    with pytest.raises(BrokenChain):
        await verified(sessions)


async def test_a_cut_end_shows_to_whoever_noted_a_hash_down(sessions):
    hashes = await written(sessions)
    async with sessions.begin() as session:
        await session.execute(text("DELETE FROM audit_entries WHERE number = 3"))

    assert await verified(sessions) == (2, hashes[1])
    with pytest.raises(BrokenChain):
        await verified(sessions, known=hashes[2])


async def test_entries_of_one_moment_stand_one_after_another(sessions):
    await asyncio.gather(*(written(sessions, 2) for _ in range(5)))

    assert (await verified(sessions))[0] == 10
