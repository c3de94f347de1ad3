"""Every PASSBELL_ variable, typed. Read by the processes' roots, and by nobody else.

Each field is the environment variable PASSBELL_<NAME>; PASSBELL_<NAME>_FILE names a file that holds the value
instead, as container secrets do. `.env.example` is written from this class by `passbell settings example`.
"""

import difflib
import ipaddress
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

PREFIX = "PASSBELL_"


OTHERS = ("TEST_",)  # what the tests read


class BadSettings(Exception):
    """A setting cannot be used: says which variable, why, and never what stands in it."""


class _Files(EnvSettingsSource):
    """Values from the files that PASSBELL_<NAME>_FILE name, in the environment or in .env."""

    def __init__(self, settings_cls: type[BaseSettings], dotenv: DotEnvSettingsSource) -> None:
        super().__init__(settings_cls)
        self.env_vars = {**dotenv.env_vars, **self.env_vars}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{self.env_prefix}{field_name}_file"
        path = self.env_vars.get(variable.lower())
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text("utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise BadSettings(f"{variable.upper()}: {path} cannot be read: {reason}") from error


class Settings(BaseSettings):
    """Passbell's settings. Raises pydantic.ValidationError naming the variable at fault."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,  # what was put there may be a secret
    )

    # --- Where it runs ---
    public_url: str = Field(
        "http://127.0.0.1:8000", description="The address phones and people reach, with https://"
    )
    short_url: str | None = Field(None, description="A shorter host for SMS links; default: PUBLIC_URL")
    host: str = Field("127.0.0.1", description="The address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on; 0 takes a free one")
    database_url: str = Field(
        "sqlite:///data/passbell.db",
        description="sqlite:///path/to/file.db, or postgresql://user:password@host/name",
    )
    data_dir: Path = Field(Path("data"), description="Where SQLite and generated secrets are kept")
    secret_key: SecretStr | None = Field(
        None,
        description="At least 32 characters; from it come the passes' tokens. Default: made once in DATA_DIR",
    )
    mode: Literal["production", "demo"] = Field("production", description="demo allows the development CA")
    worker: bool | None = Field(
        None, description="Work inside the web process. Default: yes on SQLite, no on PostgreSQL"
    )
    queue_polling: bool = Field(
        False, description="Find jobs by polling instead of LISTEN/NOTIFY: for busy installations and poolers"
    )
    trusted_proxies: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Comma-separated addresses of reverse proxies; only their X-Forwarded headers count",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least important lines that are logged"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, else json"
    )
    metrics_token: SecretStr | None = Field(
        None, description="Bearer token of /metrics; without it only loopback addresses may read it"
    )
    drain_seconds: float = Field(
        0.0,
        ge=0,
        le=600,
        description="After SIGTERM, how long /readyz says 503 while requests are still answered; "
        "behind a load balancer, longer than it takes to look twice",
    )
    body_limit_bytes: int = Field(256_000, ge=1000, description="The largest request body")
    body_deadline_seconds: float = Field(20.0, gt=0, description="How long a request body may take to arrive")

    # --- Passes ---
    pass_templates_dir: Path = Field(
        Path("pass_templates"), description="The folder of pass template folders"
    )
    apple_certificate_path: Path | None = Field(
        None, description="Your Pass Type ID certificate: .pem, .cer, or .p12 with its key"
    )
    apple_private_key_path: Path | None = Field(
        None, description="Its private key, .pem (not needed with .p12)"
    )
    apple_private_key_password: SecretStr | None = Field(
        None, description="The password of the key or the .p12"
    )
    apple_wwdr_certificate_path: Path | None = Field(
        None, description="Apple's Worldwide Developer Relations G4 certificate, .cer or .pem"
    )
    apple_pass_type_identifier: str | None = Field(None, description="Default: read from the certificate")
    apple_team_identifier: str | None = Field(None, description="Default: read from the certificate")
    pkcs11_module_path: Path | None = Field(
        None, description="The library of an HSM that holds the key instead"
    )
    pkcs11_token_label: str | None = Field(None, description="The label of the token in that HSM")
    pkcs11_key_label: str | None = Field(None, description="The label of the private key on the token")
    pkcs11_pin: SecretStr | None = Field(None, description="The PIN that opens the token")

    # --- Google Wallet ---
    google_issuer_id: str | None = Field(
        None,
        pattern=r"^[0-9]{1,20}$",
        description="Your issuer's number in the Google Pay & Wallet console; with the key file below",
    )
    google_service_account_path: Path | None = Field(
        None, description="The JSON key of a service account that is a user of that issuer"
    )
    google_unavailable_countries: Annotated[list[str], NoDecode] = Field(
        default_factory=lambda: ["RU"],
        description="Comma-separated countries of programmes whose members get no Google Wallet button",
    )
    google_requests_per_second: float = Field(
        18.0, gt=0, le=1000, description="Calls of Google's API by all workers together; it allows 20"
    )
    google_batches: bool = Field(
        False, description="Gather calls of one moment into batches: fewer connections, not more quota"
    )
    google_api_url: str = Field(
        "https://walletobjects.googleapis.com", description="Google's API; another only for trials"
    )
    google_keys_url: str = Field(
        "https://pay.google.com/gp/m/issuer/keys", description="The keys of its callbacks, likewise"
    )
    google_buttons_dir: Path | None = Field(
        None, description="Google's own button artwork, one en.svg, ru.svg ... a language; default: drawn"
    )
    google_save_url: str = Field(
        "https://pay.google.com/gp/v/save", description="Where passes are saved; another only for trials"
    )

    trace_kept_days: int = Field(400, ge=1, description="How long a pass's story is kept, in days")
    messages_kept_days: int = Field(
        400, ge=1, description="How long sent SMS and e-mails are kept, in days; unclear ones stay"
    )

    # --- Push ---
    apns_host: str = Field("api.push.apple.com", description="Apple's push service; another only for tests")
    apns_port: int = Field(443, ge=1, le=65535, description="Its port: 443 or 2197")
    apns_ca_path: Path | None = Field(None, description="Trusted CA of that host, when it is not Apple's")
    apns_key_path: Path | None = Field(
        None, description="A .p8 push key of the team; default: the pass certificate authenticates"
    )
    apns_key_id: str | None = Field(None, description="The ten characters Apple names that .p8 key by")
    apns_client: Literal["wire", "aioapns"] = Field(
        "wire", description="How pushes reach it: wire is Passbell's own client, aioapns the library"
    )
    apple_push_gap_seconds: float = Field(
        3.0,
        ge=0,
        le=3600,
        description="Between two pushes of one pass: a phone that is asked too often stops",
    )
    walletpasses_url: str = Field("https://walletpasses.appspot.com", description="WalletPasses for Android")
    walletpasses_api_key: SecretStr | None = Field(
        None, description="Its key; without one it takes fewer pushes"
    )
    pass2u_url: str = Field("https://api.passesalliance.com", description="Pass2U for Android")
    pass2u_api_key: SecretStr | None = Field(None, description="Its key; without one its phones hear nothing")

    web_push_hosts: Annotated[list[str], NoDecode] = Field(
        default_factory=lambda: [
            "fcm.googleapis.com",
            "updates.push.services.mozilla.com",
            "*.push.apple.com",
            "*.notify.windows.com",
        ],
        description="Comma-separated push services of browsers that web cards may use; no other is called",
    )

    # --- SMS ---
    sms_provider: Literal["console", "generic", "smsc", "smsaero", "mobizon", "twilio"] = Field(
        "console", description="Which gateway sends; console prints, for trying things out"
    )
    sms_sender: str | None = Field(None, description="The sender's name or number agreed with the provider")
    sms_login: str | None = Field(None, description="SMSC.ru login, SMS Aero e-mail, Twilio account SID")
    sms_api_key: SecretStr | None = Field(None, description="API key, password or Twilio auth token")
    sms_api_url: str | None = Field(None, description="The gateway's address; known ones have a default")
    sms_password: SecretStr | None = Field(
        None, description="A second secret for a generic gateway's {password}"
    )
    sms_receipt_secret: SecretStr | None = Field(
        None, description="The secretKey of Mobizon's webhook, which signs its receipts"
    )
    sms_currency: str = Field("RUB", description="Of the costs the provider reports")
    sms_receipt_token: SecretStr | None = Field(
        None, description="Secret part of the receipts' address /hooks/sms/{token}; default: from SECRET_KEY"
    )
    sms_spend_limit_per_day: int = Field(
        1000,
        ge=1,
        description="SMS a programme may send a day through its form before the breaker holds them",
    )

    # --- SMS: a gateway without code of its own (provider generic) ---
    sms_generic_method: Literal["GET", "POST", "PUT"] = Field(
        "POST", description="The HTTP method that sends"
    )
    sms_generic_headers: str = Field(
        '{"Authorization": "Bearer {api_key}"}', description="JSON object; may name {api_key}, {client_id}"
    )
    sms_generic_body: str = Field(
        '{"to": "{recipient}", "text": "{text}", "client_id": "{client_id}", "from": "{sender}"}',
        description="JSON; placeholders {recipient} {recipient_digits} {text} {sender} {client_id} and "
        "{api_key} {login} {password}",
    )
    sms_generic_body_as: Literal["json", "form", "query"] = Field("json", description="How the body travels")
    sms_generic_id_path: str = Field("id", description="Where the answer holds the message's id: data.0.id")
    sms_generic_segments_path: str = Field("segments", description="Where it holds the parts; may be empty")
    sms_generic_cost_path: str = Field("cost", description="Where it holds the cost; may be empty")
    sms_generic_currency_path: str = Field(
        "currency", description="Where it holds the currency; may be empty"
    )
    sms_generic_error_path: str = Field("error", description="What stands here and is not 0 is an error")
    sms_generic_temporary_errors: str = Field("", description="Error codes worth another try: 429,busy")
    sms_generic_find_url: str | None = Field(
        None, description="Answers what became of {client_id}, 404 if unknown; without it a person must look"
    )
    sms_generic_balance_url: str | None = Field(None, description="Answers the balance of the account")
    sms_generic_balance_path: str = Field("balance", description="Where that answer holds the balance")
    sms_generic_receipt_list_path: str = Field("", description="Where a receipt holds its list, if it is one")
    sms_generic_receipt_id_path: str = Field("id", description="Where a receipt holds the message's id")
    sms_generic_receipt_status_path: str = Field(
        "status", description="Where it holds the word for its state"
    )
    sms_generic_receipt_error_path: str = Field("error", description="Where it holds why a message failed")
    sms_generic_receipt_at_path: str = Field("at", description="Where it holds the time")
    sms_generic_receipt_states: str = Field(
        '{"sent": "sent", "delivered": "delivered", "failed": "failed"}',
        description="JSON object: the gateway's words for sent, delivered and failed",
    )

    # --- E-mail ---
    smtp_url: SecretStr | None = Field(None, description="smtp://user:password@host:587 or smtps://host:465")
    email_from: str | None = Field(None, description="The sender: Passbell <cards@example.com>")
    email_bounces_to: str | None = Field(
        None, description="Where mail servers report letters that bounce; default: the sender's address"
    )

    # --- Campaigns ---
    campaign_second_person_above: int = Field(
        10_000, ge=0, description="Recipients above which another key approves than the one that planned"
    )

    # --- Webhooks ---
    webhooks_may_be_private: bool = Field(
        False, description="Call endpoints over http and in private networks too: for trials only"
    )

    # --- Enrolment ---
    proof_of_work_cost: int = Field(
        50_000,
        ge=0,
        description="Average hashes a browser computes before the form is sent; 0 switches it off",
    )

    @field_validator(
        "public_url",
        "short_url",
        "google_api_url",
        "google_keys_url",
        "google_save_url",
        "walletpasses_url",
        "pass2u_url",
    )
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with https:// (or http:// for a trial)")
        return value.rstrip("/") if value else value

    @field_validator("database_url")
    @classmethod
    def _is_database(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://")):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        return value

    @field_validator("trusted_proxies", "google_unavailable_countries", "web_push_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: list[str]) -> list[str]:
        for each in value:
            try:
                ipaddress.ip_network(each, strict=False)
            except ValueError as error:
                raise ValueError(f"{each!r} is no address and no network such as 10.0.0.0/8") from error
        return value

    @field_validator("secret_key")
    @classmethod
    def _is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 32:
            raise ValueError("must have at least 32 characters: `openssl rand -base64 48` makes one")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(dotenv_settings, DotEnvSettingsSource)
        files = _Files(settings_cls, dotenv_settings)
        return init_settings, files, env_settings, dotenv_settings

    @property
    def uses_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def works_inside(self) -> bool:
        """Whether the web process runs the jobs too."""
        return self.uses_sqlite if self.worker is None else self.worker

    @property
    def link_url(self) -> str:
        """The address SMS links begin with, without a trailing slash."""
        return self.short_url or self.public_url


def read_settings() -> Settings:
    """This process's settings: the environment, then .env. Raises BadSettings naming the variables."""
    try:
        return Settings()  # pyright: ignore[reportCallIssue]  the environment gives what differs from the defaults
    except ValidationError as error:
        found = (f"{PREFIX}{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors())
        raise BadSettings("\n".join(found)) from None  # the cause would print the values
    except SettingsError as error:
        raise (
            error.__cause__ if isinstance(error.__cause__, BadSettings) else BadSettings(str(error))
        ) from None


def unknown_variables(names: Iterable[str] | None = None) -> dict[str, str | None]:
    """Variables (of this process's environment) that look like settings and are none; what each may mean."""
    known = [f"{name.upper()}{end}" for name in Settings.model_fields for end in ("", "_FILE")]
    found: dict[str, str | None] = {}
    for variable in sorted(os.environ if names is None else names):
        name = variable.upper().removeprefix(PREFIX)
        if variable.upper().startswith(PREFIX) and not name.startswith(OTHERS) and name not in known:
            meant = difflib.get_close_matches(name, known, n=1)
            found[variable] = f"{PREFIX}{meant[0]}" if meant else None
    return found
