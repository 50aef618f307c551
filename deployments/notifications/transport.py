"""Ways for a message to leave: a mail server, or a folder when there is none."""

import asyncio
import socket
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import aiosmtplib

from deployments.kit.errors import DomainError
from deployments.notifications.folder import file_name, write_whole


class MailDeferred(DomainError):
    """The message was not taken for a reason that may pass: network, time, a 4xx reply, a refused login."""

    status, code, title = 503, "mail.deferred", "The message cannot be sent at the moment"


class MailRejected(DomainError):
    """The server refuses this message or its recipient for good (a 5xx reply)."""

    status, code, title = 502, "mail.rejected", "The mail server refuses the message"


class MailTransport(Protocol):
    """Takes responsibility for a message, or raises."""

    async def send(self, message: EmailMessage, idempotency_key: str) -> None:
        """Hand over `message`, addressed to one recipient; on return it is the next station's to deliver.

        The same key always comes with the same message. Raises MailDeferred (try again) or MailRejected (do
        not). An interrupted send may have succeeded: SMTP knows no key, so a repeated one can arrive twice,
        and receivers tell by its Message-ID.
        """
        ...


class SmtpTransport:
    """Sends through a mail server, with one connection per message and at most `max_connections` at once.

    `smtp://[user:password@]host[:port][?starttls=true|false]` or `smtps://…` (TLS from the first byte). With a
    password STARTTLS is required unless `starttls=false` says otherwise; certificates are always verified. The
    default ports are 25, 587 with STARTTLS, 465 for smtps. User and password are percent-encoded. Raises
    ValueError for any other URL. `timeout_s` bounds a whole send, the wait for a connection included.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 60.0,
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
        self._slots = asyncio.Semaphore(max_connections)

    async def send(self, message: EmailMessage, idempotency_key: str) -> None:
        """See MailTransport. The key has no use here: the Message-ID travels instead."""
        client = aiosmtplib.SMTP(
            hostname=self._hostname,
            port=self._port,
            username=self._username,
            password=self._password,
            use_tls=self._implicit_tls,
            start_tls=self._starttls,
            tls_context=self._tls_context if self._implicit_tls or self._starttls else None,
            # The library would ask a name server for our own name, for each connection.
            local_hostname=socket.gethostname(),
            timeout=self._timeout_s,
        )
        try:
            async with asyncio.timeout(self._timeout_s), self._slots:
                await client.connect()
                await client.send_message(message)
            # It is accepted, whatever happens to the goodbye.
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=1.0)
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refusal(error.recipients[0]) from error
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
            raise _refusal(error) from error
        except TimeoutError as error:
            raise MailDeferred(f"The mail server did not take the message within {self._timeout_s:g} s.") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailDeferred(f"The mail server cannot be used: {_clean(str(error))}.") from error
        finally:
            client.close()


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

    async def send(self, message: EmailMessage, idempotency_key: str) -> None:
        """See MailTransport. On return the file is on the disk, its name too."""
        path = self._folder / file_name(idempotency_key, "eml")
        try:
            await asyncio.to_thread(write_whole, path, message.as_bytes(policy=SMTP))
        except OSError as error:
            raise MailDeferred(f"The mail folder cannot be written: {error.strerror}.") from error


def transport_for(smtp_url: str, folder: Path) -> MailTransport:
    """The transport of a mail server's URL, or of `folder` when the URL is empty. Raises ValueError for a bad URL."""
    return SmtpTransport(smtp_url) if smtp_url else FolderTransport(folder)
