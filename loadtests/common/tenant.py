"""The run's own tenant: signed up, its limits lifted, a survey published. One per load-generating process."""

import secrets
import threading
import time
from typing import Any

import requests

from loadtests.common import survey
from loadtests.settings import administrator

_TIMEOUT_S = 30
_RENEW_S = 600
"""Before the access token ends: it lives for fifteen minutes unless the platform was told otherwise."""


class Tenant:
    """A tenant on the platform at `host`, with one published form."""

    def __init__(self, host: str) -> None:
        self._api = f"{host.rstrip('/')}/api/v1"
        self._lock = threading.Lock()
        self._session: dict[str, Any] = {}
        self._renew_at = 0.0
        self.id = f"load-{secrets.token_hex(5)}"
        self._owner = {"email": "owner@example.com", "password": secrets.token_urlsafe(24)}
        self._sign_up()
        self._lift_limits()
        self.form_id = self._publish()

    @property
    def headers(self) -> dict[str, str]:
        """The credential of the tenant's owner, renewed in time."""
        with self._lock:
            if time.monotonic() >= self._renew_at:
                self._keep(self._post("auth/login", {"tenant": self.id, **self._owner}))
            return _bearer(self._session)

    def _sign_up(self) -> None:
        owner = {**self._owner, "name": "Load test"}
        self._keep(self._post("signup", {"tenant": {"id": self.id, "name": "Load test"}, "user": owner}))

    def _lift_limits(self) -> None:
        known = administrator()
        session = self._post("auth/login", {"tenant": None, "email": known.email, "password": known.password})
        settings = {"max_forms": None, "max_responses_per_form": None, "rate_limits": {"submit": None}}
        answer = requests.patch(
            f"{self._api}/tenants/{self.id}",
            json={"settings": settings},
            headers=_bearer(session),
            timeout=_TIMEOUT_S,
        )
        answer.raise_for_status()

    def _publish(self) -> str:
        form = {"slug": survey.SLUG, "title": survey.TITLE, "definition": survey.DEFINITION}
        form_id: str = self._post("forms", form, self.headers)["id"]
        self._post(f"forms/{form_id}/publish", None, self.headers)
        return form_id

    def _keep(self, session: dict[str, Any]) -> None:
        self._session = session
        self._renew_at = time.monotonic() + min(_RENEW_S, session["expires_in"] / 2)

    def _post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> dict[str, Any]:
        answer = requests.post(f"{self._api}/{path}", json=body, headers=headers, timeout=_TIMEOUT_S)
        if not answer.ok:
            raise RuntimeError(f"POST {path} was answered {answer.status_code}: {answer.text[:500]}")
        document: dict[str, Any] = answer.json()
        return document


_LOCK = threading.Lock()
_TENANTS: dict[tuple[str, int], Tenant] = {}


def tenant_at(host: str, number: int = 0) -> Tenant:
    """This process's tenant of that number on the platform at `host`, made when first asked for."""
    with _LOCK:
        if (host, number) not in _TENANTS:
            _TENANTS[host, number] = Tenant(host)
        return _TENANTS[host, number]


def _bearer(session: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['access_token']}"}
