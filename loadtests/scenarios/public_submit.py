"""A campaign has gone out and people follow its link: nobody is logged in, each loads the form once and submits once.

One submission in fifty has mistakes and is refused, one in a hundred is sent twice with the same key, as by a phone
that lost its connection. People need ten to thirty seconds for ten questions; LOADTEST_HASTE lets a thousand users make
the load of many thousands.
"""

import uuid
from typing import Any

from loadtests.common import survey
from loadtests.common.user import FormUser, thinking

_WRONG = 0.02
_TWICE = 0.01


def answer_form(user: Any) -> None:
    """Load the form, submit a response."""
    public = f"/api/v1/public/{user.tenant.id}/{survey.SLUG}"
    user.client.get(public, name=f"{user.whose}form")
    if user.chance.random() < _WRONG:
        _refused(user, f"{public}/responses")
        return
    body = {"answers": survey.answers(user.chance), "meta": {}}
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    stored = _submit(user, f"{public}/responses", body, headers, "submit")
    if stored is not None and user.chance.random() < _TWICE:
        again = _submit(user, f"{public}/responses", body, headers, "submit again")
        if again is not None and again != stored:
            raise AssertionError(f"one key, two responses: {stored} and {again}")


def _submit(user: Any, path: str, body: dict[str, Any], headers: dict[str, str], name: str) -> str | None:
    with user.client.post(
        path, json=body, headers=dict(headers), name=user.whose + name, catch_response=True
    ) as response:
        if user.may_be_shed and response.status_code in (429, 503):
            response.success()
            return None
        if response.status_code != 201:
            response.failure(f"answered {response.status_code}")
            return None
        response.success()
        identifier: str = response.json()["id"]
        return identifier


def _refused(user: Any, path: str) -> None:
    body = {"answers": survey.wrong_answers(user.chance)}
    with user.client.post(path, json=body, name=f"{user.whose}submit mistakes", catch_response=True) as response:
        shed = user.may_be_shed and response.status_code in (429, 503)
        if shed or (response.status_code == 422 and len(response.json()["errors"]) == 2):
            response.success()
        else:
            response.failure(f"answered {response.status_code}, not 422 with two errors")


class PublicSubmit(FormUser):
    """A visitor of the public form."""

    wait_time = thinking(10, 30)
    tasks = {answer_form: 1}  # noqa: RUF012 - Locust's own way
