"""Whose document it is: the form's theme before the tenant's mail branding, and a logo that is fetched with care."""

from dataclasses import dataclass
from typing import Final

import structlog

from db.repositories.mail_templates import MailTemplateRepository
from db.repositories.tenants import TenantRepository
from db.session import Database
from deployments.forms.contracts import Form
from deployments.kit.egress import Egress, EgressFailed, EgressRefused

LOGO_BYTES: Final = 1 << 20
_LOGO_S: Final = 5.0
_KINDS: Final = {b"\x89PNG\r\n\x1a\n": "logo.png", b"\xff\xd8\xff": "logo.jpg"}

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Brand:
    """The name of the tenant, the colour of its documents, and where its logo is."""

    tenant: str
    colour: str | None
    logo_url: str | None


async def brand_of(database: Database, tenant_id: str, form: Form) -> Brand:
    """How documents about a form present themselves."""
    async with database.read(tenant_id) as unit:
        tenant = await TenantRepository(unit.session, tenant_id).get()
        own = await MailTemplateRepository(unit.session, tenant_id).branding()
    theme = form.settings.theme
    colour = (theme.primary if theme else None) or (own.colour if own else None)
    logo_url = (theme.logo_url if theme else None) or (own.logo_url if own else None)
    return Brand((own.sender_name if own else "") or (tenant.name if tenant else tenant_id), colour, logo_url)


async def logo_from(egress: Egress, url: str | None) -> dict[str, bytes]:
    """The file of a logo by its name; nothing for one that does not come, or is neither PNG nor JPEG."""
    if url is None:
        return {}
    try:
        answer = await egress.request("GET", url, {"accept": "image/png, image/jpeg"}, b"", timeout_s=_LOGO_S)
    except (EgressFailed, EgressRefused) as error:
        _log.info("a report has no logo", error=error.detail)
        return {}
    name = next((name for magic, name in _KINDS.items() if answer.body.startswith(magic)), None)
    return {name: answer.body} if answer.status == 200 and name is not None else {}
