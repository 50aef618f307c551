"""Secrets at rest: encrypted with the platform's key, which never enters the database."""

import base64

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derive_key(secret: str, purpose: str) -> bytes:
    """32 bytes for one purpose (HKDF, RFC 5869), so that no key serves two."""
    return HKDF(hashes.SHA256(), 32, None, purpose.encode()).derive(secret.encode())


class Vault:
    """Encrypts and decrypts short texts (AES-CBC with HMAC, as Fernet specifies)."""

    def __init__(self, secret: str) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(derive_key(secret, "vault")))

    def seal(self, text: str) -> str:
        """The encrypted text."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """The text. Raises cryptography.fernet.InvalidToken when the key is another one."""
        return self._fernet.decrypt(sealed.encode()).decode()
