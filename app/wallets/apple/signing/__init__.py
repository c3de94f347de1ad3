"""Everything that holds Apple's private key: signers (files, PKCS#11 tokens) and the signature of a pass."""

from app.wallets.apple.signing.cms import CmsSigner
from app.wallets.apple.signing.configured import load_signer
from app.wallets.apple.signing.files import load_certificates, load_file_signer
from app.wallets.apple.signing.hsm import open_pkcs11_signer
from app.wallets.apple.signing.signers import (
    FileSigner,
    Signer,
    SigningKey,
    UnusableKeyMaterial,
    chain_of,
    has_issued,
    signs_for,
)

__all__ = [
    "CmsSigner",
    "FileSigner",
    "Signer",
    "SigningKey",
    "UnusableKeyMaterial",
    "chain_of",
    "has_issued",
    "load_certificates",
    "load_file_signer",
    "load_signer",
    "open_pkcs11_signer",
    "signs_for",
]
