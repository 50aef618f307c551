"""N2: messages that come back: what they say, whom they suppress, and whom nobody can have suppressed by them."""

from dataclasses import replace
from email.message import EmailMessage

import pytest

from db.models.notifications import Mail
from db.session import Database
from db.types import new_id, utc_now
from deployments.kit.principal import Principal
from deployments.notifications.contracts import BounceReport, SuppressAddress
from deployments.notifications.errors import SubscriptionNotFound, SuppressionNotFound
from deployments.notifications.returned import read_returned
from tests.deployments.notifications.scene import STATIONERY, mails, notifications
from tests.factories import make_tenant

ADA = "ada@example.org"


@pytest.fixture
async def acme(database: Database) -> Principal:
    return await make_tenant(database)


async def a_mail(database: Database, tenant_id: str = "acme", recipient: str = ADA) -> str:
    """A mail that was sent."""
    mail = Mail(
        tenant_id=tenant_id,
        id=new_id("mail"),
        template="response_notification",
        cause=new_id("evt"),
        recipient=recipient,
        subject="S",
        state="sent",
        created_at=utc_now(),
    )
    async with database.write(tenant_id) as unit:
        unit.session.add(mail)
    return mail.id


def report(
    *,
    kind: str = "delivery-status",
    fields: str = "Action: failed\nStatus: 5.1.1\nFinal-Recipient: rfc822; eve@example.org\n",
    to: str = "bounces@forms.example",
    original: EmailMessage | str | None = None,
) -> bytes:
    """A report as mail servers write them (RFC 6522)."""
    head = "Reporting-MTA: dns; mx.example\n\n" if kind == "delivery-status" else ""
    parts = ["Content-Type: text/plain\n\nSorry.", f"Content-Type: message/{kind}\n\n{head}{fields}"]
    if isinstance(original, EmailMessage):
        parts.append(f"Content-Type: message/rfc822\n\n{original.as_string()}")
    elif original is not None:
        parts.append(f"Content-Type: text/rfc822-headers\n\n{original}")
    top = f'To: {to}\nContent-Type: multipart/report; report-type={kind}; boundary="=x="\n\n'
    return (top + "".join(f"--=x=\n{part}\n" for part in parts) + "--=x=--\n").encode()


def original(mail_id: str) -> EmailMessage:
    message = EmailMessage()
    message["X-Formstream-Mail"] = mail_id
    message["Message-ID"] = f"<{mail_id}@forms.example>"
    message.set_content("Hello")
    return message


async def hand_in(database: Database, principal: Principal, content: bytes) -> BounceReport:
    return await notifications(database).report_bounce(principal, content)


async def suppressed(database: Database, principal: Principal) -> dict[str, str]:
    page = await notifications(database).list_suppressions(principal, None, 100, None, None)
    return {each.email: each.reason for each in page.data}


class TestReports:
    @pytest.mark.parametrize("how", ["address", "whole", "headers", "message id"])
    async def test_the_mail_is_found_by_what_there_is_of_it(
        self, database: Database, acme: Principal, how: str
    ) -> None:
        """RFC 3464, VERP: it is our address of the mail that is suppressed, not the one that the report names."""
        mail_id = await a_mail(database, recipient="Ada@Example.org")
        content = {
            "address": report(to=STATIONERY.return_path(mail_id)),
            "whole": report(original=original(mail_id)),
            "headers": report(original=f"X-Formstream-Mail: {mail_id}\n"),
            "message id": report(original=f"Subject: x\nMessage-ID: <{mail_id}@forms.example>\n"),
        }[how]
        for _ in range(2):  # the same report again changes nothing
            told = await hand_in(database, acme, content)
            assert told == BounceReport(
                outcome="bounced", mail_id=mail_id, recipient="Ada@Example.org", status="5.1.1", suppressed=True
            )
            assert await suppressed(database, acme) == {ADA: "bounce"}
        (mail,) = await mails(database)
        assert (mail.state, mail.error) == ("bounced", "5.1.1")

    @pytest.mark.parametrize(
        ("fields", "outcome", "hard"),
        [
            ("Action: failed\nStatus: 5.0.0\n", "bounced", True),
            ("Action: failed\nStatus: 5.2.1\n", "bounced", True),
            ("Action: failed\n", "bounced", True),
            ("Action: failed\nStatus: 5.2.2\n", "bounced", False),
            ("Action: failed\nStatus: 5.7.1\n", "bounced", False),
            ("Action: failed\nStatus: 5.3.4\n", "bounced", False),
            ("Action: failed\nStatus: 4.4.7\n", "delayed", False),
            ("Action: delayed\nStatus: 4.2.2\n", "delayed", False),
            ("Action: delivered\nStatus: 2.0.0\n", "unmatched", False),
            ("Action: delayed\nStatus: 4.0.0\n\nAction: FAILED \nStatus: 5.1.2\n", "bounced", True),
            ("Action: failed\nDiagnostic-Code: smtp; 550 5.7.26 no SPF\n", "bounced", False),
        ],
    )
    async def test_only_what_is_wrong_with_the_address_suppresses_it(
        self, database: Database, acme: Principal, fields: str, outcome: str, hard: bool
    ) -> None:
        mail_id = await a_mail(database)
        told = await hand_in(database, acme, report(fields=fields, original=original(mail_id)))
        assert (told.outcome, told.suppressed) == (outcome, hard)
        assert await suppressed(database, acme) == ({ADA: "bounce"} if hard else {})
        assert [mail.state for mail in await mails(database)] == ["bounced" if outcome == "bounced" else "sent"]

    async def test_a_complaint_suppresses(self, database: Database, acme: Principal) -> None:
        """RFC 5965."""
        mail_id = await a_mail(database)
        content = report(kind="feedback-report", fields="Feedback-Type: abuse\n", original=original(mail_id))
        assert (await hand_in(database, acme, content)).outcome == "complaint"
        assert await suppressed(database, acme) == {ADA: "complaint"}
        assert [mail.state for mail in await mails(database)] == ["sent"]
        not_spam = report(kind="feedback-report", fields="Feedback-Type: not-spam\n", original=original(mail_id))
        assert (await hand_in(database, acme, not_spam)).outcome == "unmatched"

    async def test_nobody_suppresses_whom_we_did_not_write_to(self, database: Database, acme: Principal) -> None:
        """T5: neither with made-up mails, nor with those of another tenant."""
        other = await make_tenant(database, "globex")
        theirs = await a_mail(database, "globex")
        for mail_id in (new_id("mail"), theirs):
            told = await hand_in(database, acme, report(original=original(mail_id)))
            assert told == BounceReport(outcome="unmatched")
        assert await suppressed(database, acme) == await suppressed(database, other) == {}

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\0\xff\xfe",
            b"Subject: I am on holiday\n\nBack on Monday.",
            b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\n",
            b"Content-Type: multipart/report; report-type=delivery-status\n\n",
            b"Content-Type: multipart/report; boundary=x\n\n" + b"--x\nContent-Type: message/delivery-status\n\n" * 300,
            report(fields="Status: =?utf-8?b?//8=?=\nAction: =?x?=\n"),
            report(original="X-Formstream-Mail: mail_" + "0" * 32 + "\r\n" * 50_000),
        ],
    )
    def test_what_is_no_report_is_none(self, content: bytes) -> None:
        found = read_returned(content)
        assert found is None or found.what == "failed"


class TestTheWayOut:
    async def test_a_link_is_for_its_mail_alone(self, database: Database, acme: Principal) -> None:
        api, anybody = notifications(database), Principal.anonymous("acme", origin=acme.origin)
        mail_id = await a_mail(database)
        token = str(STATIONERY.unsubscribe_url("acme", mail_id)).rpartition("/")[2]
        asked = await api.find_subscription(anybody, token)
        assert (asked.tenant, asked.email, asked.unsubscribed) == ("Acme", "a…@example.org", False)
        assert await suppressed(database, acme) == {}
        for _ in range(2):
            assert (await api.unsubscribe(anybody, token)).unsubscribed
        assert await suppressed(database, acme) == {ADA: "unsubscribe"}

    @pytest.mark.parametrize(("scheme", "is_offered"), [("https", True), ("http", False)])
    def test_one_click_is_offered_over_tls_alone(self, scheme: str, is_offered: bool) -> None:
        """RFC 8058 §3.1: mail programs press nothing else; the link in the text stays."""
        paper = replace(STATIONERY, public_url=f"{scheme}://forms.example")
        link = paper.unsubscribe_url("acme", new_id("mail"))
        assert link is not None
        assert paper.one_click(link) == (link if is_offered else None)

    async def test_a_link_that_is_not_ours_leads_nowhere(self, database: Database, acme: Principal) -> None:
        api, anybody = notifications(database), Principal.anonymous("acme", origin=acme.origin)
        await make_tenant(database, "globex")
        mail_id, theirs = await a_mail(database), await a_mail(database, "globex")
        token = str(STATIONERY.unsubscribe_url("acme", mail_id)).rpartition("/")[2]
        signature = token.rpartition(".")[2]
        foreign = str(STATIONERY.unsubscribe_url("globex", theirs)).rpartition("/")[2]
        gone = str(STATIONERY.unsubscribe_url("acme", new_id("mail"))).rpartition("/")[2]
        for bad in (mail_id, f"{mail_id}.{'0' * 64}", f"{theirs}.{signature}", foreign, gone, "", "x" * 300):
            with pytest.raises(SubscriptionNotFound):
                await api.unsubscribe(anybody, bad)
        assert await suppressed(database, acme) == {}


class TestSuppressions:
    async def test_listed_found_and_lifted(self, database: Database, acme: Principal) -> None:
        api, other = notifications(database), await make_tenant(database, "globex")
        made = [await api.suppress(acme, SuppressAddress(email=f"p{n}@Example.org", detail="asked")) for n in range(3)]
        assert await api.suppress(acme, SuppressAddress(email="P0@example.org")) == made[0]
        first = await api.list_suppressions(acme, None, 2, "manual", None)
        last = await api.list_suppressions(acme, first.meta.next_cursor, 2, "manual", None)
        assert [each.id for each in (*first.data, *last.data)] == [each.id for each in reversed(made)]
        found = await api.list_suppressions(acme, None, 10, None, "P1@example.org")
        assert [each.email for each in found.data] == ["p1@example.org"]
        assert (await api.list_suppressions(acme, None, 10, "bounce", None)).data == []
        with pytest.raises(SuppressionNotFound):
            await api.unsuppress(other, made[0].id)
        await api.unsuppress(acme, made[0].id)
        with pytest.raises(SuppressionNotFound):
            await api.unsuppress(acme, made[0].id)
