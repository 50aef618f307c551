"""T1: switches of a tenant, each where it is felt."""

from functools import partial
from typing import Any

import httpx
import pytest

from db.models.jobs import Job
from db.models.notifications import Mail
from db.models.webhooks import WebhookDelivery, WebhookEndpoint
from db.repositories.webhooks import WebhookRepository
from db.session import Database
from db.types import utc_now
from deployments.forms.deployment import Forms
from deployments.kit.egress import Egress
from deployments.kit.features import FEATURES, FeatureDisabled, is_enabled, require_feature
from deployments.notifications.handlers import NotifyRecipients
from deployments.webhooks import handlers as webhooks
from eventing.events.envelope import Origin
from eventing.events.responses import ResponseSubmitted
from eventing.outbox import make_event
from tests.deployments.identity.conftest import VAULT
from tests.deployments.tenancy.conftest import Configure
from tests.deployments.tenancy.population import attempt
from tests.eventing.harness import eventually, rows
from tests.factories import ANSWERS, PARTY, make_form, make_tenant
from tests.serve_app.one_process import OneProcess

HOOK = {"url": "https://example.com/hook", "events": ["response.submitted"]}
UPLOAD: dict[str, Any] = {
    "data": {"format": "surveymonkey_csv", "slug": "imported", "title": "Imported"},
    "files": {"file": ("survey.csv", b"RespondentID,Name\n1,Ada\n", "text/csv")},
}


def test_a_feature_is_as_its_default_until_it_is_switched() -> None:
    for name, feature in FEATURES.items():
        assert is_enabled({}, name) == feature.default
        assert is_enabled({"features": {name: not feature.default}}, name) != feature.default
        with pytest.raises(FeatureDisabled) as caught:
            require_feature({"features": {name: False}}, name)
        assert (caught.value.status, caught.value.code) == (403, "feature.disabled")
    with pytest.raises(KeyError):
        is_enabled({}, "time_travel")


async def test_unknown_names_are_refused_with_their_places(root: httpx.AsyncClient, configure: Configure) -> None:
    """T1: a typo must not look like a switch."""
    tenant = {"id": "acme", "name": "Acme", "settings": {"features": {"webhoks": True}}}
    refused = await root.post("/api/v1/tenants", json=tenant)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/settings/features/webhoks"
    assert (await root.post("/api/v1/tenants", json={"id": "acme", "name": "Acme"})).status_code == 201
    answer = await configure(features={"webhoks": True, "mail": False, "a_b": True})
    assert answer.status_code == 422
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [
        ("/settings/features/a_b", "feature.unknown"),
        ("/settings/features/webhoks", "feature.unknown"),
    ]
    usage = await root.get("/api/v1/tenants/acme/usage")
    assert usage.json()["features"] == {name: feature.default for name, feature in FEATURES.items()}


async def test_what_is_switched_off_is_refused(edge: OneProcess, acme: httpx.AsyncClient, configure: Configure) -> None:
    """T1: 403 `feature.disabled`, and nothing else is touched; switched on again, it works again."""
    form = await acme.post("/api/v1/forms", json={"slug": "party", "title": "Party", "definition": PARTY})
    form_id = form.json()["id"]
    await acme.post(f"/api/v1/forms/{form_id}/publish")
    hook_id = (await acme.post("/api/v1/webhooks", json=HOOK)).json()["id"]
    anybody = edge.client()

    async def outcomes() -> dict[str, list[int]]:
        calls = {
            "public_forms": [
                anybody.get("/api/v1/public/acme/party"),
                anybody.post("/api/v1/public/acme/party/responses", json={"answers": ANSWERS}),
            ],
            "webhooks": [acme.post("/api/v1/webhooks", json=HOOK), acme.post(f"/api/v1/webhooks/{hook_id}/test")],
            "imports": [acme.post("/api/v1/imports", **UPLOAD)],
            "exports": [
                acme.get(f"/api/v1/forms/{form_id}/responses.csv"),
                acme.get(f"/api/v1/forms/{form_id}/responses.xlsx"),
                acme.post(f"/api/v1/forms/{form_id}/exports", json={"format": "jsonl"}),
                acme.post("/api/v1/tenants/acme/export"),
            ],
            "": [
                acme.post(f"/api/v1/forms/{form_id}/responses", json={"answers": ANSWERS}),
                acme.get(f"/api/v1/webhooks/{hook_id}"),
            ],
        }
        return {name: [(await call).status_code for call in group] for name, group in calls.items()}

    async def reaches(expected: dict[str, list[int]]) -> bool:
        return await outcomes() == expected

    on = await outcomes()
    assert all(code < 300 for codes in on.values() for code in codes), on
    for name in ("public_forms", "webhooks", "imports", "exports"):
        assert (await configure(features={name: False})).status_code == 200
        # A replica may take submissions by what it read half a second ago.
        await eventually(partial(reaches, {**on, name: [403] * len(on[name])}), deadline_s=5.0)
        if name == "webhooks":
            assert (await acme.post("/api/v1/webhooks", json=HOOK)).json()["code"] == "feature.disabled"
        await configure(features={name: True})
    await eventually(partial(reaches, on), deadline_s=5.0)


async def test_what_takes_much_is_refused_before_it_begins(acme: httpx.AsyncClient, configure: Configure) -> None:
    """T1: statements, reports and drafts are not even tried, and the refused statement is in no audit trail."""
    form = (await acme.post("/api/v1/forms", json={"slug": "party", "title": "Party", "definition": PARTY})).json()
    calls = {
        "analytics_sql": ("/api/v2/analytics/sql", {"sql": "SELECT 1"}),
        "reports": ("/api/v1/reports", {"form_id": form["id"]}),
        "ai_generation": ("/api/v1/forms/generate", {"prompt": "A party"}),
        "ai": ("/api/v1/ai/generate", {"task": "summary", "texts": ["Well."]}),
    }
    assert (await configure(features=dict.fromkeys(calls, False))).status_code == 200
    for name, (path, body) in calls.items():
        answer = await acme.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "feature.disabled"), (name, answer.text)
    assert "SELECT 1" not in (await acme.get("/api/v1/audit")).text


async def test_webhooks_that_are_switched_off_deliver_nothing(database: Database) -> None:
    """T1: new events become no deliveries, and those that wait are abandoned."""
    await make_tenant(database, "acme", features={"webhooks": False})
    fact = ResponseSubmitted(response_id="rsp_1", form_id="frm_1", form_version=1, status="complete", answers={})
    async with database.write("acme") as unit:
        repository = WebhookRepository(unit.session, "acme")
        now = utc_now()
        repository.add(
            WebhookEndpoint(
                tenant_id="acme",
                id="whk_1",
                url=HOOK["url"],
                events=HOOK["events"],
                secret=VAULT.seal("whsec_AAAA"),
                created_by="usr_1",
                created_at=now,
                updated_at=now,
            )
        )
        await unit.session.flush()
        event = make_event(fact, tenant_id="acme", actor="usr_1", origin=Origin())
        assert await webhooks.select_wanted(unit, [event]) == []
        await webhooks.on_events(unit, [event])  # made before the switch was turned
    (delivery,) = await rows(database, WebhookDelivery)
    send = next(kind for kind in webhooks.job_kinds(database, VAULT, Egress()) if kind.name == "webhook.send")
    await send.run(attempt("acme", {"webhook_id": delivery.endpoint_id, "turn": 1}))
    (delivery,) = await rows(database, WebhookDelivery)
    assert delivery.state == "failed"


async def test_mail_that_is_switched_off_is_not_ordered(database: Database) -> None:
    """T1."""
    for tenant_id, enabled in (("acme", False), ("other", True)):
        owner = await make_tenant(database, tenant_id, features={"mail": enabled})
        recipients = {"send_notification": True, "notification_recipients": ["team@example.org"]}
        form = await make_form(database, owner, **recipients)
        fact = ResponseSubmitted(response_id="rsp_1", form_id=form.id, form_version=1, status="complete", answers={})
        event = make_event(fact, tenant_id=tenant_id, actor="usr_1", origin=Origin())
        async with database.read(tenant_id) as unit:
            chosen = await NotifyRecipients(Forms(database)).select(unit, [event])
        assert chosen == ([event] if enabled else [])
    assert (await rows(database, Mail), await rows(database, Job)) == ([], [])
