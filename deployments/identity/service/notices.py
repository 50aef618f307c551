"""What people are told about their account: codes to get in, and notices that its factors changed."""

from typing import Final

from db.models.identity import User
from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.identity.codes import LIFE_S
from deployments.kit.vault import Vault
from deployments.notifications.contracts import SEND_LETTER, SEND_TEXT, Letter, TextMessage
from eventing.jobs import JobSpec, enqueue

_ACTOR: Final = "system:identity"
_MINUTES: Final = LIFE_S // 60


async def tell(unit: UnitOfWork, vault: Vault, user: User, template: str, **values: str) -> None:
    """Order a letter to the person, in the language of the tenant. Factors are named by their kinds."""
    tenant = await TenantRepository(unit.session, unit.tenant).get()
    locale = tenant.settings.get("locale") if tenant is not None else None
    letter = Letter(
        template=template,
        recipient=user.email,
        locale=locale or "en",
        written_at=utc_now(),
        values={"name": user.name, **values},
    )
    await enqueue(unit, JobSpec(SEND_LETTER, letter.sealed(vault), created_by=_ACTOR, queue="high"))


async def send_code(unit: UnitOfWork, vault: Vault, user: User, channel: str, code: str) -> None:
    """Order the code's way to the person: to their verified telephone, or by letter."""
    if channel == "email":
        await tell(unit, vault, user, "one_time_code", code=code, minutes=str(_MINUTES))
    elif user.phone is not None:
        await text_code(unit, vault, user.phone, code)


async def text_code(unit: UnitOfWork, vault: Vault, phone: str, code: str) -> None:
    """Order a text message with the code. It says nothing that a customer chose, so nobody can advertise by it."""
    text = f"{code} is your Formstream code for the next {_MINUTES} minutes. Never tell it to anybody."
    message = TextMessage(recipient=phone, text=text)
    await enqueue(unit, JobSpec(SEND_TEXT, message.sealed(vault), created_by=_ACTOR, queue="high"))
