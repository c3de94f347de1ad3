from io import StringIO

import pytest

from app.channels.sms import BadReceipt, CannotAsk, Sms
from app.channels.sms.console import Console
from app.channels.sms.providers import WrongSmsSettings, open_provider
from app.settings import Settings
from app.simulators.sms_gateway import SmsGateway, running
from tests.channels.sms.gateways import PHONE, SECRET, SMS


def _settings(**changes):
    return Settings(_env_file=None, **changes)


@pytest.mark.parametrize("name", ["console", "generic", "smsc", "smsaero", "mobizon", "twilio"])
async def test_every_provider_the_settings_name_can_be_opened(name):
    settings = _settings(
        sms_provider=name,
        sms_api_url="http://h",
        sms_login="me",
        sms_api_key="key",
        sms_sender="+15005550006",
    )

    provider = open_provider(settings, receipt_url="https://cards.example/hooks/sms/t")

    assert provider.name == name
    await provider.close()


async def test_the_default_settings_of_the_generic_gateway_speak_to_the_simulated_one():
    gateway = SmsGateway(api_key=SECRET)
    async with running(gateway) as url:
        provider = open_provider(
            _settings(
                sms_provider="generic",
                sms_api_url=f"{url}/messages",
                sms_api_key=SECRET,
                sms_generic_find_url=f"{url}/messages/{{client_id}}",
                sms_generic_balance_url=f"{url}/balance",
            )
        )
        result = await provider.send(SMS)
        found = await provider.find(SMS.client_id)
        balance = await provider.balance()
        await provider.close()

    assert found == result
    assert balance is not None
    assert [sms.text for sms in gateway.received(PHONE)] == [SMS.text]


_GENERIC = {"sms_provider": "generic", "sms_api_url": "http://h"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sms_provider": "smsc"}, "SMS_API_KEY is needed for the provider smsc"),
        ({"sms_provider": "smsaero", "sms_api_key": "k"}, "SMS_LOGIN is needed"),
        ({"sms_provider": "mobizon"}, "SMS_API_KEY is needed"),
        ({"sms_provider": "twilio", "sms_api_key": "k", "sms_login": "AC1"}, "SMS_SENDER is needed"),
        ({"sms_provider": "generic"}, "SMS_API_URL is needed"),
        (_GENERIC | {"sms_api_url": "http://h/{to}"}, "SMS_API_URL: unknown {to}"),
        (_GENERIC | {"sms_generic_body": "{to}"}, "SMS_GENERIC_BODY: not JSON"),
        (_GENERIC | {"sms_generic_body": '{"a": "{phone}"}'}, "SMS_GENERIC_BODY: unknown {phone}"),
        (_GENERIC | {"sms_generic_headers": "[]"}, "SMS_GENERIC_HEADERS: a JSON object"),
        (_GENERIC | {"sms_generic_receipt_states": '{"OK": "fine"}'}, "SMS_GENERIC_RECEIPT_STATES: 'fine'"),
    ],
)
def test_wrong_settings_are_named(settings, words):
    with pytest.raises(WrongSmsSettings) as wrong:
        open_provider(_settings(**settings))

    assert str(wrong.value).startswith(f"PASSBELL_{words}")


async def test_the_console_shows_the_text_and_not_the_number():
    output = StringIO()
    console = Console(output)

    result = await console.send(Sms(PHONE, "я" * 71, "msg_1"))

    assert (result.provider_id, result.segments) == ("console-msg_1", 2)
    assert output.getvalue() == f"SMS to …67 (2 parts): {'я' * 71}\n"
    with pytest.raises(CannotAsk):
        await console.find("msg_1")
    with pytest.raises(BadReceipt):
        console.parse_receipt(b"", {}, {})
