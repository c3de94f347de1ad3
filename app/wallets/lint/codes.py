"""Barcodes and NFC: what the till reads."""

import base64
import binascii
from collections.abc import Iterator
from typing import cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from app.wallets.apple.compile.barcodes import FORMATS, SINCE_IOS_27, can_hold
from app.wallets.lint.problem import Json, Problem, error, objects, warning

NFC_OCTETS_MAX = 64
_NAMES = {identifier: name for name, identifier in FORMATS.items()}


def check_barcodes(pass_json: Json) -> Iterator[Problem]:
    """The faults with which a till reads nothing, or an older phone shows no code."""
    barcodes = list(objects(pass_json, "barcodes"))
    for where, barcode in barcodes:
        yield from _check_barcode(barcode, where)
    if barcodes and barcodes[-1][1].get("format") in SINCE_IOS_27:
        text = "phones before iOS 27 do not know this format: put a QR, PDF417, Aztec or Code 128 after it"
        yield error("barcode-without-fallback", barcodes[-1][0], text)
    if "barcode" in pass_json:
        yield warning("legacy-barcode", "barcode", "is iOS 8's: write barcodes")


def _check_barcode(barcode: Json, where: str) -> Iterator[Problem]:
    identifier, message = barcode.get("format"), barcode.get("message")
    name = _NAMES.get(str(identifier))
    if name is None:
        yield error("barcode-unknown-format", f"{where}.format", f"{identifier!r} is not a barcode format")
    if not isinstance(message, str) or not message:
        yield error("barcode-empty", f"{where}.message", "must be a text of at least one character")
        return
    if name and not can_hold(name, message):
        yield error("barcode-unfit", f"{where}.message", f"{name} cannot encode {message!r}")
    encoding = str(barcode.get("messageEncoding", ""))
    try:
        message.encode(encoding)
    except LookupError:
        text = f"{encoding!r} is not a character set: write iso-8859-1"
        yield error("barcode-encoding", f"{where}.messageEncoding", text)
    except UnicodeEncodeError:
        text = f"{encoding} cannot write {message!r}: write utf-8"
        yield error("barcode-encoding", f"{where}.messageEncoding", text)


def check_nfc(pass_json: Json) -> Iterator[Problem]:
    """The faults with which a terminal gets nothing."""
    nfc = pass_json.get("nfc")
    if not isinstance(nfc, dict):
        return
    nfc = cast("Json", nfc)
    octets = len(str(nfc.get("message", "")).encode())
    if not octets:
        yield error("nfc-message-empty", "nfc.message", "is required")
    elif octets > NFC_OCTETS_MAX:
        text = f"has {octets} bytes; the phone cuts off what is beyond {NFC_OCTETS_MAX}"
        yield error("nfc-message-too-long", "nfc.message", text)
    if not _is_p256(str(nfc.get("encryptionPublicKey", ""))):
        text = "must be a P-256 public key, X.509 SubjectPublicKeyInfo in base64 without the PEM lines"
        yield error("nfc-key-wrong", "nfc.encryptionPublicKey", text)


def _is_p256(text: str) -> bool:
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return False
    return isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
