"""Whatever comes to the receipt address, a provider answers with receipts or BadReceipt and nothing else."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.channels.sms import BadReceipt, Receipt
from tests.channels.sms.gateways import PROVIDERS, mobizon, twilio

_WORDS = """id status data messageId eventType sign ts at error MessageSid MessageStatus sms-delivery-report
    delivered failed DELIVRD 1 20 99999999999 2026-01-01T00:00:00Z 0001-01-01T00:00:00+14:00
    9999-12-31T23:59:59-14:00"""
_words = st.sampled_from([*_WORDS.split(), "9" * 5000, "\ud800"])
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | _words
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=5),
    max_leaves=12,
)
_known = st.sampled_from(["delivered", "failed", "1", "20", "DELIVRD", "UNDELIV"])
_plausible = st.fixed_dictionaries(
    {"id": _words | _values, "status": _known | _values},
    optional={"messageId": _words, "at": _words | _values, "ts": _words | _values, "error": _values},
)
_report = _plausible.map(lambda data: {"eventType": "sms-delivery-report", "data": data})
_bodies = (
    st.binary(max_size=60)
    | (_values | _plausible | _report).map(lambda value: json.dumps(value).encode())
    | (_plausible | st.dictionaries(_words, _words, max_size=6)).map(
        lambda fields: "&".join(f"{k}={v}" for k, v in fields.items()).encode("utf-8", "surrogatepass")
    )
)
_headers = st.fixed_dictionaries(
    {"content-type": st.sampled_from(["application/json", "application/x-www-form-urlencoded"])},
    optional={"x-twilio-signature": st.sampled_from(["", "é", "\udcff"])},
)
_queries = st.dictionaries(_words, _words, max_size=4)


@pytest.mark.parametrize(
    "open_at",
    [
        *PROVIDERS.values(),
        lambda url: mobizon(url, receipt_secret="s"),
        lambda url: twilio(url, receipt_url="https://cards.example/r"),
    ],
    ids=[*PROVIDERS, "mobizon-signed", "twilio-signed"],
)
async def test_only_bad_receipt_escapes(open_at):
    provider = open_at("http://unused.example")

    @given(_bodies, _headers, _queries)
    def parse(body, headers, query):
        with contextlib.suppress(BadReceipt):
            receipts = provider.parse_receipt(body, headers, query)
            assert all(isinstance(receipt, Receipt) and receipt.provider_id for receipt in receipts)

    parse()
    await provider.close()
