"""X1: an export has the responses and the columns that were asked for."""

import csv
import io
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from db.session import Database
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.identity.contracts import scopes_of
from deployments.kit.errors import Invalid
from deployments.kit.principal import Principal
from deployments.responses.contracts import ExportResponses, ImportRow
from deployments.responses.deployment import Responses
from deployments.responses.exporting import chunks
from tests.deployments.responses.query import survey
from tests.factories import make_form, make_tenant


async def exported(
    responses: Responses,
    principal: Principal,
    form_id: str,
    between: Callable[[], Awaitable[object]] | None = None,
    **wanted: Any,
) -> list[list[str]]:
    """The rows; `between` happens before each chunk but the first."""
    content = b""
    cursor: str | None = None
    while True:
        if cursor is not None and between is not None:
            await between()
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


async def test_a_publication_midway_does_not_bend_the_table(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X1: an export ends with the columns that it began with."""
    monkeypatch.setattr(chunks, "_CHUNK_ROWS", 2)
    acme = await make_tenant(database)
    elements = [{"id": "name", "type": "short_text", "title": "Name"}]
    form = await make_form(database, acme, definition={"pages": [{"id": "p1", "elements": elements}]})
    responses, forms = Responses(database), Forms(database)
    given = [ImportRow(key=name, line=line, answers={"name": name}) for line, name in enumerate("abcde", 1)]
    await responses.import_rows(acme, form.id, given)

    async def publish() -> None:
        elements.insert(0, {"id": f"new{len(elements)}", "type": "short_text", "title": "New"})
        await forms.update(acme, form.id, UpdateForm(definition={"pages": [{"id": "p1", "elements": elements}]}))
        await forms.publish(acme, form.id)

    head, *rows = await exported(responses, acme, form.id, between=publish)
    assert head[4:] == ["Name"]
    assert [row[4:] for row in rows] == [[name] for name in "abcde"]


async def test_a_tag_is_of_what_is_in_the_file(database: Database) -> None:
    """X1: who sees more, asks for something else, or asks after a change or a publication gets another one."""
    acme = await make_tenant(database)
    viewer = Principal("acme", "usr_v", "user", "viewer", scopes_of("viewer"))
    name = {"id": "name", "type": "short_text", "title": "Name", "personal": True}
    form = await make_form(database, acme, definition={"pages": [{"id": "p1", "elements": [name]}]})
    responses, forms = Responses(database), Forms(database)

    async def tag(who: Principal = acme, **wanted: Any) -> str:
        return (await responses.export_state(who, form.id, ExportResponses(**wanted))).tag

    tags = [await tag(), await tag(viewer), await tag(labels=False)]
    await responses.import_rows(acme, form.id, [ImportRow(key="1", line=1, answers={"name": "Ada"})])
    tags.append(await tag())
    await forms.update(acme, form.id, UpdateForm(title="Feast"))
    await forms.publish(acme, form.id)
    tags.append(await tag())
    assert len(set(tags)) == len(tags)
    assert await tag() == tags[-1]


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
