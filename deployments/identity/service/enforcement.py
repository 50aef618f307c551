"""The rule of tenants whose people log in with a provider and with nothing else."""

from db.models.identity import User
from db.repositories.federation import SsoConnectionRepository
from db.session import UnitOfWork
from deployments.identity.errors import FederatedOnly


async def require_local_login(unit: UnitOfWork, user: User) -> None:
    """Raise FederatedOnly when the person may not log in with what the platform itself keeps.

    Owners always may: somebody has to get in when the provider is away or the connection is wrong.
    """
    if user.role in ("owner", "administrator"):
        return
    if await SsoConnectionRepository(unit.session, unit.tenant).any_enforced():
        raise FederatedOnly
