"""A service account for trials: its key is made once, its JSON key file as Google's console gives it out."""

import json
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

EMAIL = "passbell@simulated.iam.gserviceaccount.com"


@dataclass(frozen=True)
class SimulatedAccount:
    """An account of the simulator: what it knows it by, and where its key file goes."""

    folder: Path
    private_key: str
    public_key: str
    email: str = EMAIL

    def write(self, google_url: str) -> Path:
        """The key file, for tokens from a simulator at this address; where it is."""
        path = self.folder / "google_service_account.json"
        path.touch(mode=0o600)
        path.write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "client_email": self.email,
                    "private_key": self.private_key,
                    "private_key_id": "simulated",
                    "token_uri": f"{google_url}/token",
                }
            ),
            "utf-8",
        )
        return path


def open_account(folder: Path) -> SimulatedAccount:
    """The account whose key is kept in this folder, made when it is not there."""
    path = folder / "google_service_account.key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        path.touch(mode=0o600)
        path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pem = path.read_bytes()
    public = load_pem_private_key(pem, password=None).public_key()
    public_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return SimulatedAccount(folder, pem.decode(), public_pem.decode())
