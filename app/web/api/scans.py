"""POST /api/v1/passes/scan: a till asks whose card it has read, and whether it is the card itself."""

from datetime import datetime
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Response
from pydantic import AfterValidator, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.members.models import Account, Member
from app.passes import scans
from app.passes.models import Pass
from app.passes.scans import UnknownCard, WrongCode
from app.wallets.google import rotating
from app.wallets.google.wallet import totp_key
from app.web.api.idempotency import OnlyOnce
from app.web.api.keys import TransactionsWrite
from app.web.api.values import Given, Taken, storable
from app.web.dependencies import FromServices, Now
from app.wiring import Services

router = APIRouter(tags=["passes"])

_Scanned = Annotated[
    str,
    Field(min_length=1, max_length=512, examples=["4000123456782.94287082"]),
    AfterValidator(storable),
]


class ScanIn(Taken):
    """A barcode as it was read."""

    value: _Scanned


class ScanOut(Given):
    """Whose card it is."""

    proof: Literal["code", "none"] = Field(
        description="code: a rotating barcode of this minute, which is accepted once; none: a fixed barcode"
    )
    pass_id: str
    pass_state: Literal["active", "voided", "expired"]
    member_id: str
    member_state: str = Field(examples=["active", "blocked"])
    name: str
    card_number: str
    account_id: str
    balance: int
    tier_id: str | None


@router.post("/passes/scan", summary="Whose card was scanned?", responses={200: {"model": ScanOut}})
async def scan_card(
    wanted: ScanIn, caller: TransactionsWrite, once: OnlyOnce, services: FromServices, now: Now
) -> Response:
    """Find the card of a scanned barcode; a rotating code is checked, and accepted once."""

    async def work(session: AsyncSession) -> ScanOut:
        held, step = await _recognise(session, services, caller.program_id, wanted.value, now)
        if step is not None:
            await scans.use_code(session, held.id, step, now=now)
        member = await session.get_one(Member, held.member_id)
        account = await session.get_one(Account, member.account_id)
        return ScanOut(
            proof="none" if step is None else "code",
            pass_id=held.id,
            pass_state=cast("Literal['active', 'voided', 'expired']", held.state),
            member_id=member.id,
            member_state=member.state,
            name=member.name,
            card_number=member.card_number,
            account_id=account.id,
            balance=account.balance,
            tier_id=account.tier_id,
        )

    return await once.answer(caller, wanted, work, now=now, status=200)


async def _recognise(
    session: AsyncSession, services: Services, program_id: str, value: str, now: datetime
) -> tuple[Pass, int | None]:
    """The pass, and the period of its code; None where the barcode is a fixed one."""
    fixed = await scans.named(session, program_id, [value])
    if fixed:
        return fixed[0], None
    was_named = False
    for template in services.templates.values():
        pattern = template.definition.google.rotating_barcode
        scanned = rotating.read(pattern, value) if pattern is not None else None
        if pattern is None or scanned is None:
            continue
        for held in await scans.named(session, program_id, scanned.names):
            if held.template != template.name:
                continue
            was_named = True
            key = totp_key(services.secret_key, held.serial_number)
            step = rotating.step_of(scanned.code, key, pattern, now=now)
            if step is not None:
                return held, step
    if was_named:
        raise WrongCode(
            "the code on the card is not of this minute: let the customer open the card and scan it again;"
            " if it stays so, the phone's clock is wrong"
        )
    raise UnknownCard("no card of this programme has this barcode")
