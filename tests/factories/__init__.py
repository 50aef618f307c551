"""Objects that many tests need, made the way the platform makes them."""

from typing import Any

from db.models.identity import Tenant
from db.session import Database
from db.types import utc_now
from deployments.forms.contracts import CreateForm, Form
from deployments.forms.deployment import Forms
from deployments.kit.principal import Principal

PARTY: dict[str, Any] = {
    "pages": [
        {
            "id": "p1",
            "elements": [
                {
                    "id": "name",
                    "type": "short_text",
                    "title": "Your name",
                    "required": True,
                    "validation": {"max_length": 80},
                },
                {"id": "email", "type": "email", "title": "E-mail", "required": True},
                {
                    "id": "side",
                    "type": "multi_choice",
                    "title": "Sides",
                    "options": [{"id": "corn", "label": "Corn"}, {"id": "yams", "label": "Yams"}],
                    "allow_other": True,
                },
                {"id": "score", "type": "nps", "title": "Recommend us?", "visible_if": "answers.email != ''"},
            ],
        }
    ],
    "languages": ["en"],
}
ANSWERS: dict[str, Any] = {"name": "Ada", "email": "ada@example.org", "side": ["corn"], "score": 9}


async def make_tenant(database: Database, tenant_id: str = "acme", **settings: Any) -> Principal:
    """A tenant, and a principal that may do everything in it."""
    async with database.unscoped_write() as unit:
        now = utc_now()
        unit.session.add(
            Tenant(id=tenant_id, name=tenant_id.title(), settings=settings, created_at=now, updated_at=now)
        )
    return owner(tenant_id)


def owner(tenant_id: str = "acme") -> Principal:
    """A principal that may do everything in a tenant."""
    return Principal(tenant_id, f"usr_{tenant_id}", "user", role="owner", scopes=frozenset({"*"}))


async def make_form(
    database: Database,
    principal: Principal,
    *,
    slug: str = "party",
    definition: dict[str, Any] | None = None,
    publish: bool = True,
    **settings: Any,
) -> Form:
    """A form, published unless said otherwise."""
    forms = Forms(database)
    form = await forms.create(
        principal, CreateForm(slug=slug, title="Party", definition=definition or PARTY, settings=settings)
    )
    if publish:
        await forms.publish(principal, form.id)
        form = await forms.get(principal, form.id)
    return form
