"""The streamed export: whole, or visibly broken."""

import httpx
import pytest
from structlog.testing import capture_logs

from deployments.kit.errors import NotFound, Unavailable
from deployments.responses.contracts import ExportChunk
from tests.serve_app.edge.fakes import Fakes
from tests.serve_app.edge.test_answers import problem

PATH = "/api/v1/forms/frm_1/responses.csv"


async def test_the_pieces_make_one_file(owner: httpx.AsyncClient, fakes: Fakes) -> None:
    pieces = ["id,name\r\n", "", "1,Ada\r\n" * 20_000, "2,Bob\r\n"]
    fakes.responses.chunks = [
        ExportChunk(content=piece.encode(), next_cursor=str(n + 1) if n + 1 < len(pieces) else None)
        for n, piece in enumerate(pieces)
    ]
    response = await owner.get(PATH)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="responses-frm_1.csv"'
    assert response.text == "".join(pieces)
    assert (await owner.get("/health")).status_code == 200, "the connection goes on"


async def test_a_failure_before_the_first_piece_is_a_problem(owner: httpx.AsyncClient, fakes: Fakes) -> None:
    fakes.responses.chunks = [NotFound("There is no such form.")]
    problem(await owner.get(PATH), 404, "not_found")


@pytest.mark.parametrize("failure", [Unavailable(), RuntimeError("a defect")])
async def test_a_failure_after_it_breaks_the_connection(
    owner: httpx.AsyncClient, fakes: Fakes, failure: Exception
) -> None:
    fakes.responses.chunks = [ExportChunk(content=b"id,name\r\n", next_cursor="1"), failure]
    with capture_logs() as logs, pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await owner.get(PATH)
    assert "stream broken" in [log["event"] for log in logs]
