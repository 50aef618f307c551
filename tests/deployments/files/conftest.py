"""What the tests of files share: a platform over HTTP, its owner, its visitors, its store."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.session import Database
from db.settings import DatabaseSettings
from deployments.kit.objects import ObjectStore
from tests.deployments.files.scene import ask_for_files
from tests.serve_app.one_process import OneProcess, one_process, settings_for


@pytest.fixture
def changes() -> dict[str, Any]:
    """Settings of the platform that differ from the defaults; tests override it."""
    return {}


@pytest.fixture
async def platform(
    database_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> AsyncIterator[OneProcess]:
    """The platform without workers."""
    settings = settings_for(tmp_path, database_settings, **changes)
    async with one_process(settings, monkeypatch, works=False) as running:
        yield running


@pytest.fixture
async def owner(platform: OneProcess) -> httpx.AsyncClient:
    """The owner of `acme`."""
    return await platform.sign_up()


@pytest.fixture
async def form_id(owner: httpx.AsyncClient, database: Database) -> str:
    """A form of `acme` that takes any file in its field `cv`."""
    return await ask_for_files(database)


@pytest.fixture
def visitor(platform: OneProcess) -> httpx.AsyncClient:
    """Somebody without a credential."""
    return platform.client()


@pytest.fixture
def objects(platform: OneProcess) -> ObjectStore:
    """The platform's store."""
    return ObjectStore(platform.settings.object_store())


async def stored(objects: ObjectStore, tenant_id: str = "acme") -> list[str]:
    """The keys of everything that the store holds of a tenant's files."""
    return sorted([key async for key, _ in objects.below(tenant_id) if key.split("/")[1] in ("files", "uploads")])
