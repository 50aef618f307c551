"""The whole platform in one event loop: the deployments' own classes, built as Serve builds them, without Ray."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from ray import serve

from db.settings import DatabaseSettings
from serve_app import edge_host, host, worker
from serve_app.contexts import CONTEXTS
from serve_app.edge_host import EdgeHost
from serve_app.host import ContextHost
from serve_app.settings import Settings
from serve_app.subscriptions import QUEUES, SUBSCRIPTIONS
from serve_app.worker import Worker
from tests.e2e.platform import free_port
from tests.plain_http import TRUSTS_NOBODY

SECRET = "0123456789abcdef0123456789abcdef"
NOWHERE = "nats://127.0.0.1:1"

Kind = TypeVar("Kind")


def settings_for(folder: Path, database: DatabaseSettings, nats_url: str = NOWHERE, **changes: Any) -> Settings:
    """What `formstream up` would export, for this database and NATS server."""
    return Settings(
        **{
            "data_dir": folder,
            "database_url": database.url,
            "database_pool_size": 3,
            "nats_url": nats_url,
            "secret_key": SECRET,
            "egress_allow": "127.0.0.0/8",
            "port": free_port(),
            **changes,
        }
    )


@asynccontextmanager
async def replica(kind: type[Kind], *arguments: Any) -> AsyncIterator[Kind]:
    """An instance as Serve makes and ends one: constructor and destructor are awaited."""
    hosted: Any = type(kind.__name__, (kind,), {"__del__": lambda _: None})
    made = object.__new__(hosted)
    await kind.__init__(made, *arguments)  # type: ignore[misc]
    try:
        yield made
    finally:
        await kind.__del__(made)  # type: ignore[attr-defined]


class Handle:
    """What Serve gives to call a deployment, for one in this process: a task is awaited and cancelled alike."""

    def __init__(self, target: ContextHost) -> None:
        self._target = target

    @property
    def call(self) -> "Handle":
        return self

    def remote(self, batch: bytes) -> asyncio.Task[bytes]:
        return asyncio.create_task(self._target.call(batch))


@dataclass
class OneProcess:
    """The running parts."""

    settings: Settings
    hosts: dict[str, ContextHost] = field(default_factory=dict)
    edge: EdgeHost | None = None
    worker: Worker | None = None
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        """A client of the platform, closed with it."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"http://127.0.0.1:{self.settings.port}"
        self.clients.append(httpx.AsyncClient(base_url=url, headers=headers, verify=TRUSTS_NOBODY, timeout=30))
        return self.clients[-1]

    async def sign_up(self, tenant: str = "acme") -> httpx.AsyncClient:
        """A new tenant, and a client that may do everything in it."""
        user = {"email": f"owner@{tenant}.example", "password": "correct horse battery", "name": "Owner"}
        async with self.client() as anybody:
            answer = await anybody.post("/api/v1/signup", json={"tenant": {"id": tenant, "name": tenant}, "user": user})
        assert answer.status_code == 201, answer.text
        return self.client(answer.json()["access_token"])


@asynccontextmanager
async def one_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, *, works: bool = True
) -> AsyncIterator[OneProcess]:
    """Two context hosts, the edge before them and, if asked for, a worker behind them."""
    for module in (edge_host, host, worker):
        monkeypatch.setattr(module, "configure", lambda *_: None)  # logging belongs to the test session
    platform = OneProcess(settings)
    monkeypatch.setattr(serve, "get_deployment_handle", lambda name, _application: Handle(platform.hosts[name]))
    homes = {name: "hot" if name == "responses" else "calm" for name in CONTEXTS}
    async with AsyncExitStack() as stack:
        for application in ("hot", "calm"):
            contexts = tuple(sorted(name for name in homes if homes[name] == application))
            platform.hosts[application] = await stack.enter_async_context(replica(ContextHost, settings, contexts))
        if works:
            platform.worker = await stack.enter_async_context(
                replica(Worker, settings, tuple(sorted(SUBSCRIPTIONS)), dict.fromkeys(sorted(QUEUES), 4))
            )
        platform.edge = await stack.enter_async_context(replica(EdgeHost, settings, homes))
        try:
            yield platform
        finally:
            for client in platform.clients:
                await client.aclose()
