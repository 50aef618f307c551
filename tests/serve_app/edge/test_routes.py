"""Every operation reaches the method it is for, with the caller first and the address's ids after it."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from deployments.federation.contracts import LeaveProvider
from deployments.forms.contracts import ListForms
from deployments.identity.contracts import Refresh
from deployments.kit.contract import Contract
from deployments.kit.principal import Principal
from serve_app.edge.apis import Apis
from serve_app.edge.routes import OPERATIONS
from tests.serve_app.edge.fakes import Fakes, running

USER = {"email": "ada@example.com", "password": "correct horse battery", "name": "Ada"}

# operation, query, body, the context's method, what it is called with after the caller
CASES: list[tuple[str, str, Any, str, list[Any]]] = [
    ("sign_up", "", {"tenant": {"id": "acme", "name": "Acme"}, "user": USER}, "identity.sign_up", [...]),
    ("log_in", "", {"tenant": "acme", "email": "a@b.c", "password": "x"}, "identity.log_in", [...]),
    ("refresh", "", {"refresh_token": "t"}, "identity.refresh", [...]),
    ("log_out", "", {"refresh_token": "t"}, "identity.log_out", [...]),
    ("log_out_at_provider", "", {"refresh_token": "t"}, "federation.leave", [LeaveProvider(refresh_token="t")]),
    ("me", "", None, "identity.me", []),
    ("create_user", "", USER, "identity.create_user", [...]),
    ("list_users", "?limit=5", None, "identity.list_users", [None, 5]),
    ("create_api_key", "", {"name": "ci", "scopes": ["forms:read"]}, "identity.create_api_key", [...]),
    ("list_api_keys", "", None, "identity.list_api_keys", [None, 20]),
    ("revoke_api_key", "", None, "identity.revoke_api_key", ["api_key_id1"]),
    ("create_tenant", "", {"id": "globex", "name": "Globex"}, "identity.create_tenant", [...]),
    ("list_tenants", "?cursor=c", None, "identity.list_tenants", ["c", 20]),
    ("get_tenant", "", None, "identity.get_tenant", ["tenant_id1"]),
    ("update_tenant", "", {"name": "New"}, "identity.update_tenant", ["tenant_id1", ...]),
    ("suspend_tenant", "", None, "identity.suspend_tenant", ["tenant_id1"]),
    ("resume_tenant", "", None, "identity.resume_tenant", ["tenant_id1"]),
    ("list_tenant_exports", "?limit=3", None, "tenancy.list_exports", ["tenant_id1", None, 3]),
    ("list_erasure_receipts", "?cursor=c", None, "tenancy.list_receipts", ["c", 20]),
    ("get_erasure_receipt", "", None, "tenancy.get_receipt", ["tenant_id1"]),
    ("publish_form", "", {"notes": "new"}, "forms.publish", ["form_id1", ...]),
    ("list_forms", "?status=trashed&sort=title", None, "forms.list_forms", [ListForms(status="trashed", sort="title")]),
    ("diff_form_draft", "?from=2", None, "forms.diff_draft", ["form_id1", 2]),
    ("diff_form_version", "?from=3", None, "forms.diff_version", ["form_id1", 7, 3]),
    ("list_templates", "?limit=3&cursor=c", None, "forms.list_templates", ["c", 3]),
    ("get_template", "", None, "forms.get_template", ["template_id1"]),
    ("delete_template", "", None, "forms.delete_template", ["template_id1"]),
    ("delete_form", "", None, "forms.delete", ["form_id1"]),
    ("list_form_versions", "", None, "forms.list_versions", ["form_id1", None, 20]),
    ("get_form_version", "", None, "forms.get_version", ["form_id1", 7]),
    ("validate_definition", "", {"definition": []}, "forms.validate", [...]),
    ("delete_response", "", None, "responses.delete", ["response_id1"]),
    ("list_response_versions", "?limit=3", None, "responses.list_versions", ["response_id1", None, 3]),
    ("diff_response", "?from=1&to=2", None, "responses.diff", ["response_id1", 1, 2]),
    ("list_response_comments", "", None, "responses.list_comments", ["response_id1"]),
    ("add_response_comment", "", {"text": "So."}, "responses.add_comment", ["response_id1", ...]),
    ("edit_response_comment", "", {"text": "So?"}, "responses.edit_comment", ["response_id1", "comment_id1", ...]),
    ("delete_response_comment", "", None, "responses.delete_comment", ["response_id1", "comment_id1"]),
    ("list_response_tags", "", None, "responses.list_tags", ["form_id1"]),
    ("list_trashed_responses", "?cursor=c", None, "responses.list_trash", ["form_id1", "c", 20]),
    ("purge_response", "", None, "responses.purge", ["response_id1"]),
    (
        "list_jobs",
        "?state=failed&kind=import&queue=high",
        None,
        "jobs.list_jobs",
        [None, 20, "import", "failed", "high", None],
    ),
    ("get_job", "", None, "jobs.get", ["job_id1"]),
    ("cancel_job", "", None, "jobs.cancel", ["job_id1"]),
    ("retry_job", "", None, "jobs.retry", ["job_id1"]),
    ("pause_queue", "", {"queue": "high", "kind": "mail"}, "jobs.pause_queue", [...]),
    ("resume_queue", "", {"queue": "high"}, "jobs.resume_queue", [...]),
    ("create_schedule", "", {"name": "n", "kind": "k", "cron": "0 0 * * *"}, "jobs.create_schedule", [...]),
    ("list_schedules", "?limit=3&cursor=c", None, "jobs.list_schedules", ["c", 3]),
    ("get_schedule", "", None, "jobs.get_schedule", ["schedule_id1"]),
    ("change_schedule", "", {"enabled": False}, "jobs.change_schedule", ["schedule_id1", ...]),
    ("delete_schedule", "", None, "jobs.delete_schedule", ["schedule_id1"]),
    ("create_webhook", "", {"url": "https://x.y", "events": ["*"]}, "webhooks.create", [...]),
    ("list_webhooks", "", None, "webhooks.list_webhooks", [None, 20]),
    ("get_webhook", "", None, "webhooks.get", ["webhook_id1"]),
    ("update_webhook", "", {"status": "disabled"}, "webhooks.update", ["webhook_id1", ...]),
    ("delete_webhook", "", None, "webhooks.delete", ["webhook_id1"]),
    ("rotate_webhook_secret", "", None, "webhooks.rotate_secret", ["webhook_id1", ...]),
    ("test_webhook", "", None, "webhooks.test", ["webhook_id1", ...]),
    ("list_deliveries", "?limit=3&cursor=c", None, "webhooks.list_deliveries", ["webhook_id1", ..., "c", 3]),
    ("get_delivery", "", None, "webhooks.get_delivery", ["delivery_id1"]),
    ("get_webhook_statistics", "?days=3", None, "webhooks.statistics", ["webhook_id1", 3]),
    ("retry_delivery", "", None, "webhooks.retry", ["delivery_id1"]),
]


class Recorder:
    """A context that notes every call and answers with nothing."""

    def __init__(self, context: str, calls: list[tuple[str, tuple[Any, ...]]]) -> None:
        self._context = context
        self._calls = calls

    def __getattr__(self, method: str) -> Any:
        async def call(*args: Any) -> None:
            self._calls.append((f"{self._context}.{method}", args))

        return call


async def test_each_operation_calls_its_method(fakes: Fakes) -> None:
    calls: list[tuple[str, tuple[Any, ...]]] = []
    contexts = {
        name: Recorder(name, calls)
        for name in ("identity", "federation", "forms", "responses", "jobs", "webhooks", "tenancy")
    }
    owner = fakes.identity.principals["owner"]

    async def authenticate(_: str) -> Principal:
        return owner

    vars(contexts["identity"])["authenticate"] = authenticate
    operations = {operation.id: operation for operation in OPERATIONS}
    async with running(Contexts(contexts)) as client:
        client.headers["authorization"] = "Bearer owner"
        for operation_id, query, body, method, arguments in CASES:
            operation = operations[operation_id]
            path = operation.path.replace("{version}", "7").replace("{", "").replace("}", "1") + query
            response = await client.request(operation.method, path, json=body)
            assert response.status_code == operation.status, (operation_id, response.text)
            called, (caller, *given) = calls.pop()
            assert called == method
            assert (caller.tenant_id if isinstance(caller, Principal) else "") in ("acme", "")
            for expected, found in zip(arguments, given, strict=True):
                assert expected is ... or found == expected, operation_id
                if expected is ...:
                    # The edge takes these from the body, from a cookie or from the query.
                    wanted = Refresh if operation.id in ("refresh", "log_out") else operation.request or Contract
                    assert isinstance(found, wanted)


class Contexts(Fakes):
    """Fakes of which some contexts are recorders."""

    def __init__(self, recorders: dict[str, Any]) -> None:
        super().__init__()
        self._recorders = recorders

    def apis(self) -> Apis:
        return replace(super().apis(), **self._recorders)


@pytest.mark.parametrize("version", ["x", "1.5", "-1", "1234567890", "%D9%A1"])
async def test_a_version_that_is_no_number_is_404(owner: httpx.AsyncClient, version: str) -> None:
    assert (await owner.get(f"/api/v1/forms/frm_1/versions/{version}")).status_code == 404
