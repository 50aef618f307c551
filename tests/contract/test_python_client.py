"""H5: the typed client is made of the document, whole, and works against a running platform."""

import asyncio
import importlib
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import httpx
import pytest

from clients.generate import PACKAGE, generate
from db.settings import DatabaseSettings
from serve_app.edge.routes import OPERATIONS
from tests.architecture.rooms import ROOT
from tests.factories import ANSWERS, PARTY
from tests.serve_app.one_process import OneProcess, one_process, settings_for

GUIDE = ROOT / "docs" / "guides" / "python-client.md"
ELEMENTS = [
    {"id": "name", "type": "short_text", "title": "Name"},
    {"id": "score", "type": "nps", "title": "Score"},
]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the generated package, which can be imported meanwhile."""
    folder = tmp_path_factory.mktemp("client")
    generate(folder)
    sys.path.insert(0, str(folder))
    yield folder / PACKAGE
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
async def platform(
    tmp_path: Path, sqlite_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch, works=False) as running:
        yield running


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


def _model(name: str, document: Any) -> Any:
    return getattr(_module("models"), name).from_dict(document)


def test_every_operation_is_a_function(package: Path) -> None:
    made = {path.stem for path in (package / "api").glob("*/*.py")}
    assert {operation.id for operation in OPERATIONS} <= made
    assert (package / "py.typed").exists()


async def test_a_form_is_published_answered_and_read(package: Path, platform: OneProcess) -> None:
    """Submit and list, with models instead of dictionaries."""
    async with await platform.sign_up() as owner:
        token = owner.headers["authorization"].removeprefix("Bearer ")
    client = _module("client").AuthenticatedClient(
        base_url=f"http://127.0.0.1:{platform.settings.port}", token=token, httpx_args={"trust_env": False}
    )
    async with client:
        create_form = _module("api.forms.create_form")
        form = await create_form.asyncio(
            client=client, body=_model("CreateForm", {"slug": "party", "title": "Party", "definition": PARTY})
        )
        assert form.slug == "party"
        published = await _module("api.forms.publish_form").asyncio_detailed(form.id, client=client)
        assert published.status_code == httpx.codes.OK
        submit = _module("api.responses.submit_response")
        body = get_type_hints(submit.asyncio_detailed)["body"].from_dict({"answers": ANSWERS})
        submitted = await submit.asyncio(form.id, client=client, body=body)
        page = await _module("api.responses.list_responses").asyncio(form.id, client=client)
    assert [each.id for each in page.data] == [submitted.id]
    assert page.data[0].answers.additional_properties["name"] == ANSWERS["name"]


async def test_the_guide_works_as_it_is_written(
    package: Path, platform: OneProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with await platform.sign_up() as owner:
        token = owner.headers["authorization"].removeprefix("Bearer ")
        definition = {"pages": [{"id": "p", "elements": ELEMENTS}], "languages": ["en"]}
        form = (await owner.post("/api/v1/forms", json={"slug": "s", "title": "S", "definition": definition})).json()
        await owner.post(f"/api/v1/forms/{form['id']}/publish")
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    for written, meant in {
        "https://forms.example.com": f"http://127.0.0.1:{platform.settings.port}",
        "fsk_…": token,
        "frm_…": form["id"],
    }.items():
        assert written in code
        code = code.replace(written, meant)
    await asyncio.to_thread(exec, code, {})
    assert "{'name': 'Ada', 'score': 9}" in capsys.readouterr().out


async def test_a_failure_is_a_problem(package: Path, platform: OneProcess) -> None:
    async with await platform.sign_up() as owner:
        token = owner.headers["authorization"].removeprefix("Bearer ")
    client = _module("client").AuthenticatedClient(
        base_url=f"http://127.0.0.1:{platform.settings.port}", token=token, httpx_args={"trust_env": False}
    )
    async with client:
        answer = await _module("api.forms.get_form").asyncio_detailed("frm_none", client=client)
    assert answer.status_code == httpx.codes.NOT_FOUND
