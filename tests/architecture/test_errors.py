"""Failures are small classes that keep everything they carry when Ray takes them to another process."""

import pickle

import pytest

from deployments.kit.errors import DomainError, Fault
from tests.architecture.rooms import ROOMS, modules

FAULTS = (Fault("/answers/email", "format.email", "not an e-mail address"), Fault("", "required", "missing"))


def _errors() -> list[type[DomainError]]:
    modules()
    found: list[type[DomainError]] = []
    waiting: list[type[DomainError]] = [DomainError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return sorted(
        {kind for kind in found if kind.__module__.partition(".")[0] in ROOMS},
        key=lambda kind: (kind.__module__, kind.__qualname__),
    )


def test_errors_of_every_context_are_found() -> None:
    rooms = {kind.__module__ for kind in _errors()}

    assert {"deployments.kit.errors", "deployments.forms.errors", "deployments.identity.errors"} <= rooms


@pytest.mark.parametrize("kind", _errors(), ids=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
class TestDomainError:
    def test_survives_pickling_with_all_it_carries(self, kind: type[DomainError]) -> None:
        error = kind("a sentence with 100 % of {braces}", faults=FAULTS, retry_after=2.5)

        copy = pickle.loads(pickle.dumps(error))  # noqa: S301

        assert type(copy) is kind
        assert (copy.detail, copy.faults, copy.retry_after) == (error.detail, FAULTS, 2.5)
        assert str(copy) == str(error)

    def test_can_be_raised_without_arguments(self, kind: type[DomainError]) -> None:
        copy = pickle.loads(pickle.dumps(kind()))  # noqa: S301

        assert copy.detail == kind.title
        assert (copy.faults, copy.retry_after) == ((), None)

    def test_has_an_http_meaning(self, kind: type[DomainError]) -> None:
        assert 400 <= kind.status <= 599
        assert kind.title[0].isupper()
        assert not kind.title.endswith(".")
        assert kind.code == kind.code.lower()
        assert kind.code.replace(".", "").replace("_", "").isalpha()
