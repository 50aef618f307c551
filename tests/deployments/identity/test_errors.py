"""Errors cross process boundaries."""

import inspect
import pickle

import pytest

from deployments.identity import errors
from deployments.identity.contracts import IdentityApi
from deployments.identity.deployment import Identity
from deployments.kit.errors import DomainError, Fault

ERRORS = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, DomainError)]


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_pickles(error: type[DomainError]) -> None:
    sent = error("a sentence", faults=(Fault("/a", "b.c", "d"),), retry_after=2.5)
    came = pickle.loads(pickle.dumps(sent))  # noqa: S301 - our own bytes
    assert type(came) is error
    assert (came.detail, came.faults, came.retry_after) == (sent.detail, sent.faults, sent.retry_after)


def test_every_error_has_its_own_code() -> None:
    own = [error for error in ERRORS if error.__module__ == errors.__name__]
    assert len({error.code for error in own}) == len(own) >= 13
    assert all("." in error.code and 400 <= error.status < 500 for error in own)


def test_the_deployment_is_what_its_protocol_says() -> None:
    """`close` is for the process that hosts it, not for callers."""

    def methods(kind: type) -> dict[str, inspect.Signature]:
        return {
            name: inspect.signature(value)
            for name, value in vars(kind).items()
            if not name.startswith("_") and name != "close" and inspect.iscoroutinefunction(value)
        }

    assert methods(Identity) == methods(IdentityApi)
