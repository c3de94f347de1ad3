"""The token of a .p8 key that stands for a certificate in requests to APNs."""

import time
from collections.abc import Callable

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

# Apple takes a new token every 20 minutes at most and refuses one that is older than 60
# ("Establishing a token-based connection to APNs").
RENEWED_AFTER_SECONDS = 40 * 60
RENEWED_AT_ONCE_AFTER_SECONDS = 20 * 60
JUST_RENEWED_SECONDS = 60


class ProviderToken:
    """One token for all connections, because Apple refuses tokens that change too often."""

    def __init__(
        self,
        key: EllipticCurvePrivateKey,
        *,
        key_id: str,
        team_id: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._key_id = key_id
        self._team_id = team_id
        self._clock = clock
        self._renewed = 0
        self._header, self._issued_at = "", float("-inf")

    def get_header(self) -> str:
        """The value of the authorization header, made anew when it is 40 minutes old."""
        if self._clock() - self._issued_at > RENEWED_AFTER_SECONDS:
            self._issue()
        return self._header

    def renew(self) -> bool:
        """Apple says the token is too old: whether it makes sense to send again, with a newer one."""
        age = self._clock() - self._issued_at
        if age > RENEWED_AT_ONCE_AFTER_SECONDS:
            self._issue()
            return True
        # What was under way with the old token comes back expired too.
        return self._renewed > 1 and age < JUST_RENEWED_SECONDS

    def _issue(self) -> None:
        self._issued_at = self._clock()
        self._renewed += 1
        claims = {"iss": self._team_id, "iat": int(self._issued_at)}
        token = jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self._key_id})
        self._header = f"bearer {token}"
