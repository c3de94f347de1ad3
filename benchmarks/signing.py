"""Signed passes a second on one core, beside the bare RSA signature of the same key and beside peers.

    python -m benchmarks.signing [--seconds 3]

Prints one JSON line. Every pass is another member's: compiled from the coffee template, packed, signed.
Seconds are of processor time, so that neighbours on the machine count for little. What runs in this
process takes turns in short slices, and a ratio compares slices of the same turn. Peers
(benchmarks/peers/signing/install.sh) sign the same files in processes of their own. openssl verifies a
pass of each.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha1
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from app.wallets.apple.dev_ca import DevelopmentCa
from app.wallets.apple.pass_file import PassFileBuilder
from app.wallets.apple.signing import CmsSigner, FileSigner, load_file_signer
from app.wallets.apple.wallet import AppleWallet
from app.wallets.templates import PassTemplate, load_templates

ROOT = Path(__file__).parent.parent
PEERS = ROOT / "benchmarks" / "peers" / "signing"
PASS_TYPE, TEAM, TOKEN = "pass.com.example.coffee", "TEAM123456", "0123456789abcdef0123"
TEMPLATE, LANGUAGE = "coffee", "ru"
GOAL = 0.75
SLICE_SECONDS = 0.25

Make = Callable[[int], bytes]  # the pass of the n-th member


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each variant")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(measure(Path(temporary), seconds)))


def measure(folder: Path, seconds: float) -> dict[str, object]:
    """Everything there is to print."""
    now = datetime.now(UTC)
    ca = DevelopmentCa.open(folder, pass_type_identifier=PASS_TYPE, team_identifier=TEAM, now=now)
    signer = load_file_signer(
        ca.leaf.certificate_path, ca.leaf.private_key_path, wwdr=ca.wwdr.certificate_path
    )
    template = load_templates(ROOT / "pass_templates")[TEMPLATE]
    whole, prepared, naive = ours(template, signer), packing(template, signer), by_the_book(template, signer)
    write_model(folder / "files", whole(0))

    rates = take_turns(
        {"raw RSA": raw(signer), "passbell": whole, "passbell, JSON given": prepared, "PKCS7+zipfile": naive},
        turns=max(3, round(seconds / SLICE_SECONDS)),
    )
    raw_rate = statistics.median(rates["raw RSA"])
    results: dict[str, object] = {}
    for name, make in {"passbell": whole, "passbell, JSON given": prepared, "PKCS7+zipfile": naive}.items():
        pairs = zip(rates[name], rates["raw RSA"], strict=True)
        results[name] = {
            "passes_per_second": round(statistics.median(rates[name])),
            "of_raw_rsa": round(statistics.median(rate / limit for rate, limit in pairs), 3),
            "verified": is_genuine(folder, make(1)),
        }
    for name, command in peers().items():
        results[name] = run_peer(folder, name, command, seconds, raw_rate)
    return {
        "benchmark": "signing",
        "raw_rsa_signatures_per_second": round(raw_rate),
        "pass_bytes": len(whole(1)),
        "goal_of_raw_rsa": GOAL,
        "load_average": round(os.getloadavg()[0], 1),  # above 0.5 a core, neighbours take cache and clock
        "results": results,
    }


def raw(signer: FileSigner) -> Make:
    """The limit: nothing but the signature of 100 octets, which is what a pass needs."""
    assert isinstance(signer.private_key, rsa.RSAPrivateKey)
    sign, scheme, algorithm = signer.private_key.sign, padding.PKCS1v15(), hashes.SHA256()
    return lambda number: sign(b"%0100d" % number, scheme, algorithm)


def ours(template: PassTemplate, signer: FileSigner) -> Make:
    """As the server answers a phone: content to pass.json to archive to signature."""
    wallet = AppleWallet(
        {TEMPLATE: template},
        CmsSigner(signer),
        pass_type_identifier=PASS_TYPE,
        team_identifier=TEAM,
        web_service_url="https://cards.example.com/apple",
    )
    sample = template.samples[LANGUAGE]

    def make(number: int) -> bytes:
        content = replace(
            sample, values={**sample.values, "points": number}, barcode=f"{460000000000 + number}"
        )
        return wallet.pass_file(
            TEMPLATE,
            content,
            serial_number=f"serial-{number}",
            authentication_token=TOKEN,
            now=datetime.now(UTC),
        )

    return make


def packing(template: PassTemplate, signer: FileSigner) -> Make:
    """Packing and signing alone, of a pass.json that is ready."""
    builder = PassFileBuilder(template.static_files, CmsSigner(signer))
    source = contents(ours(template, signer)(0))["pass.json"]
    return lambda number: builder.build(
        source.replace(b"serial-0", b"serial-%d" % number), now=datetime.now(UTC)
    )


def by_the_book(template: PassTemplate, signer: FileSigner) -> Make:
    """json, zipfile and PKCS7SignatureBuilder as everybody would write it, with the key loaded once."""
    source = json.loads(contents(ours(template, signer)(0))["pass.json"])
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]

    def make(number: int) -> bytes:
        pass_json = json.dumps(source | {"serialNumber": f"serial-{number}"}, ensure_ascii=False).encode()
        files = {**template.static_files, "pass.json": pass_json}
        manifest = json.dumps({name: digest(data) for name, data in files.items()}).encode()
        signature = (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(manifest)
            .add_signer(signer.certificate, signer.private_key, hashes.SHA256())
            .add_certificate(signer.chain[0])
            .sign(Encoding.DER, options)
        )
        buffer = BytesIO()
        with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
            for name, data in (files | {"manifest.json": manifest, "signature": signature}).items():
                archive.writestr(name, data)
        return buffer.getvalue()

    return make


def take_turns(variants: Mapping[str, Make], *, turns: int) -> dict[str, list[float]]:
    """Passes a second of each variant in each turn."""
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for make in variants.values():
        make(0)
    for _ in range(turns):
        for name, make in variants.items():
            count, start = 0, time.process_time()
            while (elapsed := time.process_time() - start) < SLICE_SECONDS:
                make(count)
                count += 1
            rates[name].append(count / elapsed)
    return rates


def peers() -> dict[str, list[str]]:
    """The peers' commands."""
    return {
        "py-pkpass": [str(PEERS / ".venv/bin/python"), str(PEERS / "run_py_pkpass.py")],
        "passkit-generator": ["node", str(PEERS / "run_passkit_generator.mjs")],
    }


def run_peer(
    folder: Path, name: str, command: list[str], seconds: float, raw_rate: float
) -> dict[str, object]:
    """A peer's rate, or why it was skipped."""
    installed = {"py-pkpass": PEERS / ".venv", "passkit-generator": PEERS / "node_modules"}[name]
    if not installed.exists():
        print(f"{name} is skipped: run benchmarks/peers/signing/install.sh", file=sys.stderr)
        return {"skipped": "not installed"}
    last = folder / f"{name}.pkpass"
    answer = subprocess.run(
        [*command, str(folder), str(seconds), str(last)], check=True, capture_output=True, text=True
    )
    count = json.loads(answer.stdout)
    rate = count["passes"] / count["seconds"]
    return {
        "passes_per_second": round(rate, 1),
        "of_raw_rsa": round(rate / raw_rate, 4),
        "verified": is_genuine(folder, last.read_bytes()),
    }


def write_model(folder: Path, archive: bytes) -> None:
    """The files of one of our passes, for peers to build theirs from."""
    for name, data in contents(archive).items():
        if name not in {"manifest.json", "signature"}:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def contents(archive: bytes) -> dict[str, bytes]:
    """The members of a pass, by name."""
    with ZipFile(BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def digest(data: bytes) -> str:
    """As manifests have it."""
    return sha1(data, usedforsecurity=False).hexdigest()


def is_genuine(folder: Path, archive: bytes) -> bool:
    """Whether openssl verifies the pass's signature and its manifest tells the truth."""
    found = contents(archive)
    manifest, signature = found.pop("manifest.json"), found.pop("signature")
    (folder / "manifest.json").write_bytes(manifest)
    (folder / "signature").write_bytes(signature)
    command = "openssl cms -verify -binary -inform DER -in signature -content manifest.json -purpose any"
    judged = subprocess.run(
        [*command.split(), "-CAfile", "root.pem", "-out", "/dev/null"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    listed = json.loads(manifest)
    is_true = all(listed.get(name) == digest(data) for name, data in found.items())
    return judged.returncode == 0 and is_true


if __name__ == "__main__":
    main()
