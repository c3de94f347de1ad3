import json
import random
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from app.simulators.google_wallet.callbacks import SigningKeys, message_of
from app.wallets.google.callback import Callback, NotGenuine, length_value, root_keys, verified
from tests.make import NOON

ISSUER = "3388000000022141777"
CLASS_ID, OBJECT_ID = f"{ISSUER}.coffee", f"{ISSUER}.card"
KEYS = SigningKeys(NOON)
LATER = timedelta(days=8)


def message(**changes):
    return json.dumps(json.loads(message_of("save", CLASS_ID, OBJECT_ID, now=NOON)) | changes)


def posted(text=None, keys=KEYS, issuer=ISSUER, **changes):
    return json.dumps(keys.signed(issuer, text or message()) | changes).encode()


def check(body, keys=KEYS, issuer=ISSUER, now=NOON):
    return verified(body, root_keys(keys.published()), issuer_id=issuer, now=now)


@pytest.mark.parametrize("event", ["save", "del"])
def test_a_genuine_callback_is_believed(event):
    called = check(posted(message(eventType=event, nonce="n1")))

    assert called == Callback(event, CLASS_ID, OBJECT_ID, "n1")


def test_lengths_count_bytes_so_that_a_text_beyond_ascii_verifies_too():
    assert check(posted(message(nonce="цифра-日本-é"))).nonce == "цифра-日本-é"
    assert check(posted(json.dumps(json.loads(message(nonce="ключ")), ensure_ascii=False))).nonce == "ключ"
    assert length_value("é") == b"\x02\x00\x00\x00\xc3\xa9"


def test_any_of_the_signatures_and_any_of_the_keys_may_be_the_valid_one():
    callback = json.loads(posted())
    signatures = callback["intermediateSigningKey"]["signatures"]
    callback["intermediateSigningKey"]["signatures"] = ["AAAA", *signatures]
    other, ours = SigningKeys(NOON), root_keys(KEYS.published())

    keys = root_keys(other.published()) + ours
    assert verified(json.dumps(callback).encode(), keys, issuer_id=ISSUER, now=NOON).event == "save"


def test_the_keys_of_another_protocol_or_without_an_expiry_are_left_out():
    listed = KEYS.published()["keys"]

    assert len(root_keys({"keys": listed})) == 1
    assert root_keys({"keys": [{k: v for k, v in listed[1].items() if k != "keyExpiration"}]}) == ()
    for nonsense in (None, [], {}, {"keys": {}}, {"keys": [None, 1, {"keyValue": "x"}]}):
        assert root_keys(nonsense) == ()


def tampered(path, value):
    callback = json.loads(posted())
    *way, last = path
    place = callback
    for key in way:
        place = place[key]
    place[last] = value
    return json.dumps(callback).encode()


INTERMEDIATE = "intermediateSigningKey"
OF_ANOTHER = SigningKeys(NOON).signed(ISSUER, message())


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (tampered(["signedMessage"], message()), "signature does not hold"),
        (tampered(["signature"], "AAAA"), "signature does not hold"),
        (tampered(["signature"], "not base64!"), "signature does not hold"),
        (tampered(["protocolVersion"], "ECv1"), "another protocol"),
        (tampered(["protocolVersion"], None), "another protocol"),
        (tampered([INTERMEDIATE, "signatures"], []), "not signed"),
        (tampered([INTERMEDIATE, "signatures"], ["AAAA"]), "no root key"),
        (tampered([INTERMEDIATE, "signedKey"], "{}"), "no root key"),
        (tampered([INTERMEDIATE], OF_ANOTHER[INTERMEDIATE]), "no root key"),
        (posted(message(expTimeMillis=int(NOON.timestamp() * 1000))), "message has expired"),
        (posted(message(expTimeMillis=True)), "cannot be read"),
        (posted(message(eventType="open")), "unknown event"),
        (posted(message(objectId="1.card")), "another issuer"),
        (posted(message(classId=None)), "missing"),
        (posted(message(nonce="")), "missing"),
        (posted("[]"), "no JSON object"),
        (posted("nonsense"), "no JSON"),
        (posted(issuer="3388000000000000001"), "signature does not hold"),
        (tampered(["signedMessage"], "\ud800"), "no Unicode"),
        (b"", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"null", "no JSON object"),
        (tampered(["signedMessage"], "x" * 30_000), "missing"),
    ],
)
def test_what_is_not_believed(body, why):
    with pytest.raises(NotGenuine, match=why):
        check(body)


def test_an_expired_root_or_intermediate_key_signs_nothing():
    with pytest.raises(NotGenuine, match="intermediate key has expired"):
        check(posted(message(expTimeMillis=10**14)), now=NOON + LATER)
    with pytest.raises(NotGenuine, match="no root key"):
        check(posted(), now=NOON + timedelta(days=366))


def test_another_curve_is_no_key_of_googles():
    keys = SigningKeys(NOON)
    keys._intermediate = ec.generate_private_key(ec.SECP384R1())

    with pytest.raises(NotGenuine, match="another kind"):
        check(posted(keys=keys), keys=keys)


def mutated(body, chance):
    """The body with some bytes changed, moved, doubled or lost."""
    data = bytearray(body)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                del data[at : at + chance.randint(1, 40)]
            case 2:
                data[at:at] = data[at : at + chance.randint(1, 40)]
            case _:
                data[at] = chance.randrange(256)
        if not data:
            data = bytearray(b"{")
    return bytes(data)


def test_ten_thousand_mutated_callbacks_are_refused_or_say_the_same():
    """A change outside what is signed, such as a space, changes nothing: those are no forgeries."""
    chance, body = random.Random(20261125), posted(message(nonce="n1"))
    genuine, same = check(body), 0
    for _ in range(10_000):
        try:
            same += check(mutated(body, chance)) == genuine
        except NotGenuine:
            continue
    assert same < 100
