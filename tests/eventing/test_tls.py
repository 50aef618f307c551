"""TLS to a real nats-server: whom we talk to, and whom we refuse before they learn anything."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client as NatsClient

from eventing.connection import close, connect
from eventing.errors import ConnectFailed
from eventing.settings import EventingSettings
from eventing.streams import EVENTS, ensure_stream
from eventing.subjects import event_subject
from tests.certificates import Authority
from tests.eventing.tls_server import PASSWORD, USER, tls_server

HOST = "127.0.0.1"
MUTUAL = 'verify: true, ca_file: "{ca}"'


def settings(port: int, authority: Authority, **more: Any) -> EventingSettings:
    return EventingSettings(
        nats_url=f"tls://{USER}:{PASSWORD}@{HOST}:{port}",
        nats_tls_ca=authority.file,
        connect_timeout_s=more.pop("connect_timeout_s", 2.0),
        max_bytes=64 * 1024**2,
        **more,
    )


def speaks_tls(client: NatsClient) -> bool:
    writer = client._transport._io_writer  # type: ignore[union-attr]
    return isinstance(writer.get_extra_info("ssl_object"), ssl.SSLObject)


@pytest.mark.parametrize("options", ["", "allow_non_tls: true"])
async def test_it_publishes_and_consumes(tmp_path: Path, ours: Authority, options: str) -> None:
    """V12.3: also where the server would take us without TLS."""
    subject = event_subject("acme", "form.published")
    with tls_server(tmp_path / "nats", ours.issue(HOST), options=options) as port:
        given = settings(port, ours, connect_timeout_s=10.0)
        client = await connect(given, "test")
        assert speaks_tls(client)
        await ensure_stream(client.jetstream(), given)
        await client.jetstream().publish(subject, b"1")
        subscription = await client.jetstream().pull_subscribe(subject, "reader", stream=EVENTS)
        (message,) = await subscription.fetch(1, timeout=10)
        assert message.data == b"1"
        await message.ack_sync()
        await close(client)


async def test_a_certificate_of_another_authority_is_refused(
    tmp_path: Path, ours: Authority, theirs: Authority
) -> None:
    with (
        tls_server(tmp_path / "nats", theirs.issue(HOST)) as port,
        pytest.raises(ConnectFailed, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        await connect(settings(port, ours), "test")


async def test_a_certificate_of_another_host_is_refused(tmp_path: Path, ours: Authority) -> None:
    with (
        tls_server(tmp_path / "nats", ours.issue("nats.elsewhere.example")) as port,
        pytest.raises(ConnectFailed, match="IP address mismatch"),
    ):
        await connect(settings(port, ours), "test")


async def test_a_server_may_ask_for_our_certificate(tmp_path: Path, ours: Authority, theirs: Authority) -> None:
    with tls_server(tmp_path / "nats", ours.issue(HOST), tls=MUTUAL.format(ca=ours.file)) as port:
        certificate, key = ours.issue("formstream")
        client = await connect(settings(port, ours, nats_tls_cert=certificate, nats_tls_key=key), "test")
        assert client.is_connected
        await close(client)
        with pytest.raises(ConnectFailed):
            await connect(settings(port, ours), "test")
        certificate, key = theirs.issue("formstream")
        with pytest.raises(ConnectFailed):
            await connect(settings(port, ours, nats_tls_cert=certificate, nats_tls_key=key), "test")


async def test_a_server_that_offers_no_tls_learns_nothing(ours: Authority) -> None:
    """Whoever sits in between may take the offer out of the server's greeting."""
    said = asyncio.Queue[bytes]()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","proto":1,"auth_required":true,"max_payload":1000}\r\n')
        said.put_nowait(await reader.read())
        writer.close()

    server = await asyncio.start_server(greet, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ConnectFailed, match="the server offers no TLS"):
        await connect(settings(port, ours), "test")
    assert await asyncio.wait_for(said.get(), 10) == b""
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("content", [None, "", "no certificate"])
async def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, ours: Authority, content: str | None) -> None:
    file = tmp_path / "some.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConnectFailed, match=f"the CA for NATS, {file}, cannot be used: ."):
        await connect(EventingSettings(nats_url=f"tls://{HOST}:4222", nats_tls_ca=file), "test")
    certificate, _ = ours.issue(HOST)
    with pytest.raises(ConnectFailed, match=f"{certificate} with the key {file}, cannot be used: ."):
        await connect(settings(4222, ours, nats_tls_cert=certificate, nats_tls_key=file), "test")
