"""`passbell doctor`: what is right and wrong with certificate and account, before a phone refuses a pass."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer
from cryptography import x509

from app.cli.doctor_google import examine_google
from app.clock import utc_now
from app.errors import TemporaryFailure
from app.settings import Settings, read_settings
from app.wallets.apple.certificates import Finding, diagnose
from app.wallets.apple.signing import Signer, UnusableKeyMaterial, load_certificates, load_signer

SIGNS = {"ok": "  ok     ", "warning": "  WARNING", "error": "  ERROR  "}


def doctor_command(
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON, for programs")] = False,
) -> None:
    """Explain Apple's certificate and Google's account; exit with 1 if passes would not work."""
    settings = read_settings()
    findings = examine(settings, now=utc_now()) + examine_google(settings)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    else:
        for finding in findings:
            typer.echo(f"{SIGNS[finding.level]}  {finding.text}")
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


def examine(settings: Settings, *, now: datetime) -> list[Finding]:
    """Everything there is to say about the certificate and key the settings name."""
    if settings.apple_certificate_path is None:
        return [_no_certificate(settings)]
    try:
        signer = load_signer(settings)
    except UnusableKeyMaterial as error:
        return [Finding("error", error.code, _sentence(error)), *_without_key(settings, now)]
    except TemporaryFailure as error:
        return [Finding("error", "key_out_of_reach", _sentence(error)), *_without_key(settings, now)]
    return _diagnose(settings, signer.certificate, signer.chain[0], signer, now) + _push(settings)


def _without_key(settings: Settings, now: datetime) -> list[Finding]:
    """What can be said when the key cannot be used: the certificates may still be readable."""
    paths = (settings.apple_certificate_path, settings.apple_wwdr_certificate_path)
    try:
        found = [certificate for path in paths if path for certificate in load_certificates(path)]
    except UnusableKeyMaterial:  # the error above is about this, or the file is a .p12 that stays closed
        return []
    certificate, *others = found
    return _diagnose(settings, certificate, others[0] if others else None, None, now)


def _diagnose(
    settings: Settings,
    certificate: x509.Certificate,
    issuer: x509.Certificate | None,
    signer: Signer | None,
    now: datetime,
) -> list[Finding]:
    findings = diagnose(
        certificate,
        issuer=issuer,
        signer=signer,
        pass_type_identifier=settings.apple_pass_type_identifier,
        team_identifier=settings.apple_team_identifier,
        now=now,
    )
    if settings.mode == "demo":
        return findings
    return [
        Finding("error", finding.code, finding.text) if finding.code == "development" else finding
        for finding in findings
    ]


def _push(settings: Settings) -> list[Finding]:
    if settings.pkcs11_module_path is None or settings.apns_key_path is not None:
        return []
    return [
        Finding(
            "error",
            "push_key_missing",
            "The private key is on a token and cannot open the connection to APNs: create a push key (.p8) at"
            " developer.apple.com and set PASSBELL_APNS_KEY_PATH and PASSBELL_APNS_KEY_ID.",
        )
    ]


def _no_certificate(settings: Settings) -> Finding:
    return Finding(
        "ok" if settings.mode == "demo" else "error",
        "certificate_missing",
        "No certificate is set: the demo signs with a development CA of its own."
        if settings.mode == "demo"
        else "No certificate is set: set PASSBELL_APPLE_CERTIFICATE_PATH to your Pass Type ID certificate"
        " (certs.example/README.md says how to get one).",
    )


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
