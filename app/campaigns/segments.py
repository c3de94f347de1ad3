"""Segments: making them, counting them, freezing them into lists, reading lists from CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, literal, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns.asking import Asking
from app.campaigns.audience import compile_condition, members_where, on_list
from app.campaigns.conditions import parse
from app.campaigns.fields import fields_of
from app.campaigns.models import Segment, SegmentMember
from app.db import new_id, upsert
from app.members import people
from app.members.models import Member, Program

SAMPLE = 10
CSV_LINES_MAX = 100_000
_IDS_AT_ONCE = 500
EVERYBODY: dict[str, Any] = {"all": []}


class UnknownSegment(Exception):
    """No segment of this programme has this id."""


class SegmentNameTaken(Exception):
    """Another segment of the programme has this name."""


class NoSuchCsv(Exception):
    """The text is no list of members that can be read."""


@dataclass(frozen=True)
class Counted:
    """How many members an audience has now, and ten of them."""

    count: int
    sample: Sequence[Member]


@dataclass(frozen=True)
class Read:
    """A list read from CSV: how many members are on it, and which lines name nobody (at most 50)."""

    segment: Segment
    members: int
    unknown: tuple[int, ...]
    unknown_count: int


async def by_id(session: AsyncSession, program_id: str, segment_id: str) -> Segment:
    """The segment with this id. Raises UnknownSegment."""
    query = select(Segment).where(Segment.id == segment_id, Segment.program_id == program_id)
    if (found := await session.scalar(query)) is None:
        raise UnknownSegment(f"no segment {segment_id}")
    return found


async def create(
    session: AsyncSession, program_id: str, *, name: str, condition: Mapping[str, Any], now: datetime
) -> Segment:
    """A segment by a condition. Raises InvalidCondition, SegmentNameTaken."""
    parse(condition, await fields_of(session, program_id))
    return await _add(session, program_id, name, "rule", dict(condition), now)


async def change(
    session: AsyncSession, segment: Segment, *, name: str | None, condition: Mapping[str, Any] | None
) -> Segment:
    """Rename a segment or give it another condition; plans already made stay as they are.

    Raises InvalidCondition, SegmentNameTaken.
    """
    if condition is not None:
        parse(condition, await fields_of(session, segment.program_id))
        segment.condition = dict(condition)
    if name is not None:
        segment.name = name
    await _flush(session, segment.name)
    return segment


async def remove(session: AsyncSession, segment: Segment) -> None:
    """Forget a segment. Plans keep their own audience."""
    await session.execute(delete(SegmentMember).where(SegmentMember.segment_id == segment.id))
    await session.delete(segment)


async def condition_sql(
    session: AsyncSession, program: Program, condition: Mapping[str, Any], *, now: datetime
) -> ColumnElement[bool]:
    """A condition over Member joined with Account. Raises InvalidCondition."""
    parsed = parse(condition, await fields_of(session, program.id))
    return compile_condition(
        parsed,
        program.id,
        Asking.at(now, program.time_zone),
        database=session.get_bind().dialect.name,
    )


async def segment_sql(session: AsyncSession, program: Program, segment: Segment, *, now: datetime) -> Any:
    """Who is in the segment now, over Member joined with Account. Raises InvalidCondition: fields may go."""
    if segment.kind == "list":
        return on_list(segment.id)
    return await condition_sql(session, program, segment.condition, now=now)


async def count(session: AsyncSession, program: Program, *audience: ColumnElement[bool]) -> Counted:
    """How many members there are, and ten of them by chance."""
    found = members_where(program.id, *audience)
    total = await session.scalar(select(func.count()).select_from(found.subquery()))
    chosen = found.order_by(func.random()).limit(SAMPLE).subquery()
    sample = await session.scalars(select(Member).where(Member.id.in_(select(chosen.c.id))))
    return Counted(total or 0, sample.all())


async def freeze(
    session: AsyncSession, program: Program, segment: Segment, *, name: str, now: datetime
) -> Segment:
    """A list of those who are in the segment now. Raises SegmentNameTaken, InvalidCondition."""
    audience = await segment_sql(session, program, segment, now=now)
    frozen = await _add(session, program.id, name, "list", {}, now)
    found = members_where(program.id, audience).add_columns(literal(frozen.id), literal(program.id))
    columns = ["member_id", "segment_id", "program_id"]
    await session.execute(insert(SegmentMember).from_select(columns, found))
    return frozen


async def read_csv(session: AsyncSession, program: Program, *, name: str, text: str, now: datetime) -> Read:
    """A list from CSV: the first column names members by id, "ext:source:id", card number or phone.

    A line of headings ("member", "card_number", "phone") is passed over. Raises NoSuchCsv,
    SegmentNameTaken.
    """
    names = _first_column(text)
    frozen = await _add(session, program.id, name, "list", {}, now)
    found: dict[str, str] = {}
    for start in range(0, len(names), _IDS_AT_ONCE):
        found |= await _resolve(session, program, names[start : start + _IDS_AT_ONCE])
    members = sorted(set(found.values()))
    for start in range(0, len(members), _IDS_AT_ONCE):
        rows = [
            {"segment_id": frozen.id, "member_id": member_id, "program_id": program.id}
            for member_id in members[start : start + _IDS_AT_ONCE]
        ]
        await session.execute(upsert(session, SegmentMember).values(rows).on_conflict_do_nothing())
    unknown = [line for line, each in enumerate(names, start=1) if each not in found]
    return Read(frozen, len(members), tuple(unknown[:50]), len(unknown))


def _first_column(text: str) -> list[str]:
    try:
        delimiter = ";" if ";" in text.split("\n", 1)[0] else ","
        rows = [row[0].strip() for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    except csv.Error as error:
        raise NoSuchCsv(f"this is not CSV: {error}") from error
    names = [name.lstrip("\ufeff") for name in rows if name]
    if names and names[0].lower() in ("member", "member_id", "id", "card_number", "card", "phone"):
        names = names[1:]
    if not names:
        raise NoSuchCsv("there is no line: write one member on each, by id, card number or phone")
    if len(names) > CSV_LINES_MAX:
        raise NoSuchCsv(f"{len(names)} lines: at most {CSV_LINES_MAX} are read at once")
    return names


async def _resolve(session: AsyncSession, program: Program, names: Sequence[str]) -> dict[str, str]:
    """The members these texts name, by text."""
    phones = {name: phone for name in names if (phone := _phone(name, program.country))}
    query = select(Member.id, Member.card_number, Member.phone).where(
        Member.program_id == program.id,
        Member.id.in_(names) | Member.card_number.in_(names) | Member.phone.in_(phones.values()),
    )
    by_name: dict[str, str] = {}
    by_phone: dict[str, str] = {}
    for row in await session.execute(query.order_by(Member.id)):
        by_name |= {row.id: row.id, row.card_number: row.id}
        if row.phone:
            by_phone.setdefault(row.phone, row.id)
    found = {name: by_phone[phone] for name, phone in phones.items() if phone in by_phone}
    found |= {name: by_name[name] for name in names if name in by_name}
    for name in names:
        if name.startswith(people.EXTERNAL_ID_PREFIX):
            ids = people.ids_by_external_id(program.id, name.removeprefix(people.EXTERNAL_ID_PREFIX))
            if (member_id := await session.scalar(ids.limit(1))) is not None:
                found[name] = member_id
    return found


def _phone(text: str, country: str) -> str | None:
    try:
        return people.parse_phone(text, country)
    except people.InvalidPhone:
        return None


async def _add(
    session: AsyncSession, program_id: str, name: str, kind: str, condition: dict[str, Any], now: datetime
) -> Segment:
    segment = Segment(
        id=new_id("seg"), program_id=program_id, name=name, kind=kind, condition=condition, created_at=now
    )
    session.add(segment)
    await _flush(session, name)
    return segment


async def _flush(session: AsyncSession, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        raise SegmentNameTaken(f"another segment is called {name!r}: choose another name") from error
