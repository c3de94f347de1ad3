"""Whether a pass page offers "Add to Google Wallet", and where the button leads."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.passes.models import GoogleObject, Pass
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
    if wallet is None or GOOGLE not in services.wallets(content.country):
        return None
    query = select(GoogleObject).where(GoogleObject.pass_id == issued.id)
    known = await session.scalar(query)
    if known is None or not known.sent:  # never inserted, or found missing there
        return GoogleOffer(save_link=None)
    link = wallet.save_link(
        issued.template, serial_number=issued.serial_number, class_id=known.class_id, now=now
    )
    return GoogleOffer(link)
