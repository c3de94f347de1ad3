"""The token endpoint: a service account's signed request for an access token."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt

from app.simulators.google_wallet.answers import Reply

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPE = "https://www.googleapis.com/auth/wallet_object.issuer"
# Whatever the address of the endpoint is: google-auth signs for this one always.
AUDIENCE = "https://oauth2.googleapis.com/token"
LIFETIME = timedelta(hours=1)


@dataclass(frozen=True)
class Token:
    account: str
    until: datetime


class TokenEndpoint:
    """Gives access tokens to the accounts it knows by their public keys (PEM, by e-mail address)."""

    def __init__(self, public_keys: Mapping[str, str]) -> None:
        self.public_keys = dict(public_keys)
        self._tokens: dict[str, Token] = {}
        self.issued = 0

    def answer(self, form: Mapping[str, str], now: datetime) -> Reply:
        """What a POST to /token is answered."""
        if form.get("grant_type") != GRANT:
            return _refused("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')}")
        try:
            account = self._account(form.get("assertion", ""), now)
        except (jwt.InvalidTokenError, KeyError, ValueError):
            return _refused("invalid_grant", "Invalid JWT Signature.")
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self._tokens[token] = Token(account, now + LIFETIME)
        self.issued += 1
        return Reply(
            200,
            {"access_token": token, "expires_in": int(LIFETIME.total_seconds()), "token_type": "Bearer"},
        )

    def account_of(self, authorization: str, now: datetime) -> str | None:
        """The account an Authorization header speaks for; None when the token is unknown or has expired."""
        token = self._tokens.get(authorization.removeprefix("Bearer "))
        return token.account if token is not None and now < token.until else None

    def revoke_all(self) -> None:
        """Make every token given so far useless, as when an account's keys are rotated."""
        self._tokens.clear()

    def _account(self, assertion: str, now: datetime) -> str:
        issuer: str = jwt.decode(assertion, options={"verify_signature": False})["iss"]
        # Times are compared with the simulator's own clock below, not with the machine's.
        claims = jwt.decode(
            assertion,
            self.public_keys[issuer],
            algorithms=["RS256"],
            audience=AUDIENCE,
            options={"verify_exp": False, "verify_iat": False, "require": ["exp", "iat", "scope"]},
        )
        if claims["exp"] - claims["iat"] > LIFETIME.total_seconds() or SCOPE not in claims["scope"].split():
            raise ValueError("lifetime or scope")
        return issuer


def _refused(error: str, description: str) -> Reply:
    return Reply(400, {"error": error, "error_description": description})
