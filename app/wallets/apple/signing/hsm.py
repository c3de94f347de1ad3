"""Signers on HSMs: the door to pkcs11.py, which needs the optional dependency."""

from importlib.util import find_spec
from pathlib import Path

from app.wallets.apple.signing.files import load_certificates
from app.wallets.apple.signing.signers import Signer, UnusableKeyMaterial, chain_of, signs_for


def open_pkcs11_signer(
    module: Path,
    *,
    token_label: str,
    key_label: str | None,
    pin: str | None,
    certificate: Path,
    wwdr: Path | None = None,
) -> Signer:
    """A signer with the key `key_label` (None: the only one) of the token `token_label`.

    `module` is the vendor's PKCS #11 library. The certificates come from files, as for load_file_signer.
    Needs the optional dependency: pip install "passbell[hsm]".

    Raises UnusableKeyMaterial, which says what to do, and TemporaryFailure when the token is not there.
    """
    if find_spec("pkcs11") is None:
        raise UnusableKeyMaterial(
            "hsm_extra_missing", 'keys on PKCS #11 tokens need an extra package: pip install "passbell[hsm]"'
        )
    from app.wallets.apple.signing.pkcs11 import Pkcs11Signer, load_module  # noqa: PLC0415

    leaf, *others = load_certificates(certificate)
    chain = chain_of(leaf, others + (load_certificates(wwdr) if wwdr else []))
    signer = Pkcs11Signer(
        leaf, chain, load_module(module), token_label=token_label, key_label=key_label, pin=pin
    )
    if not signs_for(leaf, signer.sign_raw):
        raise UnusableKeyMaterial(
            "key_mismatch",
            f"the key on the token {token_label!r} does not belong to the certificate in {certificate}: set"
            " PASSBELL_PKCS11_KEY_LABEL to the key whose signing request was sent to Apple",
        )
    return signer
