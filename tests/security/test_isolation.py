"""T5: every operation of the API document, replayed with every credential that must not reach another tenant's data.

Made from the document, so that an operation is covered from the day it exists."""

import json
import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.settings import DatabaseSettings
from deployments.identity.permissions import ROLES
from serve_app.edge.routes import OPERATIONS
from tests.security.requests import Described, described
from tests.security.scene import CANARY, Scene, stage
from tests.serve_app.one_process import one_process, settings_for

# Names that tenants give themselves, as all have the same mails: under one there is always something of one's own.
OWN_NAMES = {"mail_template", "language"}


async def test_nothing_leaks(
    database_settings: DatabaseSettings, tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T5: no leak, no server error, and one answer for what is not yours and what is not there."""
    settings = settings_for(tmp_path, database_settings, rate_limits={}, models_dir=models_folder)
    async with one_process(settings, monkeypatch, works=False) as platform:
        scene = await stage(platform)
        document = (await scene.anybody.get("/api/v1/openapi.json")).json()
        operations = [each for each in described(document) if each.path.startswith("/api/")]
        unknown = {name for each in operations for name in each.parameters} - scene.ids.keys()
        assert not unknown, f"tests/security/scene.py has to give a value for {unknown}"
        before = await scene.state()

        for operation in operations:
            await _refuses_worthless_credentials(operation, scene)
            await _shows_a_stranger_nothing(operation, scene)
            await _lets_a_viewer_do_no_more_than_a_viewer_may(operation, scene)

        assert await scene.state() == before


async def _refuses_worthless_credentials(operation: Described, scene: Scene) -> None:
    if operation.public:
        return
    answers = {"none": await operation.send(scene.anybody, scene.ids)}
    for name, credential in scene.worthless.items():
        headers = {"Authorization": f"Bearer {credential}"}
        answers[name] = await operation.send(scene.anybody, scene.ids, headers=headers)
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 401), operation.id


async def _shows_a_stranger_nothing(operation: Described, scene: Scene) -> None:
    if operation.public:
        return
    theirs = await operation.send(scene.stranger, scene.ids)
    assert theirs.status_code < 500, (operation.id, theirs.text)
    assert CANARY not in theirs.text, operation.id
    if set(operation.parameters) - OWN_NAMES:
        nobodys = await operation.send(scene.stranger, {name: _missing(value) for name, value in scene.ids.items()})
        assert theirs.status_code in (403, 404), (operation.id, theirs.text)
        assert (theirs.status_code, _said(theirs)) == (nobodys.status_code, _said(nobodys)), operation.id
    selected = await operation.send(scene.stranger, scene.ids, headers={"X-Tenant-ID": "acme"})
    assert (selected.status_code, selected.json()["code"]) == (404, "tenant.not_found"), operation.id


async def _lets_a_viewer_do_no_more_than_a_viewer_may(operation: Described, scene: Scene) -> None:
    if operation.scope is None or operation.scope in ROLES["viewer"]:
        return
    answer = await operation.send(scene.viewer, scene.ids)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), operation.id


def _missing(value: str) -> str:
    """A value of the same shape that was never given to anything."""
    prefix, mark, _ = value.partition("_")
    return f"{prefix}_{secrets.token_hex(16)}" if mark else "77" if value.isdigit() else "nobodys"


def _said(answer: httpx.Response) -> Any:
    problem = json.loads(answer.text)
    return {name: value for name, value in problem.items() if name not in ("correlation_id", "instance")}


async def test_the_document_describes_every_operation(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H1: an operation that the document lacks would escape the replay."""
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch, works=False) as platform:
        document = (await platform.client().get("/api/v1/openapi.json")).json()
    shown = {operation.id for operation in described(document)}
    assert {operation.id for operation in OPERATIONS} <= shown
