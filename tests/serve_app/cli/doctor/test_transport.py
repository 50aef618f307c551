"""What the doctor says of NATS, each time with a real server that is configured so."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serve_app.cli.doctor import transport
from serve_app.cli.doctor.finding import Finding, Severity
from serve_app.cli.doctor.installation import Installation
from serve_app.settings import Settings
from tests.nats_server import configured
from tests.serve_app.cli.doctor.looking import CLUSTER, installation, worst


@contextmanager
def server(folder: Path, configuration: str) -> Iterator[tuple[str, str]]:
    """The address of clients, without credentials, and the one of the monitoring."""
    with configured(folder, configuration) as (port, monitoring):
        yield f"127.0.0.1:{port}", f"http://127.0.0.1:{monitoring}"


async def looked_at(data_dir: Path, url: str, monitor: str = "", replicas: int = 1) -> list[Finding]:
    settings = Settings(data_dir=data_dir, nats_url=url, nats_replicas=replicas)
    return await transport.examine(Installation(settings, {}, nats_monitor=monitor))


async def test_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_WAIT_S", 0.5)
    (found,) = await looked_at(tmp_path, "nats://u:hunter2@127.0.0.1:9")
    assert (found.check, found.severity) == ("nats.reachable", Severity.ERROR)
    assert "hunter2" not in found.says


async def test_no_address_on_a_cluster(tmp_path: Path) -> None:
    (found,) = await transport.examine(installation(tmp_path, serve_config=CLUSTER))
    assert found.severity is Severity.ERROR
    (found,) = await transport.examine(installation(tmp_path))
    assert found.severity is Severity.OK


async def test_a_server_as_it_comes(tmp_path: Path) -> None:
    """Nobody is asked who they are, nothing is kept, and messages are small."""
    with server(tmp_path, "max_payload: 64KB\n") as (address, _):
        found = await looked_at(tmp_path, f"nats://{address}")
    assert worst(found, "nats.authorization").severity is Severity.ERROR
    assert worst(found, "nats.jetstream").severity is Severity.ERROR
    assert worst(found, "nats.payload").severity is Severity.ERROR


async def test_a_server_as_it_should_be(tmp_path: Path) -> None:
    kept = f'jetstream {{ store_dir: "{tmp_path}/store", sync_interval: always }}'
    with server(tmp_path, kept + "\nauthorization { user: u, password: p }") as (address, monitor):
        found = await looked_at(tmp_path, f"nats://u:p@{address}", monitor)
        assert {each.severity for each in found} == {Severity.OK}
        alone = await looked_at(tmp_path, f"nats://u:p@{address}", replicas=3)
    assert worst(alone, "nats.jetstream").severity is Severity.ERROR


async def test_a_server_that_acknowledges_too_early(tmp_path: Path) -> None:
    with server(tmp_path, f'jetstream {{ store_dir: "{tmp_path}/store" }}') as (_, monitor):
        assert (await transport.synchronous(monitor)).severity is Severity.WARNING
    assert (await transport.synchronous(monitor)).severity is Severity.WARNING  # nobody answers there any more


async def test_events_in_plain_to_another_machine(tmp_path: Path) -> None:
    with server(tmp_path, "") as (address, _):
        client = await transport.connect(Settings(nats_url=f"nats://{address}").eventing(), "test")
        plain = worst(transport.reach(client, "nats://nats.internal:4222"), "nats.tls")
        encrypted = worst(transport.reach(client, "tls://nats.internal:4222"), "nats.tls")
        await transport.close(client)
    assert (plain.severity, encrypted.severity) == (Severity.WARNING, Severity.OK)
