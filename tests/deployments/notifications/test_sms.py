"""N4: text messages through a provider with Twilio's API, spoken by a real server, or into a folder."""

import base64
import json
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from db.models.jobs import Job
from db.session import Database
from db.types import utc_now
from deployments.kit.errors import Unavailable
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from deployments.notifications.contracts import SEND_TEXT, TextMessage, TextReceipt
from deployments.notifications.deployment import Notifications
from deployments.notifications.errors import TextMessageNotFound
from deployments.notifications.segments import segments_of
from deployments.notifications.service.receipts import signature_of
from deployments.notifications.settings import NotificationsSettings
from deployments.notifications.sms import (
    FolderTextTransport,
    TextDeferred,
    TextRejected,
    TextTransport,
    TwilioTransport,
    text_transport_for,
)
from deployments.notifications.texts import SendText
from tests.certificates import tls_for
from tests.deployments.local_http import Answer, LocalHttp, answer, hang, serving
from tests.eventing.harness import rows
from tests.eventing.jobs import harness as jobs

VAULT = Vault("s" * 32)
MESSAGE = TextMessage(recipient="+14155552671", text="123456 is your code & more: 100 % +1")
CREATED = answer("201 Created", b'{"sid": "SM1", "status": "queued"}', "content-type: application/json")


def refused(status: str, code: int | None, *headers: str) -> Answer:
    document = {"status": int(status[:3]), "message": "no: +14155552671"}
    return answer(status, json.dumps(document | ({} if code is None else {"code": code})).encode(), *headers)


def transport(server: LocalHttp, sender: str = "+15550100", **options: float) -> TwilioTransport:
    url = f"twilio://AC1%2F2:to%3Aken@127.0.0.1:{server.port}?from={sender}&scheme=http"
    return TwilioTransport(url, **options)


async def test_a_message_is_sent_as_the_api_wants_it() -> None:
    """N4: form-encoded, with the account in path and credentials."""
    async with serving(CREATED) as server:
        await transport(server).send(MESSAGE, "job_1")
        await transport(server, "MG1").send(MESSAGE, "job_2")
    first, second = server.requests
    assert first.line == "POST /2010-04-01/Accounts/AC1%2F2/Messages.json HTTP/1.1"
    assert first.headers["authorization"] == "Basic " + base64.b64encode(b"AC1/2:to:ken").decode()
    assert first.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(first.body.decode()) == {"To": [MESSAGE.recipient], "Body": [MESSAGE.text], "From": ["+15550100"]}
    assert parse_qs(second.body.decode())["MessagingServiceSid"] == ["MG1"]
    assert b"From=" not in second.body


@pytest.mark.parametrize(
    "given",
    [
        refused("400 Bad Request", 21211),
        refused("404 Not Found", 20404),
        refused("410 Gone", 21610, "retry-after: 5"),
    ],
)
async def test_a_refusal_with_a_code_is_final(given: Answer) -> None:
    async with serving(given) as server:
        with pytest.raises(TextRejected) as caught:
            await transport(server).send(MESSAGE, "job_1")
    assert "error 2" in caught.value.detail
    assert "+1415" not in caught.value.detail


@pytest.mark.parametrize(
    ("given", "retry_after"),
    [
        (refused("429 Too Many Requests", 20429, "retry-after: 7"), 7.0),
        (refused("429 Too Many Requests", 20429), None),
        (refused("429 Too Many Requests", 20429, "retry-after: soon"), None),
        (refused("503 Service Unavailable", 20503, "retry-after: 99999999"), 3600.0),
        (refused("401 Unauthorized", 20003), None),
        (refused("403 Forbidden", 20003), None),
        (answer("500 Internal Server Error", b"<html>"), None),
        (answer("404 Not Found", b"<html>a proxy</html>"), None),
        (answer("400 Bad Request", b"[]"), None),
        (answer("302 Found", b"", "location: http://127.0.0.1:1/"), None),
    ],
)
async def test_what_may_pass_is_tried_again(given: Answer, retry_after: float | None) -> None:
    """N4: load, broken servers and our own wrong credentials do not lose a message; Retry-After is heard."""
    async with serving(given) as server:
        with pytest.raises(TextDeferred) as caught:
            await transport(server).send(MESSAGE, "job_1")
    assert caught.value.retry_after == retry_after
    assert len(server.requests) == 1


async def test_a_date_says_when_to_come_back_too() -> None:
    moment = format_datetime(utc_now() + timedelta(seconds=90), usegmt=True)
    async with serving(refused("503 Service Unavailable", None, f"retry-after: {moment}")) as server:
        with pytest.raises(TextDeferred) as caught:
            await transport(server).send(MESSAGE, "job_1")
    assert caught.value.retry_after is not None
    assert 80 < caught.value.retry_after <= 90


async def test_silence_and_closed_doors_are_tried_again() -> None:
    async with serving(hang) as server:
        with pytest.raises(TextDeferred, match=r"within 0\.2 s"):
            await transport(server, timeout_s=0.2).send(MESSAGE, "job_1")
        port = server.port
    with pytest.raises(TextDeferred, match="cannot be reached"):
        await TwilioTransport(f"twilio://AC1:t@127.0.0.1:{port}?from=+1555&scheme=http").send(MESSAGE, "job_1")


async def test_an_endless_answer_is_not_read() -> None:
    async with serving(answer("400 Bad Request", b"x" * 1_000_000)) as server:
        with pytest.raises(TextDeferred):
            await transport(server).send(MESSAGE, "job_1")


async def test_the_certificate_is_checked(tmp_path: Path) -> None:
    """N4: https unless told otherwise."""
    serves, trusts = tls_for("localhost", tmp_path)
    async with serving(CREATED, tls=serves) as server:
        url = f"twilio://AC1:t@localhost:{server.port}?from=+15550100"
        with pytest.raises(TextDeferred):
            await TwilioTransport(url).send(MESSAGE, "job_1")
        await TwilioTransport(url, tls_context=trusts).send(MESSAGE, "job_1")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://AC1:token@host?from=+1555",
        "twilio://host?from=+1555",
        "twilio://AC1@host?from=+1555",
        "twilio://AC1:s3cret@host",
        "twilio://AC1:s3cret@host/path?from=+1555",
        "twilio://AC1:s3cret@host?from=+1555&scheme=ftp",
        "twilio://AC1:s3cret@host?from=+1555&colour=red",
    ],
)
def test_a_bad_url_is_refused_without_repeating_it(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="provider") as caught:
        text_transport_for(url, tmp_path)
    assert "s3cret" not in str(caught.value)


async def test_without_a_provider_there_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "sms"
    chosen = text_transport_for("", folder)
    for _ in range(2):
        await chosen.send(MESSAGE, "job/1")
    (path,) = folder.iterdir()
    assert path.name == "job%2F1.json"
    assert json.loads(path.read_bytes()) == {"to": MESSAGE.recipient, "text": MESSAGE.text}
    (tmp_path / "file").touch()
    with pytest.raises(TextDeferred):
        await FolderTextTransport(tmp_path / "file").send(MESSAGE, "job_1")
    with pytest.raises(ValueError, match="key"):
        await chosen.send(MESSAGE, "")


async def ended(
    database: Database, chosen: TextTransport, state: str, vault: Vault = VAULT, public_url: str = ""
) -> Job:
    (job_id,) = await jobs.order(database, "acme", kind=SEND_TEXT, payload=MESSAGE.sealed(VAULT), queue="high")
    async with jobs.serving(database, *SendText(vault, chosen, public_url).kinds(), queues={"high": 1}):
        return await jobs.reaches(database, job_id, state)


async def test_a_job_sends_and_the_database_does_not_know_what(database: Database, tmp_path: Path) -> None:
    job = await ended(database, FolderTextTransport(tmp_path), "succeeded")
    assert b"123456" in (tmp_path / f"{job.id}.json").read_bytes()
    assert "123456" not in str(job)
    assert "+1415" not in str(job)


async def test_a_refused_message_is_given_up(database: Database) -> None:
    async with serving(refused("400 Bad Request", 21211)) as server:
        job = await ended(database, transport(server), "failed")
    assert (len(job.attempts), job.error) == (1, "The provider answered 400 with error 21211.")


async def test_a_deferred_message_is_sent_when_the_provider_said(database: Database) -> None:
    later = refused("429 Too Many Requests", 20429, "retry-after: 0")
    async with serving(later, CREATED) as server:
        job = await ended(database, transport(server), "succeeded")
    assert (len(server.requests), job.attempt) == (2, 2)


async def test_another_key_opens_no_message(database: Database, tmp_path: Path) -> None:
    job = await ended(database, FolderTextTransport(tmp_path), "failed", Vault("t" * 32))
    assert "another secret key" in (job.error or "")


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3),
        ("й" * 70, 1),
        ("й" * 71, 2),
        ("й" * 134, 2),
        ("😀" * 35, 1),
        ("й" * 66 + "😀" + "й" * 66, 3),
        ("`" + "a" * 70, 2),
    ],
)
def test_segments_are_counted_as_networks_cut_them(text: str, segments: int) -> None:
    """N4: GSM 03.38 and UTF-16, and nothing of two places over the end of a segment."""
    assert segments_of(text) == segments


def test_the_signature_is_that_of_the_provider() -> None:
    """The example of Twilio's documentation of `X-Twilio-Signature`."""
    said = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    address = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert signature_of("12345", address, list(said.items())) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


class TestReceipts:
    PUBLIC = "https://forms.example"

    async def told(self, database: Database, job_id: str, signer: str = "to:ken", **said: str) -> dict[str, Any]:
        """What is known of the message after the provider told this of it."""
        settings = NotificationsSettings(
            signing_key="k" * 32,  # type: ignore[arg-type]
            public_url=f"{self.PUBLIC}/",
            sms_token="to:ken",  # type: ignore[arg-type]
        )
        nowhere: Any = None
        api = Notifications(database, nowhere, nowhere, VAULT, settings)
        parameters = list(said.items())
        address = f"{self.PUBLIC}/api/v1/text-messages/acme/{job_id}/status"
        receipt = TextReceipt(parameters=parameters, signature=signature_of(signer, address, parameters))
        await api.report_text(Principal.system("acme", "anonymous"), job_id, receipt)
        (job,) = [job for job in await rows(database, Job) if job.id == job_id]
        return job.result or {}

    async def test_the_provider_says_what_became_of_a_message(self, database: Database) -> None:
        """N4: in the result of the job; what is late, unknown or comes again changes nothing."""
        async with serving(CREATED) as server:
            job = await ended(database, transport(server), "succeeded", public_url=self.PUBLIC)
        address = f"{self.PUBLIC}/api/v1/text-messages/acme/{job.id}/status"
        assert parse_qs(server.requests[0].body.decode())["StatusCallback"] == [address]
        sent = {"segments": 1, "provider_id": "SM1"}
        assert job.result == sent | {"status": "accepted"}
        assert await self.told(database, job.id, MessageStatus="sent", To="+14155552671") == sent | {"status": "sent"}
        assert await self.told(database, job.id, MessageStatus="queued") == sent | {"status": "sent"}
        assert await self.told(database, job.id, MessageStatus="flown") == sent | {"status": "sent"}
        failed = sent | {"status": "undelivered", "error_code": 30005}
        assert await self.told(database, job.id, MessageStatus="undelivered", ErrorCode="30005") == failed
        assert await self.told(database, job.id, MessageStatus="delivered") == failed

    async def test_nobody_else_does(self, database: Database) -> None:
        """A wrong signature, another job and none are told apart by nobody; one that is being sent comes too early."""
        async with serving(CREATED) as server:
            job = await ended(database, transport(server), "succeeded")
        assert "StatusCallback" not in parse_qs(server.requests[0].body.decode())
        (other,) = await jobs.order(database, "acme", kind="work", payload={})
        (waiting,) = await jobs.order(database, "acme", kind=SEND_TEXT, payload={}, queue="high")
        for job_id, signer in ((job.id, "wrong"), (job.id, ""), (other, "to:ken"), ("job_none", "to:ken")):
            with pytest.raises(TextMessageNotFound):
                await self.told(database, job_id, signer, MessageStatus="delivered")
        with pytest.raises(Unavailable):
            await self.told(database, waiting, MessageStatus="delivered")
        assert (await self.told(database, job.id, MessageStatus="delivered"))["status"] == "delivered"
