"""U7: the audit trail is complete, cannot be edited, and shows when somebody did."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db.engine import owner_engine
from db.repositories.audit import Deed
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.audit.contracts import FindEntries, Verification
from deployments.audit.deployment import Audit
from deployments.kit.audit import audit
from deployments.kit.errors import Forbidden
from deployments.kit.principal import Principal
from eventing.events.envelope import Origin
from tests.factories import make_tenant
from tests.serve_app.one_process import one_process, settings_for

ORIGIN = Origin("req-1", "192.0.2.1", "agent")
ADMIN = Principal("acme", "usr_1", "user", scopes=frozenset({"audit:read"}), origin=ORIGIN)
ALL = FindEntries()


async def _tenants(database: Database) -> None:
    for tenant_id in ("acme", "other"):
        await make_tenant(database, tenant_id)


async def _deed(database: Database, number: int, tenant_id: str = "acme") -> None:
    async with database.write(tenant_id) as unit:
        audit(unit, ADMIN, "thing.done", f"thing_{number}", number=number)


async def _verified(database: Database) -> Verification:
    return await Audit(database).verify(ADMIN)


async def test_parallel_writers_make_one_chain_without_gaps(database: Database) -> None:
    """U7: every entry follows from exactly one other, whoever writes at the same time."""
    await _tenants(database)
    await asyncio.gather(*(_deed(database, number) for number in range(20)))
    await _deed(database, 0, "other")

    found = await _verified(database)
    page = await Audit(database).list_entries(ADMIN, ALL, None, 100)

    assert (found.valid, found.entries, found.head.sequence) == (True, 20, 20)
    assert [entry.sequence for entry in page.data] == list(range(20, 0, -1))
    assert {entry.details["number"] for entry in page.data} == set(range(20))
    assert {(e.actor, e.address, e.user_agent, e.request_id) for e in page.data} == {
        ("usr_1", "192.0.2.1", "agent", "req-1")
    }
    assert await Audit(database).holds(ADMIN, 7, page.data[13].hash)
    assert not await Audit(database).holds(ADMIN, 6, page.data[13].hash)


async def test_what_did_not_happen_is_not_written_down(database: Database) -> None:
    """U7: the entry is in the transaction of the change."""
    await _tenants(database)

    async def fail() -> None:
        async with database.write("acme") as unit:
            audit(unit, ADMIN, "thing.done", "thing_1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()

    assert (await _verified(database)).head.sequence == 0


@pytest.mark.parametrize("statement", ["UPDATE audit_entry SET actor = 'usr_2'", "DELETE FROM audit_entry"])
async def test_the_database_refuses_to_change_an_entry(database: Database, statement: str) -> None:
    """U7: append-only, for the platform itself too."""
    await _tenants(database)
    await _deed(database, 1)

    async def change() -> None:
        async with database.write("acme") as unit:
            await unit.session.execute(text(statement))

    with pytest.raises(DBAPIError, match=r"never changed|permission denied"):
        await change()

    assert (await _verified(database)).entries == 1


TAMPERINGS: dict[str, tuple[str, int]] = {
    "a changed field": ("UPDATE audit_entry SET actor = 'usr_2' WHERE sequence = 3", 3),
    "a changed detail": ("UPDATE audit_entry SET details = '{\"number\":9}' WHERE sequence = 2", 2),
    "a missing entry": ("DELETE FROM audit_entry WHERE sequence = 2", 2),
    "a missing end": ("DELETE FROM audit_entry WHERE sequence = 5", 5),
    "a shortened chain": (
        "DELETE FROM audit_entry WHERE sequence > 3; UPDATE audit_head SET sequence = 3",
        4,
    ),
    "another order": (
        "UPDATE audit_entry SET sequence = 99 WHERE sequence = 2; UPDATE audit_entry SET sequence = 2"
        " WHERE sequence = 3; UPDATE audit_entry SET sequence = 3 WHERE sequence = 99",
        2,
    ),
}


@pytest.mark.parametrize("case", TAMPERINGS)
async def test_tampering_shows(database: Database, case: str) -> None:
    """U7: even who may do everything to the database cannot change an entry unnoticed."""
    statements, broken = TAMPERINGS[case]
    await _tenants(database)
    for number in range(5):
        await _deed(database, number)
    await _tamper(database.settings, statements)

    found = await _verified(database)

    assert (found.valid, found.first_broken) == (False, broken)


async def _tamper(settings: DatabaseSettings, statements: str) -> None:
    engine = owner_engine(settings)
    async with engine.begin() as connection:
        if settings.is_sqlite:
            for trigger in ("audit_entry_is_not_updated", "audit_entry_is_not_deleted"):
                await connection.execute(text(f"DROP TRIGGER {trigger}"))
        else:
            await connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements.split(";"):
            await connection.exec_driver_sql(statement)
    await engine.dispose()


FILTERS: dict[str, tuple[FindEntries, Callable[[int], bool]]] = {
    "entity": (FindEntries(entity_id="thing_2"), lambda number: number == 2),
    "action": (FindEntries(action="thing.done"), lambda _: True),
    "no such action": (FindEntries(action="thing.undone"), lambda _: False),
    "actor": (FindEntries(actor="usr_1"), lambda _: True),
    "another actor": (FindEntries(actor="usr_2"), lambda _: False),
}


@pytest.mark.parametrize("case", FILTERS)
async def test_filters(database: Database, case: str) -> None:
    query, expected = FILTERS[case]
    await _tenants(database)
    for number in range(4):
        await _deed(database, number)

    page = await Audit(database).list_entries(ADMIN, query, None, 100)

    assert sorted(e.details["number"] for e in page.data) == [number for number in range(4) if expected(number)]


async def test_a_forms_entries(database: Database) -> None:
    await _tenants(database)
    async with database.write("acme") as unit:
        for form_id in ("frm_1", "frm_2", None):
            deed = Deed(
                at=utc_now(), actor="usr_1", action="thing.done", entity_id="thing_1", form_id=form_id, details={}
            )
            unit.audit(deed)

    page = await Audit(database).list_entries(ADMIN, FindEntries(form_id="frm_2"), None, 100)

    assert [entry.form_id for entry in page.data] == ["frm_2"]


async def test_pages_and_times(database: Database) -> None:
    await _tenants(database)
    for number in range(5):
        await _deed(database, number)
    api = Audit(database)

    first = await api.list_entries(ADMIN, ALL, None, 2)
    second = await api.list_entries(ADMIN, ALL, first.meta.next_cursor, 2)
    third = await api.list_entries(ADMIN, ALL, second.meta.next_cursor, 2)
    middle = second.data[0]
    since = await api.list_entries(ADMIN, FindEntries(since=middle.at), None, 100)
    until = await api.list_entries(ADMIN, FindEntries(until=middle.at), None, 100)

    assert [[e.sequence for e in page.data] for page in (first, second, third)] == [[5, 4], [3, 2], [1]]
    assert third.meta.next_cursor is None
    assert [e.sequence for e in since.data] == [5, 4, 3]
    assert [e.sequence for e in until.data] == [2, 1]


async def test_the_trail_needs_its_permission(database: Database) -> None:
    """U5: reading, exporting and verifying alike."""
    await _tenants(database)
    viewer = Principal("acme", "usr_2", "user", scopes=frozenset({"forms:read"}))
    for call in (Audit(database).list_entries(viewer, ALL, None, 1), Audit(database).verify(viewer)):
        with pytest.raises(Forbidden):
            await call


async def test_over_http(database_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """U7: who did what, seen by those who may, in their own tenant."""
    settings = settings_for(tmp_path, database_settings)
    async with one_process(settings, monkeypatch, works=False) as platform:
        owner, stranger = await platform.sign_up(), await platform.sign_up("other")
        form = {"slug": "party", "title": "Party", "definition": {"pages": []}}
        form["definition"] = {"pages": [{"id": "p", "elements": [{"id": "n", "type": "short_text", "title": "N"}]}]}
        form_id = (await owner.post("/api/v1/forms", json=form)).json()["id"]
        hook = {"url": "https://example.com/hook", "events": ["response.submitted"]}
        secret = (await owner.post("/api/v1/webhooks", json=hook)).json()["secret"]
        key = (await owner.post("/api/v1/api-keys", json={"name": "ci", "scopes": ["forms:read"]})).json()["key"]

        entries = (await owner.get("/api/v1/audit?limit=100")).json()["data"]
        monkeypatch.setattr("serve_app.edge.routes.audit._PIECE", 2)
        exported = await owner.get("/api/v1/audit.jsonl")

        actions = [entry["action"] for entry in reversed(entries)]
        assert actions == [
            *("tenant.created", "user.registered", "form.created"),
            *("webhook.created", "webhook.secret_shown", "api_key.created"),
        ]
        assert [json.loads(line) for line in exported.text.splitlines()] == entries
        assert secret not in exported.text
        assert key not in exported.text
        assert entries[3]["entity_id"] == form_id
        assert all(entry["address"] == "127.0.0.1" for entry in entries)
        assert (await owner.get("/api/v1/audit/verification")).json()["valid"] is True
        assert form_id not in (await stranger.get("/api/v1/audit")).text
        answer = await platform.client(key).get("/api/v1/audit")
        assert answer.status_code == 403
