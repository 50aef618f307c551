"""Ways for a text message to leave: a provider with Twilio's HTTP API, or a folder when there is none."""

import asyncio
import re
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote, unquote, urlsplit

import httpx
import orjson

from db.types import utc_now
from deployments.kit.errors import DomainError
from deployments.notifications.contracts import TextMessage
from deployments.notifications.folder import file_name, write_whole

_ANSWER_AT_MOST: Final = 64 * 1024
_RETRY_AFTER_AT_MOST_S: Final = 3600.0
_SID: Final = re.compile(r"[A-Za-z0-9]{1,64}")
# Wrong credentials are our configuration's fault, not the message's; the others ask for patience.
_PASSING: Final = frozenset({401, 403, 408, 425, 429})


class TextDeferred(DomainError):
    """The message was not taken for a reason that may pass: network, time, load, a refused login."""

    status, code, title = 503, "sms.deferred", "The text message cannot be sent at the moment"


class TextRejected(DomainError):
    """The provider refuses this message or its recipient for good."""

    status, code, title = 502, "sms.rejected", "The provider refuses the text message"


class TextTransport(Protocol):
    """Takes responsibility for a text message, or raises."""

    async def send(self, message: TextMessage, idempotency_key: str, receipts: str = "") -> str:
        """Hand over `message`; on return it is the provider's to deliver. The provider's id of it, empty when it has
        none; what becomes of it the provider tells the address `receipts`, if there is one.

        The same key always comes with the same message. Raises TextDeferred (try again, after `retry_after` when the
        provider names a time) or TextRejected (do not). An interrupted send may have succeeded.
        """
        ...


class TwilioTransport:
    """Sends through a provider that speaks Twilio's API (2010-04-01).

    `twilio://<account sid>:<token>@<host>[:<port>]?from=<number>[&scheme=http]`; `from` may also be the sid of a
    messaging service (`MG…`) or an alphanumeric sender. User and password are percent-encoded. Raises ValueError for
    any other URL. `timeout_s` bounds a whole send. The API knows no idempotency key, so a message that was sent twice
    can arrive twice.
    """

    def __init__(self, url: str, *, timeout_s: float = 15.0, tls_context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        # Not `parse_qsl`, which takes the plus of a number for a space.
        options = {name: unquote(value) for name, _, value in (pair.partition("=") for pair in _pairs(parts.query))}
        sender, scheme = options.pop("from", ""), options.pop("scheme", "https")
        # No sentence repeats the URL, which holds a password.
        if parts.scheme != "twilio" or not (parts.hostname and parts.username and parts.password and sender):
            raise ValueError("a provider of text messages is given as twilio://sid:token@host?from=+15550100")
        if options or scheme not in ("http", "https") or parts.path.strip("/"):
            raise ValueError("the options of a provider are from and scheme, http or https")
        sid = unquote(parts.username)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        authority = host if parts.port is None else f"{host}:{parts.port}"
        self._url = f"{scheme}://{authority}/2010-04-01/Accounts/{quote(sid, safe='')}/Messages.json"
        self._auth = httpx.BasicAuth(sid, unquote(parts.password))
        self._sender = {"MessagingServiceSid" if sender.startswith("MG") else "From": sender}
        self._timeout_s = timeout_s
        self._tls_context = tls_context or ssl.create_default_context()

    async def send(self, message: TextMessage, idempotency_key: str, receipts: str = "") -> str:
        """See TextTransport."""
        form = {"To": message.recipient, "Body": message.text, **self._sender}
        if receipts:
            form["StatusCallback"] = receipts
        try:
            # No proxy from the environment, no redirects, no kept connection that another event loop would find.
            async with (
                asyncio.timeout(self._timeout_s),
                httpx.AsyncClient(verify=self._tls_context, trust_env=False, timeout=self._timeout_s) as client,
                client.stream("POST", self._url, data=form, auth=self._auth) as response,
            ):
                answer = await _first_bytes(response)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise TextDeferred(f"The provider did not answer within {self._timeout_s:g} s.") from error
        except httpx.HTTPError as error:
            raise TextDeferred(f"The provider cannot be reached: {type(error).__name__}.") from error
        if not response.is_success:
            raise _refusal(response, answer)
        sid = _document(answer).get("sid")
        return sid if isinstance(sid, str) and _SID.fullmatch(sid) else ""


class FolderTextTransport:
    """Writes each message to `<idempotency key>.json`, whole or not at all; a repeated send changes nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: TextMessage, idempotency_key: str, receipts: str = "") -> str:
        """See TextTransport. A full or unwritable disk is TextDeferred."""
        path = self._folder / file_name(idempotency_key, "json")
        content = orjson.dumps({"to": message.recipient, "text": message.text})
        try:
            await asyncio.to_thread(write_whole, path, content)
        except OSError as error:
            raise TextDeferred(f"The folder of text messages cannot be written: {error.strerror}.") from error
        return ""


def text_transport_for(sms_url: str, folder: Path) -> TextTransport:
    """The transport of a provider's URL, or of `folder` when the URL is empty. Raises ValueError for a bad URL."""
    return TwilioTransport(sms_url) if sms_url else FolderTextTransport(folder)


def token_of(sms_url: str) -> str:
    """What the provider of a URL signs its receipts with; empty without a provider."""
    return unquote(urlsplit(sms_url).password or "")


def _pairs(query: str) -> list[str]:
    return [pair for pair in query.split("&") if pair]


async def _first_bytes(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) >= _ANSWER_AT_MOST:
            break
    return bytes(content)


def _refusal(response: httpx.Response, answer: bytes) -> TextDeferred | TextRejected:
    """What an answer that is no success means. Only a refusal with an error code of the API is final."""
    status = response.status_code
    code = _code_of(answer)
    sentence = f"The provider answered {status}" + (f" with error {code}." if code is not None else ".")
    if 400 <= status < 500 and status not in _PASSING and code is not None:
        return TextRejected(sentence)
    return TextDeferred(sentence, retry_after=_retry_after(response.headers.get("retry-after", "")))


def _code_of(answer: bytes) -> int | None:
    # The message beside the code stays unsaid: it repeats the telephone number.
    code = _document(answer).get("code")
    return code if isinstance(code, int) else None


def _document(answer: bytes) -> dict[str, Any]:
    try:
        document: Any = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _retry_after(value: str) -> float | None:
    """Retry-After of RFC 9110 §10.2.3, seconds or a date, at most an hour; None when absent or unreadable."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        seconds = float(value)
    else:
        moment = _date_of(value)
        if moment is None:
            return None
        seconds = (moment - utc_now()).total_seconds()
    return min(max(seconds, 0.0), _RETRY_AFTER_AT_MOST_S)


def _date_of(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # An HTTP date is GMT even where an old form of it names no zone.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
