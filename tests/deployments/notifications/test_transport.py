"""N1: messages leave by SMTP or into a folder, and every way to fail says whether to try again."""

import asyncio
import email
import os
import pickle
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from deployments.notifications.message import Content, build
from deployments.notifications.transport import (
    FolderTransport,
    MailboxUnknown,
    MailDeferred,
    MailRejected,
    MailUncertain,
    SmtpTransport,
    transport_for,
)
from tests.certificates import tls_for
from tests.deployments.notifications.mail_server import Mailbox, smtp


def a_message(to: str = "ada@example.com") -> EmailMessage:
    return build(
        Content("Grüße", "Hallo Zoë\n.\nnach dem Punkt\n", "<p>Hallo Zoë</p>"),
        sender="Formstream <no-reply@example.com>",
        to=to,
        message_id="<evt_1@formstream>",
        date=datetime(2030, 1, 1, tzinfo=UTC),
    )


@asynccontextmanager
async def raw(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> AsyncIterator[int]:
    """A server that is no mail server; yields its port."""
    tasks: set[asyncio.Task[Any]] = set()

    async def until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(until_closed(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


class TestSmtp:
    async def test_the_message_arrives_whole(self) -> None:
        box = Mailbox()
        message = a_message("z@bücher.example")
        async with smtp(box) as port:
            await SmtpTransport(f"smtp://127.0.0.1:{port}").send(message, "key")
        (envelope,) = box.envelopes
        assert envelope.mail_from == "no-reply@example.com"
        assert envelope.rcpt_tos == ["z@xn--bcher-kva.example"]
        assert isinstance(envelope.content, bytes)
        assert envelope.content == message.as_bytes(policy=SMTP_POLICY)
        read = email.message_from_bytes(envelope.content, policy=default)
        assert read["Message-ID"] == "<evt_1@formstream>"

    async def test_smtps_is_encrypted_from_the_start(self, tmp_path: Path) -> None:
        server_tls, client_tls = tls_for("localhost", tmp_path)
        box = Mailbox()
        async with smtp(box, implicit_tls=server_tls) as port:
            await SmtpTransport(f"smtps://localhost:{port}", tls_context=client_tls).send(a_message(), "key")
        assert len(box.envelopes) == 1

    async def test_starttls_and_login(self, tmp_path: Path) -> None:
        """The password has characters that a URL must encode, and travels inside TLS only."""
        server_tls, client_tls = tls_for("localhost", tmp_path)
        box, seen = Mailbox(), []

        def login(server: SMTP, session: Session, envelope: Envelope, how: str, data: Any) -> AuthResult:
            assert isinstance(data, LoginPassword)
            seen.append((data.login, data.password, session.ssl is not None))
            return AuthResult(success=data.password == b"p@ss:/w%rd", handled=False)

        options: dict[str, Any] = {"tls_context": server_tls, "require_starttls": True, "auth_required": True}
        async with smtp(box, authenticator=login, **options) as port:
            url = f"smtp://us%40er:p%40ss%3A%2Fw%25rd@localhost:{port}"
            await SmtpTransport(f"{url}?starttls=true", tls_context=client_tls).send(a_message(), "1")
            await SmtpTransport(url, tls_context=client_tls).send(a_message(), "2")
            wrong = SmtpTransport(f"smtp://user:wrong@localhost:{port}", tls_context=client_tls)
            with pytest.raises(MailDeferred, match="535"):
                await wrong.send(a_message(), "3")
        assert seen[:2] == [(b"us@er", b"p@ss:/w%rd", True)] * 2
        assert len(box.envelopes) == 2

    async def test_a_password_is_never_sent_in_the_clear_by_default(self) -> None:
        said = bytearray()

        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mx ESMTP\r\n")
            while line := await reader.readline():
                said.extend(line)
                writer.write(b"250-mx\r\n250 AUTH PLAIN LOGIN\r\n" if line.startswith(b"EHLO") else b"502 no\r\n")

        async with raw(plain) as port:
            with pytest.raises(MailDeferred):
                await SmtpTransport(f"smtp://user:secret@127.0.0.1:{port}").send(a_message(), "key")
        assert b"EHLO" in said
        assert b"AUTH" not in said

    @pytest.mark.parametrize(("name", "is_known"), [("other.example", True), ("localhost", False)])
    async def test_a_certificate_for_another_name_or_of_a_stranger_is_not_trusted(
        self, tmp_path: Path, name: str, is_known: bool
    ) -> None:
        """Unless somebody says whom to trust, those whom the machine trusts are."""
        server_tls, client_tls = tls_for(name, tmp_path)
        box = Mailbox()
        async with smtp(box, implicit_tls=server_tls) as port:
            transport = SmtpTransport(f"smtps://localhost:{port}", tls_context=client_tls if is_known else None)
            with pytest.raises(MailDeferred, match="certificate verify failed"):
                await transport.send(a_message(), "k")
        assert box.envelopes == []

    @pytest.mark.parametrize("command", ["mail", "rcpt", "data"])
    async def test_5xx_is_for_good_and_4xx_is_not(self, command: str) -> None:
        """Fault 23."""
        for reply, error in [
            ("550 5.7.1 not from you", MailRejected),
            ("451 4.7.1 greylisted", MailDeferred),
            ("530 5.7.0 authentication required", MailDeferred),
        ]:
            async with smtp(Mailbox(**{command: reply})) as port:
                with pytest.raises(error, match=reply[:3]) as caught:
                    await SmtpTransport(f"smtp://127.0.0.1:{port}").send(a_message(), "key")
            copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
            assert (type(copy), copy.detail) == (error, caught.value.detail)

    async def test_an_address_that_does_not_exist_is_told_from_other_refusals(self) -> None:
        for reply, error in (
            ("550 5.1.1 no such user", MailboxUnknown),
            ("550 5.7.1 we do not like you", MailRejected),
            ("550 no such user", MailRejected),
            ("450 4.1.1 not today", MailDeferred),
        ):
            async with smtp(Mailbox(rcpt=reply)) as port:
                with pytest.raises(error) as caught:
                    await SmtpTransport(f"smtp://127.0.0.1:{port}").send(a_message(), "key")
            assert type(caught.value) is error

    @pytest.mark.parametrize("greeting", [b"", b"554 go away\r\n", b"421 busy\r\n", b"SSH-2.0\r\n"])
    async def test_a_server_that_does_not_want_us_now_is_tried_later(self, greeting: bytes) -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(greeting)

        async with raw(refuse) as port:
            with pytest.raises(MailDeferred):
                await SmtpTransport(f"smtp://127.0.0.1:{port}", timeout_s=2).send(a_message(), "key")
        with pytest.raises(MailDeferred):
            await SmtpTransport(f"smtp://127.0.0.1:{port}").send(a_message(), "key")

    async def test_a_hanging_server_is_cut_after_the_total_time(self) -> None:
        async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                writer.write(b"2")
                await asyncio.sleep(0.02)

        async with raw(dribble) as port, asyncio.timeout(5):
            transport = SmtpTransport(f"smtp://127.0.0.1:{port}", timeout_s=0.2, max_connections=1)
            sends = [transport.send(a_message(), str(n)) for n in range(3)]
            outcomes = await asyncio.gather(*sends, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [MailDeferred] * 3

    async def test_an_accepted_message_stays_accepted_without_a_goodbye(self) -> None:
        replies = {b"EHLO": b"250 mx\r\n", b"MAIL": b"250 OK\r\n", b"RCPT": b"250 OK\r\n", b"DATA": b"354 go\r\n"}

        async def silent_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mx\r\n")
            while True:
                verb = (await reader.readline())[:4]
                if verb == b"QUIT":
                    await asyncio.Event().wait()
                writer.write(replies[verb])
                if verb == b"DATA":
                    await reader.readuntil(b"\r\n.\r\n")
                    writer.write(b"250 queued\r\n")

        async with raw(silent_at_the_end) as port, asyncio.timeout(10):
            await SmtpTransport(f"smtp://127.0.0.1:{port}").send(a_message(), "key")

    async def test_connections_are_kept_for_the_next_message(self, tmp_path: Path) -> None:
        """N1: handshake and login once, whatever a message before was answered."""
        server_tls, client_tls = tls_for("localhost", tmp_path)
        box = Mailbox()
        async with smtp(box, implicit_tls=server_tls) as port:
            transport = SmtpTransport(f"smtps://localhost:{port}", tls_context=client_tls)
            for number in range(3):
                await transport.send(a_message(), str(number))
            box.answer(rcpt="550 5.1.1 nobody")
            with pytest.raises(MailRejected):
                await transport.send(a_message(), "3")
            box.answer(rcpt="250 OK")
            await transport.send(a_message(), "4", "bounces+1@forms.example")
            await transport.close()
        assert transport.opened == 1
        assert len(box.envelopes) == 4
        assert [envelope.mail_from for envelope in box.envelopes][-2:] == [
            "no-reply@example.com",
            "bounces+1@forms.example",
        ]

    async def test_connections_end_after_their_share_of_messages(self) -> None:
        box = Mailbox()
        async with smtp(box) as port:
            transport = SmtpTransport(f"smtp://127.0.0.1:{port}", max_messages=2)
            for number in range(5):
                await transport.send(a_message(), str(number))
            await transport.close()
        assert (len(box.envelopes), transport.opened) == (5, 3)

    async def test_a_kept_connection_that_is_gone_costs_nothing(self) -> None:
        """The server restarted between two messages: the second one neither fails nor waits."""
        box = Mailbox()
        async with smtp(box) as port:
            transport = SmtpTransport(f"smtp://127.0.0.1:{port}")
            await transport.send(a_message(), "1")
        async with smtp(box, port=port):
            await transport.send(a_message(), "2")
            await transport.close()
        assert (len(box.envelopes), transport.opened) == (2, 2)

    async def test_an_idle_connection_is_closed(self) -> None:
        closed = asyncio.Event()
        async with smtp(Mailbox(), ended=closed) as port:
            await SmtpTransport(f"smtp://127.0.0.1:{port}", idle_s=0.05).send(a_message(), "1")
            await asyncio.wait_for(closed.wait(), 5)

    async def test_a_server_that_dies_within_the_message_is_asked_once(self) -> None:
        """N1: no retry hides in here: whoever ordered the mail decides about another time, and knows of the doubt."""
        heard: list[bytes] = []

        async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mx\r\n")
            while line := await reader.readline():
                heard.append(line[:4])
                writer.write(b"354 go\r\n" if line.startswith(b"DATA") else b"250 OK\r\n")
                if line.startswith(b"DATA"):
                    await reader.readline()
                    writer.transport.abort()
                    return

        async with raw(dies) as port, asyncio.timeout(5):
            with pytest.raises(MailUncertain):
                await SmtpTransport(f"smtp://127.0.0.1:{port}").send(a_message(), "key")
        assert heard == [b"EHLO", b"MAIL", b"RCPT", b"DATA"]

    async def test_who_waits_for_a_hanging_server_does_not_wait_long(self) -> None:
        """N1: mails behind one that hangs give their places in the queue back."""

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.Event().wait()

        async with raw(silent) as port, asyncio.timeout(5):
            transport = SmtpTransport(f"smtp://127.0.0.1:{port}", step_s=1.0, wait_s=0.05, max_connections=1)
            first = asyncio.create_task(transport.send(a_message(), "1"))
            await asyncio.sleep(0)
            with pytest.raises(MailDeferred, match="is taken"):
                await transport.send(a_message(), "2")
            assert not first.done()
            with pytest.raises(MailDeferred):
                await first

    async def test_no_more_connections_than_allowed_at_once(self) -> None:
        now = most = 0
        release = asyncio.Event()
        two = asyncio.Event()

        class Slow(Mailbox):
            async def handle_DATA(  # noqa: N802
                self, server: SMTP, session: Session, envelope: Envelope
            ) -> str:
                nonlocal now, most
                now += 1
                most = max(most, now)
                if now == 2:
                    two.set()
                await release.wait()
                now -= 1
                return await super().handle_DATA(server, session, envelope)

        box = Slow()
        async with smtp(box) as port:
            transport = SmtpTransport(f"smtp://127.0.0.1:{port}", max_connections=2)
            sends = asyncio.gather(*(transport.send(a_message(), str(n)) for n in range(6)))
            await asyncio.wait_for(two.wait(), 5)
            release.set()
            await sends
        assert most == 2
        assert len(box.envelopes) == 6

    @pytest.mark.parametrize(
        "url",
        [
            *("http://mx", "mx:25", "smtp://", "smtp:///x", "smtp://mx/path", "smtp://mx?starttls=maybe"),
            *("smtp://user:secret@mx?tls=1", "smtps://mx?starttls=true", "smtp://user:secret@mx:port"),
            "smtp://user:secret@mx:70000",
        ],
    )
    def test_a_url_that_is_none_is_refused_without_its_password(self, url: str) -> None:
        with pytest.raises(ValueError) as caught:
            SmtpTransport(url)
        assert "secret" not in str(caught.value)


class TestFolder:
    async def test_a_repeated_send_leaves_one_file(self, tmp_path: Path) -> None:
        folder = tmp_path / "new" / "mail"
        transport = FolderTransport(folder)
        for _ in range(3):
            await transport.send(a_message(), "evt_1:ada@example.com")
        assert os.listdir(folder) == ["evt_1:ada@example.com.eml"]
        written = (folder / "evt_1:ada@example.com.eml").read_bytes()
        assert written == a_message().as_bytes(policy=SMTP_POLICY)

    async def test_simultaneous_sends_with_one_key_leave_one_whole_file(self, tmp_path: Path) -> None:
        transport = FolderTransport(tmp_path)
        await asyncio.gather(*(transport.send(a_message(), "evt_1") for _ in range(20)))
        assert os.listdir(tmp_path) == ["evt_1.eml"]
        assert (tmp_path / "evt_1.eml").read_bytes() == a_message().as_bytes(policy=SMTP_POLICY)

    @pytest.mark.parametrize("key", ["../../etc/passwd", "/etc/passwd", "..", ".", "a/b", "a\0b", "a\nb", "zoë%2F"])
    async def test_a_key_cannot_leave_the_folder(self, tmp_path: Path, key: str) -> None:
        folder = tmp_path / "mail"
        await FolderTransport(folder).send(a_message(), key)
        await FolderTransport(folder).send(a_message(), "other")
        assert os.listdir(tmp_path) == ["mail"]
        assert len(os.listdir(folder)) == 2

    @pytest.mark.parametrize("key", ["", "x" * 201, "é" * 40])
    async def test_an_empty_or_endless_key_is_a_mistake(self, tmp_path: Path, key: str) -> None:
        with pytest.raises(ValueError, match="200"):
            await FolderTransport(tmp_path).send(a_message(), key)
        assert os.listdir(tmp_path) == []

    async def test_a_failed_write_is_tried_later_and_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        transport = FolderTransport(tmp_path)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(MailDeferred, match="No space left"):
                await transport.send(a_message(), "evt_1")
        assert os.listdir(tmp_path) == []
        await transport.send(a_message(), "evt_1")
        assert os.listdir(tmp_path) == ["evt_1.eml"]

    async def test_a_folder_that_cannot_be_made_is_tried_later(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(MailDeferred):
            await FolderTransport(tmp_path / "file" / "mail").send(a_message(), "evt_1")


def test_the_url_chooses_the_transport(tmp_path: Path) -> None:
    assert isinstance(transport_for("", tmp_path), FolderTransport)
    assert isinstance(transport_for("smtp://mx.example", tmp_path), SmtpTransport)
