"""The signer that the settings name."""

from app.settings import Settings
from app.wallets.apple.signing.files import load_file_signer
from app.wallets.apple.signing.hsm import open_pkcs11_signer
from app.wallets.apple.signing.signers import Signer, UnusableKeyMaterial


def load_signer(settings: Settings) -> Signer:
    """The signer of the installation: on a PKCS #11 token when its module is set, else from files.

    Raises UnusableKeyMaterial, which says which setting to correct, and TemporaryFailure when the token
    is not there.
    """
    certificate = settings.apple_certificate_path
    if certificate is None:
        raise UnusableKeyMaterial(
            "certificate_missing",
            "no certificate: set PASSBELL_APPLE_CERTIFICATE_PATH to your Pass Type ID certificate",
        )
    if settings.pkcs11_module_path is None:
        password = settings.apple_private_key_password
        return load_file_signer(
            certificate,
            settings.apple_private_key_path,
            password.get_secret_value().encode() if password else None,
            settings.apple_wwdr_certificate_path,
        )
    if settings.pkcs11_token_label is None:
        raise UnusableKeyMaterial(
            "token_label_missing", "PASSBELL_PKCS11_MODULE_PATH is set: set PASSBELL_PKCS11_TOKEN_LABEL too"
        )
    return open_pkcs11_signer(
        settings.pkcs11_module_path,
        token_label=settings.pkcs11_token_label,
        key_label=settings.pkcs11_key_label,
        pin=settings.pkcs11_pin.get_secret_value() if settings.pkcs11_pin else None,
        certificate=certificate,
        wwdr=settings.apple_wwdr_certificate_path,
    )
