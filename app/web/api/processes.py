"""The four processes of a card in a CRM, for the ones that have no source of their own here.

Issue a card to a contact, add or redeem points, earn for a deal, and check what a card may pay in one. Each
speaks of contacts and deals by the CRM's own ids, so that a request sent twice does its work once.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import AfterValidator, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.crm.events import CardWanted, Person, PointsMoved, PurchaseChanged
from app.deals import cards
from app.deals.cards import Card
from app.i18n import Texts
from app.inbox import contacts, movements, purchases, reasons, sources
from app.inbox.models import Purchase, Source
from app.inbox.reasons import RESTS, reason_of
from app.members.models import Program
from app.points import ledger
from app.web.api.accounts import EntryOut
from app.web.api.idempotency import OnlyOnce
from app.web.api.keys import AccountsRead, MembersWrite, TransactionsWrite
from app.web.api.values import Given, IdInPath, Points, Reason, SourceEvent, Taken, Word, storable
from app.web.dependencies import FromServices, Now, Reading, Transaction
from app.web.errors import Problem

router = APIRouter(tags=["processes"])

_Text = Annotated[str, Field(max_length=256), AfterValidator(storable)]
_Amount = Annotated[str, Field(max_length=32, examples=["10000.00"]), AfterValidator(storable)]


class PersonIn(Taken):
    """Whom it is about: at least the contact's id, the card or the phone."""

    contact: Word | None = Field(
        None, description="The CRM's own id of the contact", examples=["contact:4711"]
    )
    phone: _Text | None = Field(None, examples=["8 (912) 345-67-89"])
    card_number: Word | None = None
    name: _Text | None = None
    email: _Text | None = None
    birthday: _Text | None = Field(None, examples=["2012-05-31"])

    def person(self) -> Person:
        return Person(**self.model_dump())


class CardIn(Taken):
    """Make a contact a member with a pass."""

    person: PersonIn
    opening_points: Annotated[int, Field(strict=True, ge=0, le=1_000_000_000)] = 0
    sends_link: bool = Field(True, description="Send a new member the link to the pass by SMS")


class AdjustmentIn(Taken):
    """Add (above zero) or redeem (below zero) points."""

    person: PersonIn
    points: Points = Field(examples=[-100])
    reason: Reason = ""
    reference: SourceEvent = Field(description="The CRM's own id of this act", examples=["visit:1042"])


class DealIn(Taken):
    """What a deal is worth now."""

    person: PersonIn
    amount: _Amount
    currency: Annotated[str, Field(pattern=r"^[A-Za-z]{3}$")] | None = Field(
        None, description="Default: the programme's"
    )
    outcome: Literal["open", "won", "lost"]
    reason: Reason = ""


class CheckIn(Taken):
    """A deal somebody looks at."""

    person: PersonIn
    amount: _Amount = "0"
    currency: Annotated[str, Field(pattern=r"^[A-Za-z]{3}$")] | None = None
    deal: Word | None = Field(
        None, description="Its own id: what was redeemed in it counts", examples=["7405"]
    )
    percent_max: Annotated[int, Field(strict=True, ge=0, le=100)] = Field(
        50, description="How much of the amount may be paid in points, a point being one unit of money"
    )


class CardOut(Given):
    """A person's card, or that there is none and one should be offered."""

    object: Literal["card"] = "card"
    has_card: bool
    offers_card: bool = Field(description="Nobody of this phone or contact has one: offer to issue it")
    member_id: str | None = None
    account_id: str | None = None
    card_number: str | None = None
    balance: int = 0
    tier: str | None = Field(default=None, description="In the programme's language")
    redeemable: int = Field(default=0, description="How many points may be redeemed in the deal now")
    holders: list[str] = Field(default=[], description="Everybody who shares the balance")


class DealOut(Given):
    """What the deal has brought."""

    object: Literal["deal"] = "deal"
    deal: str
    points: int = Field(description="That the deal stands for now")
    entry: EntryOut | None = Field(description="The newest entry this request posted; null: nothing to post")


@router.post(
    "/sources/{source_id}/cards",
    status_code=201,
    summary="Process 1: issue a card to a contact",
    responses={201: {"model": CardOut}},
)
async def issue_card(
    source_id: IdInPath,
    wanted: CardIn,
    caller: MembersWrite,
    once: OnlyOnce,
    services: FromServices,
    now: Now,
) -> Response:
    """A contact that has a card keeps it. A new member gets the opening points and an SMS with the link."""

    async def work(session: AsyncSession) -> CardOut:
        program, source = await _where(session, caller.program_id, source_id)
        person = wanted.person.person()
        event = CardWanted(person, str(wanted.opening_points), wanted.sends_link)
        try:
            await contacts.give_card(
                session,
                program,
                source,
                event,
                texts=services.texts,
                link_url=services.settings.link_url,
                sms_per_day=services.settings.sms_spend_limit_per_day,
                secret_key=services.secret_key,
                wallets=services.wallets(program.country),
                now=now,
            )
        except RESTS as error:
            raise _problem(error, services.texts) from error
        return _card_out(program, await cards.find(session, program, source, person), redeemable=0)

    return await once.answer(caller, wanted, work, now=now)


@router.post(
    "/sources/{source_id}/adjustments",
    status_code=201,
    summary="Process 2: add or redeem points",
    responses={201: {"model": CardOut}},
)
async def adjust_points(
    source_id: IdInPath,
    wanted: AdjustmentIn,
    caller: TransactionsWrite,
    once: OnlyOnce,
    services: FromServices,
    now: Now,
) -> Response:
    """Above zero earns, below zero redeems; once per `reference`."""

    async def work(session: AsyncSession) -> CardOut:
        program, source = await _where(session, caller.program_id, source_id)
        person = wanted.person.person()
        event = PointsMoved(
            wanted.reference, person, str(wanted.points), wanted.reason, spent=wanted.points < 0
        )
        try:
            await movements.move(session, program, source, event, now=now)
        except RESTS as error:
            raise _problem(error, services.texts) from error
        return _card_out(program, await cards.find(session, program, source, person), redeemable=0)

    return await once.answer(caller, wanted, work, now=now)


@router.put("/sources/{source_id}/deals/{deal}", summary="Process 3: earn for a deal")
async def put_deal(
    source_id: IdInPath,
    deal: IdInPath,
    wanted: DealIn,
    caller: TransactionsWrite,
    session: Transaction,
    services: FromServices,
    now: Now,
) -> DealOut:
    """Say what a deal is worth as often as it changes: the difference is posted, a lost deal is reversed."""
    program, source = await _where(session, caller.program_id, source_id)
    reference = f"deal:{deal}"
    event = PurchaseChanged(
        reference,
        wanted.person.person(),
        amount=wanted.amount if wanted.outcome == "won" else "0",
        currency=wanted.currency,
        reason=wanted.reason,
    )
    try:
        entry_id = await purchases.change(session, program, source, event, now=now)
    except RESTS as error:
        raise _problem(error, services.texts) from error
    entry = await ledger.entry(session, entry_id) if entry_id else None
    purchase = await session.get(Purchase, (program.id, source.key, reference), populate_existing=True)
    return DealOut(
        deal=deal,
        points=purchase.points if purchase else 0,
        entry=None if entry is None else EntryOut.of(entry, program.currency),
    )


@router.post("/sources/{source_id}/checks", summary="Process 4: check the card in a deal")
async def check_card(
    source_id: IdInPath, wanted: CheckIn, caller: AccountsRead, session: Reading, services: FromServices
) -> CardOut:
    """Has the contact a card, what may be redeemed, and if there is none: offer to issue one."""
    program, source = await _where(session, caller.program_id, source_id)
    try:
        card = await cards.find(session, program, source, wanted.person.person())
    except RESTS as error:
        raise _problem(error, services.texts) from error
    redeemable = 0
    if card is not None:
        redeemable = await cards.redeemable_in(
            session,
            program,
            source,
            card,
            reference=f"deal:{wanted.deal}" if wanted.deal else "deal:?",
            amount=wanted.amount,
            currency=wanted.currency or "",
            percent_max=wanted.percent_max,
        )
    return _card_out(program, card, redeemable=redeemable)


async def _where(session: AsyncSession, program_id: str, source_id: str) -> tuple[Program, Source]:
    source = await sources.source_by_id(session, program_id, source_id)
    return await session.get_one(Program, program_id), source


def _card_out(program: Program, card: Card | None, *, redeemable: int) -> CardOut:
    if card is None:
        return CardOut(has_card=False, offers_card=True)
    return CardOut(
        has_card=card.member is not None,
        offers_card=card.member is None and not card.holders,
        member_id=card.member.id if card.member else None,
        account_id=card.account_id,
        card_number=card.member.card_number if card.member else None,
        balance=card.balance,
        tier=card.tier_name(program.language) or None,
        redeemable=redeemable,
        holders=list(card.holders),
    )


def _problem(error: Exception, texts: Texts) -> Problem:
    """Why it cannot be done, in the words the inbox has for it."""
    reason = reason_of(error)
    return Problem(422, reason.code, reasons.text_of(texts, "en", reason.code, reason.values))
