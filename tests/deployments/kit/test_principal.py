"""Who is asking, and what they may do."""

import pickle

import pytest

from deployments.kit.errors import Forbidden
from deployments.kit.principal import Principal
from eventing.events.envelope import Origin

ORIGIN = Origin(request_id="req-1", address="192.0.2.1")


def test_a_principal_may_do_what_its_scopes_say() -> None:
    key = Principal("acme", "key_1", "api_key", scopes=frozenset({"forms:read"}))
    assert key.may("forms:read")
    assert not key.may("forms:write")
    key.require("forms:read")
    with pytest.raises(Forbidden, match="forms:write") as caught:
        key.require("forms:write")
    assert caught.value.status == 403


def test_a_visitor_may_nothing_but_is_known_by_origin() -> None:
    visitor = Principal.anonymous("acme", ORIGIN)
    assert (visitor.tenant_id, visitor.kind, visitor.subject, visitor.origin) == (
        "acme",
        "anonymous",
        "anonymous",
        ORIGIN,
    )
    assert not visitor.may("responses:write")


def test_the_platform_may_everything_in_the_tenant_it_works_for() -> None:
    system = Principal.system("acme", "webhooks")
    assert (system.tenant_id, system.subject, system.origin) == ("acme", "system:webhooks", Origin())
    system.require("anything:at-all")


def test_a_principal_crosses_processes() -> None:
    principal = Principal("acme", "usr_1", "user", role="owner", scopes=frozenset({"*"}), origin=ORIGIN)
    assert pickle.loads(pickle.dumps(principal)) == principal  # noqa: S301
