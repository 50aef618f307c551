"""X1: responses as CSV through the door, on both dialects: complete, stable, and safe to open."""

import base64
import copy
import csv
import io

import orjson
import pytest

from db.session import Database
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.errors import Invalid
from deployments.kit.pagination import encode_cursor
from deployments.kit.principal import Principal
from deployments.responses.contracts import ExportChunk, ImportRow, SubmitResponse
from deployments.responses.deployment import Responses
from deployments.responses.errors import FormNotFound
from deployments.responses.exporting import chunks as exporting
from tests.factories import ANSWERS, PARTY, make_form, make_tenant, owner

BOM = "\ufeff"
FIXED = ["Response ID", "Submitted at", "Version", "Status"]


async def chunks_of(responses: Responses, principal: Principal, form_id: str) -> list[ExportChunk]:
    chunks = [await responses.export_chunk(principal, form_id, None)]
    while (cursor := chunks[-1].next_cursor) is not None:
        chunks.append(await responses.export_chunk(principal, form_id, cursor))
    return chunks


def table(chunks: list[ExportChunk]) -> list[dict[str, str]]:
    """The rows of the file, by the titles of its columns."""
    text = b"".join(chunk.content for chunk in chunks).decode()
    return list(csv.DictReader(io.StringIO(text.removeprefix(BOM), newline="")))


async def submit(responses: Responses, answers: dict[str, object]) -> str:
    command = SubmitResponse(body=orjson.dumps({"answers": answers}), slug="party")
    return (await responses.submit(owner(), command)).id


async def test_an_empty_form_has_a_header(database: Database) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    (chunk,) = await chunks_of(Responses(database), acme, form.id)
    text = chunk.content.decode()
    assert text.startswith(BOM)
    assert text.endswith("\r\n")
    (header,) = csv.reader(io.StringIO(text.removeprefix(BOM)))
    assert header[:4] == FIXED
    assert header[4:6] == ["Your name", "E-mail"]


async def test_every_answer_is_in_its_column(database: Database) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    first = await submit(responses, {**ANSWERS, "side": ["corn", "yams"]})
    second = await submit(responses, {"name": 'Zoë "Z",\nnewline', "email": "zoe@example.org"})
    one, other = table(await chunks_of(responses, acme, form.id))
    assert (one["Response ID"], one["Version"], one["Status"]) == (first, "1", "complete")
    assert one["Submitted at"] == (await responses.get(acme, first)).submitted_at.isoformat()
    assert {"Ada", "ada@example.org", "Corn", "Yams", "9"} <= {
        part for cell in one.values() for part in cell.split("; ")
    }
    assert (other["Response ID"], other["Your name"]) == (second, 'Zoë "Z",\nnewline')
    assert other["Recommend us?"] == ""


@pytest.mark.parametrize("dangerous", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "＝1"])
async def test_no_cell_is_a_formula(database: Database, dangerous: str) -> None:
    """X1: CSV injection."""
    acme = await make_tenant(database)
    definition = copy.deepcopy(PARTY)
    definition["pages"][0]["elements"][0]["title"] = dangerous
    form = await make_form(database, acme, definition=definition)
    responses = Responses(database)
    await submit(responses, {**ANSWERS, "name": dangerous})
    ((name, cell),) = [
        pair for row in table(await chunks_of(responses, acme, form.id)) for pair in list(row.items())[4:5]
    ]
    assert (name, cell) == ("'" + dangerous, "'" + dangerous)


async def test_columns_of_all_versions_are_there(database: Database) -> None:
    """X1: stable columns; what one version lacks is empty in its rows."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses, forms = Responses(database), Forms(database)
    old = await submit(responses, ANSWERS)
    later = copy.deepcopy(PARTY)
    later["pages"][0]["elements"] = [
        later["pages"][0]["elements"][1],
        {"id": "wine", "type": "short_text", "title": "Wine"},
    ]
    await forms.update(acme, form.id, UpdateForm(definition=later))
    await forms.publish(acme, form.id)
    new = await submit(Responses(database), {"email": "zoe@example.org", "wine": "Riesling"})
    first, second = table(await chunks_of(responses, acme, form.id))
    assert (first["Response ID"], first["Version"], first["Your name"], first["Wine"]) == (old, "1", "Ada", "")
    assert (second["Response ID"], second["Version"], second["Your name"], second["Wine"]) == (new, "2", "", "Riesling")
    assert first["E-mail"], second["E-mail"]


async def test_a_long_file_comes_in_pieces_without_gap_or_repetition(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X1: more than a thousand rows, several at one moment, and a publication midway that bends no column."""
    monkeypatch.setattr(exporting, "_CHUNK_ROWS", 1_000)
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses, forms = Responses(database), Forms(database)
    rows = [
        ImportRow(key=f"row-{n}", line=n, answers={"name": f"person {n}", "email": "a@example.org"})
        for n in range(2500)
    ]
    for start in range(0, len(rows), 500):
        await responses.import_rows(acme, form.id, rows[start : start + 500])
    first = await responses.export_chunk(acme, form.id, None)
    later = copy.deepcopy(PARTY)
    later["pages"][0]["elements"].insert(0, {"id": "wine", "type": "short_text", "title": "Wine"})
    await forms.update(acme, form.id, UpdateForm(definition=later))
    await forms.publish(acme, form.id)
    chunks = [first]
    while (cursor := chunks[-1].next_cursor) is not None:
        chunks.append(await responses.export_chunk(acme, form.id, cursor))
    assert [chunk.rows for chunk in chunks] == [1000, 1000, 500]
    assert [chunk.content.count(b"\r\n") for chunk in chunks] == [1001, 1000, 500]
    assert [chunk.content.startswith(BOM.encode()) for chunk in chunks] == [True, False, False]
    found = table(chunks)
    assert [row["Your name"] for row in found] == [f"person {n}" for n in range(2500)]
    assert "Wine" not in found[0]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        "%%%",
        encode_cursor("-id", ["a", "b", "c"]),
        encode_cursor("export", ["a", "b"]),
        base64.urlsafe_b64encode(b'["export", 1, 2, 3]').decode(),
        base64.urlsafe_b64encode(b'{"export": 1}').decode(),
    ],
)
async def test_a_forged_cursor_is_refused(database: Database, cursor: str) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    with pytest.raises(Invalid) as caught:
        await Responses(database).export_chunk(acme, form.id, cursor)
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/cursor", "cursor.invalid")]


async def test_a_form_that_is_not_there_has_no_export(database: Database) -> None:
    """T5: another tenant's, one in the trash, one that was never published."""
    acme = await make_tenant(database)
    await make_tenant(database, "globex")
    form = await make_form(database, acme)
    draft = await make_form(database, acme, slug="draft", publish=False)
    responses = Responses(database)
    for principal, form_id in ((owner("globex"), form.id), (acme, "frm_none"), (acme, draft.id)):
        with pytest.raises(FormNotFound):
            await responses.export_chunk(principal, form_id, None)
    await Forms(database).delete(acme, form.id)
    with pytest.raises(FormNotFound):
        await responses.export_chunk(acme, form.id, None)
