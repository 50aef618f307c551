"""U1, U2: log in, refresh, log out, and who an access token stands for."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from db.models.identity import RefreshToken, Tenant, User
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.identity.contracts import LogIn, Refresh, Session, SignedUp
from deployments.identity.deployment import Identity
from deployments.identity.errors import LoginFailed
from deployments.identity.permissions import scopes_of
from deployments.identity.settings import IdentitySettings
from deployments.kit.errors import DomainError, TenantSuspended, Unauthenticated
from deployments.kit.principal import Principal
from tests.deployments.identity.conftest import ORIGIN, PASSWORD, VAULT, Person, RecordedEvents, login_of, signup_of


async def change(database: Database, model: Any, **values: Any) -> None:
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(model).values(**values))


async def refresh(identity: Identity, session: Session) -> Session:
    return await identity.refresh(ORIGIN, Refresh(refresh_token=session.refresh_token))


async def refuse(identity: Identity, session: Session) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await identity.authenticate(session.access_token)
    assert caught.value.detail == Unauthenticated.title


class TestLogIn:
    async def test_gives_a_session_of_the_tenant_and_records_it(
        self, identity: Identity, owner: Principal, events: RecordedEvents
    ) -> None:
        session = await identity.log_in(ORIGIN, login_of("acme"))
        assert (session.token_type, session.expires_in) == ("Bearer", 900)
        principal = await identity.authenticate(session.access_token)
        assert (principal.tenant_id, principal.subject, principal.kind) == ("acme", owner.subject, "user")
        assert (principal.role, principal.scopes) == ("owner", scopes_of("owner"))
        last = (await events("acme"))[-1]
        assert (last.type, last.entity_id) == ("user.logged_in", owner.subject)
        assert '"192.0.2.7"' in last.envelope

    @pytest.mark.parametrize("email", ["OLGA@example.com", "olga@EXAMPLE.COM"])
    async def test_takes_any_case_of_the_email(self, identity: Identity, acme: SignedUp, email: str) -> None:
        assert await identity.log_in(ORIGIN, login_of("acme", email))

    async def test_takes_any_spelling_of_the_email(self, identity: Identity) -> None:
        await identity.sign_up(ORIGIN, signup_of("acme", "jose\u0301@xn--mnchen-3ya.de"))
        assert await identity.log_in(ORIGIN, login_of("acme", "JOS\u00c9@M\u00fcnchen.de"))
        assert await identity.log_in(ORIGIN, login_of("acme", "jose\u0301@xn--mnchen-3ya.de"))

    @pytest.mark.parametrize(
        "command",
        [
            login_of("acme", password="wrong password"),
            login_of("acme", "nobody@example.com"),
            login_of("nowhere"),
            login_of(None),
            login_of("_platform"),
            login_of("Acme"),
            login_of("ac\0me"),
            login_of("acme\n"),
            login_of("acme", password=""),
        ],
    )
    async def test_answers_every_wrong_login_alike(self, identity: Identity, acme: SignedUp, command: LogIn) -> None:
        """U6: nothing tells whether the tenant or the account exists."""
        with pytest.raises(LoginFailed) as caught:
            await identity.log_in(ORIGIN, command)
        assert (caught.value.status, caught.value.code) == (401, "login.failed")
        assert caught.value.detail == LoginFailed.title

    async def test_checks_a_password_for_unknown_accounts_too(
        self, identity: Identity, acme: SignedUp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """U6: an unknown account costs the same hash."""
        checked: list[str] = []
        matches = PasswordHasher.verify

        def verify(self: PasswordHasher, hashed: str, password: bytes) -> bool:
            checked.append(hashed.split("$")[3])
            return matches(self, hashed, password)

        monkeypatch.setattr(PasswordHasher, "verify", verify)
        for command in (login_of("acme", password="wrong"), login_of("acme", "no@example.com"), login_of("nowhere")):
            with pytest.raises(LoginFailed):
                await identity.log_in(ORIGIN, command)
        assert checked == [checked[0]] * 3

    async def test_the_same_email_is_another_account_in_another_tenant(self, identity: Identity) -> None:
        """T4: the same e-mail may exist in two tenants."""
        first = await identity.sign_up(ORIGIN, signup_of("acme"))
        second = await identity.sign_up(ORIGIN, signup_of("other"))
        one, two = [await identity.authenticate(session.access_token) for session in (first, second)]
        assert (one.tenant_id, two.tenant_id) == ("acme", "other")
        assert one.subject != two.subject

    async def test_refuses_a_deactivated_person(self, identity: Identity, acme: SignedUp, database: Database) -> None:
        await change(database, User, status="deactivated")
        with pytest.raises(LoginFailed):
            await identity.log_in(ORIGIN, login_of("acme"))

    async def test_a_password_that_was_changed_meanwhile_opens_nothing(
        self, identity: Identity, acme: SignedUp, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Checking takes its time, with no transaction open: what was right may be so no more."""
        verify = identity.passwords.verify

        async def overtaken(hashed: str | None, password: str) -> bool:
            matches = await verify(hashed, password)
            await change(database, User, password_hash="of another password")
            return matches

        monkeypatch.setattr(identity.passwords, "verify", overtaken)
        with pytest.raises(LoginFailed):
            await identity.log_in(ORIGIN, login_of("acme"))

    async def test_tells_of_a_suspension_only_who_knows_the_password(
        self, identity: Identity, acme: SignedUp, database: Database
    ) -> None:
        """T2: suspended 403."""
        await change(database, Tenant, status="suspended")
        with pytest.raises(TenantSuspended) as caught:
            await identity.log_in(ORIGIN, login_of("acme"))
        assert (caught.value.status, caught.value.code) == (403, "tenant.suspended")
        with pytest.raises(LoginFailed):
            await identity.log_in(ORIGIN, login_of("acme", password="wrong"))

    async def test_answers_for_a_deleted_tenant_like_for_none(
        self, identity: Identity, acme: SignedUp, database: Database
    ) -> None:
        """U6: who knows the password learns no more than who does not."""
        await change(database, Tenant, status="deleted")
        with pytest.raises(LoginFailed):
            await identity.log_in(ORIGIN, login_of("acme"))

    async def test_refreshes_an_outdated_hash(self, identity: Identity, acme: SignedUp, database: Database) -> None:
        old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
        await change(database, User, password_hash=old)
        await identity.log_in(ORIGIN, login_of("acme"))
        async with database.read("acme") as unit:
            new = (await unit.session.execute(select(User.password_hash))).scalar_one()
        assert new != old
        assert not identity.passwords.is_outdated(new)
        assert await identity.log_in(ORIGIN, login_of("acme"))

    async def test_keeps_no_secret_in_the_clear(self, acme: SignedUp, database: Database) -> None:
        async with database.read("acme") as unit:
            token = (await unit.session.execute(select(RefreshToken))).scalar_one()
        assert acme.refresh_token[4:] not in repr(token)


class TestRefresh:
    async def test_gives_the_next_pair(self, identity: Identity, acme: SignedUp, owner: Principal) -> None:
        second = await refresh(identity, acme)
        third = await refresh(identity, second)
        assert len({acme.refresh_token, second.refresh_token, third.refresh_token}) == 3
        for session in (acme, second, third):
            assert (await identity.authenticate(session.access_token)).subject == owner.subject

    async def test_reuse_revokes_the_whole_family_and_no_other(self, identity: Identity, acme: SignedUp) -> None:
        """U2: reuse of an old refresh token revokes the family."""
        elsewhere = await identity.log_in(ORIGIN, login_of("acme"))
        second = await refresh(identity, acme)
        third = await refresh(identity, second)
        with pytest.raises(Unauthenticated):
            await refresh(identity, acme)
        for session in (acme, second, third):
            await refuse(identity, session)
            with pytest.raises(Unauthenticated):
                await refresh(identity, session)
        assert await identity.authenticate(elsewhere.access_token)
        assert await refresh(identity, elsewhere)

    async def test_of_two_at_the_same_moment_one_wins_and_the_family_ends(
        self, identity: Identity, acme: SignedUp, database_settings: DatabaseSettings, settings: IdentitySettings
    ) -> None:
        """U2: a token in two hands is a stolen token, however close together they come."""
        other_database = Database(database_settings)
        other = Identity(other_database, settings, VAULT)
        outcomes = await asyncio.gather(
            *(refresh(replica, acme) for replica in (identity, other) * 4), return_exceptions=True
        )
        await other_database.close()
        won = [outcome for outcome in outcomes if isinstance(outcome, Session)]
        assert len(won) == 1
        assert [type(outcome) for outcome in outcomes].count(Unauthenticated) == 7
        await refuse(identity, won[0])
        with pytest.raises(Unauthenticated):
            await refresh(identity, won[0])

    async def test_a_reuse_that_races_a_rotation_leaves_nothing_alive(
        self, identity: Identity, acme: SignedUp, database_settings: DatabaseSettings, settings: IdentitySettings
    ) -> None:
        """U2: the link that is being added is revoked as well."""
        other_database = Database(database_settings)
        other = Identity(other_database, settings, VAULT)
        session: Session = acme
        for _ in range(8):
            session, old = await refresh(identity, session), session
            rotated, _reused = await asyncio.gather(
                refresh(identity, session), refresh(other, old), return_exceptions=True
            )
            if isinstance(rotated, Session):
                await refuse(identity, rotated)
            await refuse(identity, session)
            session = await identity.log_in(ORIGIN, login_of("acme"))
        await other_database.close()

    @pytest.mark.parametrize("token", ["", "fsr_", "fsr_unknown", "x" * 512, "\0"])
    async def test_an_unknown_token_is_refused(self, identity: Identity, acme: SignedUp, token: str) -> None:
        with pytest.raises(Unauthenticated):
            await identity.refresh(ORIGIN, Refresh(refresh_token=token))

    async def test_rotation_does_not_prolong_the_session(
        self, identity: Identity, acme: SignedUp, database: Database
    ) -> None:
        """ASVS 10.4.8: the end of a family is absolute."""
        end = utc_now() + timedelta(seconds=5)
        await change(database, RefreshToken, expires_at=end)
        second = await refresh(identity, acme)
        async with database.read("acme") as unit:
            assert set((await unit.session.execute(select(RefreshToken.expires_at))).scalars()) == {end}
        await change(database, RefreshToken, expires_at=utc_now() - timedelta(seconds=1))
        with pytest.raises(Unauthenticated):
            await refresh(identity, second)

    async def test_a_suspended_tenants_token_is_refused_but_not_used_up(
        self, identity: Identity, acme: SignedUp, database: Database
    ) -> None:
        await change(database, Tenant, status="suspended")
        with pytest.raises(TenantSuspended):
            await refresh(identity, acme)
        await change(database, Tenant, status="active")
        assert await refresh(identity, acme)

    async def test_a_deactivated_persons_token_is_refused(
        self, identity: Identity, acme: SignedUp, database: Database
    ) -> None:
        await change(database, User, status="deactivated")
        with pytest.raises(Unauthenticated):
            await refresh(identity, acme)


class TestLogOut:
    async def test_ends_the_session_at_once_and_no_other(
        self, identity: Identity, acme: SignedUp, owner: Principal
    ) -> None:
        elsewhere = await identity.log_in(ORIGIN, login_of("acme"))
        await identity.log_out(owner, Refresh(refresh_token=acme.refresh_token))
        await refuse(identity, acme)
        with pytest.raises(Unauthenticated):
            await refresh(identity, acme)
        assert await identity.authenticate(elsewhere.access_token)
        await identity.log_out(owner, Refresh(refresh_token=acme.refresh_token))

    async def test_nobody_ends_the_session_of_somebody_else(
        self, identity: Identity, acme: SignedUp, stranger: Principal, person: Person
    ) -> None:
        """T5: neither in another tenant nor in the same."""
        for principal in (stranger, await person("admin")):
            await identity.log_out(principal, Refresh(refresh_token=acme.refresh_token))
        assert await identity.authenticate(acme.access_token)

    async def test_an_administrator_can_leave(self, identity: Identity, administrator: Principal) -> None:
        session = await identity.log_in(ORIGIN, login_of(None, "root@example.com"))
        await identity.log_out(administrator, Refresh(refresh_token=session.refresh_token))
        await refuse(identity, session)


class TestAuthenticate:
    async def test_refuses_a_deactivated_person(self, identity: Identity, acme: SignedUp, database: Database) -> None:
        await change(database, User, status="deactivated")
        await refuse(identity, acme)

    async def test_tells_of_a_suspension(self, identity: Identity, acme: SignedUp, database: Database) -> None:
        await change(database, Tenant, status="suspended")
        with pytest.raises(TenantSuspended) as caught:
            await identity.authenticate(acme.access_token)
        assert caught.value.code == "tenant.suspended"

    async def test_refuses_a_deleted_tenants_people(
        self, identity: Identity, acme: SignedUp, database: Database
    ) -> None:
        await change(database, Tenant, status="deleted")
        await refuse(identity, acme)

    async def test_takes_the_role_of_now_and_not_of_the_token(
        self, identity: Identity, acme: SignedUp, database: Database
    ) -> None:
        """ASVS 8.3.2: changed rights take effect at once."""
        await change(database, User, role="viewer")
        principal = await identity.authenticate(acme.access_token)
        assert (principal.role, principal.scopes) == ("viewer", scopes_of("viewer"))

    async def test_gives_no_rights_to_an_unknown_role(
        self, identity: Identity, acme: SignedUp, database: Database
    ) -> None:
        await change(database, User, role="wizard")
        assert (await identity.authenticate(acme.access_token)).scopes == frozenset()

    @pytest.mark.parametrize("credential", ["", "nonsense", "fsk_", "fsk_unknown", "fsk_\0", "fsk_\udc80", "fsr_x"])
    async def test_refuses_nonsense_with_one_answer(self, identity: Identity, credential: str) -> None:
        with pytest.raises(DomainError) as caught:
            await identity.authenticate(credential)
        assert type(caught.value) is Unauthenticated
        assert caught.value.detail == Unauthenticated.title

    async def test_a_refresh_token_is_no_access_token(self, identity: Identity, acme: SignedUp) -> None:
        with pytest.raises(Unauthenticated):
            await identity.authenticate(acme.refresh_token)


class TestMe:
    async def test_shows_the_person(self, identity: Identity, owner: Principal) -> None:
        me = await identity.me(owner)
        assert (me.tenant_id, me.kind, me.role, me.subject) == ("acme", "user", "owner", owner.subject)
        assert me.scopes == sorted(scopes_of("owner"))
        assert me.user is not None
        assert (me.user.email, me.user.status) == ("olga@example.com", "active")
        assert "password" not in me.model_dump_json()

    async def test_an_administrator_belongs_to_no_tenant(self, identity: Identity, administrator: Principal) -> None:
        me = await identity.me(administrator)
        assert (me.tenant_id, me.role) == (None, "administrator")
        assert "platform:admin" in me.scopes
        assert me.user is not None
        assert me.user.email == "root@example.com"

    async def test_a_visitor_is_nobody(self, identity: Identity, acme: SignedUp) -> None:
        with pytest.raises(Unauthenticated):
            await identity.me(Principal.anonymous("acme", ORIGIN))
