"""U5: one table of permissions."""

from itertools import pairwise
from typing import get_args

from deployments.identity.permissions import GRANTS, KNOWN_SCOPES, PLATFORM_ADMIN, ROLES, scopes_of
from deployments.identity.terms import Role


def test_each_role_can_do_what_the_one_below_it_can() -> None:
    ladder = ["guest", "viewer", "analyst", "editor", "admin", "owner", "administrator"]
    assert sorted(ladder) == sorted(ROLES)
    for lower, higher in pairwise(ladder):
        assert ROLES[lower] <= ROLES[higher]


def test_only_administrators_reach_beyond_their_tenant() -> None:
    assert [role for role, scopes in ROLES.items() if PLATFORM_ADMIN in scopes] == ["administrator"]
    assert "administrator" not in get_args(Role)
    assert set(get_args(Role)) == ROLES.keys() - {"administrator"}


def test_a_viewer_writes_nothing() -> None:
    # Asking models changes nothing that anybody else sees.
    assert {scope.split(":")[1] for scope in ROLES["viewer"]} == {"read", "use"}


def test_a_guest_may_what_was_shared_and_nothing_else() -> None:
    assert ROLES["guest"] == frozenset()


def test_a_grant_never_reaches_beyond_its_form() -> None:
    assert {scope.split(":")[0] for scopes in GRANTS.values() for scope in scopes} == {
        *("analytics", "events", "forms", "responses")
    }
    for role, scopes in GRANTS.items():
        assert scopes <= ROLES[role]


def test_an_unknown_role_may_nothing() -> None:
    assert scopes_of("wizard") == frozenset()
    assert "*" not in KNOWN_SCOPES
