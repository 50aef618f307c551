"""The tenant's account at a captcha provider (R6)."""

from typing import Final

from db.models.visits import CaptchaProvider
from db.repositories.visits import CaptchaRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.identity.contracts import Captcha, PutCaptcha
from deployments.identity.errors import CaptchaNotFound
from deployments.kit.audit import audit
from deployments.kit.captcha import PROVIDERS
from deployments.kit.egress import check_url
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault

_READ: Final = "tenant:read"
_WRITE: Final = "tenant:write"


async def get(unit: UnitOfWork, principal: Principal) -> Captcha:
    """The account, without its secret. Raises CaptchaNotFound."""
    principal.require(_READ)
    row = await CaptchaRepository(unit.session, unit.tenant).provider()
    if row is None:
        raise CaptchaNotFound
    return _to_captcha(row)


async def put(unit: UnitOfWork, principal: Principal, command: PutCaptcha, vault: Vault) -> Captcha:
    """Set the account; effective at once for every form that asks for a captcha. Raises Invalid."""
    principal.require(_WRITE)
    if command.verify_url is not None:
        check_url(command.verify_url, pointer="/verify_url")
    row = CaptchaProvider(
        tenant_id=unit.tenant,
        provider=command.provider,
        site_key=command.site_key,
        secret=vault.seal(command.secret),
        verify_url=command.verify_url or PROVIDERS[command.provider].verify_url,
        updated_by=principal.subject,
        updated_at=utc_now(),
    )
    await CaptchaRepository(unit.session, unit.tenant).put(row)
    audit(unit, principal, "captcha.changed", unit.tenant, provider=row.provider, verify_url=row.verify_url)
    return _to_captcha(row)


async def remove(unit: UnitOfWork, principal: Principal) -> None:
    """Forget the account. Raises CaptchaNotFound."""
    principal.require(_WRITE)
    if not await CaptchaRepository(unit.session, unit.tenant).remove():
        raise CaptchaNotFound
    audit(unit, principal, "captcha.removed", unit.tenant)


def _to_captcha(row: CaptchaProvider) -> Captcha:
    return Captcha.model_validate(
        {
            "provider": row.provider,
            "site_key": row.site_key,
            "verify_url": row.verify_url,
            "updated_by": row.updated_by,
            "updated_at": row.updated_at,
        }
    )
