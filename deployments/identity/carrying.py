"""People of another backend become accounts without a password: nobody is written to, and nobody's hash is kept."""

from collections.abc import Collection, Mapping, Sequence

from email_validator import EmailNotValidError, validate_email

from db.models.identity import User as UserRow
from db.repositories.users import UserRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.identity.contracts import CarriedUser, CreateTenant, TenantSettings, UpdateTenant
from deployments.identity.errors import UserQuotaReached
from deployments.identity.service import tenants, users
from deployments.identity.service.federated import NO_PASSWORD
from deployments.kit.carrying import Carried, TakenBack, checksum
from deployments.kit.principal import Principal
from deployments.kit.quotas import QuotaReached, require_room
from eventing.events.identity import UserRegistered, UserUpdated
from eventing.outbox import record

CHANGED = "account.changed"


async def make_tenant(unit: UnitOfWork, principal: Principal, name: str, settings: TenantSettings) -> None:
    """The unit's tenant, in the transaction of what begins with it. Raises TenantTaken."""
    await tenants.create(unit, principal, CreateTenant(id=unit.tenant, name=name, settings=settings), None)


async def raise_quotas(unit: UnitOfWork, principal: Principal, quotas: Mapping[str, int]) -> None:
    """Give the tenant these quotas."""
    if quotas:
        await tenants.update(unit, principal, UpdateTenant(settings=TenantSettings.model_validate(quotas)))


def normal_email(email: str) -> str:
    """The spelling under which an account is kept; empty for what is no address."""
    try:
        validate_email(email, check_deliverability=False)
    except EmailNotValidError:
        return ""
    return users.normalise_email(email)


async def find(unit: UnitOfWork, emails: Collection[str]) -> dict[str, str]:
    """The ids of the accounts with these normal e-mails, by those that there are."""
    return {row.email: row.id for row in await UserRepository(unit.session, unit.tenant).with_emails(emails)}


async def take_in(unit: UnitOfWork, principal: Principal, new: Sequence[CarriedUser]) -> list[Carried]:
    """The accounts. Their e-mails are normal, and known to be free."""
    repository = UserRepository(unit.session, unit.tenant)
    carried: list[Carried] = []
    for user in new:
        row = _row(unit.tenant, user)
        try:
            await require_room(unit, UserQuotaReached, repository.count_active, int(user.active))
        except QuotaReached as error:
            carried.append(Carried(problem=error.code))
            continue
        unit.session.add(row)
        fact = UserRegistered(user_id=row.id, email=row.email, role=row.role)
        record(unit, fact, actor=principal.subject, origin=principal.origin)
        carried.append(Carried(row.id, _checksum(row)))
    return carried


def _row(tenant_id: str, user: CarriedUser) -> UserRow:
    return UserRow(
        tenant_id=tenant_id,
        id=new_id("usr"),
        email=users.normalise_email(user.email),
        name=user.name,
        role=user.role,
        password_hash=NO_PASSWORD,
        status="active" if user.active else "deactivated",
        created_at=user.created_at or utc_now(),
    )


async def checksums(unit: UnitOfWork, ids: Collection[str]) -> dict[str, str]:
    """The checksums of accounts as they are now, by id."""
    return {row.id: _checksum(row) for row in await UserRepository(unit.session, unit.tenant).among(ids)}


async def take_back(unit: UnitOfWork, principal: Principal, made: Sequence[tuple[str, str]]) -> TakenBack:
    """Remove accounts by id and checksum, but those that somebody uses or has changed."""
    repository = UserRepository(unit.session, unit.tenant)
    removed: set[str] = set()
    kept: dict[str, str] = {}
    for user_id, stored in made:
        row = await repository.get_locked(user_id)
        if row is None:
            removed.add(user_id)
        elif row.password_hash != NO_PASSWORD or _checksum(row) != stored or await repository.is_linked(user_id):
            kept[user_id] = CHANGED
        else:
            fact = UserUpdated(user_id=row.id, changed=["status"], role=row.role, status="deactivated")
            record(unit, fact, actor=principal.subject, origin=principal.origin)
            await repository.remove(row)
            removed.add(user_id)
    return TakenBack(frozenset(removed), kept)


def _checksum(row: UserRow) -> str:
    return checksum(row.email, row.name, row.role, row.status, row.created_at.isoformat(timespec="microseconds"))
