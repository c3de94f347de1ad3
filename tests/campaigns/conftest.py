"""A programme with members who hold cards, and campaigns planned and run chunk by chunk without a worker."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import approval, drafts, plan, run
from app.campaigns.models import Campaign, Plan, Recipient
from app.db import Sessions, new_id
from app.members.models import Consent, Member, Program
from app.passes import devices, issue
from app.settings import Settings
from app.simulators.world import World
from tests.make import NOON, make_account, make_member, make_program

PRINTS = {"coffee": "as it was"}
EVERYBODY = {"all": []}


@dataclass
class Marketing:
    """Everything a test of campaigns does."""

    sessions: Sessions
    program: Program
    now: datetime = NOON
    second_person_above: int = 10_000
    prints: dict[str, str] = field(default_factory=lambda: dict(PRINTS))

    async def member(self, *, phone: bool = True, consents: bool | None = True, **fields: Any) -> Member:
        """A member with the card on an iPhone, unless `phone` is false; `consents` None never said."""
        account = fields.pop("account", None)
        async with self.sessions.begin() as session:
            account = account or await make_account(session, self.program)
            member = await make_member(session, account, **fields)
            held = await issue.issue(session, member, template="coffee", now=NOON)
            if phone:
                await devices.register(
                    session,
                    held.serial_number,
                    device_library_identifier=new_id("dev"),
                    push_service="apns",
                    push_token=f"{held.id.encode().hex()[-60:]:0>64}",
                    now=NOON,
                )
            if consents is not None:
                await say(session, member, given=consents)
        return member

    async def draft(self, definition: dict[str, Any], *, name: str = "Chess day") -> Campaign:
        async with self.sessions.begin() as session:
            whole = {"condition": EVERYBODY, **definition}
            if "segment_id" in definition:
                del whole["condition"]
            return await drafts.create(
                session, self.program.id, name=name, definition=whole, by="anna", now=self.now
            )

    async def plan(self, definition: dict[str, Any], *, name: str = "Chess day") -> Plan:
        campaign = await self.draft(definition, name=name)
        async with self.sessions.begin() as session:
            campaign = await session.get_one(Campaign, campaign.id)
            return await plan.make(session, campaign, self.prints, by="anna", now=self.now)

    async def approve(self, made: Plan, *, by: str = "boris", plan_hash: str | None = None) -> None:
        async with self.sessions.begin() as session:
            campaign = await drafts.to_change(session, self.program.id, made.campaign_id, "planned")
            await approval.approve(
                session,
                campaign,
                self.prints,
                plan_hash=plan_hash or made.hash,
                by=by,
                second_person_above=self.second_person_above,
                now=self.now,
            )

    async def chunk(self, made: Plan) -> Campaign:
        """Do the next chunk, as a worker would."""
        async with self.sessions.begin() as session:
            step = (await session.get_one(Campaign, made.campaign_id)).step
            await run.go_on(session, made.campaign_id, step, self.prints, now=self.now)
        return await self.campaign(made)

    async def run(self, made: Plan) -> Campaign:
        """Approve, and do chunk after chunk until it rests."""
        await self.approve(made)
        return await self.finish(made)

    async def finish(self, made: Plan) -> Campaign:
        while True:
            await self.pushed()
            campaign = await self.chunk(made)
            if campaign.state not in ("approved", "running"):
                return campaign

    async def pushed(self) -> None:
        """As if the workers had told every phone."""
        async with self.sessions.begin() as session:
            await session.execute(text("UPDATE updates SET sent_version = wanted_version, queued = false"))

    async def campaign(self, made: Plan) -> Campaign:
        async with self.sessions() as session:
            return await session.get_one(Campaign, made.campaign_id)

    async def recipients(self, made: Plan) -> dict[str, Recipient]:
        async with self.sessions() as session:
            rows = await session.scalars(select(Recipient).where(Recipient.plan_id == made.id))
            return {row.member_id: row for row in rows}

    async def jobs(self) -> list[dict[str, Any]]:
        """The campaign steps that wait in the queue."""
        async with self.sessions() as session:
            rows = await session.scalars(
                text("SELECT payload FROM pgqueuer WHERE entrypoint = 'run_campaign' ORDER BY id")
            )
            return [json.loads(bytes(row)) for row in rows]


async def say(session: AsyncSession, member: Member, *, given: bool, at: datetime = NOON) -> None:
    session.add(
        Consent(
            id=new_id("con"),
            program_id=member.program_id,
            member_id=member.id,
            kind="marketing",
            version="1",
            language="en",
            text="Offers",
            given=given,
            at=at,
        )
    )
    await session.flush()


@pytest.fixture
async def marketing(sessions: Sessions) -> Marketing:
    async with sessions.begin() as session:
        program = await make_program(session)
    return Marketing(sessions, program)


@pytest.fixture
def members(marketing: Marketing) -> Callable[[int], Awaitable[list[Member]]]:
    async def make(count: int) -> list[Member]:
        return [await marketing.member() for _ in range(count)]

    return make


@pytest.fixture
def app_settings(world: World, database_url: str, tmp_path: Path) -> Settings:
    """For the tests that send: the application in the simulated world."""
    settings = {"database_url": database_url, "data_dir": tmp_path, "worker": False, **world.settings}
    return Settings.model_validate(settings)
