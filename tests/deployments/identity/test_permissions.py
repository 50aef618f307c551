"""U5: one table of permissions."""

from itertools import pairwise
from typing import get_args

from deployments.identity.contracts import Role
from deployments.identity.permissions import KNOWN_SCOPES, PLATFORM_ADMIN, ROLES, scopes_of


def test_each_role_can_do_what_the_one_below_it_can() -> None:
    ladder = ["viewer", "analyst", "editor", "admin", "owner", "administrator"]
    assert sorted(ladder) == sorted(ROLES)
    for lower, higher in pairwise(ladder):
        assert ROLES[lower] <= ROLES[higher]


def test_only_administrators_reach_beyond_their_tenant() -> None:
    assert [role for role, scopes in ROLES.items() if PLATFORM_ADMIN in scopes] == ["administrator"]
    assert "administrator" not in get_args(Role)
    assert set(get_args(Role)) == ROLES.keys() - {"administrator"}


def test_a_viewer_writes_nothing() -> None:
    assert {scope.split(":")[1] for scope in ROLES["viewer"]} == {"read"}


def test_an_unknown_role_may_nothing() -> None:
    assert scopes_of("wizard") == frozenset()
    assert "*" not in KNOWN_SCOPES
