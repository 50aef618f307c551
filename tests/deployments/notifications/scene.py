"""Notifications as a tenant uses them, with transports that do as they are told."""

import asyncio
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any

from pydantic import SecretStr

from db.models.notifications import Mail
from db.session import Database
from deployments.forms.deployment import Forms
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from deployments.notifications.contracts import CreateMailing, MailingRecipient, OrderedMailing
from deployments.notifications.deployment import Notifications, stationery_of
from deployments.notifications.mailings import SendMailing
from deployments.notifications.settings import NotificationsSettings
from deployments.notifications.transport import MailTransport
from deployments.responses.deployment import Responses
from tests.eventing.harness import rows

SETTINGS = NotificationsSettings(
    signing_key=SecretStr("k" * 64),
    public_url="https://forms.example",
    sender="Formstream <no-reply@forms.example>",
    bounces="bounces@forms.example",
)
STATIONERY = stationery_of(SETTINGS)
VAULT = Vault("s" * 32)


class Postman:
    """Takes every mail, or raises what it was told to; `gate` holds all of them up."""

    def __init__(self, *failures: Exception | None) -> None:
        self.sent: list[tuple[EmailMessage, str]] = []
        self.failures = list(failures)
        self.gate = asyncio.Event()
        self.gate.set()
        self.busy = asyncio.Event()

    async def send(self, message: EmailMessage, idempotency_key: str, return_path: str = "") -> None:
        self.busy.set()
        await self.gate.wait()
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        self.sent.append((message, return_path))

    @property
    def recipients(self) -> list[str]:
        """To whom mail went, in alphabetical order."""
        return sorted(str(message["To"]) for message, _ in self.sent)


def notifications(database: Database) -> Notifications:
    return Notifications(database, Forms(database), Responses(database), VAULT, SETTINGS)


def sending(database: Database, transport: MailTransport, **options: Any) -> SendMailing:
    return SendMailing(database, Forms(database), Responses(database), transport, STATIONERY, **options)


async def order(database: Database, principal: Principal, form_id: str, *emails: str, **options: Any) -> OrderedMailing:
    """A mailing to these addresses."""
    people = [{"email": email} for email in emails]
    command = CreateMailing.model_validate({"recipients": people or None, **options})
    return await notifications(database).create_mailing(principal, form_id, command)


async def outcome(database: Database, principal: Principal, mailing_id: str) -> dict[str, str]:
    """The state of each recipient."""
    page = await notifications(database).list_recipients(principal, mailing_id, None, 100, None)
    return {recipient.email: recipient.state for recipient in page.data}


async def recipients(database: Database, principal: Principal, mailing_id: str) -> Sequence[MailingRecipient]:
    return (await notifications(database).list_recipients(principal, mailing_id, None, 100, None)).data


async def mails(database: Database) -> list[Mail]:
    return list(await rows(database, Mail))
