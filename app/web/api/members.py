"""Members: the people of a programme."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BeforeValidator, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members import people
from app.members.models import Member, Program
from app.passes import holders
from app.passes.issue import issue
from app.passes.models import Pass
from app.points import ledger, sharing
from app.web.api import paging
from app.web.api.idempotency import OnlyOnce
from app.web.api.keys import MembersRead, MembersWrite
from app.web.api.paging import Cursor, Limit
from app.web.api.values import (
    POINTS_MAX,
    Given,
    IdInBody,
    IdInPath,
    Name,
    Page,
    Reason,
    Taken,
    Time,
    Word,
    storable,
)
from app.web.dependencies import FromServices, Now, Reading, Transaction

router = APIRouter(tags=["members"])

Phone = Annotated[
    str,
    Field(max_length=32, examples=["+79123456789"], description="As people write it; kept as E.164"),
    AfterValidator(storable),
]
Email = Annotated[
    str,
    Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", examples=["anna@example.com"]),
    AfterValidator(storable),
]
CardNumber = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,64}$", examples=["4000123412341234"])]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$", examples=["ru"])]
AnswerKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
AnswerText = Annotated[str, Field(max_length=2000), AfterValidator(storable)]
Answer = (
    AnswerText
    | Annotated[bool, Field(strict=True)]
    | Annotated[int, Field(strict=True, ge=-POINTS_MAX, le=POINTS_MAX)]
    | Annotated[list[AnswerText], Field(max_length=50)]
)


def _day(value: object) -> object:
    """A day and nothing else: pydantic would take numbers and times for one too."""
    if isinstance(value, str) and len(value) == len("2012-05-31"):
        return value
    raise ValueError("must be a date like 2012-05-31")


Birthday = Annotated[date, Field(ge=date(1900, 1, 1), examples=["2012-05-31"]), BeforeValidator(_day)]


class ExternalIdBody(Taken):
    """A member's id in another system."""

    source: Word = Field(examples=["bitrix24:school.bitrix24.ru"])
    id: Annotated[str, Field(min_length=1, max_length=128), AfterValidator(storable)] = Field(
        examples=["contact:4711"]
    )


class NewMember(Taken):
    """A person who joins. With the phone of a known account they share its points."""

    name: Name = Field(examples=["Анна Петрова"])
    phone: Phone | None = None
    email: Email | None = None
    birthday: Birthday | None = None
    language: Language | None = Field(None, description="Default: the programme's")
    answers: dict[AnswerKey, Answer] = Field({}, max_length=50, examples=[{"favourite": "raf"}])
    card_number: CardNumber | None = Field(None, description="Default: sixteen digits are drawn")
    external_ids: list[ExternalIdBody] = Field([], max_length=20)
    opening_points: int | None = Field(
        None, strict=True, ge=1, le=POINTS_MAX, description="What the account brings from elsewhere; once"
    )
    on_same_phone: Literal["share", "refuse", "separate"] = Field(
        "share",
        description="Where somebody has this phone: share their account, be refused (409, which names the "
        "cards), or have an account of one's own",
    )
    issue_pass: bool = Field(True, strict=True, description="Issue a pass of the programme's template")


class Sharing(Taken):
    """Whose account a member shall share."""

    account_id: IdInBody
    reason: Reason = Field("", description="Why, in words: stands in both ledgers")


class MemberChanges(Taken):
    """What to change; a field that is not sent stays. null clears a phone, an e-mail or a birthday."""

    name: Name | None = None
    phone: Phone | None = None
    email: Email | None = None
    birthday: Birthday | None = None
    language: Language | None = None
    answers: dict[AnswerKey, Answer | None] | None = Field(
        None, max_length=50, description="Merged into those there are; null removes one"
    )
    external_ids: list[ExternalIdBody] | None = Field(
        None, max_length=20, description="Added to those there are"
    )


class ExternalIdOut(Given):
    source: str
    id: str


class MemberOut(Given):
    """A person in the programme."""

    id: str = Field(examples=["mem_01k9xv3m8qf7w2c5r1t0abcdex"])
    object: Literal["member"] = "member"
    account_id: str = Field(examples=["acc_01k9xv3m8qf7w2c5r1t0abcdex"])
    card_number: str = Field(examples=["4000123412341234"])
    name: str = Field(examples=["Анна Петрова"])
    phone: str | None = Field(examples=["+79123456789"])
    email: str | None
    birthday: date | None
    language: str = Field(examples=["ru"])
    answers: dict[str, Any]
    state: Literal["active", "blocked"]
    external_ids: list[ExternalIdOut]
    passes: list[str] = Field(examples=[["pas_01k9xv3m8qf7w2c5r1t0abcdex"]])
    created_at: Time


@router.post("/members", status_code=201, summary="Add a member", responses={201: {"model": MemberOut}})
async def create_member(
    wanted: NewMember, caller: MembersWrite, services: FromServices, once: OnlyOnce, now: Now
) -> Response:
    """Add a person, with an account (the one of their phone, where it is known) and a pass."""

    async def work(session: AsyncSession) -> MemberOut:
        program = await session.get_one(Program, caller.program_id)
        phone = people.parse_phone(wanted.phone, program.country) if wanted.phone else None
        if phone is not None and wanted.on_same_phone == "refuse":
            await people.refuse_known_phone(session, program.id, phone)
        is_apart = wanted.on_same_phone == "separate" and phone is not None
        is_apart = is_apart and await people.account_on(session, program.id, phone or "") is not None
        of_phone = None if is_apart else phone
        account, _ = await people.find_or_create_account(session, program, of_phone, now)
        account = await people.account_beside(session, program, account, now)
        member = await people.add_member(
            session,
            program,
            account,
            name=wanted.name,
            phone=phone,
            email=wanted.email,
            birthday=wanted.birthday,
            language=wanted.language or program.language,
            answers=wanted.answers,
            card_number=wanted.card_number,
            now=now,
        )
        await people.add_external_ids(
            session, member, [(each.source, each.id) for each in wanted.external_ids]
        )
        if wanted.opening_points:
            await ledger.open_balance(
                session,
                account.id,
                wanted.opening_points,
                reason="",
                source="api",
                source_event=f"opening:{account.id}",
                program_id=program.id,
                now=now,
            )
        if wanted.issue_pass:
            wallets = services.wallets(program.country)
            await issue(session, member, template=program.template, wallets=wallets, now=now)
        return await show(session, member)

    return await once.answer(caller, wanted, work, now=now)


@router.get("/members", summary="List members, or find some")
async def list_members(
    caller: MembersRead,
    session: Reading,
    phone: Annotated[Phone | None, Query()] = None,
    card_number: Annotated[CardNumber | None, Query()] = None,
    external_id: Annotated[
        str | None,
        Query(max_length=256, examples=["bitrix24:contact:4711"], description="source:id"),
        AfterValidator(storable),
    ] = None,
    account_id: Annotated[str | None, Query(max_length=64), AfterValidator(storable)] = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[MemberOut]:
    query = select(Member).where(Member.program_id == caller.program_id)
    if phone is not None:
        program = await session.get_one(Program, caller.program_id)
        query = query.where(Member.phone == people.parse_phone(phone, program.country))
    if card_number is not None:
        query = query.where(Member.card_number == card_number)
    if external_id is not None:
        query = query.where(Member.id.in_(people.ids_by_external_id(caller.program_id, external_id)))
    if account_id is not None:
        query = query.where(Member.account_id == account_id)
    page = await paging.page(session, query, Member.id, limit=limit, cursor=cursor)
    return page.of(await _shown(session, page.rows))


@router.get("/members/{member_id}", summary="One member, by id or by ext:source:id")
async def get_member(member_id: IdInPath, caller: MembersRead, session: Reading) -> MemberOut:
    return await show(session, await people.member_by_id(session, caller.program_id, member_id))


@router.patch("/members/{member_id}", summary="Change a member")
async def update_member(
    member_id: IdInPath, wanted: MemberChanges, caller: MembersWrite, session: Transaction, now: Now
) -> MemberOut:
    """Change a member; their passes show it. The phone of one alone on an account is the account's too."""
    member = await people.member_to_change(session, caller.program_id, member_id)
    program = await session.get_one(Program, caller.program_id)
    changed = await people.update_member(session, member, _changes(wanted, member, program))
    if wanted.external_ids:
        await people.add_external_ids(
            session, member, [(each.source, each.id) for each in wanted.external_ids]
        )
    if changed:
        because = {"member": ", ".join(sorted(changed))}
        await holders.mark_member_changed(session, member, because=because, now=now)
    return await show(session, member)


def _changes(wanted: MemberChanges, member: Member, program: Program) -> dict[str, Any]:
    """What to set, from what was sent."""
    sent = wanted.model_fields_set
    changes: dict[str, Any] = {field: getattr(wanted, field) for field in sent & {"email", "birthday"}}
    for field in sent & {"name", "language"}:  # a member always has these: null leaves them
        changes[field] = getattr(wanted, field) or getattr(member, field)
    if "phone" in sent:
        changes["phone"] = people.parse_phone(wanted.phone, program.country) if wanted.phone else None
    if wanted.answers is not None:
        merged = member.answers | wanted.answers
        changes["answers"] = {key: answer for key, answer in merged.items() if answer is not None}
    return changes


@router.post("/members/{member_id}/share", summary="Let a member share another account")
async def share_account(
    member_id: IdInPath, wanted: Sharing, caller: MembersWrite, session: Transaction, now: Now
) -> MemberOut:
    """Move a member to another account, such as a child to the mother's. May be repeated.

    Alone on the old account, they bring its points along; of several, the points stay with the others.
    """
    member = await sharing.move_to(
        session, caller.program_id, member_id, wanted.account_id, reason=wanted.reason, now=now
    )
    return await show(session, member)


@router.post("/members/{member_id}/block", summary="Block a member")
async def block_member(
    member_id: IdInPath, caller: MembersWrite, session: Transaction, now: Now
) -> MemberOut:
    """Keep a member from earning and spending; their passes turn grey. May be repeated."""
    return await show(
        session, await holders.set_member_state(session, caller.program_id, member_id, "blocked", now=now)
    )


@router.post("/members/{member_id}/unblock", summary="Let a blocked member back")
async def unblock_member(
    member_id: IdInPath, caller: MembersWrite, session: Transaction, now: Now
) -> MemberOut:
    """Undo a block; the passes come back to life. May be repeated."""
    return await show(
        session, await holders.set_member_state(session, caller.program_id, member_id, "active", now=now)
    )


async def show(session: AsyncSession, member: Member) -> MemberOut:
    """A member as the API gives one."""
    return (await _shown(session, [member]))[0]


async def _shown(session: AsyncSession, members: Sequence[Member]) -> list[MemberOut]:
    ids = [member.id for member in members]
    external_ids = await people.external_ids_of(session, ids)
    passes: dict[str, list[str]] = {id_: [] for id_ in ids}
    query = select(Pass.member_id, Pass.id).where(Pass.member_id.in_(ids)).order_by(Pass.id)
    for row in await session.execute(query):
        passes[row.member_id].append(row.id)
    return [
        MemberOut(
            id=member.id,
            account_id=member.account_id,
            card_number=member.card_number,
            name=member.name,
            phone=member.phone,
            email=member.email,
            birthday=member.birthday,
            language=member.language,
            answers=member.answers,
            state=cast("Literal['active', 'blocked']", member.state),
            external_ids=[
                ExternalIdOut(source=each.source, id=each.external_id) for each in external_ids[member.id]
            ],
            passes=passes[member.id],
            created_at=member.created_at,
        )
        for member in members
    ]
