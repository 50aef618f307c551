"""What guides tell readers to type works, from its first line to its last, in that order."""

import asyncio
import json
import re
import shlex
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
import pyarrow as pa  # type: ignore[import-untyped]
import pytest

from db.settings import DatabaseSettings
from deployments.kit.enrichment import EnrichmentPolicy
from eventing.jobs import JobPolicy
from serve_app.cli.database import prepare
from serve_app.subscriptions import check_job_policy
from tests.architecture.rooms import ROOT
from tests.deployments.models.brought import files, zipped
from tests.eventing.harness import eventually
from tests.serve_app.one_process import OneProcess, one_process, settings_for

BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
CAPTURED = re.compile(r"(\w+)=\$\((curl .*) \| jq -r \.([\w.\[\]]+)\)", re.DOTALL)
GUIDE = ROOT / "docs" / "guides" / "forms.md"
RUNBOOKS = ROOT / "docs" / "runbooks"
JOBS = ROOT / "docs" / "guides" / "jobs.md"


def _commands(page: Path, after: str = "") -> list[tuple[str | None, str | None, str]]:
    """Each curl command after a heading, and the variable that takes a member of its answer."""
    found: list[tuple[str | None, str | None, str]] = []
    _, heading, text = page.read_text().partition(after) if after else ("", "", page.read_text())
    assert heading == after
    for block in BLOCK.findall(text):
        for command in re.split(r"\n(?=curl |\w+=\$\()", dedent(block).strip()):
            if captured := CAPTURED.fullmatch(command):
                found.append((captured[1], captured[3], captured[2]))
            else:
                found.append((None, None, command))
    return found


def _request(command: str, variables: dict[str, str]) -> dict[str, Any]:
    """The request that curl would send. The shell joins what stands together, and looks for variables outside '…'."""
    for name, value in variables.items():
        command = re.sub(rf"\${name}\b", value, command)
    program, *words = shlex.split(command.replace("\\\n", " "))
    assert program == "curl"
    request: dict[str, Any] = {"method": None, "headers": {}, "content": None, "files": {}}
    options = iter(words)
    for word in options:
        if word == "-X":
            request["method"] = next(options)
        elif word == "-H":
            name, _, value = next(options).partition(": ")
            request["headers"][name] = value
        elif word == "-d":
            request["content"] = next(options)
        elif word == "-F":
            name, _, value = next(options).partition("=")
            is_file = value.startswith("@")
            request["files"][name] = (value[1:], zipped(files())) if is_file else (None, value)
        elif not word.startswith("-"):
            request["url"] = word
    request["method"] = request["method"] or ("POST" if request["content"] is not None or request["files"] else "GET")
    return request


def _member(answer: Any, path: str) -> str:
    """What jq would find under a path like `data[0].id`."""
    for name in re.findall(r"\w+", path):
        answer = answer[int(name) if name.isdigit() else name]
    return str(answer)


async def test_every_command_of_the_guide_works(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F4, F5, F7: each is sent to a running platform, with what the commands before it have answered."""
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch, works=False) as platform:
        answers = await _all_work(platform, GUIDE)
    assert len(answers) > 25
    assert ("POST", 202) in answers


async def test_every_command_about_events_works(
    sqlite_settings: DatabaseSettings, nats_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E1, E6: looked up and listened to, on a platform whose events are published."""
    async with one_process(settings_for(tmp_path, sqlite_settings, nats_server), monkeypatch) as platform:
        answers = await _all_work(platform, GUIDE.with_name("events.md"))
    assert len(answers) > 8


async def test_every_command_about_webhooks_works(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W1, W3."""
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch, works=False) as platform:
        answers = await _all_work(platform, GUIDE.with_name("webhooks.md"))
        other = await platform.sign_up("other")
        hook = {"url": "https://example.com/hook", "events": ["*"]}
        path = f"/api/v1/webhooks/{(await other.post('/api/v1/webhooks', json=hook)).json()['id']}"
        ordered = await other.post(f"{path}/recover", json={"since": "2026-01-01T00:00:00Z"})
        assert (await other.post(f"{path}/resend-failed")).json() == ordered.json()  # one at a time
        job = (await other.get(ordered.headers["location"])).json()
        assert (job["id"], job["kind"], job["state"]) == (ordered.json()["job_id"], "webhook.recover", "queued")
    assert len(answers) > 8


async def test_every_command_about_live_figures_works(
    sqlite_settings: DatabaseSettings, nats_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L1, L2, L6: and what the first responses come to, counted on the way that events and views take."""
    async with one_process(settings_for(tmp_path, sqlite_settings, nats_server), monkeypatch) as platform:
        answers = await _all_work(platform, GUIDE.with_name("analytics.md"))
        assert [status for _, status in answers[-6:]] == [200, 200, 200, 200, 200, 202]
        owner = next(client for client in platform.clients if "authorization" in client.headers)
        form = (await owner.get("/api/v1/forms")).json()["data"][0]["id"]
        address = f"/api/v2/analytics/forms/{form}"
        expected = {"views": 1, "starts": 2, "submissions": 1, "partials": 1}

        async def is_counted() -> bool:
            found = (await owner.get(f"{address}/metrics")).json()
            return {name: found[name] for name in expected} == expected

        await eventually(is_counted)
        series = await owner.get(f"{address}/timeseries", params={"measure": "views", "timezone": "Asia/Kolkata"})
        assert sum(point["value"] for point in series.json()["points"]) == 1
        wrong = {"measure": "x", "bucket": "year", "timezone": "Berlin", "since": "noon"}
        refused = await owner.get(f"{address}/timeseries", params=wrong | {"until": "1900-01-01T00:00:00Z"})
        assert refused.status_code == 422
        assert {error["pointer"]: error["code"] for error in refused.json()["errors"]} == {
            "/measure": "option.unknown",
            "/bucket": "option.unknown",
            "/timezone": "timezone.unknown",
            "/since": "format.datetime",
            "/until": "span.range",
        }


async def test_every_command_about_erasing_a_person_works(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R8: as the guide of responses has it."""
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch, works=False) as platform:
        answers = await _all_work(platform, GUIDE.with_name("responses.md"), "### Erasing a person")
    assert [status for _, status in answers] == [202, 200, 202, 200]


async def test_every_command_about_extraction_works(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A3, and what the first of them answers."""
    guide = GUIDE.with_name("ai-extract.md")
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch, works=False) as platform:
        assert await _all_work(platform, guide) == [("POST", 200)] * 2
        owner = await platform.sign_up("other")
        ((_, _, command), _) = _commands(guide)
        variables = {
            "api": "/api/v1",
            "analytics": "/api/v2/analytics",
            "auth": f"Authorization: {owner.headers['authorization']}",
        }
        answer = (await owner.request(**_request(command, variables))).json()
    (shown,) = re.findall(r"```json\n(.*?)```", guide.read_text(), re.DOTALL)
    for found in (answer, expected := json.loads(shown)):
        for entity in found["results"][0]["entities"]:
            entity["confidence"] = round(entity["confidence"], 1)
    assert answer == expected


async def test_every_command_about_built_in_models_works(
    sqlite_settings: DatabaseSettings,
    nats_server: str,
    models_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A2, R6: a response is stored, judged by the real model afterwards, kept apart, released; an insult is found."""
    settings = settings_for(tmp_path, sqlite_settings, nats_server, models_dir=models_folder)
    async with one_process(settings, monkeypatch) as platform:
        answers = await _all_work(platform, GUIDE.with_name("ai-builtin.md"))
        owner = next(client for client in platform.clients if "authorization" in client.headers)
        forms = {each["slug"]: each["id"] for each in (await owner.get("/api/v1/forms")).json()["data"]}
        path = f"/api/v1/forms/{forms['opinions']}/responses"
        (rude,) = (await owner.get(path, params={"filter[ai.toxicity]": "toxic"})).json()["data"]
        (civil,) = (await owner.get(path, params={"filter[ai.toxicity]": "civil"})).json()["data"]
        rows = (await owner.get(f"{path}.csv", params={"columns": "opinion,ai"})).text.splitlines()
        told = (await owner.get("/api/v1/events", params={"type": "inference.completed"})).json()["data"]
    assert "liars" in rude["answers"]["opinion"]
    assert "terrible" in civil["answers"]["opinion"]
    said = rude["inference"]["opinion"]["toxicity"]
    assert (said["label"], said["model"], said["revision"]) == ("toxic", "toxicity@1", 1)
    assert "toxicity" in rows[0]
    assert sorted(",toxic," in row for row in rows[1:]) == [False, True]
    assert {each["data"]["results"]["opinion"]["toxicity"]["label"] for each in told} == {"toxic", "civil"}
    assert len(answers) == 13


async def test_every_command_about_queries_works(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L3: figures, cross-tabs, and queries that are kept, read from the warehouse."""
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch, works=False) as platform:
        answers = await _all_work(platform, GUIDE.with_name("analytics-queries.md"))
    assert len(answers) == 16


async def test_every_command_about_jobs_works(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J2, J3."""
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch, works=False) as platform:
        answers = await _all_work(platform, JOBS)
    assert len(answers) > 15


async def test_every_command_about_classifying_works(
    sqlite_settings: DatabaseSettings, tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A2: labelled, trained by a worker, asked, measured and corrected."""
    settings = settings_for(tmp_path, sqlite_settings, models_dir=models_folder)
    async with one_process(settings, monkeypatch) as platform:
        answers = await _all_work(platform, GUIDE.with_name("ai-classify.md"))
        owner = next(client for client in platform.clients if "authorization" in client.headers)
        (made,) = (await owner.get("/api/v1/classifiers")).json()["data"]
        version = (await owner.get(f"/api/v1/classifiers/{made['id']}/versions/1")).json()
        assert version["report"]["unlabelled"] is None  # 0054: it is about no field
    assert len(answers) == 10


async def test_every_command_about_ai_works(
    sqlite_settings: DatabaseSettings,
    nats_server: str,
    models_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A5: by the real encoder, from the submission to what is found by meaning."""
    settings = settings_for(tmp_path, sqlite_settings, nats_server, models_dir=models_folder)
    async with one_process(settings, monkeypatch) as platform:
        answers = await _all_work(platform, GUIDE.with_name("ai.md"))
        owner = next(client for client in platform.clients if "authorization" in client.headers)
        form = (await owner.get("/api/v1/forms")).json()["data"][0]["id"]
        found = await owner.post(
            f"/api/v1/forms/{form}/search", json={"query": "late delivery", "mode": "semantic", "limit": 2}
        )
        assert {hit["response"]["answers"]["score"] for hit in found.json()["data"]} == {2, 3}
        (group,) = (await owner.get(f"/api/v1/forms/{form}/duplicates?at_least=0.6")).json()["data"]
        assert len(group["answers"]) == 2
    assert len(answers) > 12


async def test_every_command_about_models_works(
    sqlite_settings: DatabaseSettings, tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A1, A7."""
    settings = settings_for(tmp_path, sqlite_settings, models_dir=models_folder)
    async with one_process(settings, monkeypatch) as platform:
        answers = await _all_work(platform, GUIDE.with_name("ai-models.md"))
    assert answers == [("GET", 200), ("POST", 200), ("POST", 202), ("GET", 200), ("POST", 200), ("POST", 201)]


def test_the_settings_in_the_guide_about_ai_are_valid() -> None:
    """A5: all of it at once."""
    (settings,) = re.findall(r"```json\n(.*?)```", GUIDE.with_name("ai.md").read_text(), re.DOTALL)
    policy = EnrichmentPolicy.model_validate_json(settings)
    assert [name for name, _, _ in policy.choices()] == ["sentiment", "topic", "entities", "vector"]


def test_the_policy_of_jobs_in_the_guide_fits_the_jobs(tmp_path: Path) -> None:
    """J1: every kind and queue in it exists, every member is known."""
    (policy,) = re.findall(r"```json\n(.*?)```", JOBS.read_text(), re.DOTALL)
    settings = settings_for(tmp_path, DatabaseSettings(url="sqlite:///nowhere"))
    check_job_policy(settings.model_copy(update={"job_policy": JobPolicy.model_validate_json(policy)}))


async def test_the_commands_of_an_administrator_work(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T1, T7, O: a tenant is removed, as far as that goes in one minute; the first password is changed."""
    first = "quiet-harbour-7-lantern"
    settings = settings_for(tmp_path, sqlite_settings, admin_email="admin@example.com", admin_password=first)
    await asyncio.to_thread(prepare, settings)
    removal = [each for each in _commands(RUNBOOKS / "tenant-removal.md") if not re.search("receipt|download", each[2])]
    changed = [each for each in _commands(GUIDE.with_name("operations.md"), "## 5.") if "$api" in each[2]]
    variables = {"api": "/api/v1", "password": first}
    statuses = []
    async with one_process(settings, monkeypatch, works=False) as platform:
        await platform.sign_up("acme")
        for name, member, command in [*removal, *changed]:
            request = _request(command.replace("the one that was printed", first).partition("\ndocker ")[0], variables)
            answer = await platform.client().request(**request)
            statuses.append(answer.status_code)
            if name is not None:
                variables[name] = _member(answer.json(), str(member))
    assert statuses == [200, 200, 202, 200, 200, 202, 200, 204]


async def test_every_command_about_sql_works(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L4: and every format, limit and refusal that the guide speaks of, over HTTP."""
    async with one_process(
        settings_for(tmp_path, sqlite_settings, sql_max_rows=3), monkeypatch, works=False
    ) as platform:
        assert await _all_work(platform, GUIDE.with_name("analytics-sql.md")) == [
            *(("POST", status) for status in (201, 200, 201, 201, 200, 200)),
            ("GET", 200),
            ("POST", 200),
        ]
        owner = next(client for client in platform.clients if "authorization" in client.headers)
        path = "/api/v2/analytics/sql"
        counted = await owner.post(path, json={"sql": 'SELECT count(*) AS n, sum(guests) AS g FROM "summer-party"'})
        assert counted.json()["columns"] == [{"name": "n", "type": "BIGINT"}, {"name": "g", "type": "HUGEINT"}]
        assert (counted.json()["rows"], counted.json()["truncated"]) == ([[2, 8]], False)
        many = await owner.post(path, json={"sql": "SELECT '=x', n FROM range(9) t(n)"}, headers={"Accept": "text/csv"})
        assert (many.text.splitlines()[1:], many.headers["x-truncated"]) == (["'=x,0", "'=x,1", "'=x,2"], "true")
        arrow = {"Accept": "application/vnd.apache.arrow.stream"}
        stream = await owner.post(path, json={"sql": "SELECT ? AS n", "parameters": [7]}, headers=arrow)
        assert pa.ipc.open_stream(stream.content).read_all().to_pylist() == [{"n": 7}]
        refused = await owner.post(path, json={"sql": "SELECT *\nFROM nowhere"})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "sql.unknown_table")
        assert "line 2, column 6" in refused.json()["errors"][0]["detail"]
        trail = (await owner.get("/api/v1/audit", params={"action": "analytics.sql"})).json()["data"]
        assert trail[0]["details"]["sql"] == "SELECT *\nFROM nowhere"
        assert len(trail) == 7


async def _all_work(platform: OneProcess, guide: Path, section: str = "") -> list[tuple[str, int]]:
    owner: httpx.AsyncClient = await platform.sign_up()
    variables = {
        "api": "/api/v1",
        "analytics": "/api/v2/analytics",
        "auth": f"Authorization: {owner.headers['authorization']}",
    }
    answers: list[tuple[str, int]] = []
    for name, member, command in _commands(guide, section):
        if "Last-Event-ID" in command:
            await eventually(partial(_is_published, owner, variables["event"]))
        if "/release" in command and guide.name == "ai-builtin.md":
            await eventually(partial(_is_apart, owner, variables["response"]))
        if "/apply" in command:
            await eventually(partial(_is_ready, owner, variables["model"]), deadline_s=30)
        if "/search" in command or "ai.toxicity" in command:
            await eventually(partial(_is_enriched, owner, variables["form"]))
        answer = await platform.client().request(**_request(command, variables))
        assert answer.status_code < 300, (command, answer.text)
        if name is not None:
            variables[name] = _member(answer.json(), str(member))
        if "/train " in command:
            await eventually(partial(_has_ended, owner, variables["job"]))
        answers.append((answer.request.method, answer.status_code))
    return answers


async def _has_ended(owner: httpx.AsyncClient, job: str) -> bool:
    return (await owner.get(f"/api/v1/jobs/{job}")).json()["state"] == "succeeded"


async def _is_ready(owner: httpx.AsyncClient, model: str) -> bool:
    return bool((await owner.get(f"/api/v1/ai/models/{model}")).json()["state"] == "ready")


async def _is_apart(owner: httpx.AsyncClient, response: str) -> bool:
    found = (await owner.get(f"/api/v1/responses/{response}")).json()
    return found["suspicion"] == ["ai"] and found["spam_score"] >= 0.9


async def _is_published(owner: httpx.AsyncClient, event: str) -> bool:
    parameters: dict[str, str | float] = {"last_event_id": event, "seconds": 0.01}
    return (await owner.get("/api/v1/events/stream", params=parameters)).status_code == 200


async def _is_enriched(owner: httpx.AsyncClient, form: str) -> bool:
    told = (await owner.get(f"/api/v1/forms/{form}/enrichment")).json()
    return bool(told["done"] == told["total"])
