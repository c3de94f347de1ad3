"""Passwords are kept as argon2id; codes are those of RFC 6238, and each works once."""

import base64
from datetime import UTC, datetime

import pytest

from app.staff import passwords
from tests.make import NOON

# RFC 6238, appendix B: the SHA-1 secret, the second, the last six of its eight digits.
SECRET = base64.b32encode(b"12345678901234567890").decode()
VECTORS = [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]


@pytest.mark.parametrize(("second", "code"), VECTORS)
def test_codes_are_those_of_the_rfc(second, code):
    at = datetime.fromtimestamp(second, UTC)

    assert passwords.totp_step(SECRET, code, after=0, now=at) == second // 30


def test_a_code_works_once_and_not_much_later():
    now = NOON
    current = int(now.timestamp()) // 30
    code = passwords.totp_code(SECRET, current)

    assert passwords.totp_step(SECRET, code, after=current - 1, now=now) == current
    assert passwords.totp_step(SECRET, code, after=current, now=now) is None
    assert passwords.totp_step(SECRET, passwords.totp_code(SECRET, current - 2), after=0, now=now) is None
    for hostile in ("", "12345", "1234567", "１２３４５６", "-12345", "12 456"):
        assert passwords.totp_step(SECRET, hostile, after=0, now=now) is None


async def test_a_password_is_kept_as_argon2id_and_only_it_is_right():
    kept = await passwords.hash_of("correct horse battery")

    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.is_right("correct horse battery", kept)
    assert not await passwords.is_right("correct horse batterY", kept)
    assert not await passwords.is_right("correct horse battery", None)


@pytest.mark.parametrize("password", ["", "short", "aaaaaaaaaaaaaaaa", "x" * 300])
async def test_a_weak_password_is_refused(password):
    with pytest.raises(passwords.WeakPassword):
        await passwords.hash_of(password)
