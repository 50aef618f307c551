"""Clients' keys around changes of stored responses (draft-ietf-httpapi-idempotency-key-header)."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from db.repositories.idempotency_keys import IdempotencyKeyRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.kit.principal import Principal
from deployments.responses.errors import IdempotencyMismatch, IdempotencyRunning


def fingerprint(*parts: object) -> str:
    """What tells one request from another: the order of members does not count."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def body_fingerprint(body: bytes) -> str:
    """The same for a body as it came."""
    return hashlib.sha256(body).hexdigest()


def submit_scope(principal: Principal, form_id: str) -> str:
    """Among which calls the key of a submission is one."""
    return f"submit:{form_id}:{principal.subject}"


@dataclass(slots=True)
class KeyedCall:
    """A call under a key, or under none."""

    tenant_id: str
    scope: str
    key: str | None
    fingerprint: str

    async def earlier(self, unit: UnitOfWork) -> Mapping[str, Any] | None:
        """What was kept for the first call, None for the first call itself: the key is its own from now on.

        Raises IdempotencyMismatch when the first call was another one.
        """
        if self.key is None:
            return None
        keys = IdempotencyKeyRepository(unit.session, unit.tenant)
        if await keys.claim(self.scope, self.key, self.fingerprint, utc_now()):
            return None
        known = await keys.find(self.scope, self.key)
        if known is None:
            raise IdempotencyRunning(retry_after=1.0)
        if known.fingerprint != self.fingerprint:
            raise IdempotencyMismatch
        return known.result

    async def keep(self, unit: UnitOfWork, result: Mapping[str, Any]) -> None:
        """Keep what the call comes to, in the transaction of its change."""
        if self.key is not None:
            await IdempotencyKeyRepository(unit.session, unit.tenant).keep(self.scope, self.key, result)


@dataclass(slots=True)
class Keys:
    """The calls under keys that this replica is working on."""

    _running: set[tuple[str, str, str]] = field(default_factory=set)

    @asynccontextmanager
    async def running(self, call: KeyedCall) -> AsyncIterator[KeyedCall]:
        """Around the transaction of a call. Raises IdempotencyRunning while the same key is worked on here.

        Another replica's call with the key waits for the end of ours, by the row.
        """
        name = (call.tenant_id, call.scope, call.key or "")
        if call.key is None:
            yield call
            return
        if name in self._running:
            raise IdempotencyRunning(retry_after=1.0)
        self._running.add(name)
        try:
            yield call
        finally:
            self._running.discard(name)
