"""Encryption of a backup's parts with age (https://age-encryption.org/v1): the `age` command opens them too.

A passphrase does not encrypt the parts itself: each would take a second of scrypt. It encrypts an identity, which is
kept in the backup, and the parts are for that identity. `age --decrypt --identity identity.age` does the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import pyrage  # type: ignore[import-untyped]

from serve_app.backup.errors import BackupFailed, BackupUnusable

MIN_PASSPHRASE: Final = 12

Recipient: TypeAlias = "pyrage.x25519.Recipient | pyrage.ssh.Recipient"
Identity: TypeAlias = "pyrage.x25519.Identity | pyrage.ssh.Identity"
Keys: TypeAlias = Sequence[Identity]
"""What opens the parts of a backup; empty for one that is not encrypted."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """For whom parts are encrypted. `names` are their public keys; `identity_file` is the identity that belongs to one
    of them, encrypted with a passphrase, and empty without one."""

    recipients: tuple[Recipient, ...]
    names: tuple[str, ...]
    identity_file: bytes = b""


@dataclass(frozen=True, slots=True)
class Wish:
    """How somebody wants backups encrypted: with a passphrase, for public keys (`age1…`, `ssh-ed25519 …`), or both."""

    passphrase: str = ""
    recipients: tuple[str, ...] = ()

    def encryption(self, earlier: bytes = b"") -> Encryption:
        """How new parts are encrypted. `earlier` is the identity file of the backup before, which is used again if the
        passphrase opens it, so that its files can be. Raises BackupFailed."""
        if self.passphrase and len(self.passphrase) < MIN_PASSPHRASE:
            raise BackupFailed(f"A passphrase needs at least {MIN_PASSPHRASE} characters.")
        recipients = [_recipient(name) for name in self.recipients]
        names = list(self.recipients)
        identity_file = b""
        if self.passphrase:
            identity, identity_file = _identity(self.passphrase, earlier)
            recipients.append(identity.to_public())
            names.append(str(identity.to_public()))
        return Encryption(tuple(recipients), tuple(names), identity_file)


def opened(identity_file: bytes, passphrase: str) -> list[Identity]:
    """The identity that a passphrase opens. Raises BackupUnusable for another one's."""
    try:
        return _parsed(pyrage.passphrase.decrypt(identity_file, passphrase))
    except pyrage.DecryptError:
        raise BackupUnusable("The passphrase is not the one that the backup was encrypted with.") from None


def read_identities(path: Path) -> list[Identity]:
    """The identities in a file: one that `age-keygen` wrote, or a private key of SSH. Raises BackupUnusable."""
    try:
        return _parsed(path.read_bytes())
    except OSError as error:
        raise BackupUnusable(f"{path} cannot be read ({error.strerror}).") from None
    except (pyrage.IdentityError, ValueError):
        raise BackupUnusable(f"{path} holds no identity of age and no private key of SSH.") from None


def _parsed(content: bytes) -> list[Identity]:
    if b"PRIVATE KEY-----" in content:
        return [pyrage.ssh.Identity.from_buffer(content)]
    lines = [line.strip() for line in content.decode().splitlines()]
    found: list[Identity] = [pyrage.x25519.Identity.from_str(line) for line in lines if line.startswith("AGE-SECRET-")]
    if not found:
        raise ValueError("no identity")
    return found


def _identity(passphrase: str, earlier: bytes) -> tuple[pyrage.x25519.Identity, bytes]:
    if earlier:
        try:
            found = opened(earlier, passphrase)[0]
        except BackupUnusable:
            pass
        else:
            if isinstance(found, pyrage.x25519.Identity):
                return found, earlier
    fresh = pyrage.x25519.Identity.generate()
    return fresh, pyrage.passphrase.encrypt(f"{fresh}\n".encode(), passphrase)


def _recipient(name: str) -> Recipient:
    kind = pyrage.ssh.Recipient if name.startswith("ssh-") else pyrage.x25519.Recipient
    try:
        return kind.from_str(name)
    except pyrage.RecipientError:
        raise BackupFailed(f"{name} is not a public key of age or SSH.") from None
