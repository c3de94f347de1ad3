"""The development CA: kept between starts, renewed in time, private, and good enough for TLS on loopback."""

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from app.wallets.apple.certificates import PASS_TYPE_EXTENSION, PASS_TYPE_USAGE, identifiers_of
from app.wallets.apple.dev_ca import DevelopmentCa, KeyPair
from app.wallets.apple.signing import has_issued, load_file_signer
from tests.wallets.apple.conftest import PASS_TYPE, TEAM


def reopen(ca: DevelopmentCa, now: datetime, pass_type: str = PASS_TYPE) -> DevelopmentCa:
    folder = ca.root.certificate_path.parent
    return DevelopmentCa.open(folder, pass_type_identifier=pass_type, team_identifier=TEAM, now=now)


@pytest.fixture
def own(tmp_path: Path, now: datetime) -> DevelopmentCa:
    return DevelopmentCa.open(tmp_path / "ca", pass_type_identifier=PASS_TYPE, team_identifier=TEAM, now=now)


def certificates(ca: DevelopmentCa) -> list[x509.Certificate]:
    return [pair.certificate for pair in (ca.root, ca.wwdr, ca.leaf, ca.server)]


def test_the_leaf_says_what_apples_says(ca: DevelopmentCa) -> None:
    extensions = ca.leaf.certificate.extensions

    assert identifiers_of(ca.leaf.certificate) == (PASS_TYPE, TEAM)
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH, PASS_TYPE_USAGE]
    pass_type = extensions.get_extension_for_oid(PASS_TYPE_EXTENSION).value
    assert isinstance(pass_type, x509.UnrecognizedExtension)
    assert pass_type.value == b"\x0c" + bytes([len(PASS_TYPE)]) + PASS_TYPE.encode()
    assert has_issued(ca.wwdr.certificate, ca.leaf.certificate)
    assert has_issued(ca.root.certificate, ca.wwdr.certificate)


def test_its_files_load_as_a_customers_do(ca: DevelopmentCa) -> None:
    signer = load_file_signer(
        ca.leaf.certificate_path, ca.leaf.private_key_path, wwdr=ca.wwdr.certificate_path
    )

    assert (signer.certificate, signer.chain) == (ca.signer.certificate, ca.signer.chain)


def test_opened_again_it_is_the_same(own: DevelopmentCa, now: datetime) -> None:
    assert certificates(reopen(own, now + timedelta(days=300))) == certificates(own)


def test_only_the_owner_may_read_it(own: DevelopmentCa) -> None:
    folder = own.root.certificate_path.parent

    assert folder.stat().st_mode & 0o777 == 0o700
    for pair in (own.root, own.wwdr, own.leaf, own.server):
        assert pair.private_key_path.stat().st_mode & 0o777 == 0o600


def test_another_pass_type_gives_another_leaf_of_the_same_ca(own: DevelopmentCa, now: datetime) -> None:
    other = reopen(own, now, "pass.com.example.school")

    assert identifiers_of(other.leaf.certificate) == ("pass.com.example.school", TEAM)
    assert other.wwdr.certificate == own.wwdr.certificate
    assert has_issued(own.wwdr.certificate, other.leaf.certificate)


def test_a_leaf_near_its_end_is_issued_anew(own: DevelopmentCa, now: datetime) -> None:
    later = now + timedelta(days=340)

    renewed = reopen(own, later)

    assert renewed.root.certificate == own.root.certificate
    assert renewed.leaf.certificate.not_valid_after_utc > later + timedelta(days=300)
    assert renewed.server.certificate.not_valid_after_utc > later + timedelta(days=300)


def test_a_new_root_renews_everything_below(own: DevelopmentCa, now: datetime) -> None:
    own.root.certificate_path.unlink()

    again = reopen(own, now)

    assert not set(certificates(again)) & set(certificates(own))
    assert has_issued(again.root.certificate, again.wwdr.certificate)
    assert has_issued(again.wwdr.certificate, again.leaf.certificate)


def test_a_certificate_whose_key_was_replaced_is_not_used(own: DevelopmentCa, now: datetime) -> None:
    own.leaf.private_key_path.write_bytes(own.server.private_key_path.read_bytes())

    again = reopen(own, now)

    assert again.leaf.certificate.public_key() == again.leaf.private_key.public_key()


def test_processes_that_open_one_folder_at_once_agree(tmp_path: Path, now: datetime) -> None:
    def open_it(_: int) -> list[x509.Certificate]:
        folder = tmp_path / "ca"
        return certificates(
            DevelopmentCa.open(folder, pass_type_identifier=PASS_TYPE, team_identifier=TEAM, now=now)
        )

    with ThreadPoolExecutor(3) as threads:
        first, *others = threads.map(open_it, range(3))

    assert others == [first, first]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_tls_with_the_leaf_as_client_certificate_works_on_loopback(
    host: str, ca: DevelopmentCa, tmp_path: Path
) -> None:
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(pem(ca.root) + pem(ca.wwdr))
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authorities)
    server_tls.verify_mode = ssl.CERT_REQUIRED
    server_tls.load_cert_chain(ca.server.certificate_path, ca.server.private_key_path)
    client_tls = ssl.create_default_context(cafile=ca.root.certificate_path)
    client_tls.verify_flags |= ssl.VERIFY_X509_STRICT
    client_tls.load_cert_chain(ca.leaf.certificate_path, ca.leaf.private_key_path)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subject = writer.get_extra_info("peercert")["subject"]
        writer.write(dict(pair for group in subject for pair in group)["userId"].encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, host, 0, ssl=server_tls) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(host, port, ssl=client_tls)
        assert await reader.read() == PASS_TYPE.encode()
        writer.close()
        await writer.wait_closed()


def pem(pair: KeyPair) -> bytes:
    return pair.certificate.public_bytes(Encoding.PEM)
