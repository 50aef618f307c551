"""The embedded server: real processes, killed and started again."""

import asyncio
import json
import os
import pickle
import resource
import select
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import nats
import nats.errors
import psutil
import pytest
from nats.aio.client import Client as NatsClient
from nats.js import JetStreamContext

import eventing.errors
import eventing.server
from eventing.errors import EventingError, PortTaken, ServerFailed, StoreInUse, StoreUnusable
from eventing.server import EmbeddedServer, _has_room, find_binary
from tests.eventing.harness import eventually, is_true

SUPERVISOR = """
import sys, threading
from pathlib import Path
from eventing.server import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
threading.Event().wait()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path / "store") as server:
        yield server


async def store(url: str, text: str) -> None:
    client = await nats.connect(url)
    js = client.jetstream()
    await js.add_stream(name="KEPT", subjects=["kept"])
    await js.publish("kept", text.encode())
    await client.close()


async def stored(url: str) -> list[str]:
    client = await nats.connect(url)
    js = client.jetstream()
    state = (await js.stream_info("KEPT")).state
    messages = [await js.get_msg("KEPT", seq) for seq in range(state.first_seq, state.last_seq + 1)]
    await client.close()
    return [(message.data or b"").decode() for message in messages]


def running_pid(server: EmbeddedServer) -> int:
    pid = server.pid
    assert pid is not None
    return pid


async def refusal(url: str) -> str:
    client = NatsClient()
    try:
        with pytest.raises(nats.errors.Error) as refused:
            await client.connect(url, allow_reconnect=False)
        return str(refused.value)
    finally:
        await client.close()


class TestStart:
    async def test_jetstream_answers_as_soon_as_start_returns(self, server: EmbeddedServer) -> None:
        await store(server.url, "hello")
        assert await stored(server.url) == ["hello"]

    def test_it_listens_on_loopback_only(self, server: EmbeddedServer) -> None:
        listening = [
            connection.laddr.ip
            for connection in psutil.Process(server.pid).net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening == ["127.0.0.1", "127.0.0.1"]

    async def test_credentials_are_required(self, server: EmbeddedServer) -> None:
        """Z1: the embedded server accepts its generated credentials only."""
        port = server.url.rpartition(":")[2]
        for url in (f"nats://127.0.0.1:{port}", f"nats://formstream:guess@127.0.0.1:{port}"):
            assert "Authorization Violation" in await refusal(url)

    def test_secrets_are_readable_by_the_owner_only(self, server: EmbeddedServer, tmp_path: Path) -> None:
        folder = tmp_path / "store"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for name in ("nats.conf", "credentials.json"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        password = json.loads((folder / "credentials.json").read_text())["password"]
        assert len(password) >= 40
        assert password not in " ".join(psutil.Process(server.pid).cmdline())

    def test_the_terminal_does_not_reach_it(self, server: EmbeddedServer) -> None:
        assert os.getsid(running_pid(server)) == server.pid

    def test_no_address_before_the_first_start(self, tmp_path: Path) -> None:
        with pytest.raises(ServerFailed, match="before it is started"):
            _ = EmbeddedServer(tmp_path).url

    def test_a_second_supervisor_on_the_same_store_is_refused(self, server: EmbeddedServer, tmp_path: Path) -> None:
        pid = server.pid
        second = EmbeddedServer(tmp_path / "store")
        with pytest.raises(StoreInUse, match=f"process {os.getpid()}"):
            second.start()
        second.stop()
        assert server.pid == pid

    def test_a_folder_that_cannot_be_used_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreUnusable, match=r"file/store: Not a directory"):
            EmbeddedServer(tmp_path / "file" / "store").start()

    def test_a_failed_start_tells_the_complaint_and_leaves_nothing(
        self, tmp_path: Path, fake_binary: Callable[[str], None]
    ) -> None:
        fake_binary("echo 'no such luck' >&2; exit 3")
        server = EmbeddedServer(tmp_path / "store")
        with pytest.raises(ServerFailed, match="no such luck"):
            server.start()
        assert server.pid is None
        fake_binary(f'exec {find_binary()} "$@"')
        with server:
            assert server.pid is not None

    def test_a_server_that_is_never_ready_is_ended_at_the_deadline(
        self, tmp_path: Path, fake_binary: Callable[[str], None]
    ) -> None:
        fake_binary(f"echo $$ > {tmp_path}/pid; exec sleep 60")
        with pytest.raises(ServerFailed, match=r"not ready within 0.5 s"):
            EmbeddedServer(tmp_path / "store", start_timeout_s=0.5).start()
        assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))

    def test_a_server_without_fsync_per_write_is_refused(
        self, tmp_path: Path, fake_binary: Callable[[str], None]
    ) -> None:
        fake_binary(f'sed s/always/2m/ "$2" > {tmp_path}/lax.conf; exec {find_binary()} -c {tmp_path}/lax.conf')
        with pytest.raises(ServerFailed, match="sync_always is None, not True"):
            EmbeddedServer(tmp_path / "store").start()


class TestRestart:
    async def test_address_and_messages_survive(self, tmp_path: Path) -> None:
        with EmbeddedServer(tmp_path) as first:
            url = first.url
            await store(url, "before")
        with EmbeddedServer(tmp_path) as second:
            assert second.url == url
            assert await stored(url) == ["before"]

    def test_the_same_object_starts_again(self, tmp_path: Path) -> None:
        server = EmbeddedServer(tmp_path)
        server.start()
        url = server.url
        server.stop()
        server.stop()
        assert server.pid is None
        server.start()
        assert server.url == url
        server.stop()
        assert server.restarts == 0

    def test_a_pinned_port_that_was_taken_meanwhile_is_replaced(self, tmp_path: Path) -> None:
        with EmbeddedServer(tmp_path) as server:
            port = int(server.url.rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port)), EmbeddedServer(tmp_path) as server:
            moved = server.url
            assert not moved.endswith(f":{port}")
        with EmbeddedServer(tmp_path) as server:
            assert server.url == moved

    def test_a_wanted_port_is_used_or_its_absence_reported(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(PortTaken, match=f"{port} .*already in use"):
                EmbeddedServer(tmp_path, port).start()
        with EmbeddedServer(tmp_path, port) as server:
            assert server.url.endswith(f":{port}")

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"user": "only"}'])
    def test_damaged_credentials_are_replaced(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "credentials.json").write_text(text)
        with EmbeddedServer(tmp_path) as server:
            kept = json.loads((tmp_path / "credentials.json").read_text())
            assert f"{kept['user']}:{kept['password']}@" in server.url


class TestSupervision:
    async def test_a_killed_server_is_back_on_its_port_with_its_messages(self, server: EmbeddedServer) -> None:
        """E7: kill -9 of the server loses no acknowledged message and needs no new address."""
        url, killed = server.url, running_pid(server)
        await store(url, "acknowledged")
        back = asyncio.Event()

        async def reconnected() -> None:
            back.set()

        client = await nats.connect(url, reconnected_cb=reconnected, reconnect_time_wait=1, max_reconnect_attempts=-1)
        os.kill(killed, signal.SIGKILL)
        await asyncio.wait_for(back.wait(), 20)
        await client.close()
        assert server.url == url
        assert server.pid not in (None, killed)
        assert server.restarts == 1
        assert await stored(url) == ["acknowledged"]

    def test_the_server_outlives_the_thread_that_started_it(self, tmp_path: Path) -> None:
        server = EmbeddedServer(tmp_path)
        starter = threading.Thread(target=server.start)
        starter.start()
        starter.join()
        try:
            ended = os.pidfd_open(running_pid(server))
            assert select.select([ended], [], [], 0.3)[0] == []
            os.close(ended)
            assert server.restarts == 0
        finally:
            server.stop()

    def test_stop_kills_a_server_that_does_not_listen(self, tmp_path: Path) -> None:
        with EmbeddedServer(tmp_path, stop_timeout_s=0.3) as server:
            pid = running_pid(server)
            os.kill(pid, signal.SIGSTOP)
        assert not psutil.pid_exists(pid)

    def test_stop_during_the_pause_after_a_death_ends_supervision(self, tmp_path: Path) -> None:
        with EmbeddedServer(tmp_path) as server:
            os.kill(running_pid(server), signal.SIGKILL)
        assert server.pid is None
        with EmbeddedServer(tmp_path) as server:
            assert server.pid is not None

    async def test_the_server_ends_with_a_killed_supervisor(self, tmp_path: Path) -> None:
        supervisor = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SUPERVISOR, str(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        assert supervisor.stdout is not None
        pid = int(await asyncio.wait_for(supervisor.stdout.readline(), 30))
        with pytest.raises(StoreInUse, match=f"process {supervisor.pid}"):
            EmbeddedServer(tmp_path).start()
        ended = os.pidfd_open(pid)
        supervisor.kill()
        await supervisor.wait()
        assert select.select([ended], [], [], 10)[0] == [ended]
        os.close(ended)
        with EmbeddedServer(tmp_path) as server:
            assert server.pid != pid

    async def test_an_orphan_on_the_store_is_stopped_first(self, tmp_path: Path) -> None:
        with EmbeddedServer(tmp_path) as server:
            await store(server.url, "kept")
        orphan = await asyncio.create_subprocess_exec(find_binary(), "-c", tmp_path / "nats.conf")
        try:
            with EmbeddedServer(tmp_path) as server:
                await asyncio.wait_for(orphan.wait(), 5)
                assert server.pid != orphan.pid
                assert await stored(server.url) == ["kept"]
        finally:
            if orphan.returncode is None:
                orphan.kill()
                await orphan.wait()


@pytest.fixture
def fake_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a shell script in the place of the nats-server binary."""
    script = tmp_path / "nats-server"

    def install(body: str) -> None:
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
        monkeypatch.setattr("eventing.server.find_binary", lambda: script)

    return install


@pytest.mark.parametrize("kind", EventingError.__subclasses__())
def test_every_failure_survives_pickling(kind: type[EventingError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("one clear sentence")))  # noqa: S301
    assert type(copy) is kind
    assert str(copy) == "one clear sentence"
    assert kind.__module__ == eventing.errors.__name__


class TestFullDisk:
    async def test_a_frozen_server_is_started_anew_when_there_is_room(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """E7, fault 10: what was acknowledged is there, and what comes next is taken, without hands."""
        room = threading.Event()
        asked = threading.Event()

        def has_room(_folder: Path) -> bool:
            asked.set()
            return room.is_set()

        monkeypatch.setattr(eventing.server, "_has_room", has_room)
        monkeypatch.setattr(eventing.server, "_CHECK_S", 0.1)
        with EmbeddedServer(tmp_path / "store") as server:
            client = await nats.connect(server.url)
            js = client.jetstream(timeout=0.5)
            await js.add_stream(name="KEPT", subjects=["kept"])
            frozen = running_pid(server)
            # Of this process only, so the next one has room; a file system of this size needs an administrator.
            resource.prlimit(frozen, resource.RLIMIT_FSIZE, (300_000, 300_000))
            taken = await _fill(js)
            assert 0 < taken < 100
            assert await asyncio.to_thread(asked.wait, 10)
            assert "file too large" in server.trouble
            assert (running_pid(server), server.restarts) == (frozen, 0)
            room.set()
            await eventually(lambda: is_true(lambda: server.restarts == 1 and not server.trouble))
            await eventually(lambda: _is_taken(js))
            assert len(await stored(server.url)) > taken
            await client.close()

    def test_room_is_asked_of_the_file_system(self, tmp_path: Path) -> None:
        assert _has_room(tmp_path)
        assert not _has_room(Path("/proc"))
        assert not _has_room(tmp_path / "nowhere")


async def _fill(js: JetStreamContext) -> int:
    """Publish until it is not acknowledged any more; how many were."""
    for taken in range(100):
        try:
            await js.publish("kept", b"x" * 50_000)
        except nats.errors.TimeoutError:
            return taken
    return 100


async def _is_taken(js: JetStreamContext) -> bool:
    try:
        await js.publish("kept", b"next")
    except nats.errors.Error:
        return False
    return True
