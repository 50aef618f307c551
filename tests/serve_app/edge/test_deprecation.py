"""H1: an operation that is to go says so, in every answer and in the document."""

from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest

from serve_app.edge.deprecation import Deprecation
from serve_app.edge.routes import OPERATIONS

OLD = "/api/v1/forms/frm_1/submit"


async def test_every_answer_says_when_it_ends(owner: httpx.AsyncClient) -> None:
    taken = await owner.post(OLD, json={"answers": {}})
    refused = await owner.post(OLD, content=b"{")
    assert (taken.status_code, refused.status_code) == (201, 415)
    for answer in (taken, refused):
        assert answer.headers["deprecation"] == f"@{int(datetime(2026, 12, 1, tzinfo=UTC).timestamp())}"
        assert parsedate_to_datetime(answer.headers["sunset"]) == datetime(2027, 12, 1, tzinfo=UTC)
        assert answer.links["successor-version"]["url"] == "/api/v1/forms/frm_1/responses"
        assert answer.headers["x-api-version"] == "1"


async def test_others_say_nothing_of_an_end(owner: httpx.AsyncClient) -> None:
    answer = await owner.post("/api/v1/forms/frm_1/responses", json={"answers": {}})
    assert not {"deprecation", "sunset", "link"} & answer.headers.keys()


async def test_the_successor_is_another_operation_of_this_server(owner: httpx.AsyncClient) -> None:
    for operation in OPERATIONS:
        if operation.deprecated is not None and operation.deprecated.successor:
            assert operation.deprecated.successor in {other.path for other in OPERATIONS} - {operation.path}


async def test_what_an_address_holds_cannot_end_the_link(owner: httpx.AsyncClient) -> None:
    answer = await owner.post("/api/v1/forms/a%22%3E,%0D%0Ax/submit", json={"answers": {}})
    assert answer.status_code == 404
    assert "\n" not in answer.headers.get("link", "")
    assert ">," not in answer.headers.get("link", "")


async def test_the_document_says_it_too(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/api/v1/openapi.json")).json()["paths"]
    old = paths["/api/v1/forms/{form_id}/submit"]["post"]
    assert (old["deprecated"], old["x-sunset"]) == (True, "2027-12-01")
    assert old["responses"]["201"]["headers"].keys() >= {"Deprecation", "Sunset", "Link"}
    assert "deprecated" not in paths["/api/v1/forms/{form_id}/responses"]["post"]


def test_nobody_has_less_than_half_a_year() -> None:
    with pytest.raises(ValueError, match="half a year"):
        Deprecation(since=date(2026, 1, 1), sunset=date(2026, 6, 1))


def test_links_only_to_what_there_is() -> None:
    plain = Deprecation(since=date(2026, 1, 1), sunset=date(2027, 1, 1))
    guided = Deprecation(since=date(2026, 1, 1), sunset=date(2027, 1, 1), guide="https://example.org/change")
    assert "link" not in dict(plain.headers({}))
    assert dict(guided.headers({}))["link"] == '<https://example.org/change>; rel="deprecation"'
