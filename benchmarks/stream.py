"""Many idle listeners of the live stream on one edge: what each costs, and when each hears of a commit.

`python -m benchmarks.stream [--listeners 1000] [--rounds 30]`
"""

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path

import orjson

from benchmarks.machine import describe
from tests.e2e.platform import Platform

_FORM = {"pages": [{"id": "p", "elements": [{"id": "a", "type": "short_text", "title": "A"}]}]}
_AT_ONCE = 50
_OPEN_S = 60.0


class _Listener:
    """A bare socket that notes when each event came, by its id, and the time that the event has."""

    def __init__(self) -> None:
        self.delays_ms: list[float] = []
        self.open = asyncio.Event()
        self.news = asyncio.Event()
        self.over = False

    async def run(self, port: int, token: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        request = (
            f"GET /api/v1/events/stream?types=form.updated HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}"
            "\r\n\r\n"
        )
        try:
            writer.write(request.encode())
            status = await reader.readline()
            assert b" 200 " in status, status
            while line := await reader.readline():
                if line.startswith(b":"):
                    self.open.set()
                if line.startswith(b"data: "):
                    made = datetime.fromisoformat(orjson.loads(line[6:])["timestamp"])
                    self.delays_ms.append((time.time() - made.timestamp()) * 1e3)
                    self.news.set()
        finally:
            self.over = True
            self.news.set()
            writer.close()

    async def has(self, number: int) -> None:
        while len(self.delays_ms) < number:
            if self.over:
                raise AssertionError(f"a stream ended after {len(self.delays_ms)} events")
            self.news.clear()
            await self.news.wait()


async def _measure(platform: Platform, count: int, rounds: int) -> None:
    client = await platform.sign_up("bench")
    login = {"tenant": "bench", "email": "owner@bench.example", "password": "correct horse battery"}
    token = (await client.post("/api/v1/auth/login", json=login)).json()["access_token"]
    made = await client.post(
        "/api/v1/forms", json={"slug": f"one-{time.time_ns()}", "title": "One", "definition": _FORM}
    )
    path = f"/api/v1/forms/{made.json()['id']}"
    edge = platform.find("edge")
    await asyncio.sleep(3.0)
    before = edge.memory_info().rss
    listeners = [_Listener() for _ in range(count)]
    tasks = []
    for start in range(0, count, _AT_ONCE):
        some = listeners[start : start + _AT_ONCE]
        tasks += [asyncio.create_task(listener.run(platform.port, token)) for listener in some]
        async with asyncio.timeout(_OPEN_S):
            await asyncio.gather(*(listener.open.wait() for listener in some))
    await asyncio.sleep(3.0)
    after = edge.memory_info().rss
    _say(
        f"{count:,} idle listeners: {(after - before) / count / 1024:.1f} KiB each ({(after - before) / 2**20:.0f} MiB)"
    )
    busy = sum(edge.cpu_times()[:2])
    await asyncio.sleep(10.0)
    _say(f"while nothing happens: {(sum(edge.cpu_times()[:2]) - busy) * 10:.1f} % of a CPU in the edge")
    for number in range(1, rounds + 1):
        answer = await client.patch(path, json={"title": f"One {number}"})
        assert answer.status_code == 200, answer.text
        await asyncio.gather(*(listener.has(number) for listener in listeners))
        await asyncio.sleep(0.1)
    everybody = [delay for listener in listeners for delay in listener.delays_ms]
    last = [max(listener.delays_ms[number] for listener in listeners) for number in range(rounds)]
    cuts = statistics.quantiles(everybody, n=100)
    _say(f"from the event to a listener: p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms")
    _say(f"from the event to the last of all: median {statistics.median(last):.0f} ms, at most {max(last):.0f} ms")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.aclose()


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listeners", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    _say(describe())
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        environment = {"FORMSTREAM_MAX_LISTENERS": str(arguments.listeners), "FORMSTREAM_RATE_LIMITS": "{}"}
        platform = Platform(Path(folder) / "data", **environment).start()
        try:
            with contextlib.suppress(KeyboardInterrupt):
                asyncio.run(_measure(platform, arguments.listeners, arguments.rounds))
        finally:
            platform.stop()


if __name__ == "__main__":
    main()
