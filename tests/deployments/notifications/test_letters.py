"""N3: letters about accounts, on both databases."""

from pathlib import Path

import pytest

from db.models.jobs import Job
from db.models.notifications import Mail
from db.session import Database
from db.types import utc_now
from deployments.kit.vault import Vault
from deployments.notifications.contracts import SEND_LETTER, Letter
from deployments.notifications.letters import SendLetter
from deployments.notifications.stationery import Stationery
from deployments.notifications.transport import FolderTransport, MailTransport, SmtpTransport
from tests.deployments.notifications.mail_server import Mailbox, smtp
from tests.eventing.harness import rows
from tests.eventing.jobs import harness as jobs

VAULT = Vault("s" * 32)
SENDER = "Formstream <no-reply@forms.example>"
LETTER = Letter(
    template="password_reset",
    recipient="ada@example.org",
    written_at=utc_now(),
    values={"name": "Ada", "link": "https://forms.example/account/reset#token=t0ken"},
)


async def ended(database: Database, transport: MailTransport, state: str, vault: Vault = VAULT) -> Job:
    (job_id,) = await jobs.order(database, "acme", kind=SEND_LETTER, payload=LETTER.sealed(VAULT), queue="high")
    kinds = SendLetter(database, vault, transport, Stationery(SENDER)).kinds()
    async with jobs.serving(database, *kinds, queues={"high": 1}):
        return await jobs.reaches(database, job_id, state)


async def test_a_letter_holds_its_link_and_the_database_does_not(database: Database, tmp_path: Path) -> None:
    job = await ended(database, FolderTransport(tmp_path), "succeeded")
    assert b"t0ken" in (tmp_path / f"{job.id}.eml").read_bytes()
    assert "t0ken" not in str(job)
    (mail,) = await rows(database, Mail)
    assert (mail.id, mail.recipient, mail.state, mail.template) == (job.id, LETTER.recipient, "sent", LETTER.template)
    assert "t0ken" not in str(mail)


async def test_a_refusal_is_final(database: Database) -> None:
    async with smtp(Mailbox(rcpt="550 no such person")) as port:
        job = await ended(database, SmtpTransport(f"smtp://127.0.0.1:{port}"), "failed")
    assert "550" in (job.error or "")
    assert await rows(database, Mail) == []


async def test_another_key_opens_no_letter(database: Database, tmp_path: Path) -> None:
    job = await ended(database, FolderTransport(tmp_path), "failed", Vault("t" * 32))
    assert "another secret key" in (job.error or "")


@pytest.mark.parametrize("template", ["../secrets", "", "A"])
def test_a_template_is_named_plainly(template: str) -> None:
    with pytest.raises(ValueError, match="template"):
        Letter(**{**LETTER.model_dump(), "template": template})
