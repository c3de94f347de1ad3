"""Proof of work for the form: a second of a phone's time, hours of a bot farm's. ALTCHA, self-hosted."""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from altcha.v1 import ChallengeOptions, Payload, create_challenge, verify_solution
from pydantic import BaseModel, ConfigDict
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import upsert
from app.enrolment.models import SpentChallenge

VALID_FOR = timedelta(hours=1)
SOLUTION_LENGTH_MAX = 2000
_EXPIRES = re.compile(r"\?expires=([0-9]{1,12})&$")


@dataclass(frozen=True)
class Challenge:
    """Find the number below `max_number` whose SHA-256 after the salt is `challenge`."""

    algorithm: str
    challenge: str
    max_number: int
    salt: str
    signature: str


def challenge(secret_key: bytes, *, cost: int, now: datetime) -> Challenge:
    """A new challenge that takes `cost` hashes on average, valid for an hour."""
    made = create_challenge(
        ChallengeOptions(
            algorithm="SHA-256", max_number=2 * cost, hmac_key=_key(secret_key), expires=now + VALID_FOR
        )
    )
    return Challenge(made.algorithm, made.challenge, made.max_number, made.salt, made.signature)


async def spend(session: AsyncSession, secret_key: bytes, solution: str, *, now: datetime) -> bool:
    """Whether this solution is right, ours, fresh, and used for the first time; it is used up now.

    `solution` is ALTCHA's base64 JSON. Hostile input is False.
    """
    payload = _parse(solution)
    if payload is None or _expires_at(payload.salt) <= now.timestamp():
        return False
    # Its own look at the expiry is at the machine's clock; ours is at the caller's.
    is_right, _ = verify_solution(Payload(**payload.model_dump()), _key(secret_key), check_expires=False)
    if not is_right:
        return False
    # By the challenge, not by the text sent: the same solution can be written in many ways.
    row = {"challenge": payload.challenge, "expires_at": now + VALID_FOR}
    statement = upsert(session, SpentChallenge).values(row).on_conflict_do_nothing()
    return (await session.execute(statement.returning(SpentChallenge.challenge))).first() is not None


class _Payload(BaseModel):
    model_config = ConfigDict(strict=True)

    algorithm: Literal["SHA-256"]
    challenge: str
    number: int
    salt: str
    signature: str


def _parse(solution: str) -> _Payload | None:
    try:
        return _Payload.model_validate_json(base64.b64decode(solution[:SOLUTION_LENGTH_MAX], validate=True))
    except ValueError:
        return None


def _expires_at(salt: str) -> int:
    """The second since 1970 at which a challenge ends. It stands in the salt, which the signature covers."""
    found = _EXPIRES.search(salt)
    return int(found[1]) if found else 0


async def forget_expired(session: AsyncSession, *, now: datetime) -> None:
    """Drop what can no longer be spent anyway."""
    await session.execute(delete(SpentChallenge).where(SpentChallenge.expires_at < now))


def _key(secret_key: bytes) -> str:
    return hmac.digest(secret_key, b"passbell.altcha.v1", hashlib.sha256).hex()
