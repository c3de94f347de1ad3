"""`passbell account`: balances, and moving points by hand."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.database import ProgramOption, carry_out, program_of
from app.cli.output import AsJson, show, table
from app.clock import utc_now
from app.db import new_id
from app.members import people
from app.members.models import Account, Member
from app.points import ledger
from app.points.ledger import Posted

account_app = typer.Typer(help="Look at an account, and move its points.", no_args_is_help=True)

SOURCE = "cli"
_REFUSALS = (
    people.UnknownAccount,
    people.InvalidPhone,
    ledger.UnknownAccount,
    ledger.UnknownEntry,
    ledger.MemberBlocked,
    ledger.NotEnoughPoints,
    ledger.PointsOutOfRange,
    ledger.AlreadyReversed,
    ledger.CannotReverse,
    ledger.BadFact,
    ledger.SourceEventReused,
)
WhichAccount = Annotated[str, typer.Argument(help="acc_..., or the phone number.")]
HowMany = Annotated[int, typer.Argument(help="Points.")]
Why = Annotated[str, typer.Option("--reason", help="Stands in the ledger.")]
Event = Annotated[
    str | None,
    typer.Option("--event", help="An id of your own for what happened: the same one is counted once."),
]


@account_app.command("show")
def show_account(account: WhichAccount, program: ProgramOption = None, as_json: AsJson = False) -> None:
    """Show balance, members and the newest entries."""

    async def work(session: AsyncSession) -> dict[str, Any]:
        found = await _account(session, account, program)
        members = await session.execute(
            select(Member.id, Member.name, Member.state).where(Member.account_id == found.id)
        )
        entries = await ledger.history(session, found.id, limit=10)
        return {
            "id": found.id,
            "phone": found.phone,
            "balance": found.balance,
            "members": [{"id": row.id, "name": row.name, "state": row.state} for row in members],
            "entries": [
                {
                    "id": e.id,
                    "at": e.at,
                    "kind": e.kind,
                    "points": e.points,
                    "balance": e.balance_after,
                    "reason": e.reason,
                }
                for e in entries
            ],
        }

    data = carry_out(work, *_REFUSALS)
    words = "\n\n".join(
        (
            f"{data['id']}  {data['phone'] or '-'}  balance {data['balance']}",
            table(data["members"], ("id", "name", "state")),
            table(data["entries"], ("at", "kind", "points", "balance", "reason", "id")),
        )
    )
    show(data, words, as_json=as_json)


@account_app.command("earn")
def earn(
    account: WhichAccount,
    points: HowMany,
    reason: Why = "",
    event: Event = None,
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Credit points that were earned."""
    _move(ledger.earn, account, points, reason, event, program, as_json=as_json)


@account_app.command("redeem")
def redeem(
    account: WhichAccount,
    points: HowMany,
    reason: Why = "",
    event: Event = None,
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Debit points the member spends."""
    _move(ledger.redeem, account, points, reason, event, program, as_json=as_json)


@account_app.command("adjust", context_settings={"ignore_unknown_options": True})
def adjust(
    account: WhichAccount,
    points: HowMany,
    reason: Why = "",
    event: Event = None,
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Correct the balance by hand: 20 credits, -20 debits."""
    _move(ledger.adjust, account, points, reason, event, program, as_json=as_json)


@account_app.command("reverse")
def reverse(
    entry: Annotated[str, typer.Argument(help="ent_...: the entry to undo.")],
    reason: Why = "",
    event: Event = None,
    program: ProgramOption = None,
    as_json: AsJson = False,
) -> None:
    """Undo an entry by an opposite one."""

    async def work(session: AsyncSession) -> Posted:
        owner = await program_of(session, program)
        return await ledger.reverse(
            session,
            entry,
            reason=reason,
            source=SOURCE,
            source_event=event or new_id("cli"),
            program_id=owner.id,
            now=utc_now(),
        )

    _tell(carry_out(work, *_REFUSALS), as_json=as_json)


def _move(
    post: Callable[..., Awaitable[Posted]],
    account: str,
    points: int,
    reason: str,
    event: str | None,
    program: str | None,
    *,
    as_json: bool,
) -> None:
    async def work(session: AsyncSession) -> Posted:
        found = await _account(session, account, program)
        return await post(
            session,
            found.id,
            points,
            reason=reason,
            source=SOURCE,
            source_event=event or new_id("cli"),
            program_id=found.program_id,
            now=utc_now(),
        )

    _tell(carry_out(work, *_REFUSALS), as_json=as_json)


def _tell(posted: Posted, *, as_json: bool) -> None:
    entry = posted.entry
    said = "was there already" if posted.repeated else "posted"
    data = {
        "entry": entry.id,
        "account": entry.account_id,
        "kind": entry.kind,
        "points": entry.points,
        "balance": entry.balance_after,
        "repeated": posted.repeated,
    }
    show(
        data,
        f"{entry.id} {said}: {entry.kind} {entry.points:+d}, balance {entry.balance_after}",
        as_json=as_json,
    )


async def _account(session: AsyncSession, which: str, program: str | None) -> Account:
    owner = await program_of(session, program)
    if which.startswith("acc_"):
        return await people.account_by_id(session, owner.id, which)
    phone = people.parse_phone(which, owner.country)
    query = select(Account).where(Account.program_id == owner.id, Account.phone == phone)
    found = await session.scalar(query)
    if found is None:
        raise people.UnknownAccount(f"no account has the phone {phone}")
    return found
