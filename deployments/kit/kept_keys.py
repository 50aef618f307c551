"""What outlives a secret key: the keys of links that never end and of digests that must stay what they are, and the
public half of the key that signs receipts. They are kept in the database, encrypted."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import orjson
import structlog
from cryptography.fernet import InvalidToken
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from db.models.secret_keys import SecretKey
from db.repositories.secret_keys import SecretKeyRepository
from db.session import Database
from db.types import utc_now
from deployments.kit.audit import audit
from deployments.kit.errors import Unavailable
from deployments.kit.principal import PLATFORM_TENANT, Principal
from deployments.kit.secret_keys import derive_key, key_id
from deployments.kit.vault import Vault

log = structlog.get_logger(__name__)

MAIL: Final = "mail"
"""Signs links to unsubscribe, which work for as long as somebody has the mail."""
PEOPLE: Final = "erased-people"
"""Of the digests that stand for people who were erased: nobody knows any more of whom to make them anew."""
RECEIPTS: Final = "erasure-receipts"
"""Signs receipts; only its public half is kept."""

_OPERATOR: Final = Principal.system(PLATFORM_TENANT, "operator")
_APART: Final = timedelta(microseconds=1)


def public_key(private: bytes) -> str:
    """The public half of an Ed25519 key (RFC 8032), in base64."""
    return base64.b64encode(Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()).decode()


_KEPT: Final[Mapping[str, Callable[[bytes], str]]] = {MAIL: bytes.hex, PEOPLE: bytes.hex, RECEIPTS: public_key}


@dataclass(frozen=True, slots=True)
class KeptKey:
    """A secret key that the platform has or had, by its name, with what outlives it by purpose: nothing when none of
    the accepted keys opens that."""

    id: str
    noted_at: datetime
    retired_at: datetime | None
    values: Mapping[str, str] = field(repr=False)


class KeptKeys:
    """What is kept of every secret key, for whoever has to accept what they made."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._people: bytes | None = None

    async def all(self) -> list[KeptKey]:
        """Every secret key that was noted, the newest last."""
        async with self._database.read(PLATFORM_TENANT) as unit:
            rows = await SecretKeyRepository(unit.session, unit.tenant).all()
        return [self._opened(row) for row in rows]

    async def mail(self) -> tuple[bytes, ...]:
        """The keys of links to unsubscribe, of every secret key that there was."""
        return tuple(kept.values[MAIL].encode() for kept in await self.all() if kept.values)

    async def people(self) -> bytes:
        """The one key of digests of people, which no rotation changes. Raises Unavailable when it is lost."""
        if self._people is None:
            kept = await self.all()
            if not kept:
                return derive_key(self._vault.keys.all()[-1], PEOPLE)
            if not kept[0].values:
                raise Unavailable("The secret key that opens the key of digests is not accepted any more.")
            self._people = bytes.fromhex(kept[0].values[PEOPLE])
        return self._people

    async def note(self, since: datetime | None = None) -> None:
        """Keep what outlives the newest key, which makes what is made from a moment on, if it is not kept yet; at the
        first time of every key that is accepted, of which the last is the oldest."""
        newest = self._vault.keys.newest
        async with self._database.read(PLATFORM_TENANT) as unit:
            known = {row.id: row for row in await SecretKeyRepository(unit.session, unit.tenant).all()}
        if [row.id for row in known.values() if row.retired_at is None] == [key_id(newest)]:
            return
        older = () if known else tuple(key for key in self._vault.keys.all() if key != newest)
        moment = since or utc_now()
        async with self._database.write(PLATFORM_TENANT) as unit:
            keys = SecretKeyRepository(unit.session, unit.tenant)
            for age, key in enumerate((newest, *older)):
                await keys.add(key_id(key), self._sealed(key), moment - age * _APART)
            await keys.put_in_force(key_id(newest), moment)
            audit(unit, _OPERATOR, "secret_key.in_force", key_id(newest), since=moment.isoformat())

    def _sealed(self, key: str) -> str:
        values = {purpose: kept(derive_key(key, purpose)) for purpose, kept in _KEPT.items()}
        return self._vault.seal(orjson.dumps(values).decode())

    def _opened(self, row: SecretKey) -> KeptKey:
        try:
            values = orjson.loads(self._vault.open(row.sealed))
        except InvalidToken:
            log.warning("what outlives a secret key cannot be opened: a key was removed too early", key=row.id)
            values = {}
        return KeptKey(row.id, row.noted_at, row.retired_at, values)
