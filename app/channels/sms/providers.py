"""The table of SMS providers: a new one is a file beside this one and a line in `_OPENERS`."""

import json
from collections.abc import Callable
from typing import cast

from pydantic import SecretStr

from app.channels.sms import ReceiptState, SmsProvider, mobizon, smsaero, smsc, twilio
from app.channels.sms.console import Console
from app.channels.sms.generic_http import Account, Gateway, GenericHttp
from app.channels.sms.mobizon import Mobizon
from app.channels.sms.placeholders import WrongTemplate
from app.channels.sms.smsaero import SmsAero
from app.channels.sms.smsc import Smsc
from app.channels.sms.twilio import Twilio
from app.settings import PREFIX, Settings


class WrongSmsSettings(ValueError):
    """The chosen provider cannot be opened; the message names the variable and the remedy."""


def open_provider(settings: Settings, *, receipt_url: str | None = None) -> SmsProvider:
    """The provider the settings choose; close it at the end.

    `receipt_url` is our public address for receipts, for the providers that are told it with each message.
    Raises WrongSmsSettings.
    """
    return _OPENERS[settings.sms_provider](settings, receipt_url)


def _open_console(_settings: Settings, _receipt_url: str | None) -> SmsProvider:
    return Console()


def _open_generic(settings: Settings, _receipt_url: str | None) -> SmsProvider:
    account = Account(
        api_key=_optional(settings.sms_api_key),
        login=settings.sms_login or "",
        password=_optional(settings.sms_password),
    )
    try:
        return GenericHttp(
            _gateway(settings), account, sender=settings.sms_sender, currency=settings.sms_currency
        )
    except WrongTemplate as error:
        field, _, words = str(error).partition(": ")
        name = "SMS_API_URL" if field == "url" else f"SMS_GENERIC_{field.upper()}"
        raise WrongSmsSettings(f"{PREFIX}{name}: {words}") from error


def _open_smsc(settings: Settings, _receipt_url: str | None) -> SmsProvider:
    return Smsc(
        login=settings.sms_login,
        secret=_secret(settings, "sms_api_key"),
        sender=settings.sms_sender,
        currency=settings.sms_currency,
        api_url=settings.sms_api_url or smsc.DEFAULT_URL,
    )


def _open_smsaero(settings: Settings, receipt_url: str | None) -> SmsProvider:
    return SmsAero(
        login=_required(settings, "sms_login"),
        api_key=_secret(settings, "sms_api_key"),
        sender=settings.sms_sender,
        currency=settings.sms_currency,
        receipt_url=receipt_url,
        api_url=settings.sms_api_url or smsaero.DEFAULT_URL,
    )


def _open_mobizon(settings: Settings, _receipt_url: str | None) -> SmsProvider:
    return Mobizon(
        api_key=_secret(settings, "sms_api_key"),
        sender=settings.sms_sender,
        currency=settings.sms_currency,
        receipt_secret=_optional(settings.sms_receipt_secret) or None,
        api_url=settings.sms_api_url or mobizon.DEFAULT_URL,
    )


def _open_twilio(settings: Settings, receipt_url: str | None) -> SmsProvider:
    return Twilio(
        account_sid=_required(settings, "sms_login"),
        auth_token=_secret(settings, "sms_api_key"),
        sender=_required(settings, "sms_sender"),
        receipt_url=receipt_url,
        api_url=settings.sms_api_url or twilio.DEFAULT_URL,
    )


_OPENERS: dict[str, Callable[[Settings, str | None], SmsProvider]] = {
    "console": _open_console,
    "generic": _open_generic,
    "smsc": _open_smsc,
    "smsaero": _open_smsaero,
    "mobizon": _open_mobizon,
    "twilio": _open_twilio,
}


def _gateway(settings: Settings) -> Gateway:
    errors = settings.sms_generic_temporary_errors.split(",")
    return Gateway(
        url=_required(settings, "sms_api_url"),
        method=settings.sms_generic_method,
        headers=_strings(settings, "sms_generic_headers"),
        body=_json(settings, "sms_generic_body"),
        body_as=settings.sms_generic_body_as,
        id_path=settings.sms_generic_id_path,
        segments_path=settings.sms_generic_segments_path,
        cost_path=settings.sms_generic_cost_path,
        currency_path=settings.sms_generic_currency_path,
        error_path=settings.sms_generic_error_path,
        temporary_errors=frozenset(code.strip() for code in errors if code.strip()),
        find_url=settings.sms_generic_find_url,
        balance_url=settings.sms_generic_balance_url,
        balance_path=settings.sms_generic_balance_path,
        receipt_list_path=settings.sms_generic_receipt_list_path,
        receipt_id_path=settings.sms_generic_receipt_id_path,
        receipt_status_path=settings.sms_generic_receipt_status_path,
        receipt_error_path=settings.sms_generic_receipt_error_path,
        receipt_at_path=settings.sms_generic_receipt_at_path,
        receipt_states=_states(settings),
    )


def _states(settings: Settings) -> dict[str, ReceiptState]:
    states = _strings(settings, "sms_generic_receipt_states")
    unknown = set(states.values()) - {"sent", "delivered", "failed"}
    if unknown:
        raise WrongSmsSettings(
            f"{PREFIX}SMS_GENERIC_RECEIPT_STATES: {min(unknown)!r} is not sent, delivered or failed"
        )
    return cast("dict[str, ReceiptState]", states)


def _strings(settings: Settings, name: str) -> dict[str, str]:
    value = _json(settings, name)
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        if all(isinstance(field, str) for field in fields.values()):
            return cast("dict[str, str]", fields)
    raise WrongSmsSettings(f"{PREFIX}{name.upper()}: a JSON object with strings is needed")


def _json(settings: Settings, name: str) -> object:
    try:
        return json.loads(getattr(settings, name))
    except ValueError as error:
        raise WrongSmsSettings(f"{PREFIX}{name.upper()}: not JSON: {error}") from error


def _required(settings: Settings, name: str) -> str:
    value: str | None = getattr(settings, name)
    if not value:
        raise WrongSmsSettings(f"{PREFIX}{name.upper()} is needed for the provider {settings.sms_provider}")
    return value


def _secret(settings: Settings, name: str) -> str:
    value: SecretStr | None = getattr(settings, name)
    if value is None or not value.get_secret_value():
        raise WrongSmsSettings(f"{PREFIX}{name.upper()} is needed for the provider {settings.sms_provider}")
    return value.get_secret_value()


def _optional(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
