"""N3, F7: a reply to the person who answered, on both databases."""

import email
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import orjson
import pytest

from db.models.jobs import Job
from db.session import Database
from deployments.forms.contracts import Form, UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.principal import Principal
from deployments.notifications.handlers import REPLIES_A_DAY, SendMail, job_kinds
from deployments.notifications.stationery import Stationery
from deployments.notifications.transport import FolderTransport
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from eventing.events.envelope import Origin
from tests.deployments.notifications.test_handlers import SENDER, consume, mails, submitted
from tests.eventing.harness import rows
from tests.eventing.jobs import harness as jobs
from tests.factories import ANSWERS, PARTY, make_form, make_tenant

REPLY = {
    "email_field": "email",
    "subject": {"en": "See you\r\nBcc: everybody@example.org", "de": "Bis bald"},
    "text": {"en": "We <b>look</b> forward to it.", "de": "Wir freuen uns."},
}


@pytest.fixture
async def acme(database: Database) -> Principal:
    return await make_tenant(database)


async def a_form(database: Database, acme: Principal, **reply: Any) -> Form:
    definition = {**PARTY, "languages": ["en", "de"]}
    return await make_form(database, acme, definition=definition, autoresponder={**REPLY, **reply})


async def sent(database: Database, form: Form, folder: Path, meta: dict[str, Any] | None = None) -> EmailMessage:
    """The reply to a submission."""
    body = orjson.dumps({"answers": ANSWERS, "meta": meta or {}})
    principal = Principal.anonymous("acme", Origin())
    response = await Responses(database).submit(principal, SubmitResponse(body=body, slug="party"))
    await consume(database, submitted(form.id, response.id))
    (job,) = await rows(database, Job)
    send = SendMail(database, Forms(database), Responses(database), FolderTransport(folder), Stationery(SENDER))
    async with jobs.serving(database, *job_kinds(send)):
        await jobs.reaches(database, job.id, "succeeded")
    (message,) = read(folder)
    return message


def read(folder: Path) -> list[EmailMessage]:
    """Every mail in the folder."""
    found = [email.message_from_bytes(path.read_bytes(), policy=default) for path in folder.glob("*.eml")]
    return [message for message in found if isinstance(message, EmailMessage)]


def text(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    content = body.get_content()
    assert isinstance(content, str)
    return content


async def test_who_answers_gets_a_reply(database: Database, acme: Principal, tmp_path: Path) -> None:
    """N3: subject and text as they are set, escaped where they have to be, without the answers."""
    message = await sent(database, await a_form(database, acme), tmp_path / "mail")
    assert message["To"] == "ada@example.org"
    assert message["Subject"] == "See you Bcc: everybody@example.org"
    assert message["Bcc"] is None
    assert text(message, "plain").strip() == "We <b>look</b> forward to it."
    assert "We &lt;b&gt;look" in text(message, "html")
    (mail,) = await mails(database)
    assert (mail.template, mail.state) == ("autoresponse", "sent")


async def test_in_the_language_of_the_visitor(database: Database, acme: Principal, tmp_path: Path) -> None:
    """F8: what the page named wins, and its regional form will do."""
    message = await sent(database, await a_form(database, acme), tmp_path / "mail", {"language": "de-AT"})
    assert (message["Subject"], text(message, "plain").strip()) == ("Bis bald", "Wir freuen uns.")


async def test_with_the_answers_where_that_is_wanted(database: Database, acme: Principal, tmp_path: Path) -> None:
    message = await sent(database, await a_form(database, acme, include_answers=True), tmp_path / "mail")
    for kind in ("plain", "html"):
        assert all(word in text(message, kind) for word in ("Your name", "Ada", "Corn"))


async def test_switched_off_it_says_nothing(database: Database, acme: Principal) -> None:
    form = await a_form(database, acme, enabled=False)
    assert (await consume(database, submitted(form.id, "rsp_1"))).counters.unselected == 1
    assert await mails(database) == []


async def test_switched_off_since_it_is_dropped(database: Database, acme: Principal, tmp_path: Path) -> None:
    form = await a_form(database, acme)
    body = orjson.dumps({"answers": ANSWERS})
    principal = Principal.anonymous("acme", Origin())
    response = await Responses(database).submit(principal, SubmitResponse(body=body, slug="party"))
    await consume(database, submitted(form.id, response.id))
    await Forms(database).update(acme, form.id, UpdateForm(settings={"autoresponder": None}))
    (job,) = await rows(database, Job)
    send = SendMail(
        database, Forms(database), Responses(database), FolderTransport(tmp_path / "mail"), Stationery(SENDER)
    )
    async with jobs.serving(database, *job_kinds(send)):
        await jobs.reaches(database, job.id, "succeeded")
    assert [mail.state for mail in await mails(database)] == ["dropped"]
    assert read(tmp_path / "mail") == []


async def test_who_is_told_and_answers_gets_both(database: Database, acme: Principal) -> None:
    """E3: each once, although one event causes both."""
    form = await make_form(
        database,
        acme,
        send_notification=True,
        notification_recipients=["ada@example.org"],
        autoresponder={**REPLY, "subject": "S", "text": "T"},
    )
    event = submitted(form.id, "rsp_1")
    await consume(database, event)
    await consume(database, event)
    assert {mail.template for mail in await mails(database)} == {"response_notification", "autoresponse"}
    assert len(await mails(database)) == 2


async def test_nobody_is_flooded_with_replies(database: Database, acme: Principal) -> None:
    """R6: anybody can enter anybody's address, so few replies a day go to each."""
    form = await a_form(database, acme)
    for number in range(4):
        await consume(database, *(submitted(form.id, f"rsp_{number}_{n}") for n in range(2)))
    assert len(await mails(database)) == REPLIES_A_DAY == len(await rows(database, Job))
