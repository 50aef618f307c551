"""A7 over HTTP: a model is brought, checked by a job, asked, and forgotten."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.settings import DatabaseSettings
from tests.deployments.models.brought import NAMES, files, names, tarred, zipped
from tests.eventing.harness import empty_stream, eventually
from tests.serve_app.one_process import OneProcess, one_process, settings_for

MODELS = "/api/v1/ai/models"


@pytest.fixture
async def platform(
    tmp_path: Path, sqlite_settings: DatabaseSettings, nats_server: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    async with empty_stream(nats_server):
        pass
    async with one_process(settings_for(tmp_path, sqlite_settings, nats_server), monkeypatch) as running:
        yield running


async def _brought(client: httpx.AsyncClient, archive: bytes, name: str = "mine") -> dict[str, Any]:
    """The model once it is checked."""
    answer = await client.post(MODELS, data={"name": name}, files={"file": ("model.zip", archive)})
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "checking"

    async def is_checked() -> bool:
        return (await client.get(answer.headers["location"])).json()["state"] != "checking"

    await eventually(is_checked, deadline_s=30)
    model: dict[str, Any] = (await client.get(answer.headers["location"])).json()
    return model


async def test_a_model_is_brought_asked_and_forgotten(platform: OneProcess, tmp_path: Path) -> None:
    """A7: texts and tokens; what is refused says why; what is forgotten leaves no file."""
    client = await platform.sign_up()
    topics = await _brought(client, zipped(files()))
    assert (topics["state"], topics["kind"], topics["labels"]) == ("ready", "sequence", ["complaint", "praise"])
    said = (await client.post(f"{MODELS}/{topics['id']}/apply", json={"texts": ["late refund", "great thanks"]})).json()
    assert [each["label"] for each in said["results"]] == ["complaint", "praise"]
    assert said["results"][0]["confidence"] == said["results"][0]["scores"]["complaint"] > 0.99
    assert said["model"].startswith(topics["id"])

    people = await _brought(client, tarred(files(names(), NAMES)), "people")
    said = (await client.post(f"{MODELS}/{people['id']}/apply", json={"texts": ["thanks Ada"]})).json()
    (entity,) = said["results"][0]["entities"]
    assert (entity["label"], entity["text"], entity["start"], entity["end"]) == ("person", "Ada", 7, 10)

    refused = await _brought(client, tarred(files() | {"model.onnx": "/etc/passwd"}))
    assert (refused["state"], refused["problem"]) == ("refused", "archive.path")
    answer = await client.post(f"{MODELS}/{refused['id']}/apply", json={"texts": ["a"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "model.not_ready")

    listed = (await client.get(MODELS)).json()
    assert [each["id"] for each in listed["registered"]] == [topics["id"], people["id"], refused["id"]]
    embedding = next(each for each in listed["capabilities"] if each["faculty"] == "embedding")
    assert "formstream models build" in embedding["reason"], "no model of the installation is needed for one's own"

    assert len(_files(tmp_path)) == 3
    for model in (topics, people, refused):
        assert (await client.delete(f"{MODELS}/{model['id']}")).status_code == 204
        assert (await client.get(f"{MODELS}/{model['id']}")).status_code == 404

    async def are_gone() -> bool:
        return not _files(tmp_path)

    await eventually(are_gone)
    actions = [each["action"] for each in (await client.get("/api/v1/audit")).json()["data"]]
    assert (actions.count("model.registered"), actions.count("model.deleted")) == (3, 3)


async def test_brought_models_look_at_responses(platform: OneProcess) -> None:
    """A7, A5: from the archive to what is said of a response; one that is deleted is named where it is missing."""
    client = await platform.sign_up()
    topics = (await _brought(client, zipped(files())))["id"]
    people = (await _brought(client, zipped(files(names(), NAMES)), "people"))["id"]
    ai = {
        "classify": [{"model_id": topics, "name": "topic", "fields": ["comment"]}],
        "extract": {"model_id": people, "fields": ["comment"]},
    }
    element = {"id": "comment", "type": "long_text", "title": "Comment"}
    form = {"title": "Feedback", "definition": {"pages": [{"id": "p1", "elements": [element]}]}}
    crossed = {
        "classify": [{"model_id": people, "fields": ["comment"]}],
        "extract": ai["extract"] | {"model_id": topics},
    }
    refused = await client.post("/api/v1/forms", json=form | {"slug": "crossed", "settings": {"ai": crossed}})
    assert [(each["pointer"], each["code"]) for each in refused.json()["errors"]] == [
        ("/settings/ai/classify/0/model_id", "settings.model_kind"),
        ("/settings/ai/extract/model_id", "settings.model_kind"),
    ]
    made = await client.post("/api/v1/forms", json=form | {"slug": "feedback", "settings": {"ai": ai}})
    address = f"/api/v1/forms/{made.json()['id']}"
    await client.post(f"{address}/publish")

    async def submitted(comment: str, state: str) -> dict[str, Any]:
        """What is said of a response with this comment, once the progress counts one more in this state."""
        before = (await client.get(f"{address}/enrichment")).json()[state]
        response = (await client.post(f"{address}/responses", json={"answers": {"comment": comment}})).json()["id"]

        async def is_counted() -> bool:
            return bool((await client.get(f"{address}/enrichment")).json()[state] == before + 1)

        await eventually(is_counted, deadline_s=30)
        said: dict[str, Any] = (await client.get(f"/api/v1/responses/{response}")).json()["inference"]["comment"]
        return said

    said = await submitted("late refund Ada", "done")
    assert (said["topic"]["label"], said["topic"]["model"].partition("@")[0]) == ("complaint", topics)
    assert [each["text"] for each in said["entities"]["entities"]] == ["Ada"]
    assert (await client.delete(f"/api/v1/ai/models/{topics}")).status_code == 204
    assert (await submitted("great thanks Ada", "failed")).keys() == {"entities"}
    errors = (await client.get(f"{address}/enrichment")).json()["errors"]
    assert errors == {"The model for topic: There is no such model.": 1}


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("acme/models/*") if path.is_file()]


async def test_every_fault_of_an_upload_is_named(platform: OneProcess) -> None:
    client = await platform.sign_up()
    answer = await client.post(MODELS, data={"colour": "red"}, files={"file": ("x.zip", b"")})
    assert answer.status_code == 422
    assert {(each["pointer"], each["code"]) for each in answer.json()["errors"]} == {
        ("/colour", "unknown_property"),
        ("/file", "length.min"),
        ("/name", "required"),
    }
