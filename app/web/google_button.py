"""Whether a pass page offers "Add to Google Wallet", and where the button leads."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members.models import Program
from app.passes.content import google_program
from app.passes.models import Pass, Update
from app.passes.versions import GOOGLE
from app.wallets.content import PassContent
from app.wiring import Services


@dataclass(frozen=True)
class GoogleOffer:
    """Google Wallet for one pass. `save_link` is None until Google has the object: a button would fail."""

    save_link: str | None


async def google_offer(
    session: AsyncSession, services: Services, issued: Pass, content: PassContent, *, now: datetime
) -> GoogleOffer | None:
    """The offer for this pass; None where its country has no Google Wallet, or no issuer is set."""
    wallet = services.google
    if wallet is None or content.country in services.settings.google_unavailable_countries:
        return None
    sent_version = await session.scalar(
        select(Update.sent_version).where(Update.pass_id == issued.id, Update.wallet == GOOGLE)
    )
    if not sent_version:
        return GoogleOffer(save_link=None)
    program = await session.get_one(Program, issued.program_id)
    class_id = wallet.class_id(issued.template, google_program(program), content)
    link = wallet.save_link(issued.template, serial_number=issued.serial_number, class_id=class_id, now=now)
    return GoogleOffer(link)
