"""What a pass shows: the member, the account and the programme, filled into a neutral PassContent."""

from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import Row, Select, Table, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.members.models import Account, Member, Program, Tier
from app.passes.models import Pass
from app.wallets.content import PassContent, Value
from app.wallets.google.wallet import GoogleProgram

# Tables, not models: after a campaign every phone comes for its pass, and loading objects costs more than
# the signature does.
_pass = cast(Table, Pass.__table__).c
_member = cast(Table, Member.__table__).c
_account = cast(Table, Account.__table__).c
_program = cast(Table, Program.__table__).c
_tier = cast(Table, Tier.__table__).c

_OF_A_MEMBER = (
    _member.name,
    _member.card_number,
    _member.language,
    _member.birthday,
    _member.answers,
    _member.state.label("member_state"),
    _member.created_at.label("member_since"),
    _account.balance,
    _program.name.label("program_name"),
    _program.currency,
    _program.country,
    _program.time_zone,
    _tier.code.label("tier_code"),
    _tier.names.label("tier_names"),
)
_MEMBERS = (
    cast(Table, Member.__table__)
    .join(cast(Table, Account.__table__), _account.id == _member.account_id)
    .join(cast(Table, Program.__table__), _program.id == _member.program_id)
    .outerjoin(cast(Table, Tier.__table__), _tier.id == _account.tier_id)
)
_BY_MEMBER = select(*_OF_A_MEMBER).select_from(_MEMBERS).where(_member.id == bindparam("member_id"))


def served(serial_numbers: str) -> Select[*tuple[Any, ...]]:
    """A SELECT of everything that serving passes needs, for `content_in`; `key` is the serial number.

    `serial_numbers` is an SQL expression of the set of them.
    """
    return (
        select(
            _pass.serial_number.label("key"),
            _pass.id,
            _pass.program_id,
            _pass.template,
            _pass.state,
            _pass.message,
            _pass.expires_at,
            _pass.version,
            _pass.last_modified,
            *_OF_A_MEMBER,
        )
        .select_from(_MEMBERS.join(cast(Table, Pass.__table__), _pass.member_id == _member.id))
        .where(text(f"passes.serial_number IN {serial_numbers}"))
    )


async def content_of(session: AsyncSession, issued: Pass, *, language: str | None = None) -> PassContent:
    """What this pass shows now, in the member's language or the one asked for. One query."""
    row = (await session.execute(_BY_MEMBER, {"member_id": issued.member_id})).one()
    return _content(issued, row, language or row.language)


def content_in(row: Row[*tuple[Any, ...]]) -> PassContent:
    """What a pass shows, in the member's language; a row of `served`."""
    return _content(row, row, row.language)


def _content(issued: Pass | Row[*tuple[Any, ...]], row: Row[*tuple[Any, ...]], language: str) -> PassContent:
    values: dict[str, Value] = {
        "program_name": row.program_name,
        "member_name": row.name,
        "card_number": row.card_number,
        "points": row.balance,
        "tier": _tier_name(row.tier_code, row.tier_names, language),
        "message": issued.message,
        "member_since": row.member_since.astimezone(ZoneInfo(row.time_zone)).date(),
        "birthday": row.birthday,
        **{f"answer_{key}": _shown(answer) for key, answer in row.answers.items()},
    }
    return PassContent(
        values=values,
        barcode=row.card_number,
        language=language,
        currency=row.currency,
        country=row.country,
        time_zone=row.time_zone,
        voided=issued.state != "active" or row.member_state == "blocked",
        expires_at=issued.expires_at,
    )


def google_program(program: Program) -> GoogleProgram:
    """What a class at Google says of a programme."""
    return GoogleProgram(
        slug=program.slug,
        name=program.name,
        language=program.language,
        currency=program.currency,
        country=program.country,
        time_zone=program.time_zone,
    )


def _tier_name(code: str | None, names: dict[str, str] | None, language: str) -> str:
    return (names or {}).get(language) or next(iter((names or {}).values()), code or "")


def _shown(answer: object) -> str:
    """An answer as a pass shows it: several choices joined by commas."""
    if isinstance(answer, list):
        return ", ".join(str(choice) for choice in cast("list[object]", answer))
    return "" if answer is None else str(answer)
