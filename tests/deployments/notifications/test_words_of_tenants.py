"""N2: a tenant's words and looks: kept apart from other tenants', shown, tried, and used when mail is sent."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from db.models.jobs import Job
from db.session import Database
from deployments.forms.deployment import Forms
from deployments.kit.errors import DomainError, NotFound
from deployments.kit.principal import Principal
from deployments.notifications.contracts import (
    SEND_LETTER,
    Letter,
    MailBranding,
    MailWords,
    PreviewMail,
    SuppressAddress,
)
from deployments.notifications.errors import InvalidMailTemplate
from deployments.notifications.handlers import SendMail, job_kinds
from deployments.notifications.letters import SendLetter
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from eventing.events.envelope import Origin
from tests.deployments.notifications.scene import STATIONERY, VAULT, Postman, mails, notifications
from tests.deployments.notifications.test_handlers import consume, submitted
from tests.eventing.harness import rows
from tests.eventing.jobs import harness as jobs
from tests.factories import ANSWERS, make_form, make_tenant

WORDS = MailWords(subject="Neu: {{ form_title }}", text="{% for q, a in answers %}{{ q }}: {{ a }}\n{% endfor %}")


@pytest.fixture
async def acme(database: Database) -> Principal:
    return await make_tenant(database)


async def answered(database: Database, **answers: Any) -> str:
    command = SubmitResponse(body=orjson.dumps({"answers": {**ANSWERS, **answers}}), slug="party")
    return (await Responses(database).submit(Principal.anonymous("acme", Origin()), command)).id


async def test_the_platforms_words_until_there_are_own_ones(database: Database, acme: Principal) -> None:
    api = notifications(database)
    shown = await api.get_template(acme, "response_notification", "")
    assert (shown.built_in, shown.language, shown.subject) == (True, "en", "New response: {{ form_title }}")
    assert {variable.name for variable in shown.variables} == {"form_title", "submitted_at", "answers"}
    assert (await api.get_template(acme, "response_notification", "de")).text.startswith("Neue Antwort")
    saved = await api.put_template(acme, "response_notification", "de-AT", WORDS)
    assert (saved.built_in, saved.language) == (False, "de-at")
    assert await api.get_template(acme, "response_notification", "DE-at") == saved
    again = MailWords(subject="Anders", text="{{ form_title }}", html="<p>{{ form_title }}</p>")
    assert (await api.put_template(acme, "response_notification", "de-AT", again)).subject == "Anders"
    listed = {each.name: each for each in (await api.list_templates(acme)).data}
    assert listed["response_notification"].own_languages == ["de-at"]
    assert listed["response_notification"].languages == ["en", "de"]
    await api.delete_template(acme, "response_notification", "de-AT")
    for call in (
        api.delete_template(acme, "response_notification", "de-AT"),
        api.get_template(acme, "response_notification", "fr"),
        api.get_template(acme, "nothing_like_it", ""),
        api.put_template(acme, "../x", "", WORDS),
        api.put_template(acme, "letter", "not a language", WORDS),
    ):
        with pytest.raises(NotFound):
            await call


async def test_what_is_wrong_is_not_saved(database: Database, acme: Principal) -> None:
    api = notifications(database)
    wrong = MailWords(subject="{{ nobody }}", text="ok", html="<p onclick='x'>{{ nobody }}</p>")
    with pytest.raises(InvalidMailTemplate) as caught:
        await api.put_template(acme, "autoresponse", "", wrong)
    assert [fault.pointer for fault in caught.value.faults] == ["/subject", "/html"]
    assert (await api.get_template(acme, "autoresponse", "")).built_in


async def test_another_tenant_has_its_own(database: Database, acme: Principal) -> None:
    """T5."""
    api, other = notifications(database), await make_tenant(database, "globex")
    await api.put_template(acme, "newsletter", "", MailWords(subject="Acme's", text="T"))
    await api.put_branding(acme, MailBranding(sender_name="Acme"))
    await api.suppress(acme, SuppressAddress(email="ada@example.org"))
    with pytest.raises(NotFound):
        await api.get_template(other, "newsletter", "")
    with pytest.raises(NotFound):
        await api.preview(other, "newsletter", "", PreviewMail())
    assert await api.get_branding(other) == MailBranding()
    assert (await api.list_suppressions(other, None, 10, None, None)).data == []


async def test_a_preview_is_the_mail_with_samples_or_a_response(database: Database, acme: Principal) -> None:
    api = notifications(database)
    await make_form(database, acme)
    response_id = await answered(database, name="<b>Zoë</b>")
    await api.put_branding(acme, MailBranding(sender_name="Acme Ltd", colour="#112233"))
    samples = await api.preview(acme, "response_notification", "", PreviewMail())
    assert samples.subject == "New response: Summer party"
    real = await api.preview(acme, "response_notification", "de", PreviewMail(words=WORDS, response_id=response_id))
    assert (real.subject, real.sender) == ("Neu: Party", "Acme Ltd <no-reply@forms.example>")
    assert "Your name: <b>Zoë</b>" in real.text
    assert "&lt;b&gt;Zoë" in real.html
    assert "<b>" not in real.html
    assert "#112233" in real.html
    assert (await api.get_template(acme, "response_notification", "de")).built_in
    for command in (PreviewMail(response_id="rsp_" + "0" * 32),):
        with pytest.raises(NotFound):
            await api.preview(acme, "response_notification", "", command)
    with pytest.raises(InvalidMailTemplate):
        await api.preview(acme, "autoresponse", "", PreviewMail(words=MailWords(subject="{{ x }}", text="T")))


async def test_what_a_principal_may_not_see_is_not_in_the_preview(database: Database, acme: Principal) -> None:
    """U5: the preview shows a response as far as whoever asks may see it."""
    await make_form(database, acme)
    response_id = await answered(database)
    nobody = Principal("acme", "usr_2", "user", scopes=frozenset({"mail:read"}))
    with pytest.raises(DomainError) as caught:
        await notifications(database).preview(nobody, "response_notification", "", PreviewMail(response_id=response_id))
    assert caught.value.status in (403, 404)


async def test_mail_is_sent_in_the_tenants_words_and_looks(database: Database, acme: Principal) -> None:
    theme = {"logo_url": "https://acme.example/party.png", "primary": "#445566"}
    form = await make_form(
        database, acme, send_notification=True, notification_recipients=["team@example.org"], theme=theme
    )
    api = notifications(database)
    await api.put_template(acme, "response_notification", "", WORDS)
    await api.put_branding(acme, MailBranding(sender_name="Acme", reply_to="hello@acme.example", colour="#112233"))
    await consume(database, submitted(form.id, await answered(database)))
    postman = Postman()
    await sent(database, postman)
    ((message, path),) = postman.sent
    assert (message["From"], message["Reply-To"]) == ("Acme <no-reply@forms.example>", "hello@acme.example")
    assert message["Subject"] == "Neu: Party"
    html = message.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "party.png" in html
    assert "#445566" in html
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert path == f"bounces+{message['X-Formstream-Mail']}@forms.example"


async def test_who_is_suppressed_is_not_told_of_responses(database: Database, acme: Principal) -> None:
    form = await make_form(database, acme, send_notification=True, notification_recipients=["Team@example.org"])
    await notifications(database).suppress(acme, SuppressAddress(email="team@EXAMPLE.org"))
    await consume(database, submitted(form.id, await answered(database)))
    postman = Postman()
    await sent(database, postman)
    assert postman.sent == []
    assert [mail.state for mail in await mails(database)] == ["suppressed"]


async def test_letters_about_accounts_come_in_any_case(database: Database, acme: Principal, tmp_path: Path) -> None:
    """N2, N3: in the tenant's words, to suppressed addresses too, and without a way out of them."""
    api = notifications(database)
    words = MailWords(subject="Acme: Passwort", text="Hier: {{ link }}")
    await api.put_template(acme, "password_reset", "de", words)
    await api.suppress(acme, SuppressAddress(email="ada@example.org"))
    letter = Letter(
        template="password_reset",
        recipient="ada@example.org",
        locale="de-CH",
        written_at=datetime(2030, 1, 1, tzinfo=UTC),
        values={"name": "Ada", "link": "https://forms.example/account/reset#token=t"},
    )
    (job_id,) = await jobs.order(database, "acme", kind=SEND_LETTER, payload=letter.sealed(VAULT), queue="high")
    postman = Postman()
    kinds = SendLetter(database, VAULT, postman, STATIONERY).kinds()
    async with jobs.serving(database, *kinds, queues={"high": 1}):
        await jobs.reaches(database, job_id, "succeeded")
    ((message, _),) = postman.sent
    assert message["Subject"] == "Acme: Passwort"
    assert message["List-Unsubscribe"] is None
    html = message.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert '<a href="https://forms.example/account/reset#token=t">' in html


async def test_a_name_cannot_break_a_header(database: Database, acme: Principal) -> None:
    """N2: whatever stands in brand and names, there is one sender and one recipient."""
    with pytest.raises(ValueError):
        MailBranding(sender_name="Eve\r\nBcc: all@example.org")
    for logo in ('https://x.example/"><script>', "http://x.example/a", "https://x.example/a b", "javascript:x()"):
        with pytest.raises(ValueError):
            MailBranding(logo_url=logo)
    await notifications(database).put_branding(acme, MailBranding(sender_name='Eve" <eve@example.org>, "x'))
    form = await make_form(database, acme, send_notification=True, notification_recipients=["team@example.org"])
    await consume(database, submitted(form.id, await answered(database)))
    await sent(database, postman := Postman())
    ((message, _),) = postman.sent
    assert [address.addr_spec for address in message["From"].addresses] == ["no-reply@forms.example"]
    assert b"\nBcc" not in message.as_bytes()


async def sent(database: Database, postman: Postman) -> None:
    """Run the jobs of all mails about responses."""
    send = SendMail(database, Forms(database), Responses(database), postman, STATIONERY)
    async with jobs.serving(database, *job_kinds(send)):
        await jobs.all_in(database, [job.id for job in await rows(database, Job)], "succeeded")
