"""What a pass type certificate says, and what is wrong with it, in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cryptography import x509
from cryptography.x509.oid import NameOID

from app.errors import TemporaryFailure
from app.wallets.apple.signing import Signer, UnusableKeyMaterial, has_issued, signs_for
from app.wallets.apple.signing.signers import WWDR_ADDRESS

DEVELOPMENT_MARK = "DEVELOPMENT ONLY, NOT APPLE"
EXPIRY_WARNING_DAYS = (60, 30, 7, 1)

PASS_TYPE_EXTENSION = x509.ObjectIdentifier("1.2.840.113635.100.6.1.16")
PASS_TYPE_USAGE = x509.ObjectIdentifier("1.2.840.113635.100.4.14")

_WWDR_NAME = "Apple Worldwide Developer Relations Certification Authority"
_WWDR_G1_UNIT = "Apple Worldwide Developer Relations"


class DevelopmentCertificateRefused(Exception):
    """A certificate of the development CA where only Apple's will do."""


@dataclass(frozen=True)
class Finding:
    """One thing a person should know about their certificate. `code` is stable, in snake case."""

    level: Literal["ok", "warning", "error"]
    code: str
    text: str


def identifiers_of(certificate: x509.Certificate) -> tuple[str, str]:
    """The pass type identifier (subject UID, "pass.com.example.card") and the team identifier (OU).

    Raises UnusableKeyMaterial if the subject lacks one of them: it is not a pass type certificate.
    """
    pass_type = _subject(certificate, NameOID.USER_ID)
    team = _subject(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME)
    if pass_type is None or team is None:
        raise UnusableKeyMaterial(
            "not_a_pass_certificate",
            f"{_name(certificate)} is not a Pass Type ID certificate, which names pass type (UID) and team"
            " (OU): set PASSBELL_APPLE_CERTIFICATE_PATH to one",
        )
    return pass_type, team


def days_left(certificate: x509.Certificate, now: datetime) -> int:
    """Whole days until it expires; negative once it has."""
    return (certificate.not_valid_after_utc - now).days


def expiry_warning(days: int) -> int | None:
    """The closest of the warning limits (60, 30, 7, 1 days) that `days` left has reached, None above them."""
    return min((limit for limit in EXPIRY_WARNING_DAYS if days <= limit), default=None)


def can_do_nfc(certificate: x509.Certificate) -> bool:
    """Whether Apple has approved it for NFC: with another one, a pass that has `nfc` does not open."""
    return "with NFC" in (_subject(certificate, NameOID.COMMON_NAME) or "")


def is_development(certificate: x509.Certificate) -> bool:
    """Whether a development CA issued the certificate, or it is that CA's own."""
    names = (certificate.subject, certificate.issuer)
    return any(DEVELOPMENT_MARK in str(attribute.value) for name in names for attribute in name)


def refuse_development(certificate: x509.Certificate) -> None:
    """Raises DevelopmentCertificateRefused for a certificate of the development CA."""
    if is_development(certificate):
        raise DevelopmentCertificateRefused(
            f"{_name(certificate)} is a development certificate, and no phone accepts its passes: set"
            " PASSBELL_APPLE_CERTIFICATE_PATH to the Pass Type ID certificate Apple issued to you, or"
            " PASSBELL_MODE=demo"
        )


def diagnose(
    certificate: x509.Certificate,
    *,
    issuer: x509.Certificate | None,
    signer: Signer | None = None,
    pass_type_identifier: str | None = None,
    team_identifier: str | None = None,
    now: datetime,
) -> list[Finding]:
    """Everything there is to say about a pass type certificate, good and bad.

    `issuer` is the WWDR certificate supplied with it. With a `signer` the private key is tried out.
    The identifiers are those passes are to carry, None when they are read from the certificate.
    """
    pass_type = _subject(certificate, NameOID.USER_ID)
    team = _subject(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME)
    findings = [
        _identifier("pass_type", "pass type identifier", "UID", pass_type, pass_type_identifier),
        _identifier("team", "team identifier", "OU", team, team_identifier),
        *_kind(certificate),
        *_issuer(certificate, issuer, now),
        _expiry(certificate, now),
        _nfc(certificate),
    ]
    if signer is not None:
        findings.append(_key(certificate, signer))
    return findings


def _identifier(code: str, noun: str, attribute: str, found: str | None, wanted: str | None) -> Finding:
    setting = f"PASSBELL_APPLE_{code.upper()}_IDENTIFIER"
    if found is None:
        return Finding(
            "error",
            f"{code}_missing",
            f"The certificate's subject has no {attribute}, so it names no {noun}: it is not a Pass Type ID"
            " certificate. Create one at developer.apple.com under Identifiers, Pass Type IDs.",
        )
    if wanted is not None and wanted != found:
        return Finding(
            "error",
            f"{code}_mismatch",
            f"The certificate is for the {noun} {found!r} ({attribute}), the settings say {wanted!r}: phones"
            f" refuse such passes. Remove {setting}, or supply the certificate for {wanted!r}.",
        )
    return Finding("ok", code, f"The {noun} is {found}.")


def _kind(certificate: x509.Certificate) -> Iterator[Finding]:
    if is_development(certificate):
        yield Finding(
            "warning",
            "development",
            "Made by Passbell's development CA, not by Apple: for the demo; no phone accepts its passes.",
        )
    try:
        usages = list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        usages = []
    if PASS_TYPE_USAGE not in usages:
        yield Finding(
            "warning",
            "usage_missing",
            f"The certificate lacks the extended key usage {PASS_TYPE_USAGE.dotted_string} of Pass Type ID"
            " certificates: another kind of certificate (app, push) does not sign passes.",
        )


def _issuer(
    certificate: x509.Certificate, issuer: x509.Certificate | None, now: datetime
) -> Iterator[Finding]:
    wanted = _generation(certificate.issuer)
    remedy = f"Download {wanted} from {WWDR_ADDRESS} and set PASSBELL_APPLE_WWDR_CERTIFICATE_PATH."
    if issuer is None:
        yield Finding("error", "issuer_missing", f"The issuer's certificate is not there. {remedy}")
        return
    if issuer.subject != certificate.issuer:
        yield Finding(
            "error",
            "issuer_mismatch",
            f"{wanted} issued the certificate, but {_generation(issuer.subject)} was supplied: phones say"
            f" nothing and refuse the pass. {remedy}",
        )
    elif not has_issued(issuer, certificate):
        yield Finding(
            "error",
            "issuer_key_mismatch",
            f"The supplied {wanted} has the right name, but its key did not sign the certificate. {remedy}",
        )
    else:
        yield Finding("ok", "issuer", f"Issued by {wanted}, which is there and verifies it.")
    if issuer.not_valid_after_utc <= now:
        yield Finding(
            "error",
            "issuer_expired",
            f"{_generation(issuer.subject)} expired on {issuer.not_valid_after_utc:%Y-%m-%d}: have a new pass"
            " certificate issued, with the issuer that belongs to it.",
        )
    elif _is_old_wwdr(issuer.subject):
        yield Finding(
            "warning",
            "issuer_old",
            f"{_generation(issuer.subject)} is not the generation that signs passes since January 2022 (G4):"
            " have a new Pass Type ID certificate issued.",
        )


def _expiry(certificate: x509.Certificate, now: datetime) -> Finding:
    days = days_left(certificate, now)
    end = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
    renew = "Renew it at developer.apple.com and keep the same pass type identifier; installed passes stay."
    if now < certificate.not_valid_before_utc:
        start = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        return Finding("error", "not_yet_valid", f"Valid only from {start}: check this machine's clock.")
    if days < 0:
        return Finding(
            "error", "expired", f"The certificate expired on {end}: no pass can be signed. {renew}"
        )
    if expiry_warning(days) is not None:
        return Finding("warning", "expires_soon", f"The certificate ends in {days} days, on {end}. {renew}")
    return Finding("ok", "expiry", f"Valid for {days} days more, until {end}.")


def _nfc(certificate: x509.Certificate) -> Finding:
    if can_do_nfc(certificate):
        return Finding("ok", "nfc", "Approved for NFC passes.")
    return Finding("ok", "no_nfc", "Not for NFC: a pass with `nfc` would not open (Apple approves it apart).")


def _key(certificate: x509.Certificate, signer: Signer) -> Finding:
    try:
        matches = signs_for(certificate, signer.sign_raw)
    except TemporaryFailure as error:
        return Finding("error", "key_out_of_reach", f"The private key cannot be used now: {error}.")
    if matches:
        return Finding("ok", "key", "The private key belongs to the certificate: a trial signature verifies.")
    return Finding(
        "error",
        "key_mismatch",
        "The private key does not belong to the certificate: supply the key whose signing request was sent"
        " to Apple.",
    )


def _generation(name: x509.Name) -> str:
    """How people call an issuer: "Apple WWDR G4", or its full name when it is not Apple's."""
    if not _is_wwdr(name):
        return name.rfc4514_string()
    unit = _attribute(name, NameOID.ORGANIZATIONAL_UNIT_NAME)
    return f"Apple WWDR {'G1' if unit == _WWDR_G1_UNIT else unit}"


def _is_wwdr(name: x509.Name) -> bool:
    return _attribute(name, NameOID.COMMON_NAME) == _WWDR_NAME


def _is_old_wwdr(name: x509.Name) -> bool:
    return _is_wwdr(name) and _attribute(name, NameOID.ORGANIZATIONAL_UNIT_NAME) != "G4"


def _subject(certificate: x509.Certificate, kind: x509.ObjectIdentifier) -> str | None:
    return _attribute(certificate.subject, kind)


def _attribute(name: x509.Name, kind: x509.ObjectIdentifier) -> str | None:
    values = name.get_attributes_for_oid(kind)
    return str(values[0].value) if values else None


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()
