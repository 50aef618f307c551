"""A tenant with webhooks, and the way out."""

from collections.abc import AsyncIterator

import pytest

from db.session import Database
from deployments.kit.egress import Egress
from deployments.kit.principal import Principal
from deployments.webhooks.deployment import Webhooks
from tests.deployments.webhooks.lanes import VAULT
from tests.factories import make_tenant


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    egress = Egress(("127.0.0.0/8",), timeout_s=2, keep_s=5)
    yield egress
    await egress.aclose()


@pytest.fixture
async def acme(database: Database) -> Principal:
    return await make_tenant(database)


@pytest.fixture
def webhooks(database: Database) -> Webhooks:
    return Webhooks(database, VAULT)
