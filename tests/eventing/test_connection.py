"""The client: deadline, own inbox, reconnection after the server was killed, and the end."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import nats.errors
import pytest
from nats.aio.msg import Msg
from pydantic import ValidationError

from eventing.connection import close, connect
from eventing.errors import ConnectFailed
from eventing.server import EmbeddedServer
from eventing.settings import EventingSettings
from eventing.streams import EVENTS, ensure_stream
from eventing.subjects import event_subject


async def test_it_reconnects_after_kill_9_and_publishes_again(tmp_path: Path) -> None:
    """E7: a killed server costs a pause, no event and no new connection by hand."""
    subject = event_subject("acme", "form.published")
    with EmbeddedServer(tmp_path) as server:
        settings = EventingSettings(nats_url=server.url, reconnect_wait_s=0.1, max_bytes=64 * 1024**2)
        client = await connect(settings, "relay")
        await ensure_stream(client.jetstream(), settings)
        await client.jetstream().publish(subject, b"1", headers={"Nats-Msg-Id": "evt_1"})
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

        async def publish() -> None:
            while True:
                try:
                    js = client.jetstream(timeout=0.5)
                    await js.publish(subject, b"2", timeout=0.5, headers={"Nats-Msg-Id": "evt_2"})
                except (nats.errors.Error, OSError):
                    await asyncio.sleep(0.05)
                else:
                    return

        await asyncio.wait_for(publish(), 20)
        assert client.stats["reconnects"] == 1
        assert (await client.jetstream().stream_info(EVENTS)).state.messages == 2
        await close(client)


async def test_it_never_gives_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = EmbeddedServer(tmp_path)
    server.start()
    closed, back = asyncio.Event(), asyncio.Event()

    async def on_closed() -> None:
        closed.set()

    async def on_reconnected() -> None:
        back.set()

    try:
        settings = EventingSettings(nats_url=server.url, reconnect_wait_s=0.01)
        client = await connect(settings, "relay", on_closed=on_closed)
        server.stop()
        # More failures than the library's default of 60 attempts.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(closed.wait(), 2)
        assert len(caplog.records) > 61
        client._reconnected_cb = on_reconnected
        server.start()
        await asyncio.wait_for(back.wait(), 10)
    finally:
        server.stop()
    await close(client)


async def test_no_server_is_a_failure_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = EventingSettings(nats_url=f"nats://127.0.0.1:{port}", connect_timeout_s=0.5)
    with pytest.raises(ConnectFailed, match=r"within 0.5 s: .*[Cc]onnect"):
        await asyncio.wait_for(connect(settings, "test"), 5)


async def test_a_silent_server_is_a_failure_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = EventingSettings(nats_url=f"nats://127.0.0.1:{silent.getsockname()[1]}", connect_timeout_s=0.5)
        closed: list[str] = []

        async def on_closed() -> None:
            closed.append("closed")

        with pytest.raises(ConnectFailed, match=r"within 0.5 s"):
            await asyncio.wait_for(connect(settings, "test", on_closed=on_closed), 5)
        assert closed == []


@pytest.mark.parametrize("url", ["nats://[bad", "nats://127.0.0.1:99999", ",", "nats://a:1,ws://b:2"])
async def test_a_wrong_address_is_a_failure_at_once(url: str) -> None:
    with pytest.raises(ConnectFailed, match="address cannot be used"):
        await connect(EventingSettings(nats_url=url), "test")


async def test_a_cancelled_attempt_leaves_no_connection() -> None:
    accepted = asyncio.Event()
    ended = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await reader.read()
        ended.set()
        writer.close()

    silent = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    attempt = asyncio.create_task(connect(EventingSettings(nats_url=f"nats://127.0.0.1:{port}"), "test"))
    await asyncio.wait_for(accepted.wait(), 5)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    await asyncio.wait_for(ended.wait(), 5)
    silent.close()
    await silent.wait_closed()


async def test_the_first_server_that_answers_is_used(nats_server: str) -> None:
    client = await connect(EventingSettings(nats_url=f"nats://127.0.0.1:1, {nats_server}"), "test")
    assert client.is_connected
    await close(client)


async def test_wrong_credentials_are_named_and_not_shown(nats_server: str) -> None:
    address = nats_server.rpartition("@")[2]
    settings = EventingSettings(nats_url=f"nats://formstream:guessed@{address}", connect_timeout_s=0.5)
    with pytest.raises(ConnectFailed, match="Authorization Violation") as refused:
        await connect(settings, "test")
    assert "guessed" not in str(refused.value)
    assert "guessed" not in repr(settings)


async def test_the_owner_learns_of_the_end_once(nats_server: str) -> None:
    closed: list[str] = []

    async def on_closed() -> None:
        closed.append("closed")

    client = await connect(EventingSettings(nats_url=nats_server), "test", on_closed=on_closed)
    assert closed == []
    await close(client)
    await close(client)
    assert closed == ["closed"]


async def test_replies_go_to_its_own_inbox(nats_server: str) -> None:
    settings = EventingSettings(nats_url=nats_server, inbox_prefix="_INBOX.relay")
    client = await connect(settings, "relay")
    seen: list[str] = []

    async def answer(message: Msg) -> None:
        seen.append(message.reply)
        await message.respond(b"yes")

    await client.subscribe("ask", cb=answer)
    assert (await client.request("ask", b"?", timeout=5)).data == b"yes"
    assert seen[0].startswith("_INBOX.relay.")
    await close(client)


async def test_little_is_buffered_while_the_server_is_away(tmp_path: Path) -> None:
    disconnected = asyncio.Event()
    server = EmbeddedServer(tmp_path)
    server.start()
    try:
        settings = EventingSettings(nats_url=server.url, pending_bytes=1024)
        client = await connect(settings, "relay")

        async def on_disconnected() -> None:
            disconnected.set()

        client._disconnected_cb = on_disconnected
    finally:
        server.stop()
    await asyncio.wait_for(disconnected.wait(), 10)
    with pytest.raises(nats.errors.OutboundBufferLimitError):
        await client.publish("nudge.relay", bytes(2000))
    await close(client)


@pytest.mark.parametrize(
    "wrong", [{"nats_url": ""}, {"inbox_prefix": "a.*"}, {"replicas": 0}, {"ack_wait_s": 0}, {"unknown": 1}]
)
def test_settings_refuse_nonsense(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EventingSettings.model_validate({"nats_url": "nats://127.0.0.1:4222", **wrong})


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in EventingSettings.model_fields.items() if not field.description] == []
