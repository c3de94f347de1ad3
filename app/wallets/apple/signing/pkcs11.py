"""A signer whose private key never leaves a PKCS #11 token: an HSM, a smart card, SoftHSM.

Imports python-pkcs11, which is optional: reached through hsm.py only.
"""

from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Lock

import pkcs11
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from pkcs11.util.ec import encode_ecdsa_signature

from app.errors import TemporaryFailure
from app.wallets.apple.signing.signers import UnusableKeyMaterial


class Module:
    """A vendor's library, as loaded into this process.

    python-pkcs11 initialises it without locking arguments, which promises that one thread at a time is
    inside: `lock` keeps the promise. `starts` counts initialisations: each ends all sessions before it,
    and their handles are given out anew.
    """

    def __init__(self, path: Path) -> None:
        self.lock = Lock()
        self.starts = 0
        try:
            self._library = pkcs11.lib(str(path))
        except pkcs11.PKCS11Error as error:
            raise UnusableKeyMaterial(
                "module_unusable", f"{error}: set PASSBELL_PKCS11_MODULE_PATH to the library of your HSM"
            ) from error

    def token(self, label: str) -> pkcs11.Token:
        """The token of that label, looked for anew when it does not show at once."""
        try:
            return self._library.get_token(token_label=label)
        except pkcs11.PKCS11Error:  # most modules look for tokens only when they start
            self.starts += 1
            self._library.reinitialize()
            return self._library.get_token(token_label=label)


class TokenKey:
    """A private key on a token, and the session it is used in."""

    def __init__(
        self,
        module: Module,
        kind: pkcs11.KeyType,
        *,
        token_label: str,
        key_label: str | None,
        pin: str | None,
    ) -> None:
        self._kind = kind
        self._module = module
        self._token_label = token_label
        self._key_label = key_label
        self._pin = pin
        self._start = -1
        self._key: pkcs11.SignMixin | None = None
        self._refused: UnusableKeyMaterial | None = None

    def sign(self, data: bytes, mechanism: pkcs11.Mechanism) -> bytes:
        """What the token makes of `data`; tried once more in a new session if the present one was lost."""
        with self._module.lock:
            if self._key is not None and self._start == self._module.starts:
                try:
                    return self._key.sign(data, mechanism=mechanism)
                except pkcs11.PKCS11Error:
                    self._disconnect(self._key)
            try:
                self._key = self._connect()
                self._start = self._module.starts
                return self._key.sign(data, mechanism=mechanism)
            except pkcs11.PKCS11Error as error:
                self._key = None
                raise TemporaryFailure(
                    f"the token {self._token_label!r} does not sign ({_words(error)}): check that it is"
                    " there, and its label"
                ) from error

    def _disconnect(self, key: pkcs11.SignMixin) -> None:
        self._key = None
        with suppress(pkcs11.PKCS11Error):  # it was lost before
            key.session.close()

    def _connect(self) -> pkcs11.SignMixin:
        if self._refused:  # tokens count wrong PINs and lock themselves: none is tried twice
            raise self._refused
        return self._find(self._log_in(self._module.token(self._token_label)))

    def _log_in(self, token: pkcs11.Token) -> pkcs11.Session:
        try:
            return token.open(user_pin=self._pin)
        except pkcs11.UserAlreadyLoggedIn:  # by another signer: a login holds for the whole process
            return token.open()
        except (pkcs11.PinIncorrect, pkcs11.PinLocked, pkcs11.PinLenRange, pkcs11.PinInvalid) as error:
            self._refused = UnusableKeyMaterial(
                "token_refused",
                f"the token {self._token_label!r} refuses the PIN ({_words(error)}): correct"
                " PASSBELL_PKCS11_PIN and start again",
            )
            raise self._refused from error

    def _find(self, session: pkcs11.Session) -> pkcs11.SignMixin:
        of_kind: dict[pkcs11.Attribute, object] = {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY,
            pkcs11.Attribute.KEY_TYPE: self._kind,
        }
        labelled = {pkcs11.Attribute.LABEL: self._key_label} if self._key_label else {}
        keys = list(session.get_objects(of_kind | labelled))
        if len(keys) != 1:
            labels = [repr(key[pkcs11.Attribute.LABEL]) for key in session.get_objects(of_kind)]
            session.close()
            raise UnusableKeyMaterial(
                "token_key",
                f"the token {self._token_label!r} must have one private {self._kind.name} key"
                f" {'labelled ' + repr(self._key_label) if self._key_label else 'alone'}"
                f" (it has: {', '.join(labels) or 'none'}): set PASSBELL_PKCS11_KEY_LABEL",
            )
        key = keys[0]
        if not isinstance(key, pkcs11.SignMixin):
            session.close()
            raise UnusableKeyMaterial(
                "token_key",
                f"the key {self._key_label or ''!r} on the token {self._token_label!r} is not allowed to sign"
                " (CKA_SIGN): create it with that usage",
            )
        return key


class Pkcs11Signer:
    """A signer whose private key lies on a token. A lost session is opened again at the next signature."""

    def __init__(
        self,
        certificate: x509.Certificate,
        chain: tuple[x509.Certificate, ...],
        module: Module,
        *,
        token_label: str,
        key_label: str | None,
        pin: str | None,
    ) -> None:
        self.certificate = certificate
        self.chain = chain
        self._is_rsa = isinstance(certificate.public_key(), rsa.RSAPublicKey)
        kind = pkcs11.KeyType.RSA if self._is_rsa else pkcs11.KeyType.EC
        self._key = TokenKey(module, kind, token_label=token_label, key_label=key_label, pin=pin)

    def sign_raw(self, data: bytes) -> bytes:
        """The bare signature of `data`; see Signer.

        Raises TemporaryFailure when the token is gone or fails, UnusableKeyMaterial when it refuses us.
        """
        if self._is_rsa:
            return self._key.sign(data, pkcs11.Mechanism.SHA256_RSA_PKCS)
        # Few tokens hash for ECDSA themselves, and all give the two numbers bare.
        return encode_ecdsa_signature(self._key.sign(sha256(data).digest(), pkcs11.Mechanism.ECDSA))


@cache
def load_module(path: Path) -> Module:
    """The module, loaded once however many signers use it. Raises UnusableKeyMaterial."""
    return Module(path)


def _words(error: pkcs11.PKCS11Error) -> str:
    return str(error) or type(error).__name__
