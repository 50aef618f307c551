"""Secrets at rest: encrypted with the platform's key, which never enters the database."""

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from deployments.kit.secret_keys import Keys, SecretKeys, derive_key

_PURPOSE = "vault"


class Vault:
    """Encrypts and decrypts short texts (AES-CBC with HMAC, as Fernet specifies): with the current key, by any that is
    accepted."""

    def __init__(self, keys: Keys) -> None:
        self.keys = SecretKeys.of(keys)
        self._known: tuple[str, ...] = ()
        self._fernets: list[Fernet] = []

    def seal(self, text: str) -> str:
        """The encrypted text."""
        return self._current()[0].encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """The text. Raises cryptography.fernet.InvalidToken when none of the keys is the one."""
        return MultiFernet(self._current()).decrypt(sealed.encode()).decode()

    def key_of(self, sealed: str) -> str | None:
        """The secret key that a text was encrypted with, None when it is none of the accepted ones."""
        fernets = self._current()
        for key, fernet in zip(self._known, fernets, strict=True):
            try:
                fernet.decrypt(sealed.encode())
            except InvalidToken:
                continue
            return key
        return None

    def resealed(self, sealed: str) -> str | None:
        """The same text encrypted with the current key, None when it is already, or when no accepted key opens it."""
        key = self.key_of(sealed)
        if key is None or key == self._known[0]:
            return None
        return MultiFernet(self._fernets).rotate(sealed.encode()).decode()

    def _current(self) -> list[Fernet]:
        keys = self.keys.all()
        if keys != self._known:
            self._fernets = [Fernet(base64.urlsafe_b64encode(derive_key(key, _PURPOSE))) for key in keys]
            self._known = keys
        return self._fernets
