"""Z: the examples of docs/reference/query.md are what the platform takes."""

import json
import re
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from db.session import Database
from deployments.responses.contracts import ListResponses
from deployments.responses.deployment import Responses
from serve_app.edge.parsing import parse_query
from serve_app.edge.routes.responses import ResponsesQuery
from tests.architecture.rooms import ROOT
from tests.factories import make_form, make_tenant

PAGE = (ROOT / "docs" / "reference" / "query.md").read_text()


def lines_of(kind: str) -> list[str]:
    return [line for block in re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


QUERIES = [*lines_of("query"), *(f"where={quote(line)}" for line in lines_of("where"))]


async def test_every_example_is_answered(database: Database) -> None:
    acme = await make_tenant(database)
    definition: Any = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])
    form = await make_form(database, acme, definition=definition)
    assert len(QUERIES) > 15
    for line in QUERIES:
        request: Any = SimpleNamespace(query_string=line.replace(" ", "+"))
        asked = parse_query(request, ResponsesQuery).model_dump()
        fields = asked.pop("fields")
        query = ListResponses(form_id=form.id, fields=fields.split(",") if fields else None, **asked)
        assert (await Responses(database).list_responses(acme, query)).data == []


@pytest.mark.parametrize("code", re.findall(r"`((?:filter|where|search|sort|fields|columns|cursor)\.[a-z_]+)`", PAGE))
def test_every_code_is_one_of_the_platform(code: str) -> None:
    sources = [source for room in ("responses", "kit") for source in (ROOT / "deployments" / room).rglob("*.py")]
    assert any(f'"{code}"' in source.read_text() for source in sources)
