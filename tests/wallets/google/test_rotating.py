from datetime import UTC, datetime

import pytest

from app.wallets.google.rotating import read, step_of, totp
from app.wallets.templates.google import RotatingBarcode

KEY = b"12345678901234567890"
CODE = RotatingBarcode()


# RFC 6238, appendix B: SHA-1, eight digits, a period of thirty seconds.
@pytest.mark.parametrize(
    ("second", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_those_of_the_rfc(second, code):
    assert totp(KEY, second // 30, 8) == code
    assert step_of(code, KEY, CODE, now=datetime.fromtimestamp(second, UTC)) == second // 30


@pytest.mark.parametrize(("seconds_off", "is_taken"), [(-31, False), (-30, True), (59, True), (60, False)])
def test_a_phones_clock_may_be_off_by_one_period(seconds_off, is_taken):
    shown = totp(KEY, 1234567890 // 30, 8)
    now = datetime.fromtimestamp(1234567890 + seconds_off, UTC)
    assert (step_of(shown, KEY, CODE, now=now) is not None) is is_taken


@pytest.mark.parametrize(
    ("pattern", "text", "names", "code"),
    [
        ("{{ barcode }}.{totp_value_0}", "4000123456782.94287082", ("4000123456782",), "94287082"),
        ("{{ barcode }}.{totp_value_0}", "a.b.94287082", ("a.b",), "94287082"),
        (
            "P:{{ card_number }}:{totp_timestamp_seconds}:{totp_value_0}",
            "P:77:1234567890:94287082",
            ("77",),
            "94287082",
        ),
        ("{{ a }}-{{ b }}-{totp_value_0}", "1-2-94287082", ("1", "2"), "94287082"),
    ],
)
def test_a_scanned_text_is_taken_apart_as_its_pattern_says(pattern, text, names, code):
    scanned = read(RotatingBarcode(pattern=pattern), text)
    assert scanned is not None
    assert (scanned.names, scanned.code) == (names, code)


@pytest.mark.parametrize(
    "text", ["4000123456782", "4000123456782.9428708", "4000123456782.9428708x", ".94287082"]
)
def test_another_text_is_none_of_this_pattern(text):
    assert read(CODE, text) is None
