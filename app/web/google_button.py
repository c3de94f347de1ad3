"""Whether a pass page offers "Add to Google Wallet", and where the button leads."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.passes.models import GoogleObject, Pass
from app.passes.versions import GOOGLE
from app.wallets.content import PassContent
from app.wiring import Services


@dataclass(frozen=True)
class GoogleOffer:
    """Google Wallet for one pass. `save_link` is None until Google has the object: a button would fail.

    `artwork` is the language of Google's own picture of the button; None: the page draws one.
    """

    save_link: str | None
    artwork: str | None


async def google_offer(
    session: AsyncSession,
    services: Services,
    issued: Pass,
    content: PassContent,
    *,
    language: str,
    now: datetime,
) -> GoogleOffer | None:
    """The offer for this pass; None where its country has no Google Wallet, or no issuer is set."""
    wallet = services.google
    if wallet is None or GOOGLE not in services.wallets(content.country):
        return None
    artwork = artwork_language(services.settings.google_buttons_dir, language)
    query = select(GoogleObject).where(GoogleObject.pass_id == issued.id)
    known = await session.scalar(query)
    if known is None or not known.sent:  # never inserted, or found missing there
        return GoogleOffer(save_link=None, artwork=artwork)
    link = wallet.save_link(
        issued.template, serial_number=issued.serial_number, class_id=known.class_id, now=now
    )
    return GoogleOffer(link, artwork)


def artwork_language(folder: Path | None, language: str) -> str | None:
    """The language of the picture to show: the reader's, else English, as Google asks; None for none."""
    if folder is None:
        return None
    return next((each for each in (language, "en") if (folder / f"{each}.svg").is_file()), None)
