"""The link behind "Add to Google Wallet": a signed token that names an object Google already has."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import jwt

from app.errors import PermanentFailure
from app.wallets.google.service_account import ServiceAccount

SAVE_URL = "https://pay.google.com/gp/v/save"
LENGTH_MAX = 1800  # browsers and messengers cut longer ones; Google's own advice


class SaveLinkTooLong(PermanentFailure):
    """A save link that some browser would cut."""


def save_link(
    account: ServiceAccount,
    payload: Mapping[str, Sequence[Mapping[str, str]]],
    *,
    origins: Sequence[str],
    now: datetime,
    save_url: str = SAVE_URL,
) -> str:
    """The address that saves these objects: {"loyaltyObjects": [{"id": ..., "classId": ...}]}.

    Only ids: class and object are inserted before, so the link stays near 750 characters, and nothing of
    the member is in it. Raises SaveLinkTooLong beyond LENGTH_MAX.
    """
    claims = {
        "iss": account.email,
        "aud": "google",
        "typ": "savetowallet",
        "iat": int(now.timestamp()),
        "origins": list(origins),
        "payload": payload,
    }
    token = jwt.encode(claims, account.private_key, algorithm="RS256", headers={"kid": account.key_id})
    link = f"{save_url}/{token}"
    if len(link) > LENGTH_MAX:
        raise SaveLinkTooLong(
            f"the save link has {len(link)} characters, {LENGTH_MAX} are safe: save fewer passes at once"
        )
    return link
