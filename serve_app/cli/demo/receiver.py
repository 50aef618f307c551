"""A customer's webhook endpoint: takes deliveries on loopback and verifies each signature (Standard Webhooks 1.0)."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from standardwebhooks import Webhook, WebhookVerificationError

_LARGEST_BODY: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery whose signature was right, and when it came (seconds of the monotonic clock)."""

    event: dict[str, Any]
    at: float


class Receiver:
    """Listens on a free port of 127.0.0.1 while the block runs; only verified deliveries count."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._verifier: Webhook | None = None
        self._received: list[Received] = []
        self.rejected = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length") or 0), _LARGEST_BODY)
                accepted = receiver.take(self.rfile.read(length), dict(self.headers.items()))
                self.send_response(204 if accepted else 400)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: the story tells what arrives."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def url(self) -> str:
        """Where deliveries go."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def expect(self, secret: str) -> None:
        """Verify with the secret that the platform showed when the webhook was made."""
        self._verifier = Webhook(secret)

    def take(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Note a delivery; whether its signature is right."""
        with self._news:
            try:
                if self._verifier is None:
                    raise WebhookVerificationError("no secret yet")
                event = self._verifier.verify(body, {name.lower(): value for name, value in headers.items()})
            except (WebhookVerificationError, ValueError):
                self.rejected += 1
                return False
            self._received.append(Received(event, time.monotonic()))
            self._news.notify_all()
            return True

    def wait(self, already: int, timeout_s: float) -> list[Received]:
        """What came after the first `already` deliveries; returns at the next one, empty when the time is over."""
        with self._news:
            self._news.wait_for(lambda: len(self._received) > already, timeout_s)
            return self._received[already:]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
