"""E1: the types of events as they are told to clients."""

import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from deployments.events import service
from deployments.kit.errors import Forbidden
from deployments.kit.principal import Principal
from deployments.webhooks.handlers import DELIVERED_TYPES
from eventing.events.catalogue import CATALOGUE


def test_every_type_is_described_with_an_example_that_fits() -> None:
    """E1, E6: name, version, meaning, schema and example; the example is valid by the schema and by the class."""
    told = service.known_types().data
    assert [kind.type for kind in told] == sorted(kind.type for kind in CATALOGUE)
    classes = {kind.type: kind for kind in CATALOGUE}
    for kind in told:
        assert kind.description.endswith("."), kind.type
        assert kind.data_schema["additionalProperties"] is False
        Draft202012Validator(kind.data_schema).validate(kind.example)
        TypeAdapter(classes[kind.type]).validate_python(kind.example)


def test_what_is_told_of_webhooks_is_what_they_deliver() -> None:
    """E1: a type is called delivered exactly if an endpoint can subscribe to it."""
    assert {kind.type for kind in service.known_types().data if kind.delivered} == set(DELIVERED_TYPES)


def test_types_are_for_those_who_may_see_events() -> None:
    """E6: in the tenant or for one of its forms."""
    grants = {"frm_1": frozenset({"events:read"})}
    assert service.types(Principal("acme", "usr_1", "user", grants=grants)).data
    with pytest.raises(Forbidden):
        service.types(Principal("acme", "usr_2", "user", "viewer", frozenset({"forms:read"})))
