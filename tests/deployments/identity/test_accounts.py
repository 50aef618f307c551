"""U1, U2: people are changed, deactivated and logged out; the tenant keeps an owner."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from db.settings import DatabaseSettings
from deployments.identity.contracts import ChangePassword, CreateUser, LogIn, Refresh, Session, UpdateUser
from deployments.identity.deployment import Identity
from deployments.identity.errors import (
    LastOwner,
    LoginFailed,
    OwnAccess,
    RoleTooHigh,
    SessionNotFound,
    UserNotFound,
)
from deployments.kit.errors import DomainError, Forbidden, Invalid, Unauthenticated
from deployments.kit.principal import Principal
from tests.deployments.identity.conftest import ORIGIN, PASSWORD, RecordedEvents, login_of, signup_of
from tests.serve_app.one_process import one_process, settings_for

NEW_PASSWORD = "another horse battery"


async def _owner(identity: Identity, tenant: str = "acme") -> tuple[Principal, Session]:
    await identity.sign_up(ORIGIN, signup_of(tenant))
    return await _in(identity, login_of(tenant))


async def _in(identity: Identity, login: LogIn) -> tuple[Principal, Session]:
    session = await identity.log_in(replace(ORIGIN, user_agent="test"), login)
    return replace(await identity.authenticate(session.access_token), origin=ORIGIN), session


async def _person(identity: Identity, owner: Principal, name: str, role: str) -> str:
    new = CreateUser(email=f"{name}@example.com", password=PASSWORD, name=name, role=role)  # type: ignore[arg-type]
    return (await identity.create_user(owner, new)).id


async def test_who_is_deactivated_is_out_at_once(identity: Identity, events: RecordedEvents) -> None:
    """U1: tokens, refresh tokens and the password stop working with the commit, and work again afterwards."""
    owner, _ = await _owner(identity)
    ann = await _person(identity, owner, "ann", "editor")
    _, session = await _in(identity, login_of("acme", "ann@example.com"))

    changed = await identity.update_user(owner, ann, UpdateUser(status="deactivated", name="Ann"))

    assert (changed.status, changed.name, changed.role) == ("deactivated", "Ann", "editor")
    with pytest.raises(Unauthenticated):
        await identity.authenticate(session.access_token)
    with pytest.raises(Unauthenticated):
        await identity.refresh(ORIGIN, Refresh(refresh_token=session.refresh_token))
    with pytest.raises(LoginFailed):
        await identity.log_in(ORIGIN, login_of("acme", "ann@example.com"))
    await identity.update_user(owner, ann, UpdateUser(status="active"))
    await _in(identity, login_of("acme", "ann@example.com"))
    with pytest.raises(Unauthenticated):
        await identity.authenticate(session.access_token)
    assert [e.type for e in await events("acme")].count("user.updated") == 2


async def test_a_new_role_holds_at_once(identity: Identity) -> None:
    """U5: rights are those of this moment, not those in the token."""
    owner, _ = await _owner(identity)
    ann = await _person(identity, owner, "ann", "editor")
    person, session = await _in(identity, login_of("acme", "ann@example.com"))
    assert person.may("forms:write")

    await identity.update_user(owner, ann, UpdateUser(role="viewer"))

    assert not (await identity.authenticate(session.access_token)).may("forms:write")


async def test_who_may_change_whom(identity: Identity) -> None:
    """U5: nobody gives or takes rights above their own, nor changes their own; others' people are not there."""
    owner, _ = await _owner(identity)
    stranger, _ = await _owner(identity, "other")
    admin_id, ann = await _person(identity, owner, "adam", "admin"), await _person(identity, owner, "ann", "viewer")
    admin, _ = await _in(identity, login_of("acme", "adam@example.com"))
    refusals: list[tuple[Principal, str, UpdateUser, type[DomainError]]] = [
        (admin, owner.subject, UpdateUser(role="viewer"), RoleTooHigh),
        (admin, ann, UpdateUser(role="owner"), RoleTooHigh),
        (admin, admin_id, UpdateUser(role="viewer"), OwnAccess),
        (owner, owner.subject, UpdateUser(status="deactivated"), OwnAccess),
        (stranger, ann, UpdateUser(name="Mine"), UserNotFound),
        (stranger, "usr_0", UpdateUser(name="Mine"), UserNotFound),
        (replace(owner, scopes=frozenset()), ann, UpdateUser(name="Mine"), Forbidden),
    ]
    for principal, user_id, command, error in refusals:
        with pytest.raises(error):
            await identity.update_user(principal, user_id, command)
    assert (await identity.get_user(owner, ann)).name == "ann"
    assert (await identity.update_user(owner, owner.subject, UpdateUser(name="Olga O."))).name == "Olga O."


async def test_of_two_owners_one_stays(identity: Identity) -> None:
    """U1: two owners who demote each other at the same moment do not leave the tenant to nobody."""
    olga, _ = await _owner(identity)
    otto_id = await _person(identity, olga, "otto", "owner")
    otto, _ = await _in(identity, login_of("acme", "otto@example.com"))
    demote, promote = UpdateUser(role="viewer"), UpdateUser(role="owner")

    # In the first round one of them may be alone, while the other's connection is still being made.
    for _ in range(3):
        outcomes = await asyncio.gather(
            identity.update_user(olga, otto_id, demote),
            identity.update_user(otto, olga.subject, demote),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes].count(LastOwner) == 1
        await identity.update_user(olga, otto_id, promote)
        await identity.update_user(otto, olga.subject, promote)


async def test_a_new_password_ends_the_other_sessions(identity: Identity, events: RecordedEvents) -> None:
    """U1: whoever knew the old password is out; the session that changed it stays."""
    owner, mine = await _owner(identity)
    _, other = await _in(identity, login_of("acme"))

    change = ChangePassword(current_password="wrong password", new_password=NEW_PASSWORD)
    with pytest.raises(Invalid) as caught:
        await identity.change_password(owner, change)
    assert [fault.pointer for fault in caught.value.faults] == ["/current_password"]
    await identity.change_password(owner, ChangePassword(current_password=PASSWORD, new_password=NEW_PASSWORD))

    await identity.authenticate(mine.access_token)
    with pytest.raises(Unauthenticated):
        await identity.authenticate(other.access_token)
    with pytest.raises(LoginFailed):
        await identity.log_in(ORIGIN, login_of("acme"))
    await identity.log_in(ORIGIN, login_of("acme", password=NEW_PASSWORD))
    assert "user.password_changed" in [e.type for e in await events("acme")]


async def test_sessions_are_seen_and_ended(identity: Identity) -> None:
    """U2: one's own by oneself, a person's by those who manage people; the tokens stop working at once."""
    owner, mine = await _owner(identity)
    _, other = await _in(identity, login_of("acme"))
    await identity.refresh(ORIGIN, Refresh(refresh_token=other.refresh_token))

    shown = (await identity.list_sessions(owner, owner.subject)).data
    # Signing up opened the third.
    assert [(s.current, s.user_agent) for s in shown] == [(False, ""), (True, "test"), (False, "")]
    assert shown[0].created_at < shown[0].last_used_at
    assert {s.address for s in shown} == {ORIGIN.address}

    await identity.revoke_session(owner, owner.subject, shown[0].id)
    with pytest.raises(Unauthenticated):
        await identity.authenticate(other.access_token)
    with pytest.raises(SessionNotFound):
        await identity.revoke_session(owner, owner.subject, shown[0].id)
    await identity.revoke_sessions(owner, owner.subject)
    assert [s.current for s in (await identity.list_sessions(owner, owner.subject)).data] == [True]
    await identity.authenticate(mine.access_token)


async def test_another_persons_sessions(identity: Identity) -> None:
    """U2, T5: a viewer sees their own only; another tenant's owner finds nobody."""
    owner, _ = await _owner(identity)
    stranger, _ = await _owner(identity, "other")
    ann = await _person(identity, owner, "ann", "viewer")
    viewer, session = await _in(identity, login_of("acme", "ann@example.com"))

    with pytest.raises(Forbidden):
        await identity.list_sessions(viewer, owner.subject)
    for principal in (stranger, replace(stranger, subject="usr_0")):
        with pytest.raises(UserNotFound):
            await identity.revoke_sessions(principal, ann)
    with pytest.raises(SessionNotFound):
        await identity.revoke_session(viewer, ann, owner.session_id)

    await identity.revoke_sessions(owner, ann)
    with pytest.raises(Unauthenticated):
        await identity.authenticate(session.access_token)


async def test_over_http_the_session_that_asks_is_known(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U2: the edge passes on which session a token belongs to."""
    settings = settings_for(tmp_path, sqlite_settings)
    async with one_process(settings, monkeypatch, works=False) as platform:
        owner = await platform.sign_up()
        change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        assert (await owner.post("/api/v1/auth/password/change", json=change)).status_code == 204
        shown = (await owner.get("/api/v1/sessions")).json()["data"]
        assert [session["current"] for session in shown] == [True]
        assert (await owner.delete("/api/v1/sessions")).status_code == 204
        assert (await owner.get("/api/v1/me")).status_code == 200
