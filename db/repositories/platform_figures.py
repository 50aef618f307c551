"""How much there is on the whole platform. For unscoped transactions."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select
from sqlmodel import col

from db.models.forms import Form, FormCounter
from db.models.identity import PLATFORM_TENANT, Tenant, User


@dataclass(frozen=True, slots=True)
class PlatformFigures:
    """Customers and forms by status, responses and people who may log in."""

    tenants: Mapping[str, int]
    forms: Mapping[str, int]
    responses: int
    people: int


def platform_figures(connection: Connection) -> PlatformFigures:
    """The numbers, of everybody but the platform's own administrators."""
    tenants = select(col(Tenant.status), func.count()).where(col(Tenant.id) != PLATFORM_TENANT)
    forms = select(col(Form.status), func.count()).where(col(Form.deleted_at).is_(None))
    people = select(func.count()).select_from(User)
    people = people.where(col(User.status) == "active", col(User.tenant_id) != PLATFORM_TENANT)
    return PlatformFigures(
        tenants=dict(connection.execute(tenants.group_by(col(Tenant.status))).all()),
        forms=dict(connection.execute(forms.group_by(col(Form.status))).all()),
        # Counters of forms: counting the rows would read all of them.
        responses=int(connection.scalar(select(func.sum(col(FormCounter.responses)))) or 0),
        people=connection.scalar(people) or 0,
    )
