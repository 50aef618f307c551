"""Very many webhook deliveries while the workers that send them are killed at random: none may be lost.

`python -m benchmarks.kills [--deliveries 100000] [--every 6] [--seed 1] [--postgresql]`; ends with 1 when a
delivery is missing. `--every` is the mean time in seconds between two kills (SIGKILL) of one of two workers.
"""

import argparse
import asyncio
import multiprocessing
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import ClassVar

from sqlalchemy import func, select
from sqlmodel import col

from benchmarks.databases import scratch
from benchmarks.machine import describe
from db.migrate import upgrade
from db.models.webhooks import WebhookDelivery
from db.session import Database
from db.settings import DatabaseSettings
from deployments.webhooks.contracts import CreateWebhook
from deployments.webhooks.deployment import Webhooks
from tests.deployments.webhooks.test_kills import VAULT, WORKER
from tests.deployments.webhooks.test_lanes import happen
from tests.factories import make_tenant

_ENDPOINTS = 20
_AT_ONCE = 100
_WORKERS = 2
_LOOK_S = 2.0


class _Receiver(asyncio.Protocol):
    """Answers every request with 204 and counts the ids that came to each path."""

    heard: ClassVar[Counter[tuple[bytes, bytes]]] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._waiting = b""

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            head = self._waiting[:end]
            length = int(_value(head, b"content-length"))
            if len(self._waiting) < end + 4 + length:
                return
            self.heard[head.split(b" ", 2)[1], _value(head, b"webhook-id")] += 1
            self._waiting = self._waiting[end + 4 + length :]
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


def _value(head: bytes, name: bytes) -> bytes:
    return head[head.lower().index(b"\r\n" + name + b": ") :].split(b": ", 1)[1].split(b"\r\n", 1)[0]


def _receive(pipe: Connection) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Receiver, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, pipe.recv)
        pipe.send(dict(_Receiver.heard))

    asyncio.run(serve())


@contextmanager
def _receiver() -> Iterator[tuple[int, Connection]]:
    """The port of a receiver in a process of its own, and the pipe that tells at the end what it heard."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_receive, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv(), ours
    finally:
        process.terminate()
        process.join()


async def _pending(database: Database) -> int:
    async with database.read("acme") as unit:
        waiting = select(func.count()).where(col(WebhookDelivery.state) == "pending")
        return await unit.session.scalar(waiting) or 0


async def _start(url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, url, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )


async def _until_sent(database: Database, url: str, every_s: float, dice: random.Random) -> int:
    """Let workers send and kill them until nothing waits; how many were killed."""
    workers = [await _start(url) for _ in range(_WORKERS)]
    killed, kill_at = 0, time.monotonic() + dice.expovariate(1 / every_s)
    looked_at = 0.0
    try:
        while True:
            await asyncio.sleep(0.05)
            if time.monotonic() >= kill_at:
                place = dice.randrange(_WORKERS)
                workers[place].kill()
                await workers[place].wait()
                workers[place] = await _start(url)
                killed, kill_at = killed + 1, time.monotonic() + dice.expovariate(1 / every_s)
            if time.monotonic() - looked_at > _LOOK_S:
                looked_at = time.monotonic()
                if not (left := await _pending(database)):
                    return killed
                print(f"{left:,} wait, {killed} kills", flush=True)
    finally:
        for worker in workers:
            worker.kill()
            await worker.wait()


async def _run(settings: DatabaseSettings, count: int, every_s: float, seed: int) -> bool:
    await upgrade(settings)
    database = Database(settings)
    owner = await make_tenant(database)
    hooks = Webhooks(database, VAULT)
    with _receiver() as (port, pipe):
        paths = [f"/{number}" for number in range(_ENDPOINTS)]
        for path in paths:
            command = CreateWebhook(url=f"http://127.0.0.1:{port}{path}", events=["response.submitted"])
            await hooks.create(owner, command)
        ids: list[str] = []
        while len(ids) * _ENDPOINTS < count:
            ids += await happen(database, _AT_ONCE, len(ids))
        total = len(ids) * _ENDPOINTS
        began = time.monotonic()
        killed = await _until_sent(database, settings.url, every_s, random.Random(seed))
        took = time.monotonic() - began
        pipe.send(None)
        heard: dict[tuple[bytes, bytes], int] = pipe.recv()
    async with database.read("acme") as unit:
        states = dict((await unit.session.execute(_STATES)).all())
    await database.close()
    wanted = {(path.encode(), each.encode()) for path in paths for each in ids}
    missing, strange = wanted - heard.keys(), heard.keys() - wanted
    print(
        f"{total:,} deliveries to {_ENDPOINTS} endpoints, {killed} kills in {took:.0f} s (seed {seed}): "
        f"states {states}, {len(missing)} not heard, {len(strange)} unknown, "
        f"{sum(heard.values()) - len(heard):,} heard again under the same id"
    )
    return not missing and not strange and states == {"delivered": total}


_STATES = select(col(WebhookDelivery.state), func.count()).group_by(col(WebhookDelivery.state))


def main() -> None:
    """Run it once, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=100_000)
    parser.add_argument("--every", type=float, default=6.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    print(describe())
    with scratch("postgresql" if options.postgresql else "sqlite") as settings:
        good = asyncio.run(_run(settings, options.deliveries, options.every, options.seed))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
