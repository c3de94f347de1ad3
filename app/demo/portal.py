"""The desk's CRM: a simulated Bitrix24 portal for each programme, connected as a real one is."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.crm.bitrix24 import source as bitrix24
from app.inbox import sources
from app.inbox.models import Source
from app.members import people
from app.members.models import ExternalId, Member, Program
from app.simulators.bitrix24 import Contact, Deal, Portal, running
from app.wiring import Services

EVENTS = ("ONCRMDEALADD", "ONCRMDEALUPDATE", "ONCRMCONTACTADD", "ONCRMCONTACTUPDATE")
FIELDS = ("CARD", "LINK", "BALANCE", "TIER")
DEALS_SHOWN = 6
AMOUNT_MAX = Decimal(10_000_000)


class UnknownDeal(Exception):
    """The portal has no such deal."""


class BadAmount(Exception):
    """The text is no amount a deal can have."""


@dataclass(frozen=True)
class DemoPortal:
    """A programme's portal, and the source it is here."""

    portal: Portal
    source: Source

    def deals(self) -> list[dict[str, Any]]:
        """The newest deals, as the panel lists them."""
        newest = sorted(self.portal.deals.values(), key=lambda deal: -deal.id)[:DEALS_SHOWN]
        return [
            {
                "id": deal.id,
                "title": deal.title,
                "amount": str(deal.amount),
                "stage": deal.stage,
                "client": self.portal.contacts[deal.contacts[0]].name,
            }
            for deal in newest
        ]

    def deal(self, deal_id: int) -> Deal:
        """Raises UnknownDeal."""
        if deal_id not in self.portal.deals:
            raise UnknownDeal(deal_id)
        return self.portal.deals[deal_id]

    def close_new_deal(self, contact: Contact, amount: Decimal) -> None:
        """A manager makes a deal and closes it as won."""
        self.portal.win(self.portal.add_deal(str(amount), contact))

    async def contact_of(self, session: AsyncSession, member: Member) -> Contact:
        """The member's contact in the portal, made and linked at the first deal."""
        linked = await session.scalar(
            select(ExternalId.external_id).where(
                ExternalId.member_id == member.id, ExternalId.source == self.source.key
            )
        )
        known = self.portal.contacts.get(int(linked.removeprefix("contact:"))) if linked else None
        if known is not None:
            return known
        contact = self.portal.add_contact(member.name, *([member.phone] if member.phone else []))
        await people.add_external_ids(session, member, [(self.source.key, f"contact:{contact.id}")])
        return contact


def amount_of(text: str) -> Decimal:
    """An amount as a manager types it. Raises BadAmount."""
    try:
        amount = Decimal(text.replace(",", ".").replace(" ", ""))
    except InvalidOperation as error:
        raise BadAmount(text) from error
    if not 0 < amount <= AMOUNT_MAX:
        raise BadAmount(text)
    return amount


@asynccontextmanager
async def open_portals(services: Services) -> AsyncGenerator[Mapping[str, DemoPortal]]:
    """A portal for each programme, by its slug."""
    async with AsyncExitStack() as stack:
        portals: dict[str, DemoPortal] = {}
        async with services.sessions() as session:
            programs = (await session.scalars(select(Program).order_by(Program.slug))).all()
        for program in programs:
            # Ids go on where an earlier demo's ended: its deals and contacts are in the database.
            portal = Portal(clock=services.clock, first_id=int(services.clock().timestamp()))
            portal.userfields = {f"UF_CRM_PASSBELL_{name}": {} for name in FIELDS}
            portal.calls.live = True
            url = await stack.enter_async_context(running(portal))
            async with services.sessions.begin() as session:
                source = await _connect(session, services, program, portal, url)
            for event in EVENTS:
                portal.subscribe(event, f"{services.settings.public_url}/hooks/{source.slug}")
            portals[program.slug] = DemoPortal(portal, source)
        yield portals


async def _connect(
    session: AsyncSession, services: Services, program: Program, portal: Portal, url: str
) -> Source:
    """The portal as the programme's source; an earlier demo's is connected anew."""
    slug = f"crm-{program.slug}"
    settings = {"portal_url": url}
    source = await session.scalar(select(Source).where(Source.slug == slug))
    if source is None:
        source, _ = await sources.add(
            session,
            services.secret_key,
            program.id,
            bitrix24,
            kind=bitrix24.KIND,
            slug=slug,
            name="Bitrix24",
            settings=settings,
            secret=portal.application_token,
            now=services.clock(),
        )
    source.settings = settings
    values = {
        sources.CURRENT: portal.application_token,
        bitrix24.WEBHOOK_URL: f"{url}/rest/{portal.webhook_user}/{portal.webhook_secret}/",
    }
    sources.write_secrets(services.secret_key, source, values)
    await session.flush()
    return source
