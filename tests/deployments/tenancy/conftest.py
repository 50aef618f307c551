"""What the tests of tenancy share: a platform over HTTP, with somebody who runs it, and people to be erased."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.session import Database
from db.settings import DatabaseSettings
from deployments.identity.bootstrap import ensure_administrator
from deployments.kit.objects import ObjectStore
from tests.deployments.tenancy.people import Scene
from tests.factories import make_tenant
from tests.serve_app.one_process import OneProcess, one_process, settings_for

PASSWORD = "correct horse battery"

Configure = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def edge(
    database: Database, database_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    """The platform without workers, with an administrator."""
    await ensure_administrator(database, "root@example.com", PASSWORD)
    async with one_process(settings_for(tmp_path, database_settings), monkeypatch, works=False) as running:
        yield running


@pytest.fixture
async def root(edge: OneProcess) -> httpx.AsyncClient:
    """The platform's administrator."""
    login = {"tenant": None, "email": "root@example.com", "password": PASSWORD}
    session = await edge.client().post("/api/v1/auth/login", json=login)
    return edge.client(session.json()["access_token"])


@pytest.fixture
async def acme(edge: OneProcess) -> httpx.AsyncClient:
    """The owner of `acme`."""
    return await edge.sign_up()


@pytest.fixture
def configure(root: httpx.AsyncClient) -> Configure:
    """Changes settings of `acme` as the administrator."""

    async def change(**settings: Any) -> httpx.Response:
        return await root.patch("/api/v1/tenants/acme", json={"settings": settings})

    return change


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    """A folder of files."""
    return ObjectStore((tmp_path / "objects").as_uri())


@pytest.fixture
async def scene(database: Database, objects: ObjectStore) -> Scene:
    """A tenant with nobody in it yet."""
    return Scene(database, objects, await make_tenant(database))
