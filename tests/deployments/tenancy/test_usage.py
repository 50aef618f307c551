"""T6: what a tenant holds."""

import pytest
from sqlalchemy import update
from sqlmodel import col

from db.models.forms import FormCounter
from db.session import Database
from deployments.forms.contracts import CreateForm
from deployments.forms.deployment import Forms
from deployments.kit.errors import Forbidden
from deployments.kit.principal import Principal
from deployments.tenancy.contracts import Meter
from deployments.tenancy.deployment import Tenancy
from deployments.tenancy.errors import TenantNotFound
from tests.factories import make_tenant

OWNER = Principal("acme", "usr_1", "user", scopes=frozenset({"tenant:read", "forms:write"}))
DEFINITION = {"pages": [{"id": "p1", "elements": [{"id": "name", "type": "short_text", "title": "Name"}]}]}


async def test_counts_what_the_tenant_has_and_nobody_elses(database: Database) -> None:
    """T6: forms and responses, with their limits."""
    for tenant_id in ("acme", "other"):
        await make_tenant(database, tenant_id)
    forms = Forms(database)
    for slug in ("one", "two", "gone"):
        form = await forms.create(OWNER, CreateForm(slug=slug, title=slug, definition=DEFINITION))
    await forms.delete(OWNER, form.id)
    async with database.write("acme") as unit:
        mine = col(FormCounter.tenant_id) == "acme", col(FormCounter.form_id) != form.id
        await unit.session.execute(update(FormCounter).where(*mine).values(responses=7))
    usage = await Tenancy(database).usage(OWNER, "acme")
    assert (usage.meters["forms"].used, usage.meters["responses"]) == (2, Meter(used=14, limit=None))
    assert usage.meters["responses_in_largest_form"] == Meter(used=7, limit=10_000)
    assert usage.meters["storage_bytes"] == Meter(used=0, limit=None)
    administrator = Principal("other", "usr_2", "user", scopes=frozenset({"tenant:read", "platform:admin"}))
    assert (await Tenancy(database).usage(administrator, "acme")) == usage
    assert (await Tenancy(database).usage(administrator, "other")).meters["forms"].used == 0


async def test_is_not_there_for_another_tenant(database: Database) -> None:
    """T5: not yours and not there are the same."""
    await make_tenant(database, "acme")
    await make_tenant(database, "other")
    for tenant_id in ("other", "nowhere", "_platform"):
        with pytest.raises(TenantNotFound):
            await Tenancy(database).usage(OWNER, tenant_id)
    with pytest.raises(Forbidden):
        await Tenancy(database).usage(Principal("acme", "usr_1", "user", scopes=frozenset()), "acme")
