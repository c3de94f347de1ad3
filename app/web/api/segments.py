"""Segments: parts of the programme's members, by a condition or as a list."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Response
from pydantic import AfterValidator, Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.campaigns import segments
from app.campaigns.fields import OPERATORS, fields_of
from app.campaigns.models import Segment, SegmentMember
from app.i18n import Texts
from app.members.models import Program
from app.web.api import paging
from app.web.api.idempotency import OnlyOnce
from app.web.api.keys import SegmentsRead, SegmentsWrite
from app.web.api.paging import Cursor, Limit
from app.web.api.values import Given, IdInPath, Name, Page, Taken, Time, storable
from app.web.dependencies import FromServices, Language, Now, Reading, Transaction

router = APIRouter(tags=["segments"])

Condition = Annotated[
    dict[str, Any],
    Field(
        examples=[{"all": [{"field": "points", "op": "at_least", "value": 100}]}],
        description="all, any, not; field, events, expiring, campaign: see /segments/fields",
    ),
]
Csv = Annotated[str, Field(min_length=1, max_length=10_000_000), AfterValidator(storable)]


class NewSegment(Taken):
    """Everyone of whom a condition is true, whenever it is asked."""

    name: Name = Field(examples=["Gold, silent for 60 days"])
    condition: Condition


class NewList(Taken):
    """A list of members, as CSV: ids, "ext:source:id", card numbers or phones in the first column."""

    name: Name = Field(examples=["Guests of 8 March"])
    csv: Csv = Field(examples=["phone\n+79123456789\n"])


class SegmentChanges(Taken):
    """What to change; a field that is not sent stays. A list has no condition."""

    name: Name | None = None
    condition: Condition | None = None


class ListName(Taken):
    name: Name = Field(examples=["Gold on 1 March"])


class Question(Taken):
    condition: Condition


class SegmentOut(Given):
    """A part of the programme's members."""

    id: str = Field(examples=["seg_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["segment"] = "segment"
    name: str
    kind: Literal["rule", "list"]
    condition: dict[str, Any] | None = Field(description="null for a list")
    created_at: Time

    @classmethod
    def of(cls, segment: Segment) -> "SegmentOut":
        return cls(
            id=segment.id,
            name=segment.name,
            kind=cast("Literal['rule', 'list']", segment.kind),
            condition=segment.condition if segment.kind == "rule" else None,
            created_at=segment.created_at,
        )


class ListOut(SegmentOut):
    """A list read from CSV."""

    members: int = Field(description="How many members are on it")
    unknown: list[int] = Field(
        description="Which lines name no member, counted after the headings; 50 at most"
    )
    unknown_count: int


class SampleMember(Given):
    id: str
    name: str
    language: str


class CountOut(Given):
    """How many members there are now, and ten of them by chance."""

    count: int = Field(examples=[1204])
    sample: list[SampleMember]


class FieldOut(Given):
    """Something a condition may ask."""

    name: str = Field(examples=["points"])
    label: str = Field(examples=["Points"], description="In the language of ?lang= or Accept-Language")
    type: Literal["text", "number", "choice", "choices", "yes_no", "date", "moment"]
    operators: dict[str, str] = Field(examples=[{"at_least": "number"}], description="And what each takes")
    options: list[str] = Field(description="The values there are; none: any")


class FieldsOut(Given):
    object: Literal["list"] = "list"
    data: list[FieldOut]


@router.get("/segments/fields", summary="What conditions may ask")
async def list_fields(
    caller: SegmentsRead, services: FromServices, session: Reading, language: Language
) -> FieldsOut:
    known = await fields_of(session, caller.program_id)
    return FieldsOut(
        data=[
            FieldOut(
                name=each.name,
                label=each.labels.get(language)
                or next(iter(each.labels.values()), None)
                or _label(services.texts, language, each.name),
                type=each.type,
                operators=dict(OPERATORS[each.type]),
                options=list(each.options),
            )
            for each in known.values()
        ]
    )


def _label(texts: Texts, language: str, name: str) -> str:
    return texts.get(language, f"fields.{name}")


@router.post("/segments", status_code=201, summary="Add a segment", responses={201: {"model": SegmentOut}})
async def create_segment(wanted: NewSegment, caller: SegmentsWrite, once: OnlyOnce, now: Now) -> Response:
    async def work(session: AsyncSession) -> SegmentOut:
        return SegmentOut.of(
            await segments.create(
                session, caller.program_id, name=wanted.name, condition=wanted.condition, now=now
            )
        )

    return await once.answer(caller, wanted, work, now=now)


@router.post("/segments/lists", status_code=201, summary="Add a list", responses={201: {"model": ListOut}})
async def create_list(wanted: NewList, caller: SegmentsWrite, once: OnlyOnce, now: Now) -> Response:
    """Read a list of members from CSV. Lines that name nobody are counted and given back."""

    async def work(session: AsyncSession) -> ListOut:
        program = await session.get_one(Program, caller.program_id)
        read = await segments.read_csv(session, program, name=wanted.name, text=wanted.csv, now=now)
        return ListOut(
            **SegmentOut.of(read.segment).model_dump(exclude={"created_at"}),
            created_at=read.segment.created_at,
            members=read.members,
            unknown=list(read.unknown),
            unknown_count=read.unknown_count,
        )

    return await once.answer(caller, wanted, work, now=now)


@router.post("/segments/count", summary="Count whom a condition finds")
async def count_condition(wanted: Question, caller: SegmentsWrite, session: Reading, now: Now) -> CountOut:
    """Count without keeping anything: what a page shows while a condition is being written."""
    program = await session.get_one(Program, caller.program_id)
    audience = await segments.condition_sql(session, program, wanted.condition, now=now)
    return _counted(await segments.count(session, program, audience))


@router.get("/segments", summary="List segments")
async def list_segments(
    caller: SegmentsRead, session: Reading, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[SegmentOut]:
    query = select(Segment).where(Segment.program_id == caller.program_id)
    page = await paging.page(session, query, Segment.id, limit=limit, cursor=cursor)
    return page.of([SegmentOut.of(row) for row in page.rows])


@router.get("/segments/{segment_id}", summary="One segment")
async def get_segment(segment_id: IdInPath, caller: SegmentsRead, session: Reading) -> SegmentOut:
    return SegmentOut.of(await segments.by_id(session, caller.program_id, segment_id))


@router.get("/segments/{segment_id}/count", summary="Count a segment")
async def count_segment(segment_id: IdInPath, caller: SegmentsRead, session: Reading, now: Now) -> CountOut:
    program = await session.get_one(Program, caller.program_id)
    segment = await segments.by_id(session, program.id, segment_id)
    audience = await segments.segment_sql(session, program, segment, now=now)
    return _counted(await segments.count(session, program, audience))


@router.patch("/segments/{segment_id}", summary="Change a segment")
async def update_segment(
    segment_id: IdInPath, wanted: SegmentChanges, caller: SegmentsWrite, session: Transaction
) -> SegmentOut:
    """Change its name or condition. Plans already made keep the audience they have."""
    segment = await segments.by_id(session, caller.program_id, segment_id)
    return SegmentOut.of(
        await segments.change(session, segment, name=wanted.name, condition=wanted.condition)
    )


@router.delete("/segments/{segment_id}", summary="Delete a segment")
async def delete_segment(segment_id: IdInPath, caller: SegmentsWrite, session: Transaction) -> SegmentOut:
    """Delete a segment. Campaigns already planned keep the audience they have."""
    segment = await segments.by_id(session, caller.program_id, segment_id)
    await segments.remove(session, segment)
    return SegmentOut.of(segment)


@router.post(
    "/segments/{segment_id}/freeze",
    status_code=201,
    summary="Make a list of who is in it now",
    responses={201: {"model": ListOut}},
)
async def freeze_segment(
    segment_id: IdInPath, wanted: ListName, caller: SegmentsWrite, once: OnlyOnce, now: Now
) -> Response:
    async def work(session: AsyncSession) -> ListOut:
        program = await session.get_one(Program, caller.program_id)
        segment = await segments.by_id(session, program.id, segment_id)
        frozen = await segments.freeze(session, program, segment, name=wanted.name, now=now)
        on_it = select(func.count()).where(SegmentMember.segment_id == frozen.id)
        return ListOut(
            **SegmentOut.of(frozen).model_dump(exclude={"created_at"}),
            created_at=frozen.created_at,
            members=await session.scalar(on_it) or 0,
            unknown=[],
            unknown_count=0,
        )

    return await once.answer(caller, wanted, work, now=now)


def _counted(counted: segments.Counted) -> CountOut:
    sample: Sequence[SampleMember] = [
        SampleMember(id=each.id, name=each.name, language=each.language) for each in counted.sample
    ]
    return CountOut(count=counted.count, sample=list(sample))
