"""N2: a mail to many people: each gets one, whatever breaks, and everybody can see what became of it."""

import asyncio
import signal
import sys
from typing import Any

import orjson
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from db.models.jobs import Job
from db.models.notifications import Mailing
from db.session import Database
from deployments.forms.deployment import Forms
from deployments.jobs.deployment import Jobs
from deployments.kit.errors import Forbidden, Invalid, NotFound
from deployments.kit.features import FeatureDisabled
from deployments.kit.principal import Principal
from deployments.notifications.contracts import CreateMailing, MailWords, SuppressAddress
from deployments.notifications.errors import FormNotPublished, InvalidMailing, MailingKeyMismatch
from deployments.notifications.transport import MailboxUnknown, MailDeferred, MailRejected, MailUncertain, SmtpTransport
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from eventing.events.envelope import Origin
from eventing.jobs import JobCancelled, JobRun
from tests.deployments.notifications.mail_server import Mailbox, smtp
from tests.deployments.notifications.scene import (
    Postman,
    mails,
    notifications,
    order,
    outcome,
    recipients,
    sending,
)
from tests.eventing.harness import eventually, rows
from tests.eventing.jobs import harness as jobs
from tests.factories import ANSWERS, PARTY, make_form, make_tenant

ADA, BOB, EVE = "ada@example.org", "bob@example.org", "eve@example.org"


@pytest.fixture
async def acme(database: Database) -> Principal:
    return await make_tenant(database)


async def ended(
    database: Database, postman: Any, job_id: str, state: str = "succeeded", lease_s: float = 30.0, **options: Any
) -> Job:
    kinds = sending(database, postman, **options).kinds()
    async with jobs.serving(database, *kinds, queues={"batch": 2}, lease_s=lease_s):
        return await jobs.reaches(database, job_id, state)


async def answer(database: Database, **answers: Any) -> str:
    body = orjson.dumps({"answers": {**ANSWERS, **answers}, "meta": {"language": "de"}})
    principal = Principal.anonymous("acme", Origin())
    return (await Responses(database).submit(principal, SubmitResponse(body=body, slug="party"))).id


class TestSending:
    async def test_everybody_gets_one_of_their_own(self, database: Database, acme: Principal) -> None:
        form = await make_form(database, acme)
        people = [
            {"email": "Ada@Example.org", "name": "Ada", "prefill": {"name": "Ada L.", "email": ADA}, "language": "de"},
            {"email": "ada@example.ORG", "name": "Ada again"},
            {"email": BOB},
        ]
        ordered = await order(database, acme, form.id, recipients=people)
        postman = Postman()
        job = await ended(database, postman, ordered.job_id)
        assert postman.recipients == [ADA, BOB]
        (first, path), (second, _) = sorted(postman.sent, key=lambda sent: str(sent[0]["To"]))
        text = first.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        assert "Guten Tag Ada," in text
        assert "https://forms.example/f/acme/party?lang=de&name=Ada+L.&email=ada%40example.org" in text
        assert "https://forms.example/f/acme/party\n" in second.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        assert path == f"bounces+{first['X-Formstream-Mail']}@forms.example"
        assert first["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert str(first["List-Unsubscribe"]).startswith("<https://forms.example/unsubscribe/acme/mail_")
        assert first["List-Unsubscribe"] != second["List-Unsubscribe"]
        assert job.result == {"mailing_id": ordered.mailing_id, "sent": 2}
        sent = (await notifications(database).list_recipients(acme, ordered.mailing_id, None, 10, None)).data
        assert [(mail.state, mail.sent_at is not None) for mail in sent] == [("sent", True)] * 2
        assert (job.progress_done, job.progress_total) == (2, 2)
        told = await notifications(database).get_mailing(acme, ordered.mailing_id)
        assert (told.state, told.counts.sent, told.job_id) == ("done", 2, ordered.job_id)

    async def test_respondents_get_their_answers_in_words_of_the_tenant(
        self, database: Database, acme: Principal
    ) -> None:
        form = await make_form(database, acme, definition={**PARTY, "languages": ["en", "de"]})
        for name, email in (("Ada", ADA), ("Bob", BOB), ("Ada again", "ADA@example.org")):
            await answer(database, name=name, email=email)
        words = MailWords(
            subject="Dank\r\nBcc: {{ email }}",
            text="{% for q, a in answers %}{{ q }}={{ a }}; {% endfor %}{{ submitted_at | date }}",
        )
        await notifications(database).put_template(acme, "thanks", "de", words)
        chosen = {"email_field": "email", "filter": {"score": {"gte": 5}}}
        ordered = await order(database, acme, form.id, template="thanks", respondents=chosen)
        postman = Postman()
        await ended(database, postman, ordered.job_id)
        assert postman.recipients == [ADA, BOB]
        ada = next(message for message, _ in postman.sent if message["To"] == ADA)
        assert "Your name=Ada; " in ada.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        assert (ada["Subject"], ada["Bcc"]) == (f"Dank Bcc: {ADA}", None)

    async def test_who_is_suppressed_gets_none(self, database: Database, acme: Principal) -> None:
        form = await make_form(database, acme)
        await notifications(database).suppress(acme, SuppressAddress(email="BOB@example.org"))
        ordered = await order(database, acme, form.id, ADA, BOB)
        postman = Postman()
        await ended(database, postman, ordered.job_id)
        assert postman.recipients == [ADA]
        assert await outcome(database, acme, ordered.mailing_id) == {ADA: "sent", BOB: "suppressed"}

    async def test_many_suppressed_ones_hold_nothing_up(
        self, database: Database, acme: Principal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("deployments.notifications.mailings._ROUNDS", 2)
        form, api = await make_form(database, acme), notifications(database)
        people = [f"p{number:02}@example.org" for number in range(20)]
        for email in people[:-1]:
            await api.suppress(acme, SuppressAddress(email=email))
        ordered = await order(database, acme, form.id, *people)
        postman = Postman()
        job = await ended(database, postman, ordered.job_id)
        assert postman.recipients == people[-1:]
        assert job.result == {"mailing_id": ordered.mailing_id, "suppressed": 19, "sent": 1}
        assert (job.progress_done, job.progress_total) == (20, 20)

    async def test_what_fails_says_why_and_what_may_pass_is_tried_again(
        self, database: Database, acme: Principal
    ) -> None:
        """N1: per recipient: 5xx at once for good, 4xx later, and nobody else waits for it."""
        form = await make_form(database, acme)
        ordered = await order(database, acme, form.id, ADA, BOB, EVE)
        postman = Postman(MailRejected("550 no such user"), MailDeferred("451 greylisted"))
        async with jobs.serving(database, *sending(database, postman).kinds(), queues={"batch": 2}):

            async def tried() -> bool:
                job = await jobs.fetch(database, ordered.job_id)
                return job.state == "queued" and bool(job.attempts)

            await eventually(tried)
        states = {each.state: each for each in await recipients(database, acme, ordered.mailing_id)}
        assert (states["failed"].error, states["queued"].error) == ("550 no such user", "451 greylisted")
        assert len(postman.sent) == 1
        assert (await jobs.fetch(database, ordered.job_id)).run_at > (await mails(database))[0].created_at
        (waiting,) = [mail for mail in await mails(database) if mail.state == "queued"]
        async with database.write("acme") as unit:
            waiting.due_at = waiting.created_at
            await unit.session.merge(waiting)
            job = await unit.session.get(Job, ("acme", ordered.job_id))
            assert job is not None
            job.run_at = job.created_at
        await ended(database, postman, ordered.job_id)
        assert len(postman.sent) == 2

    async def test_an_address_that_does_not_exist_gets_no_more(self, database: Database, acme: Principal) -> None:
        form = await make_form(database, acme)
        for state in ("bounced", "suppressed"):
            ordered = await order(database, acme, form.id, ADA)
            await ended(database, Postman(MailboxUnknown("550 5.1.1 no such user")), ordered.job_id)
            assert await outcome(database, acme, ordered.mailing_id) == {ADA: state}
        page = await notifications(database).list_suppressions(acme, None, 10, None, None)
        assert [(each.email, each.reason, each.detail) for each in page.data] == [
            (ADA, "bounce", "550 5.1.1 no such user")
        ]

    async def test_no_more_than_the_rate_of_the_tenant(self, database: Database, acme: Principal) -> None:
        form = await make_form(database, acme)
        ordered = await order(database, acme, form.id, *(f"p{number}@example.org" for number in range(5)))
        postman = Postman()
        async with jobs.serving(database, *sending(database, postman, per_minute=3).kinds(), queues={"batch": 2}):

            async def waits() -> bool:
                job = await jobs.fetch(database, ordered.job_id)
                return job.state == "queued" and bool(job.attempts)

            await eventually(waits)
        assert len(postman.sent) == 3

    async def test_it_goes_on_in_stretches(self, database: Database, acme: Principal) -> None:
        """J: a long mailing leaves its place to others in between."""
        form = await make_form(database, acme)
        ordered = await order(database, acme, form.id, *(f"p{number}@example.org" for number in range(20)))
        postman = Postman()
        job = await ended(database, postman, ordered.job_id, stretch_s=0.0)
        assert len(postman.sent) == len(set(postman.recipients)) == 20
        assert len(job.attempts) >= 3

    async def test_through_a_real_server_over_one_connection_each(self, database: Database, acme: Principal) -> None:
        form = await make_form(database, acme)
        ordered = await order(database, acme, form.id, *(f"p{number}@example.org" for number in range(30)))
        box = Mailbox()
        async with smtp(box) as port:
            transport = SmtpTransport(f"smtp://127.0.0.1:{port}", max_connections=2)
            await ended(database, transport, ordered.job_id)
            await transport.close()
        assert len(box.envelopes) == 30
        assert transport.opened == 2


SENDS_UNTIL_IT_IS_KILLED = """
import asyncio, sys
from db.session import Database
from db.settings import DatabaseSettings
from deployments.notifications.transport import SmtpTransport
from eventing.jobs import JobRunner
from tests.deployments.notifications.scene import sending

async def main():
    database = Database(DatabaseSettings(url=sys.argv[1]))
    job = sending(database, SmtpTransport(sys.argv[2]), per_minute=1_000_000)
    await JobRunner(database, {"batch": 1}, job.kinds(), lease_s=1.0).run()

asyncio.run(main())
"""


class TestBreaking:
    async def test_kill_9_costs_nobody_a_second_mail(self, database: Database, acme: Principal) -> None:
        """N2: a worker's process is killed (SIGKILL) in the middle; a new one goes on; a real server counts."""
        form = await make_form(database, acme)
        ordered = await order(database, acme, form.id, *(f"p{number:03}@example.org" for number in range(60)))
        some = asyncio.Event()

        class Counting(Mailbox):
            async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
                taken = await super().handle_DATA(server, session, envelope)
                if len(self.envelopes) >= 12:
                    some.set()
                return taken

        box = Counting()
        async with smtp(box) as port:
            url = f"smtp://127.0.0.1:{port}"
            worker = await asyncio.create_subprocess_exec(
                sys.executable, "-c", SENDS_UNTIL_IT_IS_KILLED, database.settings.url, url
            )
            await asyncio.wait_for(some.wait(), 60)
            worker.kill()
            assert await worker.wait() == -signal.SIGKILL
            before = len(box.envelopes)
            transport = SmtpTransport(url)
            await ended(database, transport, ordered.job_id, lease_s=1.0, per_minute=1_000_000)
            await transport.close()
        taken = [envelope.rcpt_tos[0] for envelope in box.envelopes]
        assert len(taken) == len(set(taken)) > before
        found = await recipients(database, acme, ordered.mailing_id)
        assert {each.state for each in found} <= {"sent", "failed"}
        assert {each.email for each in found if each.state == "sent"} <= set(taken)
        lost = [each for each in found if each.state == "failed"]
        assert len(lost) <= 8
        assert all("may have arrived" in (each.error or "") for each in lost)

    async def test_a_worker_that_dies_costs_nobody_a_second_mail(self, database: Database, acme: Principal) -> None:
        """N2: what it had in its hands is not sent again, since nobody knows; all others get theirs."""
        form = await make_form(database, acme)
        ordered = await order(database, acme, form.id, *(f"p{number:02}@example.org" for number in range(12)))
        dying = Postman()
        dying.gate.clear()
        job = (await jobs.fetch(database, ordered.job_id)).payload
        run = asyncio.create_task(sending(database, dying).run(_attempt(ordered.job_id, job)))
        await asyncio.wait_for(dying.busy.wait(), 5)
        run.cancel()  # as a kill does: nothing is noted any more
        await asyncio.wait({run})
        states = list((await outcome(database, acme, ordered.mailing_id)).values())
        assert states.count("sending") == 8
        healthy = Postman()
        await ended(database, healthy, ordered.job_id)
        found = await recipients(database, acme, ordered.mailing_id)
        assert [each.state for each in found].count("failed") == 8
        assert all("may have arrived" in (each.error or "") for each in found if each.state == "failed")
        assert healthy.recipients == [each.email for each in found if each.state == "sent"]
        assert len(healthy.sent) == 4

    async def test_a_mail_that_may_have_arrived_is_not_sent_again(self, database: Database, acme: Principal) -> None:
        form = await make_form(database, acme)
        ordered = await order(database, acme, form.id, ADA)
        await ended(database, Postman(MailUncertain("no answer.")), ordered.job_id)
        (found,) = await recipients(database, acme, ordered.mailing_id)
        assert (found.state, found.error) == ("failed", "no answer. It may have arrived, so it is not sent again.")

    async def test_one_that_breaks_down_again_and_again_is_given_up(self, database: Database, acme: Principal) -> None:
        form = await make_form(database, acme)
        ordered = await order(database, acme, form.id, ADA)
        async with database.write("acme") as unit:
            mailing = await unit.session.get(Mailing, ("acme", ordered.mailing_id))
            assert mailing is not None
            mailing.failures = 10
        job = await ended(database, Postman(), ordered.job_id, "failed")
        assert "10 times" in (job.error or "")

    async def test_gathering_is_taken_up_where_it_ended(self, database: Database, acme: Principal) -> None:
        form = await make_form(database, acme)
        for number in range(3):
            await answer(database, email=f"p{number}@example.org")
        ordered = await order(database, acme, form.id, respondents={"email_field": "email"})
        job = _attempt(ordered.job_id, {"mailing_id": ordered.mailing_id})
        first, second = Postman(), Postman()
        first.gate.clear()
        run = asyncio.create_task(sending(database, first).run(job))
        await asyncio.wait_for(first.busy.wait(), 5)
        run.cancel()
        await asyncio.wait({run})
        await ended(database, second, ordered.job_id)
        assert len(await mails(database)) == 3


class TestCancelling:
    async def test_nobody_else_is_written_to(self, database: Database, acme: Principal) -> None:
        form = await make_form(database, acme)
        ordered = await order(database, acme, form.id, *(f"p{number}@example.org" for number in range(20)))
        postman = Postman()
        postman.gate.clear()
        async with jobs.serving(database, *sending(database, postman).kinds(), queues={"batch": 2}):
            await asyncio.wait_for(postman.busy.wait(), 5)
            await notifications(database).cancel_mailing(acme, ordered.mailing_id)
            postman.gate.set()
            await jobs.reaches(database, ordered.job_id, "succeeded")
        told = await notifications(database).get_mailing(acme, ordered.mailing_id)
        assert (told.state, told.counts.sent, told.counts.cancelled) == ("cancelled", 8, 12)
        assert len(postman.sent) == 8

    async def test_a_job_that_is_cancelled_leaves_nothing_in_between(self, database: Database, acme: Principal) -> None:
        """What was sent says so; what was not handed over can still be sent when the job is tried again."""
        form = await make_form(database, acme)
        ordered = await order(database, acme, form.id, *(f"p{number}@example.org" for number in range(20)))
        postman = Postman()
        postman.gate.clear()
        attempt = _attempt(ordered.job_id, {"mailing_id": ordered.mailing_id})
        run = asyncio.create_task(sending(database, postman).run(attempt))
        await asyncio.wait_for(postman.busy.wait(), 5)
        attempt.is_cancelled = True
        postman.gate.set()
        with pytest.raises(JobCancelled):
            await run
        states = list((await outcome(database, acme, ordered.mailing_id)).values())
        assert (states.count("sent"), states.count("queued")) == (8, 12)
        await Jobs(database).cancel(acme, ordered.job_id)
        assert (await notifications(database).get_mailing(acme, ordered.mailing_id)).state == "cancelled"
        await Jobs(database).retry(acme, ordered.job_id)
        await ended(database, postman, ordered.job_id)
        assert len(postman.sent) == len(set(postman.recipients)) == 20

    async def test_twice_is_once(self, database: Database, acme: Principal) -> None:
        form = await make_form(database, acme)
        ordered = await order(database, acme, form.id, ADA)
        for _ in range(2):
            told = await notifications(database).cancel_mailing(acme, ordered.mailing_id)
        assert (told.state, told.counts.cancelled) == ("cancelled", 1)
        await ended(database, Postman(), ordered.job_id)
        assert await outcome(database, acme, ordered.mailing_id) == {ADA: "cancelled"}


class TestOrdering:
    async def test_all_that_is_wrong_is_said_at_once(self, database: Database, acme: Principal) -> None:
        form = await make_form(database, acme)
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"recipients": None}, ""),
            ({"recipients": [{"email": ADA}], "respondents": {"email_field": "email"}}, ""),
            ({"respondents": {"email_field": "nothing"}}, "/respondents/email_field"),
            ({"respondents": {"email_field": "name"}}, "/respondents/email_field"),
            ({"recipients": [{"email": ADA}], "template": "password_reset"}, "/template"),
            ({"recipients": [{"email": ADA}], "template": "nothing"}, "/template"),
        ]
        for command, pointer in wrong:
            with pytest.raises(InvalidMailing) as caught:
                await order(database, acme, form.id, **command)
            assert [fault.pointer for fault in caught.value.faults] == [pointer]
        assert await mails(database) == []
        assert await rows(database, Job) == []

    async def test_the_same_call_again_writes_to_nobody_again(self, database: Database, acme: Principal) -> None:
        """N2: whoever lost the answer may ask with the same Idempotency-Key."""
        form, api = await make_form(database, acme), notifications(database)
        command = CreateMailing.model_validate({"recipients": [{"email": ADA}]})
        first = await api.create_mailing(acme, form.id, command, "k1")
        again = await api.create_mailing(acme, form.id, command, "k1")
        assert (again.mailing_id, again.job_id, again.replayed) == (first.mailing_id, first.job_id, True)
        assert not first.replayed
        other = CreateMailing.model_validate({"recipients": [{"email": BOB}]})
        with pytest.raises(MailingKeyMismatch):
            await api.create_mailing(acme, form.id, other, "k1")
        assert (await api.create_mailing(acme, form.id, other, "k2")).mailing_id != first.mailing_id
        assert len(await mails(database)) == len(await rows(database, Job)) == 2

    async def test_a_draft_asks_nobody(self, database: Database, acme: Principal) -> None:
        form = await make_form(database, acme, publish=False)
        with pytest.raises(FormNotPublished):
            await order(database, acme, form.id, ADA)

    async def test_nothing_where_mail_is_switched_off(self, database: Database) -> None:
        acme = await make_tenant(database, features={"mail": False})
        form = await make_form(database, acme)
        with pytest.raises(FeatureDisabled):
            await order(database, acme, form.id, ADA)

    async def test_who_may_not_see_addresses_may_not_write_to_them(self, database: Database, acme: Principal) -> None:
        form = await make_form(database, acme)
        sender = Principal("acme", "usr_2", "user", scopes=frozenset({"mail:send", "forms:read", "responses:read"}))
        with pytest.raises(Forbidden):
            await order(database, sender, form.id, respondents={"email_field": "email"})
        await order(database, sender, form.id, ADA)

    async def test_a_bad_filter_is_refused_when_it_is_ordered(self, database: Database, acme: Principal) -> None:
        form = await make_form(database, acme)
        chosen = {"email_field": "email", "filter": {"nothing": {"eq": 1}}}
        with pytest.raises(Invalid):
            await order(database, acme, form.id, respondents=chosen)
        assert await rows(database, Job) == []

    async def test_of_another_tenant_there_is_nothing(self, database: Database, acme: Principal) -> None:
        """T5."""
        form = await make_form(database, acme)
        ordered = await order(database, acme, form.id, ADA)
        other, api = await make_tenant(database, "globex"), notifications(database)
        for call in (
            api.get_mailing(other, ordered.mailing_id),
            api.cancel_mailing(other, ordered.mailing_id),
            api.list_recipients(other, ordered.mailing_id, None, 10, None),
            api.list_mailings(other, form.id, None, 10),
            api.create_mailing(other, form.id, CreateMailing.model_validate({"recipients": [{"email": ADA}]})),
        ):
            with pytest.raises(NotFound):
                await call

    async def test_lists_have_pages(self, database: Database, acme: Principal) -> None:
        form, api = await make_form(database, acme), notifications(database)
        ordered = [await order(database, acme, form.id, ADA, BOB, EVE) for _ in range(2)]
        first = await api.list_mailings(acme, form.id, None, 1)
        rest = await api.list_mailings(acme, form.id, first.meta.next_cursor, 1)
        assert [first.data[0].id, rest.data[0].id] == [ordered[1].mailing_id, ordered[0].mailing_id]
        people = await api.list_recipients(acme, ordered[0].mailing_id, None, 2, "queued")
        last = await api.list_recipients(acme, ordered[0].mailing_id, people.meta.next_cursor, 2, "queued")
        assert [each.email for each in (*people.data, *last.data)] == [ADA, BOB, EVE]
        assert last.meta.next_cursor is None

    async def test_a_form_that_is_gone_ends_it(self, database: Database, acme: Principal) -> None:
        form = await make_form(database, acme)
        ordered = await order(database, acme, form.id, ADA)
        await Forms(database).delete(acme, form.id)
        job = await ended(database, Postman(), ordered.job_id, "failed")
        assert job.error == "the form is gone"


def _attempt(job_id: str, payload: dict[str, Any]) -> JobRun:
    async def report(done: int, total: int | None) -> bool:
        return False

    return JobRun(
        tenant_id="acme",
        id=job_id,
        payload=payload,
        attempt=1,
        created_by="usr_1",
        soft_limit_s=60,
        report=report,
    )
