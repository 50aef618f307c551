"""Definitions as files, over HTTP."""

import io
import json

import pytest

from deployments.forms.contracts import FormVersion
from deployments.imports.contracts import DefinitionFile, WriteDefinition
from deployments.imports.document import read_document
from deployments.imports.formats import write_definition
from deployments.kit.principal import Principal
from tests.serve_app.edge.fakes import NOW, Fakes, running
from tests.serve_app.edge.test_answers import problem

PATH = "/api/v1/forms/frm_1/definition"
DEFINITION = {"pages": [{"id": "p", "elements": [{"id": "a", "type": "nps", "title": "A"}]}], "languages": ["en"]}


@pytest.fixture
def commands(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> list[WriteDefinition]:
    """What the context was asked for, which writes as it does."""
    asked: list[WriteDefinition] = []

    async def write(principal: Principal, command: WriteDefinition) -> DefinitionFile:
        asked.append(command)
        return write_definition(command.model_copy(update={"definition": DEFINITION}))

    async def get_version(principal: Principal, form_id: str, version: int) -> FormVersion:
        return FormVersion(form_id=form_id, version=version, title="Old", definition=DEFINITION, published_at=NOW)

    monkeypatch.setattr(fakes.imports, "write_definition", write, raising=False)
    monkeypatch.setattr(fakes.forms, "get_version", get_version, raising=False)
    return asked


@pytest.mark.parametrize(
    ("query", "media_type", "name", "warnings"),
    [
        ("", "application/json", "party-draft.json", "0"),
        ("?format=surveyjs_json", "application/json", "party-draft.json", "0"),
        (
            "?format=xlsform&version=2",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "party-v2.xlsx",
            "1",
        ),
    ],
)
async def test_a_definition_is_downloaded(
    fakes: Fakes, commands: list[WriteDefinition], query: str, media_type: str, name: str, warnings: str
) -> None:
    """F6: the draft or a version, in the format asked for."""
    async with running(fakes) as client:
        answer = await client.get(PATH + query, headers={"authorization": "Bearer owner"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["x-formstream-warnings"] == warnings
    assert (commands[0].form_id, commands[0].version) == ("frm_1", 2 if "version" in query else None)


@pytest.mark.parametrize(
    ("query", "pointer"), [("?format=pdf", "/format"), ("?version=0", "/version"), ("?version=x", "/version")]
)
async def test_what_cannot_be_is_refused(
    fakes: Fakes, commands: list[WriteDefinition], query: str, pointer: str
) -> None:
    async with running(fakes) as client:
        answer = await client.get(PATH + query, headers={"authorization": "Bearer owner"})
        assert [error["pointer"] for error in problem(answer, 422, "invalid")["errors"]] == [pointer]
        other = await client.get("/api/v1/forms/frm_2/definition", headers={"authorization": "Bearer owner"})
        assert other.status_code == 404
    assert not commands


async def test_two_files_arrive_as_one(fakes: Fakes) -> None:
    """F6: definition and responses of Typeform and SurveyJS; other formats have one file."""
    parts = [("file", ("a.json", b"{}")), ("file", ("b.json", b"[]"))]
    data = {"slug": "party", "title": "Party"}
    headers = {"authorization": "Bearer owner"}
    async with running(fakes) as client:
        path = "/api/v1/imports"
        taken = await client.post(path, data=data | {"format": "surveyjs_json"}, files=parts, headers=headers)
        refused = await client.post(path, data=data | {"format": "google_csv"}, files=parts, headers=headers)
        many = await client.post(path, data=data | {"format": "surveyjs_json"}, files=parts * 2, headers=headers)
    assert taken.status_code == 202, taken.text
    [command] = fakes.imports.commands
    assert (command.file_name, command.size) == ("a.json", len(b"{}\n[]"))
    assert [error["code"] for error in problem(refused, 422, "invalid")["errors"]] == ["duplicate"]
    assert [error["code"] for error in problem(many, 422, "invalid")["errors"]] == ["duplicate"]


def test_the_file_is_read_again() -> None:
    command = WriteDefinition(
        form_id="frm_1", slug="party", title="Party", definition=DEFINITION, format="formstream_json"
    )
    content = write_definition(command).content
    assert json.loads(content) == DEFINITION
    assert read_document(io.BytesIO(content), None).form.definition.document() == DEFINITION  # type: ignore[arg-type]
