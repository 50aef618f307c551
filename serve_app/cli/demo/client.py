"""The platform as a customer's program sees it: HTTP, JSON, a credential."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from serve_app.cli.failure import CommandFailed

_TIMEOUT_S: Final = 60.0


class Refused(CommandFailed):
    """The platform answered with a problem (RFC 9457)."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Client:
    """Calls one platform; after `use_token` as somebody. Every failure is a CommandFailed with a sentence."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            # Not through a proxy of the environment: the platform is most often on this machine.
            self._http = httpx.Client(base_url=url, timeout=_TIMEOUT_S, trust_env=False)
        except (httpx.InvalidURL, ValueError) as error:
            raise CommandFailed(f"{url} is not an address: {error}.") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def use_token(self, token: str) -> None:
        """Make further calls with this access token."""
        self._http.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **query: str | int) -> Any:
        return self._call("GET", path, params=query)

    def post(self, path: str, body: object, *, idempotency_key: str | None = None) -> Any:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._call("POST", path, json=body, headers=headers)

    def patch(self, path: str, body: object) -> Any:
        return self._call("PATCH", path, json=body)

    def upload(self, path: str, fields: Mapping[str, str], file: Path) -> Any:
        """Send `file` as multipart/form-data, with `fields` before it."""
        try:
            with file.open("rb") as content:
                return self._call("POST", path, data=fields, files={"file": (file.name, content, "text/csv")})
        except OSError as error:
            raise CommandFailed(f"{file} cannot be read: {error.strerror}.") from None

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            answer = self._http.request(method, path, **arguments)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise CommandFailed(
                f"No platform answers at {self.url} ({reason}); start one with `formstream up`."
            ) from None
        if answer.is_success:
            return answer.json() if answer.content else None
        raise Refused(answer.status_code, f"{method} {path} was refused: {_problem(answer)}")


def _problem(answer: httpx.Response) -> str:
    try:
        document = answer.json()
        detail = document.get("detail") or document["title"]
        faults = [f"{fault['pointer']}: {fault['detail']}" for fault in document.get("errors", ())]
    except (ValueError, LookupError, TypeError, AttributeError):
        return f"status {answer.status_code}"
    return " ".join([f"{answer.status_code}, {detail}", *faults[:3]])
