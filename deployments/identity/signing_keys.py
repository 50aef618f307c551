"""The keys that sign access tokens: which one signs, which are still accepted, and how they are replaced."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

import structlog
from cryptography.fernet import InvalidToken
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from db.models.identity import PLATFORM_TENANT
from db.models.signing_keys import SigningKey as SigningKeyRow
from db.repositories.signing_keys import SigningKeyRepository
from db.session import Database
from db.types import utc_now
from deployments.identity.settings import IdentitySettings
from deployments.kit.errors import NotFound, Unavailable
from deployments.kit.vault import Vault
from eventing.events.envelope import Origin
from eventing.events.identity import SigningKeyAdded, SigningKeyRevoked
from eventing.outbox import record

log = structlog.get_logger(__name__)

Algorithm: TypeAlias = Literal["HS256", "ES256", "EdDSA"]

LONGEST_LIFE: Final = timedelta(days=1)
"""How long a token can live at most, by any setting, so how long a retired key is accepted."""

_REREAD_S: Final = 1.0
_HEAD_START: Final = timedelta(seconds=5)
"""After this every process has read a new key, so no token names a key that somebody does not know."""


class NoSigningKey(Unavailable):
    code, title = "signing_key.none", "Nobody can log in at the moment"


class SigningKeyNotFound(NotFound):
    code, title = "signing_key.not_found", "There is no such signing key"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key with the one algorithm that it is for (RFC 8725 §3.1). `secret` signs, `public` verifies."""

    id: str
    algorithm: Algorithm
    secret: Any = field(repr=False)
    public: Any = field(repr=False)
    active_at: datetime | None = None
    retired_at: datetime | None = None
    revoked_at: datetime | None = None

    def signs(self, now: datetime) -> bool:
        """Whether new tokens may be signed with it."""
        begun = self.active_at is None or self.active_at <= now
        return begun and self.revoked_at is None and (self.retired_at is None or now < self.retired_at)

    def verifies(self, now: datetime) -> bool:
        """Whether tokens that it signed are accepted."""
        return self.revoked_at is None and (self.retired_at is None or now < self.retired_at + LONGEST_LIFE)


class KeyRing:
    """The keys as this process knows them, at most a second old."""

    def __init__(self, settings: IdentitySettings, vault: Vault) -> None:
        self._vault = vault
        self._signing_key = settings.signing_key
        self._keys = self._derived()
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    def current(self, now: datetime) -> SigningKey:
        """The newest key that signs. Raises NoSigningKey when every key was revoked and none was added."""
        usable = [key for key in self._keys.values() if key.signs(now)]
        if not usable:
            log.error("every signing key is revoked: add one with `formstream keys rotate`")
            raise NoSigningKey
        return usable[-1]

    def find(self, key_id: object, now: datetime) -> SigningKey | None:
        """The key of this `kid`, if it is accepted."""
        key = self._keys.get(key_id) if isinstance(key_id, str) else None
        return key if key is not None and key.verifies(now) else None

    def all(self) -> list[SigningKey]:
        """Every key, in the order of their use."""
        return list(self._keys.values())

    def accepted(self, now: datetime) -> list[SigningKey]:
        """Every key whose tokens are accepted."""
        return [key for key in self._keys.values() if key.verifies(now)]

    async def refresh(self, database: Database) -> None:
        """Read the keys anew when it is time to."""
        if not self._is_due():
            return
        async with self._reading:
            if self._is_due():
                asked_at = time.monotonic()
                async with database.read(PLATFORM_TENANT) as unit:
                    rows = await SigningKeyRepository(unit.session, unit.tenant).all()
                derived = self._derived()
                self._keys = derived | {key.id: key for key in self._opened(rows, derived)}
                self._read_at = asked_at

    def _is_due(self) -> bool:
        return time.monotonic() - self._read_at > _REREAD_S

    def _derived(self) -> dict[str, SigningKey]:
        """Those of the secret keys, the one of the current last: it signs where there is no other."""
        secrets_ = [key.decode() for key in reversed(self._signing_key.all())]
        keys = [SigningKey(derived_key_id(secret), "HS256", secret, secret) for secret in secrets_]
        return {key.id: key for key in keys}

    def _opened(self, rows: Iterable[SigningKeyRow], derived: Mapping[str, SigningKey]) -> Iterator[SigningKey]:
        for row in rows:
            if not row.sealed and row.id not in derived:
                continue  # of a secret key that is no longer accepted
            try:
                yield self._key(row, derived)
            except InvalidToken:
                # Sealed by another secret key: it can neither sign nor verify here, but the others can.
                log.warning("signing key cannot be opened", key=row.id)

    def _key(self, row: SigningKeyRow, derived: Mapping[str, SigningKey]) -> SigningKey:
        if row.id in derived:
            secret = public = derived[row.id].secret
        else:
            text = self._vault.open(row.sealed)
            if row.algorithm == "HS256":
                secret = public = text
            else:
                secret = load_pem_private_key(text.encode(), None)
                public = secret.public_key()
        algorithm: Any = row.algorithm
        return SigningKey(row.id, algorithm, secret, public, row.active_at, row.retired_at, row.revoked_at)


class SigningKeys:
    """Replaces keys. Running processes follow within seconds, and nobody is logged out by a rotation."""

    def __init__(self, database: Database, settings: IdentitySettings, vault: Vault) -> None:
        self._database = database
        self._settings = settings
        self._vault = vault

    async def rotate(self, algorithm: Algorithm) -> str:
        """Add a key, which signs as soon as every process knows it; the others sign until then. Returns its `kid`."""
        secret = _new_secret(algorithm)
        key_id = secrets.token_hex(8)
        now = utc_now()
        active_at = now + _HEAD_START
        async with self._database.write(PLATFORM_TENANT) as unit:
            keys = SigningKeyRepository(unit.session, unit.tenant)
            await self._note_derived(keys, now)
            sealed = self._vault.seal(secret)
            await keys.add(
                SigningKeyRow(
                    tenant_id=unit.tenant,
                    id=key_id,
                    algorithm=algorithm,
                    sealed=sealed,
                    created_at=now,
                    active_at=active_at,
                )
            )
            await keys.retire_others(key_id, active_at)
            record(
                unit, SigningKeyAdded(signing_key_id=key_id, algorithm=algorithm), actor="system:keys", origin=Origin()
            )
        return key_id

    async def revoke(self, key_id: str) -> None:
        """Accept nothing any more that the key signed; people log in again. Raises SigningKeyNotFound."""
        now = utc_now()
        async with self._database.write(PLATFORM_TENANT) as unit:
            keys = SigningKeyRepository(unit.session, unit.tenant)
            await self._note_derived(keys, now)
            if not await keys.revoke(key_id, now):
                raise SigningKeyNotFound
            record(unit, SigningKeyRevoked(signing_key_id=key_id), actor="system:keys", origin=Origin())

    async def all(self) -> list[SigningKey]:
        """Every key there was, in the order of their use."""
        ring = KeyRing(self._settings, self._vault)
        await ring.refresh(self._database)
        return ring.all()

    async def ensure(self, algorithm: Algorithm) -> None:
        """See to it that new tokens are signed with this algorithm."""
        keys = [key for key in await self.all() if key.revoked_at is None and key.retired_at is None]
        if not keys or keys[-1].algorithm != algorithm:
            await self.rotate(algorithm)

    async def _note_derived(self, keys: SigningKeyRepository, now: datetime) -> None:
        known = {row.id for row in await keys.all()}
        for secret in self._settings.signing_key.all():
            key_id = derived_key_id(secret.decode())
            if key_id not in known:
                await keys.add(
                    SigningKeyRow(
                        tenant_id=PLATFORM_TENANT, id=key_id, algorithm="HS256", created_at=now, active_at=now
                    )
                )


def derived_key_id(secret: str) -> str:
    """The public name of the key that is derived from the secret key; it says nothing about it."""
    return hashlib.sha256(b"formstream signing key\0" + secret.encode()).hexdigest()[:16]


def _new_secret(algorithm: Algorithm) -> str:
    if algorithm == "HS256":
        return secrets.token_hex(32)
    private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey = (
        ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()
    )
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
