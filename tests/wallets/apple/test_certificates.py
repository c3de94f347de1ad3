"""What the doctor says of certificates: each fault people meet, by its code, and nothing when all is well."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.errors import TemporaryFailure
from app.wallets.apple.certificates import (
    DevelopmentCertificateRefused,
    Finding,
    can_do_nfc,
    days_left,
    diagnose,
    expiry_warning,
    identifiers_of,
    is_development,
    refuse_development,
)
from app.wallets.apple.dev_ca import DevelopmentCa, issue, pass_extensions
from app.wallets.apple.signing import FileSigner, UnusableKeyMaterial
from tests.wallets.apple.conftest import PASS_TYPE, TEAM

WWDR = "Apple Worldwide Developer Relations Certification Authority"


def name(**values: str) -> x509.Name:
    kinds = {
        "uid": NameOID.USER_ID,
        "cn": NameOID.COMMON_NAME,
        "ou": NameOID.ORGANIZATIONAL_UNIT_NAME,
        "o": NameOID.ORGANIZATION_NAME,
    }
    return x509.Name([x509.NameAttribute(kinds[kind], value) for kind, value in values.items()])


class Apple:
    """Certificates as Apple would issue them, from an issuer of the given generation."""

    def __init__(self, now: datetime, generation: str = "G4", *, days: int = 1000) -> None:
        self.now = now
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name(cn=WWDR, ou=generation, o="Apple Inc.")
        self.wwdr = issue(self.key, self.name, [], issuer=None, days=days, now=now)
        self.leaf_key = ec.generate_private_key(ec.SECP256R1())

    def signer(
        self, *, subject: x509.Name | None = None, days: int = 365, for_passes: bool = True
    ) -> FileSigner:
        certificate = issue(
            self.leaf_key,
            subject or name(uid=PASS_TYPE, cn=f"Pass Type ID: {PASS_TYPE}", ou=TEAM, o="Coffee Ltd"),
            pass_extensions(PASS_TYPE) if for_passes else [],
            issuer=(self.wwdr, self.key),
            days=days,
            now=self.now,
        )
        return FileSigner(certificate, (self.wwdr,), self.leaf_key)


@pytest.fixture(scope="module")
def apple(now: datetime) -> Apple:
    return Apple(now)


def examine(
    signer: FileSigner,
    now: datetime,
    *,
    issuer: x509.Certificate | None = None,
    pass_type_identifier: str | None = PASS_TYPE,
    team_identifier: str | None = TEAM,
) -> list[Finding]:
    return diagnose(
        signer.certificate,
        issuer=issuer or signer.chain[0],
        signer=signer,
        pass_type_identifier=pass_type_identifier,
        team_identifier=team_identifier,
        now=now,
    )


def faults(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.level, finding.code) for finding in findings if finding.level != "ok"]


def text_of(code: str, findings: list[Finding]) -> str:
    return next(finding.text for finding in findings if finding.code == code)


def test_a_good_certificate_has_no_fault_and_every_check_is_told(apple: Apple, now: datetime) -> None:
    findings = examine(apple.signer(), now)

    assert faults(findings) == []
    assert {finding.code for finding in findings} == {
        "pass_type",
        "team",
        "issuer",
        "expiry",
        "no_nfc",
        "key",
    }
    assert "Apple WWDR G4" in text_of("issuer", findings)


def test_identifiers_that_are_not_set_are_taken_from_the_certificate(apple: Apple, now: datetime) -> None:
    findings = examine(apple.signer(), now, pass_type_identifier=None, team_identifier=None)

    assert faults(findings) == []
    assert PASS_TYPE in text_of("pass_type", findings)


def test_identifiers_other_than_the_settings_are_two_errors(apple: Apple, now: datetime) -> None:
    findings = examine(apple.signer(), now, pass_type_identifier="pass.other", team_identifier="OTHER")

    assert faults(findings) == [("error", "pass_type_mismatch"), ("error", "team_mismatch")]
    assert "PASSBELL_APPLE_PASS_TYPE_IDENTIFIER" in text_of("pass_type_mismatch", findings)
    assert "PASSBELL_APPLE_TEAM_IDENTIFIER" in text_of("team_mismatch", findings)


def test_another_kind_of_certificate_is_recognised(apple: Apple, now: datetime) -> None:
    push = apple.signer(subject=name(cn="Apple Push Services: com.example"), for_passes=False)

    assert faults(examine(push, now)) == [
        ("error", "pass_type_missing"),
        ("error", "team_missing"),
        ("warning", "usage_missing"),
    ]
    with pytest.raises(UnusableKeyMaterial, match="not a Pass Type ID certificate"):
        identifiers_of(push.certificate)


def test_another_generation_of_the_issuer_is_named(apple: Apple, now: datetime) -> None:
    findings = examine(apple.signer(), now, issuer=Apple(now, "G3").wwdr)

    assert faults(findings) == [("error", "issuer_mismatch"), ("warning", "issuer_old")]
    assert "Apple WWDR G4 issued" in text_of("issuer_mismatch", findings)
    assert "Apple WWDR G3 was supplied" in text_of("issuer_mismatch", findings)


def test_an_issuer_of_the_same_name_with_another_key_is_found_out(apple: Apple, now: datetime) -> None:
    assert faults(examine(apple.signer(), now, issuer=Apple(now).wwdr)) == [("error", "issuer_key_mismatch")]


def test_a_certificate_of_an_old_expired_issuer_is_told_so(now: datetime) -> None:
    then = now - timedelta(days=30)
    old = Apple(then, "Apple Worldwide Developer Relations", days=10)

    findings = examine(old.signer(), now)

    assert faults(findings) == [("error", "issuer_expired")]
    assert "Apple WWDR G1 expired" in text_of("issuer_expired", findings)


def test_a_missing_issuer_says_where_to_get_it(apple: Apple, now: datetime) -> None:
    findings = diagnose(apple.signer().certificate, issuer=None, now=now)

    assert faults(findings) == [("error", "issuer_missing")]
    assert "Download Apple WWDR G4 from https://www.apple.com/certificateauthority/" in text_of(
        "issuer_missing", findings
    )


@pytest.mark.parametrize(
    ("left", "fault", "limit"),
    [
        (timedelta(days=61), [], None),
        (timedelta(days=60), [("warning", "expires_soon")], 60),
        (timedelta(days=31), [("warning", "expires_soon")], 60),
        (timedelta(days=30), [("warning", "expires_soon")], 30),
        (timedelta(days=7), [("warning", "expires_soon")], 7),
        (timedelta(days=1), [("warning", "expires_soon")], 1),
        (timedelta(hours=1), [("warning", "expires_soon")], 1),
        (timedelta(hours=-1), [("error", "expired")], 1),
    ],
)
def test_the_end_is_announced_at_sixty_thirty_seven_and_one_day(
    left: timedelta, fault: list[tuple[str, str]], limit: int | None, apple: Apple
) -> None:
    signer = apple.signer()
    moment = signer.certificate.not_valid_after_utc - left

    assert faults(examine(signer, moment)) == fault
    assert expiry_warning(days_left(signer.certificate, moment)) == limit


def test_a_clock_before_the_certificate_is_pointed_out(apple: Apple, now: datetime) -> None:
    findings = examine(apple.signer(), now - timedelta(days=400))

    assert faults(findings) == [("error", "not_yet_valid")]
    assert "clock" in text_of("not_yet_valid", findings)


def test_nfc_is_read_from_the_name(apple: Apple, now: datetime) -> None:
    nfc = apple.signer(subject=name(uid=PASS_TYPE, cn=f"Pass Type ID with NFC: {PASS_TYPE}", ou=TEAM))

    assert "nfc" in {finding.code for finding in examine(nfc, now)}
    assert (can_do_nfc(nfc.certificate), can_do_nfc(apple.signer().certificate)) == (True, False)


def test_a_key_of_another_certificate_is_found_out(apple: Apple, now: datetime) -> None:
    wrong = replace(apple.signer(), private_key=ec.generate_private_key(ec.SECP256R1()))

    assert faults(examine(wrong, now)) == [("error", "key_mismatch")]


def test_a_key_out_of_reach_is_an_error_with_the_reason(apple: Apple, now: datetime) -> None:
    class Unplugged(FileSigner):
        def sign_raw(self, data: bytes) -> bytes:
            raise TemporaryFailure("the token 'HSM' does not sign")

    signer = apple.signer()
    unplugged = Unplugged(signer.certificate, signer.chain, signer.private_key)

    findings = examine(unplugged, now)

    assert faults(findings) == [("error", "key_out_of_reach")]
    assert "the token 'HSM'" in text_of("key_out_of_reach", findings)


def test_the_development_ca_is_flagged_and_refused_and_apples_is_not(
    ca: DevelopmentCa, apple: Apple, now: datetime
) -> None:
    assert faults(examine(ca.signer, now)) == [("warning", "development")]
    for pair in (ca.root, ca.wwdr, ca.leaf, ca.server):
        assert is_development(pair.certificate)
        with pytest.raises(DevelopmentCertificateRefused, match="PASSBELL_APPLE_CERTIFICATE_PATH"):
            refuse_development(pair.certificate)

    assert not is_development(apple.signer().certificate)
    refuse_development(apple.signer().certificate)


def test_a_leaf_without_the_mark_is_known_by_its_issuer(ca: DevelopmentCa, now: datetime) -> None:
    unmarked = issue(
        ec.generate_private_key(ec.SECP256R1()),
        name(uid=PASS_TYPE, cn=f"Pass Type ID: {PASS_TYPE}", ou=TEAM),
        pass_extensions(PASS_TYPE),
        issuer=(ca.wwdr.certificate, ca.wwdr.private_key),
        days=365,
        now=now,
    )

    assert is_development(unmarked)
