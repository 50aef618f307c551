"""U1: what has expired is forgotten, a day at a time, in bounded steps."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from db.models.invitations import Invitation
from db.models.link_tokens import LinkToken
from db.session import Database
from db.types import new_id, utc_now
from deployments.identity.contracts import LogIn
from deployments.identity.deployment import Identity
from deployments.identity.errors import LoginFailed
from deployments.identity.invitation_contracts import CreateInvitation
from deployments.identity.service import pruning
from deployments.kit.principal import PLATFORM_TENANT, Principal
from eventing.jobs import Done
from tests.deployments.identity.conftest import ORIGIN, login_of
from tests.deployments.identity.letterbox import Letterbox
from tests.eventing.harness import rows
from tests.eventing.jobs.harness import order

OLD = utc_now() - pruning.KEPT - timedelta(days=1)


async def _links(database: Database, user_id: str, count: int, **changes: Any) -> None:
    async with database.write("acme") as unit:
        for _ in range(count):
            secret = new_id("x")
            row = {"expires_at": OLD, "token_hash": secret, "created_at": OLD, **changes}
            unit.session.add(
                LinkToken(tenant_id="acme", id=new_id("lnk"), user_id=user_id, purpose="p", email="e", **row)
            )


async def _counts(database: Database) -> dict[str, int]:
    async with database.unscoped_read() as unit:
        return {
            table: await unit.session.scalar(text(f"SELECT count(*) FROM {table}")) or 0
            for table in ("link_token", "invitation", "refresh_token", "login_attempts")
        }


async def test_the_expired_goes_and_the_rest_stays(
    identity: Identity, owner: Principal, stranger: Principal, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U1: of every tenant, in batches, exactly what expired thirty days ago; attempts as soon as they have ended."""
    monkeypatch.setattr(pruning, "_BATCH", 7)
    for email in ("ada@example.com", "grace@example.com"):
        await identity.create_invitation(owner, CreateInvitation(email=email))
    with pytest.raises(LoginFailed):
        await identity.log_in(ORIGIN, LogIn(tenant="acme", email="olga@example.com", password="wrong password"))
    await identity.log_in(ORIGIN, login_of("other"))
    before = await _counts(database)
    await _links(database, owner.subject, 20)
    await _links(database, owner.subject, 3, expires_at=utc_now() - timedelta(days=29))
    async with database.unscoped_write() as unit:
        at = {"at": OLD.isoformat(timespec="microseconds") if database.is_sqlite else OLD}
        await unit.session.execute(text("UPDATE refresh_token SET expires_at = :at WHERE tenant_id = 'other'"), at)
        await unit.session.execute(text("UPDATE invitation SET expires_at = :at WHERE email LIKE 'ada%'"), at)
        await unit.session.execute(text("UPDATE login_attempts SET expires_at = :at WHERE failed > 0"), at)

    removed = await pruning.prune(database, lambda: False)

    after = await _counts(database)
    assert removed["link_tokens"] == 20
    assert removed["invitations"] == 1
    assert removed["refresh_tokens"] == 2
    assert removed["login_attempts"] == 2
    assert after == {
        "link_token": before["link_token"] + 3,
        "invitation": 1,
        "refresh_token": before["refresh_token"] - 2,
        "login_attempts": before["login_attempts"] - 2,
    }
    assert [row.email for row in await rows(database, Invitation)] == ["grace@example.com"]
    assert (await identity.authenticate((await identity.log_in(ORIGIN, login_of("acme"))).access_token)).subject


async def test_it_stops_when_the_time_is_over(identity: Identity, owner: Principal, database: Database) -> None:
    await _links(database, owner.subject, 3)
    assert set((await pruning.prune(database, lambda: True)).values()) == {0}
    assert (await pruning.prune(database, lambda: False))["link_tokens"] == 3


async def test_the_job_says_what_it_removed(identity: Identity, owner: Principal, database: Database) -> None:
    """J: run again after its worker died, it finds nothing left."""
    await order(database, PLATFORM_TENANT, kind="identity.prune")
    box = Letterbox(database)
    (job,) = await box.jobs("identity.prune")
    await _links(database, owner.subject, 2)
    for attempt in (1, 2):
        done = await box.work(job, attempt=attempt)
        assert isinstance(done, Done)
        assert done.result is not None
        assert done.result["link_tokens"] == (2 if attempt == 1 else 0)
