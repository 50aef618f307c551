"""The platform's first administrator."""

import secrets
from dataclasses import dataclass, field
from typing import Final

from db.models.identity import PLATFORM_TENANT, Tenant, User
from db.repositories.tenants import TenantRepository
from db.repositories.users import UserRepository
from db.session import Database, UnitOfWork
from db.types import new_id, utc_now
from deployments.identity.passwords import Passwords
from deployments.identity.service import users
from deployments.kit.errors import Invalid
from eventing.events.envelope import Origin

ROLE: Final = "administrator"
ACTOR: Final = "system:bootstrap"
DEFAULT_EMAIL: Final = "admin@localhost"
_MIN_PASSWORD: Final = 10


@dataclass(frozen=True, slots=True)
class GeneratedAdministrator:
    """An administrator whose password was made up: show it now, only its hash is kept."""

    email: str
    password: str = field(repr=False)


async def ensure_administrator(
    database: Database, email: str | None, password: str | None
) -> GeneratedAdministrator | None:
    """See to it that the platform has an administrator; what was generated, or None when nothing was.

    Idempotent, and safe when several processes start at once: one of them creates. Existing administrators are
    never changed. Raises Invalid when the given password is too short.
    """
    async with database.read(PLATFORM_TENANT) as unit:
        if await _exists(unit):
            return None
    if password is not None and len(password) < _MIN_PASSWORD:
        raise Invalid.at("/password", "password.too_short", "the administrator's password needs 10 characters or more")
    chosen = password or secrets.token_urlsafe(18)
    address = users.normalise_email(email or DEFAULT_EMAIL)
    hashed = await Passwords(concurrency=1).hash(chosen)
    async with database.write(PLATFORM_TENANT) as unit:
        created = await _create(unit, address, hashed)
    return GeneratedAdministrator(address, chosen) if created and password is None else None


async def _exists(unit: UnitOfWork) -> bool:
    return await UserRepository(unit.session, unit.tenant).any_with_role(ROLE)


async def _create(unit: UnitOfWork, email: str, hashed: str) -> bool:
    now = utc_now()
    repository = TenantRepository(unit.session, unit.tenant)
    await repository.add(Tenant(id=unit.tenant, name="Platform", settings={}, created_at=now, updated_at=now))
    await repository.get_locked()  # of two processes, one waits here and then finds the other's administrator
    if await _exists(unit):
        return False
    row = User(
        tenant_id=unit.tenant,
        id=new_id("usr"),
        email=email,
        name="Administrator",
        role=ROLE,
        password_hash=hashed,
        created_at=now,
    )
    await users.add(unit, row, actor=ACTOR, origin=Origin())
    return True
