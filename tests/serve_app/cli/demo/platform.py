"""A stand-in for the platform: the calls that the demo makes, answered in memory over real HTTP."""

import json
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from deployments.webhooks.signing import headers, new_secret

DEFINITION = {"pages": [{"id": "page", "elements": [{"id": "score", "type": "nps", "title": "Score"}]}]}
Answer = tuple[int, Any]


class FakePlatform:
    """Delivers what is submitted at once, unless told otherwise by its switches."""

    def __init__(self, mail_folder: Path) -> None:
        self.mail_folder = mail_folder
        self.signup = True
        self.egress = True
        self.import_error: str | None = None
        self.calls: list[str] = []
        self.idempotency_keys: set[str] = set()
        self._secret = new_secret()
        self._hook: dict[str, Any] = {}
        self._settings: dict[str, Any] = {}
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, document = platform.answer(self.command, self.path, dict(self.headers.items()), body)
                content = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = respond  # noqa: N815 - the names are http.server's

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.calls.append(f"{method} {path}")
        routes: list[tuple[str, str, Callable[[], Answer]]] = [
            ("GET", "/health/ready", lambda: (200, {"status": "ok"})),
            ("POST", "/api/v1/signup", self._sign_up),
            ("POST", "/api/v1/auth/login", lambda: (200, {"access_token": "t"})),
            ("POST", "/api/v1/tenants", lambda: (201, {})),
            ("POST", "/api/v1/imports", lambda: (202, {"job_id": "job_1"})),
            ("GET", "/api/v1/jobs/", self._job),
            ("POST", "/api/v1/webhooks", lambda: self._create_webhook(json.loads(body))),
            ("PATCH", "/api/v1/webhooks/", lambda: self._change_webhook(json.loads(body))),
            ("GET", "/api/v1/webhooks/", self._deliveries),
            ("PATCH", "/api/v1/forms/", lambda: self._change_form(json.loads(body))),
            ("GET", "/api/v1/public/", lambda: (200, {"definition": DEFINITION})),
            ("POST", "/api/v1/public/", lambda: self._submit(headers["Idempotency-Key"])),
        ]
        for verb, prefix, route in routes:
            if method == verb and path.startswith(prefix):
                return route()
        return 404, {"title": "Not found"}

    def _sign_up(self) -> Answer:
        return (201, {"access_token": "t"}) if self.signup else (403, {"title": "Sign-up is switched off"})

    def _job(self) -> Answer:
        state = "failed" if self.import_error else "succeeded"
        result = {"form_id": "frm_1", "imported": 3, "skipped": 0, "errors": []}
        progress = {"done": 3, "total": 3}
        return 200, {"state": state, "progress": progress, "result": result, "error": self.import_error}

    def _create_webhook(self, hook: dict[str, Any]) -> Answer:
        self._hook = hook
        return 201, {"id": "whk_1", "secret": self._secret}

    def _change_webhook(self, hook: dict[str, Any]) -> Answer:
        self._hook |= hook
        return 200, {}

    def _deliveries(self) -> Answer:
        attempt = {"error": "127.0.0.1 is at an address that may not be called."}
        refused = [] if self.egress else [{"state": "failed", "attempts": [attempt]}]
        return 200, {"data": refused}

    def _change_form(self, change: dict[str, Any]) -> Answer:
        self._settings = change["settings"]
        threading.Thread(target=self._deliver, args=("form.updated", {"form_id": "frm_1"})).start()
        return 200, {}

    def _submit(self, key: str) -> Answer:
        self.idempotency_keys.add(key)
        response_id = f"rsp_{secrets.token_hex(4)}"
        for recipient in self._settings["notification_recipients"]:
            message = EmailMessage()
            message["To"], message["Subject"] = recipient, "New response"
            (self.mail_folder / f"{response_id}.eml").write_bytes(message.as_bytes())
        threading.Thread(target=self._deliver, args=("response.submitted", {"response_id": response_id})).start()
        return 201, {"id": response_id}

    def _deliver(self, kind: str, data: dict[str, Any]) -> None:
        if kind in self._hook["events"] and self.egress:
            event_id = f"evt_{secrets.token_hex(4)}"
            body = json.dumps({"type": kind, "id": event_id, "data": data}).encode()
            signed = headers(event_id, body, [self._secret], datetime.now(UTC))
            httpx.post(self._hook["url"], content=body, headers=signed)
