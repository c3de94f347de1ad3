"""Proof of work for the form: a second of a phone's time, hours of a bot farm's. ALTCHA, self-hosted."""

import base64
import hashlib
import hmac
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
    if payload is None:
        return False
    is_right, _ = verify_solution(Payload(**payload.model_dump()), _key(secret_key), check_expires=True)
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
        return _Payload.model_validate_json(base64.b64decode(solution[:2000], validate=True))
    except ValueError:
        return None


async def forget_expired(session: AsyncSession, *, now: datetime) -> None:
    """Drop what can no longer be spent anyway."""
    await session.execute(delete(SpentChallenge).where(SpentChallenge.expires_at < now))


def _key(secret_key: bytes) -> str:
    return hmac.digest(secret_key, b"passbell.altcha.v1", hashlib.sha256).hex()
