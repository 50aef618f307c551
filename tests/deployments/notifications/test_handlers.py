"""N1, N3: from a submission to a mail in each recipient's hands, on both databases."""

import email
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import orjson
import pytest

from db.models.jobs import Job
from db.models.notifications import Mail, MailSuppression
from db.session import Database
from deployments.forms.contracts import Form, UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.principal import Principal
from deployments.notifications.handlers import NotifyRecipients, SendMail, job_kinds
from deployments.notifications.stationery import Stationery
from deployments.notifications.transport import FolderTransport, MailTransport, SmtpTransport
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from eventing.effects import Effects
from eventing.events.envelope import Event, Origin
from eventing.events.responses import ResponseSubmitted
from eventing.outbox import make_event
from eventing.settings import EventingSettings
from tests.deployments.notifications.mail_server import Mailbox, smtp
from tests.eventing.harness import rows
from tests.eventing.jobs import harness as jobs
from tests.factories import ANSWERS, make_form, make_tenant

SENDER = "Formstream <no-reply@forms.example>"
TEAM = ["ada@example.org", "grace@example.org"]


@pytest.fixture
async def acme(database: Database) -> Principal:
    return await make_tenant(database)


async def a_form(database: Database, acme: Principal, recipients: list[str] | None = None, **settings: Any) -> Form:
    wanted = {"send_notification": True, "notification_recipients": TEAM if recipients is None else recipients}
    return await make_form(database, acme, **{**wanted, **settings})


async def submit(database: Database, answers: dict[str, Any] | None = None) -> str:
    responses = Responses(database)
    body = orjson.dumps({"answers": answers or ANSWERS})
    return (await responses.submit(Principal.anonymous("acme", Origin()), SubmitResponse(body=body, slug="party"))).id


def submitted(form_id: str, response_id: str, *, imported: bool = False, tenant_id: str = "acme") -> Event:
    fact = ResponseSubmitted(
        response_id=response_id,
        form_id=form_id,
        form_version=1,
        status="complete",
        answers=ANSWERS,
        imported=imported,
    )
    return make_event(fact, tenant_id=tenant_id, actor="anonymous", origin=Origin())


async def consume(database: Database, *events: Event) -> Effects:
    """What the consumer does with messages that carry these events."""
    (subscription,) = NotifyRecipients(Forms(database)).subscriptions()
    effects = Effects(database, subscription, EventingSettings(nats_url="nats://127.0.0.1:1"))
    await effects.apply(events)
    return effects


async def mails(database: Database) -> list[Mail]:
    return sorted(await rows(database, Mail), key=lambda mail: mail.recipient)


class TestWhoIsTold:
    async def test_each_recipient_gets_one_mail(self, database: Database, acme: Principal) -> None:
        form = await a_form(database, acme)
        event = submitted(form.id, "rsp_1")
        await consume(database, event)
        assert [(mail.recipient, mail.state, mail.cause) for mail in await mails(database)] == [
            (recipient, "queued", event.id) for recipient in TEAM
        ]
        assert {job.kind for job in await rows(database, Job)} == {"mail.send"}
        assert len(await rows(database, Job)) == 2

    async def test_a_redelivered_message_asks_for_no_second_mail(self, database: Database, acme: Principal) -> None:
        """E3: the inbox row is in the transaction of the mail."""
        event = submitted((await a_form(database, acme)).id, "rsp_1")
        await consume(database, event)
        assert (await consume(database, event)).counters.duplicates == 1
        assert len(await mails(database)) == 2
        assert len(await rows(database, Job)) == 2

    async def test_what_was_imported_is_not_news(self, database: Database, acme: Principal) -> None:
        form = await a_form(database, acme)
        effects = await consume(database, submitted(form.id, "rsp_1", imported=True), submitted(form.id, "rsp_2"))
        assert (effects.counters.unselected, effects.counters.handled) == (1, 1)
        assert len(await mails(database)) == 2

    @pytest.mark.parametrize("settings", [{"send_notification": False}, {"notification_recipients": []}])
    async def test_nobody_is_told_who_is_not_to_be(
        self, database: Database, acme: Principal, settings: dict[str, Any]
    ) -> None:
        form = await a_form(database, acme, **settings)
        assert (await consume(database, submitted(form.id, "rsp_1"))).counters.unselected == 1
        assert await mails(database) == []

    async def test_a_form_in_the_trash_or_of_another_tenant_tells_nobody(
        self, database: Database, acme: Principal
    ) -> None:
        """T5."""
        form = await a_form(database, acme)
        await make_tenant(database, "globex")
        await consume(database, submitted(form.id, "rsp_1", tenant_id="globex"))
        await Forms(database).delete(acme, form.id)
        await consume(database, submitted(form.id, "rsp_2"))
        assert await mails(database) == []


class TestSending:
    async def ordered(self, database: Database, acme: Principal, recipient: str, **answers: Any) -> tuple[Form, str]:
        """A form with a response, and the job of the mail that tells of it."""
        form = await a_form(database, acme, [recipient])
        response_id = await submit(database, {**ANSWERS, **answers})
        await consume(database, submitted(form.id, response_id))
        (job,) = await rows(database, Job)
        return form, job.id

    def kinds(self, database: Database, transport: MailTransport) -> Any:
        return job_kinds(SendMail(database, Forms(database), Responses(database), transport, Stationery(SENDER)))

    async def ended(self, database: Database, transport: MailTransport, job_id: str, state: str) -> Job:
        async with jobs.serving(database, *self.kinds(database, transport)):
            return await jobs.reaches(database, job_id, state)

    def read(self, folder: Path) -> EmailMessage:
        (path,) = folder.glob("*.eml")
        message = email.message_from_bytes(path.read_bytes(), policy=default)
        assert isinstance(message, EmailMessage)
        return message

    async def test_the_mail_says_what_was_answered(self, database: Database, acme: Principal, tmp_path: Path) -> None:
        form, job_id = await self.ordered(database, acme, "ada@example.org", side=["corn", "yams"])
        await self.ended(database, FolderTransport(tmp_path / "mail"), job_id, "succeeded")
        message = self.read(tmp_path / "mail")
        (mail,) = await mails(database)
        assert message["To"] == "ada@example.org"
        assert message["From"] == SENDER
        assert message["Message-ID"] == f"<{mail.id}@forms.example>"
        assert form.title in message["Subject"]
        body = message.get_body(("plain",))
        assert body is not None
        assert all(word in body.get_content() for word in ("Your name", "Ada", "Corn", "Yams"))
        assert (mail.state, mail.error, mail.subject) == ("sent", None, message["Subject"])
        assert mail.sent_at is not None

    async def test_a_mail_is_sent_once_although_its_job_runs_twice(self, database: Database, acme: Principal) -> None:
        """A job runs at least once."""
        mailbox = Mailbox()
        _, job_id = await self.ordered(database, acme, "ada@example.org")
        job = await jobs.fetch(database, job_id)
        async with smtp(mailbox) as port:
            transport = SmtpTransport(f"smtp://127.0.0.1:{port}")
            await self.ended(database, transport, job_id, "succeeded")
            (again,) = await jobs.order(database, "acme", kind="mail.send", payload=job.payload)
            await self.ended(database, transport, again, "succeeded")
        assert [envelope.rcpt_tos for envelope in mailbox.envelopes] == [["ada@example.org"]]

    async def test_a_mail_server_that_is_busy_is_asked_again(self, database: Database, acme: Principal) -> None:
        _, job_id = await self.ordered(database, acme, "ada@example.org")
        async with smtp(Mailbox(rcpt="451 try later")) as port:
            transport = SmtpTransport(f"smtp://127.0.0.1:{port}")
            async with jobs.serving(database, *self.kinds(database, transport)):

                async def tried_once() -> bool:
                    return len((await jobs.fetch(database, job_id)).attempts) == 1

                await jobs.eventually(tried_once)
        job = await jobs.fetch(database, job_id)
        assert job.state == "queued"
        assert job.run_at > job.created_at
        (mail,) = await mails(database)
        assert mail.state == "queued"
        assert "451" in (mail.error or "")
        assert mail.subject

    @pytest.mark.parametrize("mailbox", [Mailbox(rcpt="550 no such person"), Mailbox(data="554 looks like spam")])
    async def test_a_refusal_is_final(self, database: Database, acme: Principal, mailbox: Mailbox) -> None:
        _, job_id = await self.ordered(database, acme, "ada@example.org")
        async with smtp(mailbox) as port:
            job = await self.ended(database, SmtpTransport(f"smtp://127.0.0.1:{port}"), job_id, "failed")
        assert len(job.attempts) == 1
        (mail,) = await mails(database)
        assert (mail.state, mail.sent_at) == ("failed", None)
        assert "55" in (mail.error or "")

    async def test_an_address_that_does_not_exist_gets_no_more(self, database: Database, acme: Principal) -> None:
        """N2: the server said so at once; no message has to come back."""
        _, job_id = await self.ordered(database, acme, "ada@example.org")
        async with smtp(Mailbox(rcpt="550 5.1.1 no such user")) as port:
            await self.ended(database, SmtpTransport(f"smtp://127.0.0.1:{port}"), job_id, "failed")
        assert [mail.state for mail in await mails(database)] == ["bounced"]
        (row,) = await rows(database, MailSuppression)
        assert (row.address, row.reason) == ("ada@example.org", "bounce")

    async def test_an_address_that_is_none_is_final(self, database: Database, acme: Principal, tmp_path: Path) -> None:
        _, job_id = await self.ordered(database, acme, "ada@example.org")
        async with database.write("acme") as unit:
            mail = (await mails(database))[0]
            mail.recipient = "ada@example.org, eve@example.org"
            await unit.session.merge(mail)
        job = await self.ended(database, FolderTransport(tmp_path / "mail"), job_id, "failed")
        assert len(job.attempts) == 1
        assert (await mails(database))[0].state == "failed"
        assert list((tmp_path / "mail").glob("*")) == []

    async def test_a_response_that_is_gone_is_not_told_of(
        self, database: Database, acme: Principal, tmp_path: Path
    ) -> None:
        """Deleted between the event and the mail: it must not leave the house."""
        _, job_id = await self.ordered(database, acme, "ada@example.org")
        job = await jobs.fetch(database, job_id)
        await Responses(database).delete(acme, job.payload["response_id"])
        await self.ended(database, FolderTransport(tmp_path / "mail"), job_id, "succeeded")
        (mail,) = await mails(database)
        assert (mail.state, mail.error) == ("dropped", "the response is gone")
        assert not (tmp_path / "mail").exists()

    async def test_a_mail_is_written_in_the_words_of_its_version(
        self, database: Database, acme: Principal, tmp_path: Path
    ) -> None:
        """A response belongs to the version it answered, whatever was published since."""
        form, job_id = await self.ordered(database, acme, "ada@example.org")
        later = form.definition
        later["pages"][0]["elements"][0]["title"] = "What are you called?"
        forms = Forms(database)
        await forms.update(acme, form.id, UpdateForm(definition=later))
        await forms.publish(acme, form.id)
        await self.ended(database, FolderTransport(tmp_path / "mail"), job_id, "succeeded")
        body = self.read(tmp_path / "mail").get_body(("plain",))
        assert body is not None
        assert "Your name" in body.get_content()
        assert "What are you called?" not in body.get_content()
