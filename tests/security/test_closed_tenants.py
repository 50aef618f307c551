"""T1: a tenant that is suspended or deleted is closed at every door, whoever knocks and with whatever key.

Made from the API document, so that an operation is covered from the day it exists."""

from pathlib import Path

import httpx
import pytest

from db.session import Database
from db.settings import DatabaseSettings
from deployments.identity.bootstrap import ensure_administrator
from tests.eventing.harness import eventually
from tests.security.requests import described
from tests.security.scene import PASSWORD, stage
from tests.serve_app.one_process import OneProcess, one_process, settings_for

SUBMISSION = "/api/v1/public/acme/party/responses"

# What a provider reports has no visitor behind it, and is signed; this test does not sign.
SIGNED = {"report_text_message"}


@pytest.mark.parametrize(
    ("method", "path", "to_holders", "to_anybody"),
    [
        ("POST", "/api/v1/tenants/acme/suspend", 403, 403),
        ("DELETE", "/api/v1/tenants/acme", 401, 404),
    ],
    ids=["suspended", "deleted"],
)
async def test_a_closed_tenant_is_closed_at_every_door(
    sqlite_settings: DatabaseSettings,
    tmp_path: Path,
    models_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    to_holders: int,
    to_anybody: int,
) -> None:
    """Also to who holds a link to a file, a resume token or the address of an upload."""
    settings = settings_for(tmp_path, sqlite_settings, rate_limits={}, models_dir=models_folder)
    async with one_process(settings, monkeypatch, works=False) as platform:
        scene = await stage(platform)
        document = (await scene.anybody.get("/api/v1/openapi.json")).json()
        administrator = await _administrator(platform)
        assert (await administrator.request(method, path)).status_code == 200

        async def is_known() -> bool:
            seen = [await scene.owner.get("/api/v1/me"), await scene.anybody.post(SUBMISSION, json={"answers": {}})]
            return all(answer.status_code in (401, 403, 404) for answer in seen)

        await eventually(is_known)
        for operation in described(document):
            if not operation.path.startswith("/api/") or (operation.public and not operation.parameters):
                continue
            caller, expected = (scene.anybody, to_anybody) if operation.public else (scene.owner, to_holders)
            answer = await operation.send(caller, scene.ids)
            if operation.id == "get_public_form" and answer.status_code == 200:
                # The page of the form says why it takes no answers.
                assert answer.json()["closed_reason"] == "suspended"
            elif operation.id not in SIGNED:
                assert answer.status_code == expected, (operation.id, answer.text)
                assert expected != 403 or answer.json()["code"] == "tenant.suspended", operation.id


async def _administrator(platform: OneProcess) -> httpx.AsyncClient:
    database = Database(platform.settings.database())
    await ensure_administrator(database, "root@example.com", PASSWORD)
    await database.close()
    login = {"tenant": None, "email": "root@example.com", "password": PASSWORD}
    session = await platform.client().post("/api/v1/auth/login", json=login)
    return platform.client(session.json()["access_token"])


async def test_an_administrator_of_the_platform_names_the_tenant(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T2: a missing tenant is 400, and nothing of customers comes to be in the platform's own."""
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch, works=False) as platform:
        await platform.sign_up()
        administrator = await _administrator(platform)
        document = (await administrator.get("/api/v1/openapi.json")).json()
        makers = {"create_form", "create_user", "create_invitation", "create_sso_connection"}
        found = {each.id: each for each in described(document) if each.id in makers}
        assert found.keys() == makers
        for operation in found.values():
            nameless = await operation.send(administrator, {})
            assert (nameless.status_code, nameless.json()["code"]) == (400, "tenant.required"), operation.id
            named = await operation.send(administrator, {}, headers={"X-Tenant-ID": "acme"})
            assert named.status_code != 400, (operation.id, named.text)
        upload = {"format": "surveymonkey_csv", "slug": "imported", "title": "Imported"}
        table = {"file": ("a.csv", b"Respondent ID,Name\n1,Olga\n", "text/csv")}
        imported = await administrator.post("/api/v1/imports", data=upload, files=table)
        assert (imported.status_code, imported.json()["code"]) == (400, "tenant.required")
        assert (await administrator.get("/api/v1/forms")).json()["data"] == []
