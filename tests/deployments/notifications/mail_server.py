"""A real SMTP server on loopback that keeps what it gets and answers as told."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


class Mailbox:
    """A handler of a real SMTP server: keeps envelopes, answers as told."""

    def __init__(self, *, rcpt: str = "250 OK", data: str = "250 OK", mail: str = "250 OK") -> None:
        self.envelopes: list[Envelope] = []
        self.sessions: list[Session] = []
        self._mail, self._rcpt, self._data = mail, rcpt, data

    def answer(self, *, rcpt: str) -> None:
        """What recipients are answered from now on."""
        self._rcpt = rcpt

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self._mail

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self._rcpt

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self._data.startswith("250"):
            self.envelopes.append(envelope)
            self.sessions.append(session)
        return self._data


@asynccontextmanager
async def smtp(
    handler: Mailbox,
    *,
    implicit_tls: ssl.SSLContext | None = None,
    port: int = 0,
    ended: asyncio.Event | None = None,
    **options: Any,
) -> AsyncIterator[int]:
    """A real SMTP server on loopback; yields its port. `ended` is set when a connection has ended."""
    made: list[SMTP] = []

    class Ending(SMTP):
        def connection_lost(self, error: Exception | None) -> None:
            super().connection_lost(error)
            if ended is not None:
                ended.set()

    def protocol() -> SMTP:
        made.append(Ending(handler, hostname="mx.example", loop=asyncio.get_running_loop(), **options))
        return made[-1]

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port, ssl=implicit_tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for session in made:
            if session.transport is not None:
                session.transport.close()
            if session._handler_coroutine is not None:
                session._handler_coroutine.cancel()
                await asyncio.gather(session._handler_coroutine, return_exceptions=True)
        await server.wait_closed()
