"""The link behind the button, and the key file it is signed with."""

import json
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.wallets.google.save_link import LENGTH_MAX, SaveLinkTooLong, save_link
from app.wallets.google.service_account import BadServiceAccount, load_service_account
from tests.wallets.google.conftest import ACCOUNT, ISSUER, SERIAL

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def pem(key) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_file(tmp_path, **changes):
    named = {
        "client_email": ACCOUNT.email,
        "private_key_id": ACCOUNT.key_id,
        "private_key": pem(ACCOUNT.private_key),
        "token_uri": ACCOUNT.token_uri,
    }
    path = tmp_path / "account.json"
    path.write_text(json.dumps({key: value for key, value in (named | changes).items() if value is not None}))
    return path


def test_the_link_names_the_object_and_nothing_of_the_member(wallet):
    link = wallet.save_link(
        "coffee", serial_number=SERIAL, class_id=f"{ISSUER}.coffee.coffee.loyalty", now=NOW
    )

    address, token = link.rsplit("/", 1)
    claims = jwt.decode(
        token,
        ACCOUNT.private_key.public_key(),
        algorithms=["RS256"],
        audience="google",
        options={"verify_iat": False},
    )
    assert address == "https://pay.google.com/gp/v/save"
    assert jwt.get_unverified_header(token)["kid"] == ACCOUNT.key_id
    assert claims == {
        "iss": ACCOUNT.email,
        "aud": "google",
        "typ": "savetowallet",
        "iat": int(NOW.timestamp()),
        "origins": ["cards.example.com"],
        "payload": {
            "loyaltyObjects": [{"id": f"{ISSUER}.{SERIAL}", "classId": f"{ISSUER}.coffee.coffee.loyalty"}]
        },
    }
    assert len(link) < 1000


def test_a_link_that_some_browser_would_cut_is_refused():
    many = [{"id": f"{ISSUER}.{SERIAL}", "classId": f"{ISSUER}.coffee.coffee.loyalty"}] * 10

    with pytest.raises(SaveLinkTooLong, match=f"{LENGTH_MAX}"):
        save_link(ACCOUNT, {"loyaltyObjects": many}, origins=[], now=NOW)


@pytest.mark.parametrize("written", [pem(ACCOUNT.private_key), pem(ACCOUNT.private_key).replace("\n", "\\n")])
def test_a_key_file_is_read_also_where_its_line_feeds_are_written_out(tmp_path, written):
    account = load_service_account(key_file(tmp_path, private_key=written))

    assert (account.email, account.key_id) == (ACCOUNT.email, ACCOUNT.key_id)
    assert account.private_key.private_numbers() == ACCOUNT.private_key.private_numbers()
    assert "PRIVATE" not in repr(account)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"client_email": None}, "no client_email"),
        ({"private_key": "-----BEGIN"}, "is no PEM key"),
        ({"private_key": pem(ec.generate_private_key(ec.SECP256R1()))}, "is no RSA key"),
    ],
)
def test_a_key_file_that_cannot_be_used_says_why(tmp_path, changes, reason):
    with pytest.raises(BadServiceAccount, match=reason):
        load_service_account(key_file(tmp_path, **changes))


@pytest.mark.parametrize("text", ["{", "[]", '"a"'])
def test_what_is_no_key_file_is_said(tmp_path, text):
    path = tmp_path / "account.json"
    path.write_text(text)

    with pytest.raises(BadServiceAccount):
        load_service_account(path)
    with pytest.raises(BadServiceAccount, match="cannot be read"):
        load_service_account(tmp_path / "gone.json")
