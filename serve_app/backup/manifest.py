"""What a backup says of itself, and the seal by which it is known whether that is still what was written."""

import hashlib
import hmac
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

from pydantic import ValidationError

from deployments.kit.contract import Contract
from deployments.kit.secret_keys import derive_key
from serve_app.backup.errors import BackupUnusable
from serve_app.backup.store_path import AnyPath

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SEAL: Final = "seal.json"
IDENTITY: Final = "identity.age"
"""The identity that parts are encrypted for, encrypted with a passphrase."""

_PURPOSE: Final = "backup"


class Part(Contract):
    """A file of the backup: size and SHA-256 as it lies there, and how many bytes it holds unpacked."""

    size: int
    sha256: str
    content: int


class TableRows(Contract):
    """A table of the database; `columns` are those of its copy, in their order."""

    rows: int
    columns: tuple[str, ...]


class AuditEnd(Contract):
    """The end of a tenant's audit trail."""

    sequence: int
    hash: str


class StreamPosition(Contract):
    """How far a stream was: the last sequence that it had acknowledged, and since when some consumer may need it."""

    last_sequence: int
    needed_since: datetime


class Objects(Contract):
    """The files of the platform that are in the backup; `lost` are those that the database names and the store had
    lost before."""

    count: int
    size: int
    lost: tuple[str, ...] = ()


class EncryptedFor(Contract):
    """Whose keys open the parts, and whether a passphrase does."""

    recipients: tuple[str, ...]
    passphrase: bool


class Manifest(Contract):
    """A backup. `revision` is that of the schema; `tables` have what they had at `taken_at`, and so has everything."""

    format: int = FORMAT
    id: str
    application: str
    dialect: Literal["sqlite", "postgresql"]
    revision: str
    taken_at: datetime
    encryption: EncryptedFor | None
    has_secret_key: bool
    tables: dict[str, TableRows]
    parts: dict[str, Part]
    objects: Objects
    streams: dict[str, StreamPosition]
    audit: dict[str, AuditEnd]

    @property
    def size(self) -> int:
        """Bytes of everything, as it lies there."""
        return self.objects.size + sum(part.size for part in self.parts.values())


class Seal(Contract):
    """`sha256` is that of the manifest; `hmac_sha256` proves that a platform with the same secret key wrote it."""

    sha256: str
    hmac_sha256: str | None


def write(folder: AnyPath, manifest: Manifest, secret: str) -> None:
    """Write the manifest, and then its seal."""
    content = manifest.model_dump_json(indent=2).encode() + b"\n"
    seal = Seal(sha256=hashlib.sha256(content).hexdigest(), hmac_sha256=_hmac(content, secret) if secret else None)
    (folder / MANIFEST).write_bytes(content)
    (folder / SEAL).write_bytes(seal.model_dump_json(indent=2).encode() + b"\n")


def read(folder: AnyPath) -> Manifest:
    """The manifest of a complete backup. Raises BackupUnusable when there is none, or not the one that was sealed."""
    content = _content(folder / MANIFEST)
    if _seal(folder).sha256 != hashlib.sha256(content).hexdigest():
        raise BackupUnusable(f"{MANIFEST} is not the one that {SEAL} was written for.")
    try:
        if (found := json.loads(content).get("format")) != FORMAT:
            raise BackupUnusable(f"The format of the backup is {found}, and this version reads {FORMAT}.")
        return Manifest.model_validate_json(content)
    except (ValidationError, ValueError) as error:
        raise BackupUnusable(f"{MANIFEST} cannot be read: {' '.join(str(error).split())}.") from None


def require_ours(folder: AnyPath, keys: Iterable[str]) -> None:
    """See that a platform with one of these secret keys wrote the manifest. Raises BackupUnusable."""
    expected = _seal(folder).hmac_sha256
    content = _content(folder / MANIFEST)
    if expected is not None and not any(hmac.compare_digest(_hmac(content, key), expected) for key in keys):
        raise BackupUnusable(
            f"The backup was not written by a platform with the secret key that is set here ({SEAL}), or was changed.",
            "Set FORMSTREAM_SECRET_KEY to the key of that platform, or name that among FORMSTREAM_OLD_SECRET_KEYS.",
        )


def _hmac(content: bytes, secret: str) -> str:
    return hmac.new(derive_key(secret, _PURPOSE), content, hashlib.sha256).hexdigest()


def _seal(folder: AnyPath) -> Seal:
    try:
        return Seal.model_validate_json(_content(folder / SEAL))
    except ValidationError:
        raise BackupUnusable(f"{SEAL} cannot be read.") from None


def _content(path: AnyPath) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BackupUnusable(f"{path.parent} is no complete backup: {path.name} is missing.") from None
    except OSError as error:
        raise BackupUnusable(f"{path} cannot be read ({error.strerror}).") from None
