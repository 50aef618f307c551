"""A tenant's own words and looks, as far as a mail needs them."""

from collections.abc import Mapping
from dataclasses import dataclass

from db.repositories.mail_templates import MailTemplateRepository
from db.session import UnitOfWork
from deployments.notifications.message import Brand
from deployments.notifications.wording import Wording


@dataclass(frozen=True, slots=True)
class Voice:
    """The tenant's words for a mail by language, and its brand."""

    own: Mapping[str, Wording]
    brand: Brand

    def themed(self, logo_url: str | None, colour: str | None) -> Brand:
        """The brand for a mail about a form with looks of its own."""
        mine = self.brand
        return Brand(mine.name, mine.reply_to, logo_url or mine.logo_url, colour or mine.colour)


async def voice_of(unit: UnitOfWork, template: str) -> Voice:
    """How the unit's tenant says a mail."""
    repository = MailTemplateRepository(unit.session, unit.tenant)
    own = {row.language: Wording(row.subject, row.text, row.html) for row in await repository.named(template)}
    row = await repository.branding()
    return Voice(own, Brand(row.sender_name, row.reply_to, row.logo_url, row.colour) if row is not None else Brand())
