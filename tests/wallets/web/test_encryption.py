"""Web push's cryptography, against the example of RFC 8291 and a browser of our own."""

from datetime import UTC, datetime

import jwt
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec

from app.simulators.web_push import SimulatedBrowser
from app.wallets.web.encryption import (
    PLAINTEXT_OCTETS_MAX,
    BadSubscription,
    BrowserKeys,
    Vapid,
    encrypt,
    from_base64url,
    to_base64url,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
# RFC 8291, section 5 and appendix A.
KEYS = BrowserKeys(
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "BTBZMqHH6r4Tts7J_aSIgg",
)
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3j"
    "l7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_the_example_of_the_standard_comes_out():
    sender = ec.derive_private_key(int.from_bytes(from_base64url(SENDER), "big"), ec.SECP256R1())

    body = encrypt(
        b"When I grow up, I want to be a watermelon", KEYS, sender=sender, salt=from_base64url(SALT)
    )

    assert to_base64url(body) == BODY


def test_only_the_browser_it_is_for_can_read_a_push():
    browser, other = SimulatedBrowser("https://a"), SimulatedBrowser("https://b")
    keys = browser.subscription()["keys"]

    body = encrypt('{"body": "Баллы"}'.encode(), BrowserKeys(**keys))

    assert browser.read(body) == {"body": "Баллы"}
    with pytest.raises(InvalidTag):
        other.read(body)
    assert body != encrypt('{"body": "Баллы"}'.encode(), BrowserKeys(**keys))


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [
        ("", KEYS.auth),
        ("A" * 87, KEYS.auth),
        (KEYS.p256dh, ""),
        (KEYS.p256dh, "AAAA"),
        ("ключ", KEYS.auth),
        (KEYS.p256dh[:-2], KEYS.auth),
    ],
)
def test_keys_that_are_none_are_refused(p256dh, auth):
    with pytest.raises(BadSubscription):
        BrowserKeys(p256dh, auth).decoded()


def test_a_message_too_long_for_a_push_service_is_refused():
    with pytest.raises(ValueError, match="octets"):
        encrypt(b"x" * (PLAINTEXT_OCTETS_MAX + 1), KEYS)


def test_the_installation_has_one_name_for_its_life_and_signs_for_one_service():
    first, again, other = (
        Vapid(secret * 32, subject="mailto:a@example.com") for secret in (b"a", b"a", b"b")
    )

    kind, token, key = first.authorization("https://push.example.com:8443/x/y?z", NOW).split()
    token, key = token.removeprefix("t=").rstrip(","), key.removeprefix("k=")
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_base64url(key))
    claims = jwt.decode(
        token,
        point,
        algorithms=["ES256"],
        audience="https://push.example.com:8443",
        options={"verify_exp": False},
    )

    assert kind == "vapid"
    assert key == first.public_key == again.public_key != other.public_key
    assert claims["exp"] - NOW.timestamp() == 12 * 3600
    assert claims["sub"] == "mailto:a@example.com"
