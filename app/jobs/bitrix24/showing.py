"""Keeping a contact's custom fields true to the card: number, link, balance, tier.

What a contact shows is compared with what the card is, so it does not matter what moved the points: a till, a
deal, an expiry. Fifty contacts are written in one request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crm.bitrix24 import commands
from app.crm.bitrix24 import source as bitrix24
from app.crm.bitrix24.rest import BATCH_MAX, Refused
from app.db import upsert
from app.deals.models import ShownCard
from app.inbox.models import Source
from app.job_queue import JsonScalar, Retry, enqueue, kinds
from app.jobs.bitrix24 import asking, reading
from app.members.models import Account, ExternalId, Member, Program, Tier
from app.passes import issue
from app.passes.models import Pass
from app.wiring import Services

log = structlog.get_logger(__name__)

RETRY = Retry(attempts_max=8, first_wait_seconds=5, longest_wait_seconds=300)
BATCHES_MAX = 40  # of one job: the next minute goes on
_CONTACT = "contact:"


@dataclass(frozen=True)
class _Stale:
    """A contact whose fields say something else than the card."""

    contact: str
    member: Member
    account: Account
    tier: Tier | None
    is_first: bool


async def ask_for(services: Services) -> None:
    """Every minute: have every portal's contacts shown what changed."""
    async with services.sessions.begin() as session:
        for source in await active_portals(session):
            await enqueue(session, kinds.BITRIX24_SHOW, {"source_id": source.id}, priority=kinds.BULK)


async def active_portals(session: AsyncSession) -> Sequence[Source]:
    query = select(Source).where(Source.kind == bitrix24.KIND, Source.state == "active")
    return (await session.scalars(query)).all()


async def show(services: Services, args: Mapping[str, JsonScalar]) -> None:
    """Write what is out of date into a portal's contacts. Finding nothing is the usual case."""
    source_id = str(args["source_id"])
    async with services.bitrix24.alone(f"show:{source_id}"):
        for _ in range(BATCHES_MAX):
            if await _show_some(services, source_id) < BATCH_MAX:
                return


async def _show_some(services: Services, source_id: str) -> int:
    async with services.sessions.begin() as session:
        source = await session.get_one(Source, source_id)
        settings = bitrix24.settings_of(source.settings)
        if not any(
            (settings.fields.card, settings.fields.link, settings.fields.balance, settings.fields.tier)
        ):
            return 0
        program = await session.get_one(Program, source.program_id)
        stale = await _stale(session, source)
        values = [await _values(services, session, settings.fields, program, each) for each in stale]
    if not stale:
        return 0
    wanted = {
        each.contact: commands.write_fields(reading.contact_id(each.contact), fields)
        for each, fields in zip(stale, values, strict=True)
    }
    batch = await asking.batch(services, source, wanted)
    for contact, failure in batch.errors.items():
        log.warning("bitrix24.not_shown", source=source.slug, contact=contact, reason=str(failure))
    # A contact that is refused is not asked again until its card changes; a busy portal is.
    shown = [each for each in stale if isinstance(batch.errors.get(each.contact), Refused | None)]
    async with services.sessions.begin() as session:
        for each in shown:
            await _note(session, services, source, each)
    return len(stale) if shown else 0


async def _stale(session: AsyncSession, source: Source) -> list[_Stale]:
    query = (
        select(ExternalId.external_id, Member, Account, Tier, ShownCard.contact.is_(None).label("is_first"))
        .join(Member, Member.id == ExternalId.member_id)
        .join(Account, Account.id == Member.account_id)
        .outerjoin(Tier, Tier.id == Account.tier_id)
        .outerjoin(
            ShownCard, and_(ShownCard.source_id == source.id, ShownCard.contact == ExternalId.external_id)
        )
        .where(
            ExternalId.program_id == source.program_id,
            ExternalId.source == source.key,
            ExternalId.external_id.startswith(_CONTACT),
            or_(
                ShownCard.contact.is_(None),
                ShownCard.member_id != Member.id,
                ShownCard.sequence != Account.sequence,
                ShownCard.card_number != Member.card_number,
                ShownCard.tier_id.is_distinct_from(Account.tier_id),
            ),
        )
        .order_by(ExternalId.external_id)
        .limit(BATCH_MAX)
    )
    rows = (await session.execute(query, execution_options={"populate_existing": True})).all()
    return [_Stale(*row) for row in rows]


async def _values(
    services: Services, session: AsyncSession, fields: bitrix24.Fields, program: Program, stale: _Stale
) -> dict[str, object]:
    """The custom fields and what they are to say. The link is written once: only its hash is kept."""
    tier_names = stale.tier.names if stale.tier else {}
    values: dict[str, object] = {
        fields.card: stale.member.card_number,
        fields.balance: stale.account.balance,
        fields.tier: tier_names.get(program.language) or next(iter(tier_names.values()), ""),
    }
    if stale.is_first and fields.link:
        query = (
            select(Pass)
            .where(Pass.member_id == stale.member.id, Pass.state == "active")
            .order_by(Pass.id.desc())
            .limit(1)
        )
        issued = await session.scalar(query)
        if issued is not None:
            token = await issue.make_link(session, issued, now=services.clock())
            values[fields.link] = f"{services.settings.link_url}/p/{token}"
    return {name: value for name, value in values.items() if name}


async def _note(session: AsyncSession, services: Services, source: Source, stale: _Stale) -> None:
    row = {
        "source_id": source.id,
        "contact": stale.contact,
        "program_id": source.program_id,
        "member_id": stale.member.id,
        "sequence": stale.account.sequence,
        "tier_id": stale.account.tier_id,
        "card_number": stale.member.card_number,
        "written_at": services.clock(),
    }
    statement = upsert(session, ShownCard).values(row)
    await session.execute(statement.on_conflict_do_update(index_elements=["source_id", "contact"], set_=row))
