"""Passwords and one-time codes: argon2id (RFC 9106), TOTP (RFC 6238).

A password is checked by length alone, as NIST SP 800-63B (3.1.1.2) has it: rules of letters make worse ones.
"""

import asyncio
import base64
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote

LENGTH_MIN, LENGTH_MAX = 12, 256
CODE_DIGITS = 6
PERIOD_SECONDS = 30
STEPS_OFF = 1  # before and after now: a phone's clock

T = TypeVar("T")

# Each takes 64 MiB: whoever signs in in crowds waits in line instead of filling the memory.
_threads = ThreadPoolExecutor(2, "argon2")


class WeakPassword(ValueError):
    """This cannot be a password."""


async def hash_of(password: str) -> str:
    """What is kept of a password. Takes 50 ms: let no transaction wait for it. Raises WeakPassword."""
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX or len(set(password)) < LENGTH_MIN // 3:
        raise WeakPassword(f"a password has {LENGTH_MIN} to {LENGTH_MAX} characters, not all alike")
    return await _in_thread(_hasher().hash, password)


async def is_right(password: str, kept: str | None) -> bool:
    """Whether it is the password. Takes as long where there is none: nobody learns who is a user."""
    return await _in_thread(_verify, password[:LENGTH_MAX], kept)


async def _in_thread(work: Callable[..., T], *args: str | None) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *args)


def _verify(password: str, kept: str | None) -> bool:
    from argon2.exceptions import InvalidHashError, VerifyMismatchError  # noqa: PLC0415

    try:
        return _hasher().verify(kept or _NOBODYS, password) and kept is not None
    except (VerifyMismatchError, InvalidHashError):
        return False


def _hasher():
    from argon2 import PasswordHasher  # noqa: PLC0415  a web process without console users never needs it

    return PasswordHasher()  # RFC 9106's second choice: 64 MiB, three passes


# The hash of nothing anybody knows, with the same costs.
_NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$0CJ8eaDq3JbVsEVLPxrcXEE8dPxxXXVWXyDwY3lSXAY"


def new_totp_secret() -> str:
    """A new secret, in base32 as authenticator apps take it."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def totp_address(secret: str, *, email: str, issuer: str) -> str:
    """The address whose QR code an authenticator app reads."""
    label = quote(f"{issuer}:{email}")
    return f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer)}&digits={CODE_DIGITS}&period={PERIOD_SECONDS}"


def totp_step(secret: str, code: str, *, after: int, now: datetime) -> int | None:
    """The step a code is right for, later than the one used last; None where it is wrong or was used."""
    if len(code) != CODE_DIGITS or not code.isascii() or not code.isdigit():
        return None
    current = int(now.timestamp()) // PERIOD_SECONDS
    for step in range(current - STEPS_OFF, current + STEPS_OFF + 1):
        if step > after and secrets.compare_digest(totp_code(secret, step), code):
            return step
    return None


def totp_code(secret: str, step: int) -> str:
    """The code of a step of 30 seconds since 1970."""
    from cryptography.hazmat.primitives.hashes import SHA1  # noqa: PLC0415
    from cryptography.hazmat.primitives.twofactor.totp import TOTP  # noqa: PLC0415

    key = base64.b32decode(secret)
    # SHA-1 is what authenticator apps support (RFC 6238, 1.2); as an HMAC it is not known to be weak.
    totp = TOTP(key, CODE_DIGITS, SHA1(), PERIOD_SECONDS)  # noqa: S303
    return totp.generate(step * PERIOD_SECONDS).decode()
