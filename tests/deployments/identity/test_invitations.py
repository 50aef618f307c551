"""U1, U5: people are invited to a tenant with a role, or to a single form."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from db.session import Database
from db.types import utc_now
from deployments.forms.contracts import CreateForm
from deployments.forms.deployment import Forms
from deployments.identity import letter_limits
from deployments.identity.contracts import CreateUser, UpdateTenant
from deployments.identity.deployment import Identity
from deployments.identity.errors import (
    AccountExists,
    AlreadyMember,
    FormNotFound,
    InvitationNotFound,
    NotAPerson,
    RoleTooHigh,
    TokenInvalid,
    TooManyLetters,
)
from deployments.identity.invitation_contracts import (
    AcceptInvitation,
    CreateInvitation,
    JoinForm,
    LookUpInvitation,
    PutFormGrant,
)
from deployments.identity.service import invitations
from deployments.kit.errors import DomainError, Forbidden, Invalid, TenantRequired, TenantSuspended
from deployments.kit.principal import Principal
from tests.deployments.identity.conftest import ORIGIN, PASSWORD, Person, RecordedEvents, login_of
from tests.deployments.identity.letterbox import Letterbox
from tests.factories import PARTY

ADA = "ada@example.com"


def accepting(token: str, name: str = "Ada") -> AcceptInvitation:
    return AcceptInvitation(token=token, name=name, password=PASSWORD)


async def _form(database: Database, owner: Principal, slug: str = "party") -> str:
    created = await Forms(database).create(owner, CreateForm(slug=slug, title=f"The {slug}", definition=PARTY))
    return created.id


async def _outcomes(calls: list[Callable[[], Awaitable[object]]]) -> list[str]:
    async def one(call: Callable[[], Awaitable[object]]) -> str:
        try:
            await call()
        except DomainError as error:
            return error.code
        return "done"

    return await asyncio.gather(*(one(call) for call in calls))


class TestToATenant:
    async def test_whoever_accepts_is_in(
        self, identity: Identity, owner: Principal, database: Database, events: RecordedEvents
    ) -> None:
        """U1: the letter, what it is for, an account with the role, a verified address, a session; and it is gone."""
        invited = await identity.create_invitation(owner, CreateInvitation(email="Ada@Example.com", role="editor"))
        assert (invited.email, invited.role, invited.invited_by) == (ADA, "editor", owner.subject)
        assert timedelta(days=6, hours=23) < invited.expires_at - utc_now() <= timedelta(days=7)
        box = Letterbox(database)
        (letter,) = await box.letters(template="invitation")
        assert (letter.recipient, letter.values["inviter"], letter.values["tenant"]) == (ADA, "Olga", "Acme")
        token = await box.token("invitation")
        details = await identity.look_up_invitation(LookUpInvitation(token=token))
        assert (details.tenant_id, details.tenant_name, details.email) == ("acme", "Acme", ADA)
        assert (details.invited_by, details.form_title, details.has_account) == ("Olga", None, False)

        session = await identity.accept_invitation(ORIGIN, accepting(token))

        me = await identity.me(await identity.authenticate(session.access_token))
        assert me.user is not None
        assert (me.user.email, me.user.name, me.user.role) == (ADA, "Ada", "editor")
        assert me.user.email_verified_at is not None
        assert (await identity.list_invitations(owner, None, 20)).data == []
        assert (await identity.log_in(ORIGIN, login_of("acme", ADA))).access_token
        recorded = await events("acme")
        assert {"invitation.created", "invitation.accepted", "user.registered"} <= {event.type for event in recorded}
        assert not [event for event in recorded if token in event.envelope]
        with pytest.raises(TokenInvalid):
            await identity.accept_invitation(ORIGIN, accepting(token))

    async def test_of_twenty_who_accept_at_once_one_is_in(
        self, identity: Identity, owner: Principal, database: Database
    ) -> None:
        """U1: single use is exact under concurrency."""
        await identity.create_invitation(owner, CreateInvitation(email=ADA))
        token = await Letterbox(database).token("invitation")

        found = await _outcomes([lambda: identity.accept_invitation(ORIGIN, accepting(token))] * 20)

        assert found.count("done") == 1
        assert set(found) <= {"done", "token.invalid", "invitation.account_exists"}
        assert len((await identity.list_users(owner, None, 20)).data) == 2

    async def test_another_invitation_takes_the_place_of_the_first(
        self, identity: Identity, owner: Principal, database: Database, events: RecordedEvents
    ) -> None:
        """U1: one for each address; the earlier link works no more."""
        await identity.create_invitation(owner, CreateInvitation(email=ADA, role="admin"))
        first = await Letterbox(database).token("invitation")
        second = await identity.create_invitation(owner, CreateInvitation(email=ADA, role="viewer"))

        assert [each.id for each in (await identity.list_invitations(owner, None, 20)).data] == [second.id]
        assert "invitation.revoked" in [event.type for event in await events("acme")]
        with pytest.raises(TokenInvalid):
            await identity.accept_invitation(ORIGIN, accepting(first))

    async def test_at_once_there_is_one_too(
        self, identity: Identity, owner: Principal, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(letter_limits, "PER_ACCOUNT", 10)
        command = CreateInvitation(email=ADA)

        found = await _outcomes([lambda: identity.create_invitation(owner, command)] * 10)

        assert found == ["done"] * 10
        assert len((await identity.list_invitations(owner, None, 20)).data) == 1

    async def test_members_are_not_invited(self, identity: Identity, owner: Principal, person: Person) -> None:
        await person("viewer")
        with pytest.raises(AlreadyMember):
            await identity.create_invitation(owner, CreateInvitation(email="VIEWER@example.com"))

    async def test_whoever_got_an_account_meanwhile_is_told_so(
        self, identity: Identity, owner: Principal, database: Database
    ) -> None:
        await identity.create_invitation(owner, CreateInvitation(email=ADA))
        token = await Letterbox(database).token("invitation")
        await identity.create_user(owner, CreateUser(email=ADA, password=PASSWORD, name="Ada"))
        assert (await identity.look_up_invitation(LookUpInvitation(token=token))).has_account
        with pytest.raises(AccountExists):
            await identity.accept_invitation(ORIGIN, accepting(token))
        session = await identity.log_in(ORIGIN, login_of("acme", ADA))
        with pytest.raises(AlreadyMember):
            await identity.join_form(await identity.authenticate(session.access_token), JoinForm(token=token))

    async def test_nobody_invites_above_their_own_role(
        self, identity: Identity, owner: Principal, person: Person
    ) -> None:
        """U5: not an administrator an owner, not a key what its scopes do not hold, not an editor anybody."""
        admin, editor = await person("admin"), await person("editor")
        with pytest.raises(RoleTooHigh):
            await identity.create_invitation(admin, CreateInvitation(email=ADA, role="owner"))
        program = Principal("acme", "key_1", "api_key", scopes=frozenset({"users:write", "forms:read"}), origin=ORIGIN)
        with pytest.raises(RoleTooHigh):
            await identity.create_invitation(program, CreateInvitation(email=ADA, role="viewer"))
        with pytest.raises(Forbidden):
            await identity.create_invitation(editor, CreateInvitation(email=ADA, role="viewer"))
        assert (await identity.create_invitation(admin, CreateInvitation(email=ADA, role="admin"))).role == "admin"

    async def test_the_platform_itself_has_no_guests(self, identity: Identity, administrator: Principal) -> None:
        with pytest.raises(TenantRequired):
            await identity.create_invitation(administrator, CreateInvitation(email=ADA))


class TestToAForm:
    async def test_a_newcomer_becomes_a_guest_of_the_form(
        self, identity: Identity, owner: Principal, database: Database
    ) -> None:
        """U5: a guest may use the form that was shared, and nothing else."""
        form_id = await _form(database, owner)
        command = CreateInvitation(email=ADA, form_id=form_id, form_role="analyst")
        invited = await identity.create_invitation(owner, command)
        assert (invited.role, invited.form_id, invited.form_role) == ("guest", form_id, "analyst")
        box = Letterbox(database)
        (letter,) = await box.letters(template="form_invitation")
        assert letter.values["form"] == "The party"
        token = await box.token("form_invitation")
        details = await identity.look_up_invitation(LookUpInvitation(token=token))
        assert details.form_title == "The party"

        session = await identity.accept_invitation(ORIGIN, accepting(token))

        guest = await identity.authenticate(session.access_token)
        assert (guest.role, guest.scopes, set(guest.grants)) == ("guest", frozenset(), {form_id})
        (grant,) = (await identity.list_form_grants(owner, form_id, None, 20)).data
        assert (grant.user_id, grant.role, grant.granted_by) == (guest.subject, "analyst", owner.subject)

    async def test_somebody_with_an_account_logs_in_and_joins(
        self, identity: Identity, owner: Principal, person: Person, database: Database, events: RecordedEvents
    ) -> None:
        """U5: only the account that was invited, once."""
        form_id = await _form(database, owner)
        viewer, other = await person("viewer"), await person("guest")
        command = CreateInvitation(email="viewer@example.com", form_id=form_id, form_role="editor")
        await identity.create_invitation(owner, command)
        token = await Letterbox(database).token("form_invitation")
        assert (await identity.look_up_invitation(LookUpInvitation(token=token))).has_account
        with pytest.raises(AccountExists):
            await identity.accept_invitation(ORIGIN, accepting(token))
        with pytest.raises(TokenInvalid):
            await identity.join_form(other, JoinForm(token=token))
        program = Principal("acme", "key_1", "api_key", scopes=frozenset({"*"}), origin=ORIGIN)
        with pytest.raises(NotAPerson):
            await identity.join_form(program, JoinForm(token=token))

        granted = await identity.join_form(viewer, JoinForm(token=token))

        assert (granted.user_id, granted.role) == (viewer.subject, "editor")
        assert "invitation.accepted" in [event.type for event in await events("acme")]
        with pytest.raises(TokenInvalid):
            await identity.join_form(viewer, JoinForm(token=token))

    async def test_joining_takes_nothing_away(
        self, identity: Identity, owner: Principal, person: Person, database: Database
    ) -> None:
        form_id = await _form(database, owner)
        guest = await person("guest")
        await identity.put_form_grant(owner, form_id, guest.subject, PutFormGrant(role="editor"))
        command = CreateInvitation(email="guest@example.com", form_id=form_id, form_role="viewer")
        await identity.create_invitation(owner, command)
        token = await Letterbox(database).token("form_invitation")
        assert (await identity.join_form(guest, JoinForm(token=token))).role == "editor"

    async def test_another_tenants_people_cannot_join(
        self, identity: Identity, owner: Principal, stranger: Principal, database: Database
    ) -> None:
        """T5: the same address has an account elsewhere; that account is somebody else here."""
        form_id = await _form(database, owner)
        await identity.create_user(stranger, CreateUser(email=ADA, password=PASSWORD, name="Ada"))
        session = await identity.log_in(ORIGIN, login_of("other", ADA))
        await identity.create_invitation(owner, CreateInvitation(email=ADA, form_id=form_id, form_role="viewer"))
        token = await Letterbox(database).token("form_invitation")
        assert not (await identity.look_up_invitation(LookUpInvitation(token=token))).has_account
        with pytest.raises(TokenInvalid):
            await identity.join_form(await identity.authenticate(session.access_token), JoinForm(token=token))

    async def test_what_does_not_fit_together_is_said_at_once(self, identity: Identity, owner: Principal) -> None:
        cases: tuple[tuple[CreateInvitation, list[tuple[str, str]]], ...] = (
            (
                CreateInvitation(email=ADA, form_id="frm_1", role="editor"),
                [("/form_role", "required"), ("/role", "invitation.role")],
            ),
            (CreateInvitation(email=ADA, form_role="viewer"), [("/form_id", "required")]),
        )
        for command, expected in cases:
            with pytest.raises(Invalid) as caught:
                await identity.create_invitation(owner, command)
            assert [(fault.pointer, fault.code) for fault in caught.value.faults] == expected

    async def test_a_form_has_to_be_there(
        self, identity: Identity, owner: Principal, stranger: Principal, database: Database
    ) -> None:
        """T5: another tenant's form, a missing one and one in the trash are alike."""
        theirs, deleted = await _form(database, stranger), await _form(database, owner)
        await identity.create_invitation(owner, CreateInvitation(email=ADA, form_id=deleted, form_role="viewer"))
        token = await Letterbox(database).token("form_invitation")
        await Forms(database).delete(owner, deleted)
        for form_id in (theirs, deleted, "frm_nothing"):
            with pytest.raises(FormNotFound):
                await identity.create_invitation(
                    owner, CreateInvitation(email=ADA, form_id=form_id, form_role="viewer")
                )
        with pytest.raises(TokenInvalid):
            await identity.accept_invitation(ORIGIN, accepting(token))

    async def test_an_editor_shares_forms_and_sees_no_others(
        self, identity: Identity, owner: Principal, person: Person, database: Database
    ) -> None:
        """U5: what an editor may not know of is not there for them."""
        form_id, editor = await _form(database, owner), await person("editor")
        to_tenant = await identity.create_invitation(owner, CreateInvitation(email=ADA))
        command = CreateInvitation(email=ADA, form_id=form_id, form_role="viewer")
        to_form = await identity.create_invitation(editor, command)

        assert [each.id for each in (await identity.list_invitations(editor, None, 20)).data] == [to_form.id]
        seen = (await identity.list_invitations(owner, None, 1)).meta.next_cursor
        assert [each.id for each in (await identity.list_invitations(owner, seen, 1)).data] == [to_form.id]
        with pytest.raises(InvitationNotFound):
            await identity.revoke_invitation(editor, to_tenant.id)
        with pytest.raises(InvitationNotFound):
            await identity.resend_invitation(editor, to_tenant.id)
        await identity.revoke_invitation(editor, to_form.id)

    async def test_a_key_gives_no_more_than_it_has(
        self, identity: Identity, owner: Principal, database: Database
    ) -> None:
        form_id = await _form(database, owner)
        program = Principal("acme", "key_1", "api_key", scopes=frozenset({"forms:share", "forms:read"}), origin=ORIGIN)
        with pytest.raises(RoleTooHigh):
            await identity.create_invitation(program, CreateInvitation(email=ADA, form_id=form_id, form_role="editor"))


async def test_an_invitation_is_sent_again_with_a_new_link(
    identity: Identity, owner: Principal, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U1: an expired one works again then; the link before does not."""
    invited = await identity.create_invitation(owner, CreateInvitation(email=ADA))
    box = Letterbox(database)
    old = await box.token("invitation")
    async with database.unscoped_write() as unit:
        await unit.session.execute(text("UPDATE invitation SET expires_at = created_at"))
    with pytest.raises(TokenInvalid):
        await identity.look_up_invitation(LookUpInvitation(token=old))

    renewed = await identity.resend_invitation(owner, invited.id)

    assert (renewed.id, renewed.created_at) == (invited.id, invited.created_at)
    assert renewed.expires_at > utc_now() + timedelta(days=6)
    with pytest.raises(TokenInvalid):
        await identity.accept_invitation(ORIGIN, accepting(old))
    await identity.accept_invitation(ORIGIN, accepting(await box.token("invitation")))


async def test_what_is_taken_back_is_gone(
    identity: Identity, owner: Principal, stranger: Principal, database: Database, events: RecordedEvents
) -> None:
    """T5: for others it never was there."""
    invited = await identity.create_invitation(owner, CreateInvitation(email=ADA))
    token = await Letterbox(database).token("invitation")
    for call in (identity.revoke_invitation, identity.resend_invitation):
        with pytest.raises(InvitationNotFound):
            await call(stranger, invited.id)
    await identity.revoke_invitation(owner, invited.id)
    with pytest.raises(InvitationNotFound):
        await identity.revoke_invitation(owner, invited.id)
    with pytest.raises(TokenInvalid):
        await identity.accept_invitation(ORIGIN, accepting(token))
    assert "invitation.revoked" in [event.type for event in await events("acme")]


async def test_worthless_links_are_told_apart_by_nobody(
    identity: Identity, owner: Principal, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U1: expired, of a letter about something else, or garbage: one answer."""
    await identity.create_invitation(owner, CreateInvitation(email=ADA))
    box = Letterbox(database)
    expired, other = await box.token("invitation"), await box.token("email_verification")
    later = utc_now() + invitations.LIFE
    monkeypatch.setattr(invitations, "utc_now", lambda: later)
    answers = set()
    for token in (expired, other, "garbage", ""):
        for call in (
            lambda token=token: identity.look_up_invitation(LookUpInvitation(token=token)),
            lambda token=token: identity.accept_invitation(ORIGIN, accepting(token)),
            lambda token=token: identity.join_form(owner, JoinForm(token=token)),
        ):
            with pytest.raises(TokenInvalid) as caught:
                await call()
            answers.add((caught.value.status, caught.value.code, caught.value.detail))
    assert answers == {(400, "token.invalid", TokenInvalid.title)}


async def test_a_suspended_tenant_lets_nobody_in(
    identity: Identity, owner: Principal, administrator: Principal, database: Database
) -> None:
    await identity.create_invitation(owner, CreateInvitation(email=ADA))
    token = await Letterbox(database).token("invitation")
    await identity.suspend_tenant(administrator, "acme")
    with pytest.raises(TenantSuspended):
        await identity.accept_invitation(ORIGIN, accepting(token))


async def test_nobody_is_flooded_with_invitations(
    identity: Identity, owner: Principal, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U1: five letters an hour to one address, sent again or anew, and a bound for the tenant."""
    invited = await identity.create_invitation(owner, CreateInvitation(email=ADA))
    for _ in range(letter_limits.PER_ACCOUNT - 1):
        await identity.resend_invitation(owner, invited.id)
    for call in (
        lambda: identity.resend_invitation(owner, invited.id),
        lambda: identity.create_invitation(owner, CreateInvitation(email=ADA)),
    ):
        with pytest.raises(TooManyLetters):
            await call()
    monkeypatch.setattr(letter_limits, "PER_INVITING_TENANT", letter_limits.PER_ACCOUNT)
    with pytest.raises(TooManyLetters):
        await identity.create_invitation(owner, CreateInvitation(email="grace@example.com"))
    assert len(await Letterbox(database).letters(template="invitation")) == letter_limits.PER_ACCOUNT


async def test_the_language_of_the_letter_is_the_tenants(
    identity: Identity, owner: Principal, database: Database
) -> None:
    command = UpdateTenant.model_validate({"settings": {"locale": "de"}})
    await identity.update_tenant(owner, "acme", command)
    await identity.create_invitation(owner, CreateInvitation(email=ADA))
    assert (await Letterbox(database).letters(template="invitation"))[0].locale == "de"


async def test_the_password_is_not_the_own_name(identity: Identity, owner: Principal, database: Database) -> None:
    await identity.create_invitation(owner, CreateInvitation(email=ADA))
    token = await Letterbox(database).token("invitation")
    command = AcceptInvitation(token=token, name="Augusta Ada King", password="augusta-ada-king")
    with pytest.raises(Invalid) as caught:
        await identity.accept_invitation(ORIGIN, command)
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/password", "password.personal")]
    await identity.accept_invitation(replace(ORIGIN, request_id="req-2"), accepting(token))


@pytest.mark.parametrize("name", ["Ada\r\nBcc: all@example.com", "Ada\x00", ""])
def test_names_with_control_characters_are_refused(name: str) -> None:
    """N3: what people type must not become a header of a mail."""
    with pytest.raises(ValidationError):
        CreateInvitation(email=ADA, name=name)
    with pytest.raises(ValidationError):
        AcceptInvitation(token="x", name=name, password=PASSWORD)


def test_unknown_properties_are_refused() -> None:
    for fields in ({"invited_by": "usr_1"}, {"expires_at": "2099-01-01T00:00:00Z"}, {"tenant_id": "other"}):
        with pytest.raises(ValidationError):
            CreateInvitation(email=ADA, **fields)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        AcceptInvitation(token="x", name="Ada", password=PASSWORD, role="owner")  # type: ignore[call-arg]
