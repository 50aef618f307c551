"""X1: an export has the responses and the columns that were asked for."""

import csv
import io
from typing import Any

import pytest

from db.session import Database
from deployments.kit.errors import Invalid
from deployments.kit.principal import Principal
from deployments.responses.contracts import ExportResponses
from deployments.responses.deployment import Responses
from deployments.responses.exporting import chunks
from tests.deployments.responses.query import survey
from tests.factories import make_form, make_tenant


async def exported(responses: Responses, principal: Principal, form_id: str, **wanted: Any) -> list[list[str]]:
    content = b""
    cursor: str | None = None
    while True:
        chunk = await responses.export_chunk(principal, form_id, cursor, ExportResponses(**wanted))
        content += chunk.content
        cursor = chunk.next_cursor
        if cursor is None:
            return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


async def test_rows_and_columns_are_chosen(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "_CHUNK_ROWS", 7)
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    responses = Responses(database)
    await survey.fill(responses, acme, form.id, 50, seed=4)
    known = await survey.given(responses, acme, form.id)
    wanted: dict[str, Any] = {"score": {"gte": 3}, "many": {"any": "corn"}}
    expected = known.ids({"score": {"gte": 3}, "many": {"any": ["corn"]}})
    head, *rows = await exported(responses, acme, form.id, filter=wanted, columns=["score", "many", "name"])
    assert [row[0] for row in rows] == expected
    assert len(expected) > 7
    titles = ["Score", "Many - Corn", "Many - Yams", "Many - Rice", "Many - Other", "Name"]
    assert head == ["Response ID", "Submitted at", "Version", "Status", *titles]
    head, *rows = await exported(responses, acme, form.id, columns=["many.yams"], where="score = 10", q="house*")
    assert head[4:] == ["Many - Yams"]
    found = {each.id for each in known.responses if "hous" in " ".join(survey.texts_of(each.answers))}
    assert [row[0] for row in rows] == [id_ for id_ in known.ids({"score": {"eq": 10}}) if id_ in found]


@pytest.mark.parametrize(
    ("wanted", "pointer", "code"),
    [
        ({"columns": ["name", "nothing"]}, "/columns", "columns.unknown"),
        ({"filter": {"nothing": "x"}}, "/filter/nothing", "filter.unknown_field"),
    ],
)
async def test_what_there_is_not_is_refused(database: Database, wanted: Any, pointer: str, code: str) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    with pytest.raises(Invalid) as caught:
        await exported(Responses(database), acme, form.id, **wanted)
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [(pointer, code)]
