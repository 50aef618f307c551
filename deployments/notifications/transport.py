"""Ways for a message to leave: a mail server, or a folder when there is none."""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import aiosmtplib

from deployments.kit.errors import DomainError
from deployments.notifications.folder import file_name, write_whole

_ALIVE_S: Final = 2.0
_NO_SUCH_ADDRESS: Final = re.compile(r"5\.1\.(1|2|3|6|10)\b")


class MailDeferred(DomainError):
    """The message was not taken for a reason that may pass: network, time, a 4xx reply, a refused login."""

    status, code, title = 503, "mail.deferred", "The message cannot be sent at the moment"


class MailUncertain(MailDeferred):
    """The server may have taken the message: the connection ended, or time was up, while it was being handed over."""


class MailRejected(DomainError):
    """The server refuses this message or its recipient for good (a 5xx reply)."""

    status, code, title = 502, "mail.rejected", "The mail server refuses the message"


class MailboxUnknown(MailRejected):
    """The server refuses the recipient because there is no such address (5.1.x of RFC 3463)."""


class MailTransport(Protocol):
    """Takes responsibility for a message, or raises."""

    async def send(self, message: EmailMessage, idempotency_key: str, return_path: str = "") -> None:
        """Hand over `message`, addressed to one recipient; on return it is the next station's to deliver.

        What cannot be delivered is told to `return_path`, else to the sender. The same key always comes with the same
        message. Raises MailDeferred (try again; MailUncertain when it may have arrived) or MailRejected (do not). An
        interrupted send may have succeeded: SMTP knows no key, so a repeated one can arrive twice, and receivers tell
        by its Message-ID.
        """
        ...


class SmtpTransport:
    """Sends through a mail server, over at most `max_connections` connections that are kept for the next message.

    `smtp://[user:password@]host[:port][?starttls=true|false]` or `smtps://…` (TLS from the first byte). With a
    password STARTTLS is required unless `starttls=false` says otherwise; certificates are always verified. The
    default ports are 25, 587 with STARTTLS, 465 for smtps. User and password are percent-encoded. Raises
    ValueError for any other URL.

    Times in seconds: `step_s` bounds the connection and each command, `timeout_s` a whole send, `wait_s` the wait for
    a connection, so that a server that hangs does not hold up whoever else wants something done. A connection is
    closed after `idle_s` without a message and after `max_messages`. Every message is handed over once: whoever calls
    decides about another time.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 60.0,
        step_s: float = 30.0,
        wait_s: float = 10.0,
        idle_s: float = 15.0,
        max_messages: int = 500,
        max_connections: int = 4,
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        starttls = options.pop("starttls", "true" if parts.password and parts.scheme == "smtp" else "false")
        # No sentence repeats the URL, which may hold a password.
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path.strip("/"):
            raise ValueError("a mail server is given as smtp://host:port or smtps://host:port")
        if options or starttls not in ("true", "false"):
            raise ValueError("the only option of a mail server is starttls, true or false")
        if parts.scheme == "smtps" and starttls == "true":
            raise ValueError("smtps is encrypted from the start, so starttls does not go with it")
        self._hostname = parts.hostname
        self._port = parts.port
        self._username = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._implicit_tls = parts.scheme == "smtps"
        self._starttls = starttls == "true"
        self._tls_context = tls_context or ssl.create_default_context()
        self._timeout_s = timeout_s
        self._step_s = min(step_s, timeout_s)
        self._wait_s = min(wait_s, timeout_s)
        self._idle_s = idle_s
        self._max_messages = max_messages
        self._slots = asyncio.Semaphore(max_connections)
        self._idle: list[_Connection] = []
        self.opened = 0
        """How many connections were made."""

    async def send(self, message: EmailMessage, idempotency_key: str, return_path: str = "") -> None:
        """See MailTransport. The key has no use here: the Message-ID travels instead."""
        try:
            async with asyncio.timeout(self._wait_s):
                await self._slots.acquire()
        except TimeoutError as error:
            raise MailDeferred("Every connection to the mail server is taken.") from error
        try:
            await self._send(message, return_path or None)
        except aiosmtplib.SMTPRecipientsRefused as error:
            reply = error.recipients[0]
            refusal = _refusal(reply)
            if isinstance(refusal, MailRejected) and _NO_SUCH_ADDRESS.match(reply.message):
                refusal = MailboxUnknown(refusal.detail)
            raise refusal from error
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
            raise _refusal(error) from error
        except TimeoutError as error:
            raise MailDeferred(f"The mail server did not take the message within {self._timeout_s:g} s.") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailDeferred(f"The mail server cannot be used: {_clean(str(error))}.") from error
        finally:
            self._slots.release()

    async def check(self) -> bool:
        """Open a connection as for a message, log in, and leave; whether it was encrypted. Raises MailDeferred."""
        try:
            connection = await self._connection()
            encrypted = connection.client.get_transport_info("sslcontext") is not None
            await connection.leave()
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailDeferred(f"The mail server cannot be used: {_clean(str(error))}.") from error
        return encrypted

    async def close(self) -> None:
        """End the connections that are kept. Sending opens new ones."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.leave()

    async def _send(self, message: EmailMessage, return_path: str | None) -> None:
        connection = None
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._connection()
                await connection.client.send_message(message, sender=return_path)
        except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError):
            # A refused message says nothing against the connection.
            if connection is not None:
                connection.client.handing_over = False
                await self._keep(connection)
            raise
        except BaseException as error:
            if connection is None:
                raise
            connection.client.close()
            if connection.client.handing_over and isinstance(error, aiosmtplib.SMTPException | OSError):
                raise MailUncertain("The mail server did not say whether it took the message.") from error
            raise
        await self._keep(connection)

    async def _connection(self) -> "_Connection":
        """One that is kept and alive, else a new one."""
        while self._idle:
            connection = self._idle.pop()
            if await connection.is_usable():
                return connection
        client = _Client(
            hostname=self._hostname,
            port=self._port,
            username=self._username,
            password=self._password,
            use_tls=self._implicit_tls,
            start_tls=self._starttls,
            tls_context=self._tls_context if self._implicit_tls or self._starttls else None,
            # The library would ask a name server for our own name, for each connection.
            local_hostname=socket.gethostname(),
            timeout=self._step_s,
        )
        try:
            await client.connect()
        except BaseException:
            client.close()
            raise
        self.opened += 1
        return _Connection(client)

    async def _keep(self, connection: "_Connection") -> None:
        connection.messages += 1
        if connection.messages >= self._max_messages or not connection.client.is_connected:
            await connection.leave()
            return
        connection.rest(self._idle_s, self._expire)
        self._idle.append(connection)

    def _expire(self, connection: "_Connection") -> None:
        if connection in self._idle:
            self._idle.remove(connection)
            connection.client.close()


class _Client(aiosmtplib.SMTP):
    """The library's client, which says besides whether a message may have arrived."""

    handing_over = False

    async def data(self, *arguments: Any, **options: Any) -> aiosmtplib.SMTPResponse:
        self.handing_over = True
        response = await super().data(*arguments, **options)
        self.handing_over = False
        return response


class _Connection:
    """One connection to the mail server, and how it is kept between messages."""

    def __init__(self, client: _Client) -> None:
        self.client = client
        self.messages = 0
        self._end: asyncio.TimerHandle | None = None

    def rest(self, idle_s: float, expire: Callable[["_Connection"], None]) -> None:
        """Nothing is to be sent; `expire` is told when that lasts."""
        self._end = asyncio.get_running_loop().call_later(idle_s, expire, self)

    async def is_usable(self) -> bool:
        """Whether the server still listens, with nothing left of the message before."""
        if self._end is not None:
            self._end.cancel()
        if self.client.is_connected:
            with suppress(aiosmtplib.SMTPException, OSError):
                await self.client.rset(timeout=_ALIVE_S)
                return True
        self.client.close()
        return False

    async def leave(self) -> None:
        """Say goodbye: what was accepted stays accepted, whatever happens to that."""
        if self._end is not None:
            self._end.cancel()
        with suppress(aiosmtplib.SMTPException, OSError):
            await self.client.quit(timeout=_ALIVE_S)
        self.client.close()


def _refusal(reply: aiosmtplib.SMTPResponseException) -> MailDeferred | MailRejected:
    sentence = f"The mail server answered {reply.code}: {_clean(reply.message)}"
    # 530 asks for authentication: our configuration is wrong, not the message.
    return MailRejected(sentence) if reply.code >= 500 and reply.code != 530 else MailDeferred(sentence)


def _clean(text: str) -> str:
    return " ".join(text.replace("\0", "").split())[:500]


class FolderTransport:
    """Writes each message to `<idempotency key>.eml`, whole or not at all; a repeated send changes nothing.

    Characters of the key that a file name must not have are percent-encoded; a key of more than 200 bytes then
    raises ValueError. A full or unwritable disk is MailDeferred. The folder is made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage, idempotency_key: str, return_path: str = "") -> None:
        """See MailTransport. On return the file is on the disk, its name too."""
        path = self._folder / file_name(idempotency_key, "eml")
        try:
            content = message.as_bytes(policy=SMTP)
            if return_path:  # as a server that delivers for good writes it (RFC 5321 §4.4)
                content = f"Return-Path: <{return_path}>\r\n".encode() + content
            await asyncio.to_thread(write_whole, path, content)
        except OSError as error:
            raise MailDeferred(f"The mail folder cannot be written: {error.strerror}.") from error


def transport_for(smtp_url: str, folder: Path) -> MailTransport:
    """The transport of a mail server's URL, or of `folder` when the URL is empty. Raises ValueError for a bad URL."""
    return SmtpTransport(smtp_url) if smtp_url else FolderTransport(folder)
