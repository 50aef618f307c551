"""X1, X2: exports over HTTP: streamed and by jobs, with ranges, entity tags and links."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.session import Database
from db.settings import DatabaseSettings
from deployments.responses.deployment import Responses
from tests.architecture.rooms import ROOT
from tests.deployments.exports.reading import csv_rows, json_lines, parquet_table, sheet_rows
from tests.deployments.exports.test_formats import GIVEN, TYPED, fill
from tests.e2e.platform import finished_job
from tests.factories import owner
from tests.serve_app.one_process import OneProcess, one_process, settings_for
from tests.serve_app.test_guides import _commands as commands_of
from tests.serve_app.test_guides import _request as request_of

GUIDE = ROOT / "docs" / "guides" / "exports.md"
MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@pytest.fixture
async def platform(
    tmp_path: Path, sqlite_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch) as running:
        yield running


async def form_with(platform: OneProcess, client: httpx.AsyncClient, answers: list[dict[str, Any]]) -> str:
    made = await client.post("/api/v1/forms", json={"slug": "typed", "title": "Typed", "definition": TYPED})
    form_id: str = made.json()["id"]
    assert (await client.post(f"/api/v1/forms/{form_id}/publish")).status_code == 200
    database = Database(platform.settings.database())
    await fill(Responses(database), owner(), form_id, answers)
    await database.close()
    return form_id


def number_of_rows(form: str, content: bytes) -> int:
    match form:
        case "csv":
            return len(csv_rows(content)) - 1
        case "jsonl":
            return len(json_lines(content))
        case "parquet":
            return int(parquet_table(content).num_rows)
    return len(sheet_rows(content)) - 1


async def test_streams_and_jobs_bring_the_same_file(platform: OneProcess) -> None:
    """X1: each format, with the query of the list; then 304 until something changes."""
    client = await platform.sign_up()
    form_id = await form_with(platform, client, [{**GIVEN, "count": n} for n in range(30)])
    path = f"/api/v1/forms/{form_id}"
    for form, media in MEDIA.items():
        query = {"filter[count][gte]": "10", "sort": "-count", "columns": "count,day", "labels": "false"}
        streamed = await client.get(f"{path}/responses.{form}", params=query)
        assert streamed.status_code == 200, streamed.text
        assert streamed.headers["content-type"] == media
        assert streamed.headers["content-disposition"] == f'attachment; filename="responses-{form_id}.{form}"'
        assert number_of_rows(form, streamed.content) == 20
        tag = streamed.headers["etag"]
        again = await client.get(f"{path}/responses.{form}", params=query, headers={"If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        other = await client.get(f"{path}/responses.{form}", params={}, headers={"If-None-Match": tag})
        assert (other.status_code, number_of_rows(form, other.content)) == (200, 30)

        wanted = {"filter": {"count": {"gte": 10}}, "sort": "-count", "columns": ["count", "day"], "labels": False}
        ordered = await client.post(f"{path}/exports", json={"format": form, **wanted})
        assert ordered.status_code == 202, ordered.text
        job = await finished_job(client, ordered.headers["location"])
        assert (job["kind"], job["state"], job["progress"]) == ("export", "succeeded", {"done": 20, "total": 20})
        result = job["result"]
        assert {"download_url", "expires_at", "rows", "bytes"} <= result.keys()
        fetched = await client.get(result["download_url"])
        assert (fetched.status_code, fetched.headers["content-type"]) == (200, media)
        assert (number_of_rows(form, fetched.content), len(fetched.content)) == (result["rows"], result["bytes"])
        if form in ("csv", "jsonl"):
            assert fetched.content == streamed.content
    listed = (await client.get(f"{path}/exports")).json()["data"]
    assert [each["format"] for each in listed] == ["xlsx", "parquet", "jsonl", "csv"]
    assert {each["state"] for each in listed} == {"ready"}
    assert (await client.delete(f"/api/v1/exports/{listed[0]['id']}")).status_code == 204
    assert (await client.get(f"/api/v1/exports/{listed[0]['id']}/download")).status_code == 404

    tag = (await client.get(f"{path}/responses.csv")).headers["etag"]
    submitted = await client.post(f"{path}/responses", json={"answers": {"count": 77}})
    assert submitted.status_code == 201
    changed = await client.get(f"{path}/responses.csv", headers={"If-None-Match": tag})
    assert (changed.status_code, len(csv_rows(changed.content))) == (200, 32)


async def test_ranges_and_links(platform: OneProcess) -> None:
    """X1: a download that broke goes on where it stopped; a link needs no credential."""
    client = await platform.sign_up()
    form_id = await form_with(platform, client, [GIVEN])
    ordered = await client.post(
        f"/api/v1/forms/{form_id}/exports", json={"format": "csv"}, headers={"Idempotency-Key": "once"}
    )
    await finished_job(client, ordered.headers["location"])
    repeated = await client.post(
        f"/api/v1/forms/{form_id}/exports", json={"format": "csv"}, headers={"Idempotency-Key": "once"}
    )
    assert (repeated.json(), repeated.headers["idempotent-replayed"]) == (ordered.json(), "true")
    export = f"/api/v1/exports/{ordered.json()['export_id']}"
    whole = await client.get(f"{export}/download")
    part = await client.get(f"{export}/download", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    same = await client.get(f"{export}/download", headers={"If-None-Match": whole.headers["etag"]})
    assert same.status_code == 304

    link = (await client.post(f"{export}/link", json={"expires_in": 60})).json()
    async with platform.client() as anybody:
        path = link["url"].removeprefix(str(client.base_url).rstrip("/"))
        opened = await anybody.get(path)
        assert (opened.status_code, opened.content) == (200, whole.content)
        forged = await anybody.get(path[:-1] + ("0" if path[-1] != "0" else "1"))
        assert forged.status_code == 404
    trail = (await client.get("/api/v1/audit", params={"limit": 100})).json()["data"]
    actions = [entry["action"] for entry in trail]
    assert {"export.ordered", "export.completed", "export.fetched", "export.link_created"} <= set(actions)


async def test_what_there_is_not_is_refused_before_the_first_byte(platform: OneProcess) -> None:
    client = await platform.sign_up()
    form_id = await form_with(platform, client, [])
    queries = [({"columns": "nothing"}, "/columns"), ({"sort": "nothing"}, "/sort"), ({"filter[x]": "1"}, "/filter/x")]
    for query, pointer in queries:
        for form in MEDIA:
            refused = await client.get(f"/api/v1/forms/{form_id}/responses.{form}", params=query)
            assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)
    body = {"format": "csv", "columns": ["nothing"]}
    refused = await client.post(f"/api/v1/forms/{form_id}/exports", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "columns.unknown")


async def test_fifty_downloads_at_once(platform: OneProcess) -> None:
    """X2: all whole, while the others are served."""
    client = await platform.sign_up()
    form_id = await form_with(platform, client, [{**GIVEN, "count": n} for n in range(400)])
    forms = [list(MEDIA)[n % 4] for n in range(50)]
    answers = await asyncio.gather(*(client.get(f"/api/v1/forms/{form_id}/responses.{form}") for form in forms))
    assert {number_of_rows(form, answer.content) for form, answer in zip(forms, answers, strict=True)} == {400}
    assert (await client.get("/health")).status_code == 200


async def test_every_command_of_the_guide_works(platform: OneProcess) -> None:
    """X1: in their order, with what the commands before have answered; jobs are waited for."""
    client = await platform.sign_up()
    variables = {"api": "/api/v1", "auth": f"Authorization: {client.headers['authorization']}"}
    seen: list[tuple[str, int]] = []
    for name, member, command in commands_of(GUIDE):
        answer = await platform.client().request(**request_of(re.sub(r" -(g|o \S+)", "", command), variables))
        assert answer.status_code < 300, (command, answer.text)
        if answer.status_code == 202:
            assert (await finished_job(client, answer.headers["location"]))["state"] == "succeeded"
        if name is not None and member is not None:
            variables[name] = answer.json()[member]
        seen.append((answer.request.method, answer.status_code))
    assert len(seen) == 14
    assert {("POST", 202), ("DELETE", 204)} < set(seen)
