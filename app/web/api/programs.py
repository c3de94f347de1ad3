"""The programme the API key belongs to."""

from typing import Annotated, Literal, cast

from fastapi import APIRouter
from pydantic import AfterValidator, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import time_zones
from app.db import locked
from app.members.models import Program, Tier
from app.web.api.keys import ProgramRead, ProgramWrite
from app.web.api.members import Email, Language
from app.web.api.values import Given, Name, Taken, Time, Word
from app.web.dependencies import FromServices, Reading, Transaction
from app.web.errors import Problem

router = APIRouter(tags=["program"])


def _known_zone(name: str) -> str:
    if name not in time_zones():
        raise ValueError("must be an IANA time zone like Europe/Moscow")
    return name


TimeZone = Annotated[str, Field(max_length=64, examples=["Europe/Moscow"]), AfterValidator(_known_zone)]
Days = Annotated[int, Field(strict=True, ge=1, le=36_500)]


class ProgramTierOut(Given):
    """A level of the programme."""

    id: str
    code: str = Field(examples=["gold"])
    names: dict[str, str]
    threshold: int = Field(description="Points earned in the period to reach it")
    rate_basis_points: int = Field(description="Points per 100 units of money, in hundredths: 500 is 5 %")


class ProgramOut(Given):
    """A brand's loyalty programme."""

    id: str = Field(examples=["prg_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["program"] = "program"
    slug: str = Field(examples=["coffee"])
    name: str
    country: str = Field(examples=["RU"])
    language: str = Field(examples=["ru"])
    currency: str = Field(examples=["RUB"])
    time_zone: str = Field(examples=["Europe/Moscow"])
    template: str = Field(examples=["coffee"])
    points_expire_after_days: int | None
    tier_period_days: int
    manager_email: str | None
    balances: Literal["shared", "mirrored"]
    tiers: list[ProgramTierOut]
    created_at: Time


class ProgramChanges(Taken):
    """What to change; a field that is not sent stays. Country and currency are for good."""

    name: Name | None = None
    language: Language | None = None
    time_zone: TimeZone | None = None
    template: Word | None = Field(None, description="That new passes use")
    points_expire_after_days: Days | None = Field(None, description="null: points never expire")
    tier_period_days: Days | None = None
    manager_email: Email | None = None
    balances: Literal["shared", "mirrored"] | None = Field(
        None,
        description="shared: members on one phone have one account; mirrored: each has an account, and what "
        "moves one of a phone moves all. For new members: accounts there are, are neither split nor merged.",
    )


_MAY_BE_NULL = {"points_expire_after_days", "manager_email"}


@router.get("/program", summary="The programme of this API key")
async def get_program(caller: ProgramRead, session: Reading) -> ProgramOut:
    return await _shown(session, await session.get_one(Program, caller.program_id))


@router.patch("/program", summary="Change the programme of this API key")
async def update_program(
    wanted: ProgramChanges, caller: ProgramWrite, services: FromServices, session: Transaction
) -> ProgramOut:
    """Change the programme's defaults. Passes already issued keep what they show until their next change."""
    if wanted.template is not None and wanted.template not in services.templates:
        there_are = ", ".join(sorted(services.templates))
        detail = f"there is no pass template {wanted.template}: there are {there_are}"
        raise Problem(422, "unknown_template", detail, pointer="/body/template")
    program = await locked(session, select(Program).where(Program.id == caller.program_id))
    for field in wanted.model_fields_set:
        value = getattr(wanted, field)
        if value is not None or field in _MAY_BE_NULL:
            setattr(program, field, value)
    await session.flush()
    return await _shown(session, program)


async def _shown(session: AsyncSession, program: Program) -> ProgramOut:
    tiers = await session.scalars(select(Tier).where(Tier.program_id == program.id).order_by(Tier.threshold))
    return ProgramOut(
        id=program.id,
        slug=program.slug,
        name=program.name,
        country=program.country,
        language=program.language,
        currency=program.currency,
        time_zone=program.time_zone,
        template=program.template,
        points_expire_after_days=program.points_expire_after_days,
        tier_period_days=program.tier_period_days,
        manager_email=program.manager_email,
        balances=cast("Literal['shared', 'mirrored']", program.balances),
        tiers=[
            ProgramTierOut(
                id=tier.id,
                code=tier.code,
                names=tier.names,
                threshold=tier.threshold,
                rate_basis_points=tier.rate_basis_points,
            )
            for tier in tiers
        ],
        created_at=program.created_at,
    )
