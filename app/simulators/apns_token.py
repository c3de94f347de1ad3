"""How the APNs simulator judges provider tokens: ES256, the right key and team, at most an hour old."""

from dataclasses import dataclass, field

import jwt

from app.clock import Clock

TOKEN_AGE_SECONDS_MAX = 3600
CLOCK_SKEW_SECONDS = 60


@dataclass(frozen=True)
class ProviderKey:
    """The public half (PEM) of an APNs key, with its key id and team id."""

    public_key: bytes = field(repr=False)
    key_id: str
    team_id: str


class ProviderTokens:
    """The tokens of one key. `seen` maps each valid token to when it was issued, in seconds."""

    def __init__(self, key: ProviderKey, clock: Clock) -> None:
        self._key = key
        self._clock = clock
        self.seen: dict[str, int] = {}

    def fault_in(self, authorization: str) -> str | None:
        """APNs' reason to refuse the value of an authorization header, or None."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "MissingProviderToken"
        issued_at = self.seen.get(token) or self._issued_at(token)
        if issued_at is None:
            return "InvalidProviderToken"
        age = self._clock().timestamp() - issued_at
        if not -CLOCK_SKEW_SECONDS <= age <= TOKEN_AGE_SECONDS_MAX:
            return "ExpiredProviderToken"
        self.seen[token] = issued_at
        return None

    def _issued_at(self, token: str) -> int | None:
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(
                token,
                self._key.public_key,
                algorithms=["ES256"],
                issuer=self._key.team_id,
                options={"require": ["iss", "iat"], "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            return None
        issued_at = claims["iat"]
        return issued_at if header.get("kid") == self._key.key_id and isinstance(issued_at, int) else None
