"""Setting up a programme from one file: its defaults, its tiers and its enrolment form.

    [program]   slug, name, country, language, currency, time_zone, template, ...
    [[tiers]]   code, names, threshold, rate_basis_points
    [form]      slug, opening_points, and what FormDefinition takes

Applying a file again changes what differs, so the file stays the truth; nothing is ever deleted.
"""

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from babel import UnknownLocaleError
from babel.core import Locale
from babel.numbers import is_currency
from phonenumbers import SUPPORTED_REGIONS
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import time_zones
from app.db import Base, new_id
from app.enrolment.forms import FormDefinition
from app.enrolment.models import Form
from app.members.models import Program, Tier

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}[a-z0-9]$")]


class ProgramFileError(Exception):
    """A programme's file cannot be used; says which key and what to write instead."""


def _known_country(code: str) -> str:
    if code not in SUPPORTED_REGIONS:
        raise ValueError('is no ISO 3166 country: write it like "RU"')
    return code


def _known_currency(code: str) -> str:
    if not is_currency(code):
        raise ValueError('is no ISO 4217 currency: write it like "RUB"')
    return code


def _known_zone(name: str) -> str:
    if name not in time_zones():
        raise ValueError('is no IANA time zone: write it like "Europe/Moscow"')
    return name


def _known_language(code: str) -> str:
    try:
        Locale.parse(code)
    except (UnknownLocaleError, ValueError) as error:
        raise ValueError('is no language: write it like "ru"') from error
    return code


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProgramPart(_Strict):
    slug: Slug
    name: str = Field(min_length=1, max_length=128)
    country: Annotated[str, AfterValidator(_known_country)]
    language: Annotated[str, AfterValidator(_known_language)]
    currency: Annotated[str, AfterValidator(_known_currency)]
    time_zone: Annotated[str, AfterValidator(_known_zone)]
    template: str = Field(min_length=1, max_length=64)
    points_expire_after_days: int | None = Field(None, ge=1, le=36_500)
    tier_period_days: int = Field(365, ge=1, le=36_500)
    manager_email: str | None = Field(None, pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)
    quiet_hours: str | None = Field(None, pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")
    campaign_rings_per_day: int | None = Field(None, ge=0, le=100)
    balances: Literal["shared", "mirrored"] = "shared"


class TierPart(_Strict):
    code: Slug
    names: dict[str, str]
    threshold: int = Field(ge=0)
    rate_basis_points: int = Field(ge=0, le=1_000_000)


class FormPart(FormDefinition):
    slug: Slug
    opening_points: int = Field(0, ge=0, le=1_000_000_000)
    is_open: bool = True


class ProgramFile(_Strict):
    """A whole programme, as its file says it."""

    program: ProgramPart
    tiers: tuple[TierPart, ...] = ()
    form: FormPart | None = None


def load_program(path: Path) -> ProgramFile:
    """Read a programme's file. Raises ProgramFileError naming the key and the remedy."""
    try:
        return ProgramFile.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise ProgramFileError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ProgramFileError(f"{path}: not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ProgramFileError(f"{path}: {where}: {first['msg']}") from error


async def apply(session: AsyncSession, wanted: ProgramFile, *, now: datetime) -> Program:
    """Create the programme, or change what differs from the file."""
    values = wanted.program.model_dump()
    program = await session.scalar(select(Program).where(Program.slug == wanted.program.slug))
    if program is None:
        program = Program(id=new_id("prg"), created_at=now, **values)
        session.add(program)
    _change(program, values)
    await session.flush()
    for tier in wanted.tiers:
        await _apply_tier(session, program, tier)
    if wanted.form is not None:
        await _apply_form(session, program, wanted.form, now=now)
    await session.flush()
    return program


async def _apply_tier(session: AsyncSession, program: Program, wanted: TierPart) -> None:
    query = select(Tier).where(Tier.program_id == program.id, Tier.code == wanted.code)
    tier = await session.scalar(query)
    if tier is None:
        session.add(Tier(id=new_id("tir"), program_id=program.id, **wanted.model_dump()))
    else:
        _change(tier, wanted.model_dump())


async def _apply_form(session: AsyncSession, program: Program, wanted: FormPart, *, now: datetime) -> None:
    ours = {"slug", "opening_points", "is_open"}
    values: dict[str, Any] = {
        **wanted.model_dump(include=ours),
        "definition": wanted.model_dump(mode="json", exclude=ours),
    }
    form = await session.scalar(select(Form).where(Form.slug == wanted.slug))
    if form is None:
        session.add(Form(id=new_id("frm"), program_id=program.id, created_at=now, **values))
    elif form.program_id != program.id:
        raise ProgramFileError(f"form.slug: {wanted.slug!r} belongs to another programme: choose another")
    else:
        _change(form, values)


def _change(row: Base, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)
