"""People at work with what came in: they look through the newest responses, open one, page back, look at their form
and its deliveries. Mostly short reads that repeat; once in a while somebody takes the whole form home as CSV."""

from typing import Any

from loadtests.common.user import FormUser, thinking

_PAGES = 3


def look_through_responses(user: Any) -> None:
    """The newest pages, and one response of the first."""
    path = f"/api/v1/forms/{user.tenant.form_id}/responses"
    cursor = None
    for page in range(_PAGES):
        query = f"?limit=50&cursor={cursor}" if cursor else "?limit=50"
        document = _read(user, path + query, "responses")
        if document is None:
            return
        if page == 0 and document["data"]:
            one = user.chance.choice(document["data"])
            _read(user, f"/api/v1/responses/{one['id']}", "response")
        cursor = document["meta"]["next_cursor"]
        if cursor is None:
            return


def look_at_form(user: Any) -> None:
    """The list of forms, the form, its versions."""
    _read(user, "/api/v1/forms", "forms")
    _read(user, f"/api/v1/forms/{user.tenant.form_id}", "form draft")
    _read(user, f"/api/v1/forms/{user.tenant.form_id}/versions", "form versions")


def look_at_work(user: Any) -> None:
    """Jobs and webhooks."""
    _read(user, "/api/v1/jobs", "jobs")
    _read(user, "/api/v1/webhooks", "webhooks")


def take_home(user: Any) -> None:
    """Every response as CSV."""
    path = f"/api/v1/forms/{user.tenant.form_id}/responses.csv"
    user.client.get(path, headers=user.tenant.headers, name="export csv")


def _read(user: Any, path: str, name: str) -> dict[str, Any] | None:
    with user.client.get(path, headers=user.tenant.headers, name=name, catch_response=True) as response:
        if response.status_code != 200:
            response.failure(f"answered {response.status_code}")
            return None
        document: dict[str, Any] = response.json()
        return document


class Dashboard(FormUser):
    """Somebody of the tenant, logged in."""

    wait_time = thinking(3, 15)
    tasks = {look_through_responses: 60, look_at_form: 25, look_at_work: 14, take_home: 1}  # noqa: RUF012
