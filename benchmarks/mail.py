"""How fast mail leaves: a mailing and plain messages, to a mail server on this machine that keeps nothing.

`python -m benchmarks.mail [--mails 2000] [--connections 1 4] [--databases sqlite postgresql]`
"""

import argparse
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr

from benchmarks.databases import scratch
from benchmarks.machine import describe
from db.migrate import upgrade
from db.session import Database
from db.settings import DatabaseSettings
from deployments.forms.deployment import Forms
from deployments.kit.vault import Vault
from deployments.notifications.contracts import CreateMailing
from deployments.notifications.deployment import Notifications, stationery_of
from deployments.notifications.mailings import SendMailing
from deployments.notifications.message import Content, build
from deployments.notifications.settings import NotificationsSettings
from deployments.notifications.transport import SmtpTransport
from deployments.responses.deployment import Responses
from eventing.jobs import JobRunner
from tests.eventing.jobs.harness import reaches
from tests.factories import make_form, make_tenant

_SETTINGS = NotificationsSettings(
    signing_key=SecretStr("k" * 64), public_url="https://forms.example", sender="Formstream <no-reply@forms.example>"
)
_AT_ONCE = 64


class _Sink:
    """Takes every message and forgets it."""

    def __init__(self, expected: int) -> None:
        self.taken = 0
        self.is_full = asyncio.Event()
        self._expected = expected

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.taken += 1
        if self.taken >= self._expected:
            self.is_full.set()
        return "250 OK"


@contextlib.asynccontextmanager
async def _server(sink: _Sink) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(sink, hostname="mx.example", loop=loop), "127.0.0.1", 0)
    try:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _plain(mails: int, connections: int, *, kept: bool) -> tuple[float, int]:
    """Mails a second over the transport alone, and how many connections that took."""
    content = Content("Hello", "Hello\n" * 20, "<p>Hello</p>" * 20)
    options = {} if kept else {"max_messages": 1}
    sink = _Sink(mails)
    async with _server(sink) as url:
        transport = SmtpTransport(url, max_connections=connections, wait_s=60, **options)
        waiting = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int) -> None:
            async with waiting:
                message = build(
                    content,
                    sender=_SETTINGS.sender,
                    to=f"p{number}@example.org",
                    message_id=f"<m{number}@forms.example>",
                    date=datetime.now(UTC),
                )
                await transport.send(message, str(number))

        began = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(mails)))
        took = time.perf_counter() - began
        await transport.close()
    return sink.taken / took, transport.opened


async def _mailing(settings: DatabaseSettings, mails: int) -> float:
    """Mails a second of a mailing: rendered, claimed, sent and noted."""
    database = Database(settings)
    principal = await make_tenant(database)
    form = await make_form(database, principal)
    forms, responses = Forms(database), Responses(database)
    api = Notifications(database, forms, responses, Vault("s" * 32), _SETTINGS)
    people = [{"email": f"p{number}@example.org", "name": f"P {number}"} for number in range(mails)]
    ordered = await api.create_mailing(principal, form.id, CreateMailing.model_validate({"recipients": people}))
    sink = _Sink(mails)
    async with _server(sink) as url:
        transport = SmtpTransport(url)
        job = SendMailing(
            database, forms, responses, transport, stationery_of(_SETTINGS), per_minute=1_000_000, stretch_s=3_600.0
        )
        runner = JobRunner(database, {"batch": 1}, job.kinds(), poll_s=0.05)
        began = time.perf_counter()
        task = asyncio.create_task(runner.run())
        await sink.is_full.wait()
        took = time.perf_counter() - began
        await reaches(database, ordered.job_id, "succeeded")
        await runner.stop()
        await task
        await transport.close()
    await database.close()
    return mails / took


async def _run(mails: int, connections: list[int], databases: list[str]) -> None:
    print(describe())
    for kept in (False, True):
        for number in connections:
            rate, opened = await _plain(mails, number, kept=kept)
            how = "kept" if kept else "new for each mail"
            print(f"transport, {number} at once, connections {how}: {rate:,.0f} mails/s over {opened:,} connections")
    for name in databases:
        with scratch(name) as settings:
            await upgrade(settings)
            rate = await _mailing(settings, mails)
        print(f"mailing on {name}: {rate:,.0f} mails/s")


def main() -> None:
    """Read the arguments and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=2_000)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    arguments = parser.parse_args()
    asyncio.run(_run(arguments.mails, arguments.connections, arguments.databases))


if __name__ == "__main__":
    main()
