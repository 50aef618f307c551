"""Two tenants on a running platform: what the first one has, and every credential that must not reach it."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx
import jwt
from sqlalchemy import select
from sqlmodel import col

from db.models.events import DeadLetter, Event
from db.session import Database
from db.types import new_id, utc_now
from deployments.exports.making import MakeExport
from deployments.identity.signing_keys import KeyRing
from deployments.identity.tokens import AccessTokens, Claims
from deployments.kit.links import Links
from deployments.kit.objects import ObjectStore
from deployments.kit.vault import Vault
from deployments.reports.service import FILES, finish
from deployments.responses.deployment import Responses
from tests.deployments.files.scene import ask_for_files, send
from tests.deployments.files.test_uploads import begin
from tests.deployments.tenancy.population import attempt
from tests.serve_app.one_process import OneProcess

PASSWORD = "correct horse battery"
CANARY = "canary-7f3a9c"
"""Part of every text that belongs to the first tenant."""


@dataclass
class Scene:
    """`ids` are the real values of path parameters in tenant `acme`, `credentials` those that must be refused."""

    owner: httpx.AsyncClient
    viewer: httpx.AsyncClient
    stranger: httpx.AsyncClient
    anybody: httpx.AsyncClient
    ids: dict[str, str] = field(default_factory=dict)
    worthless: dict[str, str] = field(default_factory=dict)
    strangers_files: dict[str, str] = field(default_factory=dict)

    async def state(self) -> dict[str, str]:
        """Everything the first tenant can see of itself."""
        form = f"/api/v1/forms/{self.ids['form_id']}"
        hook = f"/api/v1/webhooks/{self.ids['webhook_id']}"
        paths = (
            *("/api/v1/forms", form, f"{form}/versions", f"{form}/responses", f"{form}/grants", "/api/v1/users"),
            *("/api/v1/api-keys", "/api/v1/webhooks", hook, f"{hook}/deliveries", "/api/v1/jobs", "/api/v1/audit"),
            *("/api/v1/tenants/acme", "/api/v1/tenants/acme/exports", "/api/v1/sso/connections"),
            *("/api/v1/invitations", "/api/v1/templates", f"{form}/draft"),
            *("/api/v1/dead-letters", "/api/v1/waiting-events"),
            *("/api/v1/invitations", f"{form}/exports"),
            *("/api/v1/mail-templates/response_notification", "/api/v1/mail-templates/response_notification/de"),
            *("/api/v2/analytics/queries", f"/api/v2/analytics/queries/{self.ids['query_id']}"),
            *("/api/v1/snippets", f"/api/v1/summaries/{self.ids['summary_id']}"),
            *("/api/v1/suppressions", "/api/v1/mail-branding", f"{form}/mailings"),
            *("/api/v1/ai/models", f"/api/v1/ai/models/{self.ids['model_id']}"),
            *("/api/v1/reports", "/api/v1/report-schedules", f"/api/v1/reports/{self.ids['report']}"),
            *("/api/v1/queues", "/api/v1/schedules", f"/api/v1/schedules/{self.ids['schedule_id']}"),
            *("/api/v1/classifiers", f"/api/v1/classifiers/{self.ids['classifier_id']}/versions"),
            f"/api/v2/analytics/forms/{self.ids['form_id']}/alarms",
            *(f"{form}/responses/trash", f"{form}/responses/tags", f"/api/v1/responses/{self.ids['response_id']}"),
        )
        answers = [await self.owner.get(path) for path in paths]
        assert [answer.status_code for answer in answers] == [200] * len(paths)
        return {path: answer.text for path, answer in zip(paths, answers, strict=True)}


async def stage(platform: OneProcess) -> Scene:
    """Fill the first tenant with one of everything, and make the second."""
    owner, stranger = await platform.sign_up(), await platform.sign_up("other")
    ids = await furnish(owner, "acme", CANARY)
    ids |= await _files(owner, ids["form_id"], CANARY)
    ids["letter_id"] = await _dead_letter(platform, CANARY)
    await _make_export(platform, ids["export"])
    links = Links(platform.settings.exports().signing_key, "export", "exp")
    until = utc_now() + timedelta(days=1)
    ids["export_link"] = links.link("acme", ids["export"], until)
    report_links = platform.settings.reports().links()
    ids["report_link"] = report_links.link("acme", ids["report"], until)
    await _make_report(platform, ids["report"], ids["form_id"])
    anybody = platform.client()
    session = await _session(anybody, "viewer")
    return Scene(
        owner=owner,
        viewer=platform.client(session["access_token"]),
        stranger=stranger,
        anybody=anybody,
        ids=ids,
        strangers_files={
            **await _strangers_files(platform, stranger),
            "export_link": links.link("other", ids["export"], until),
            "report_link": report_links.link("other", ids["report"], until),
        },
        worthless=await _worthless(platform, owner, anybody),
    )


async def furnish(owner: httpx.AsyncClient, tenant_id: str, mark: str) -> dict[str, str]:
    """Give a tenant one of everything, with `mark` in each text; the values of all path parameters for it."""
    ids = {"tenant_id": tenant_id, "tenant": tenant_id, "slug": "party", "version": "1", "text_message": "job_1"}
    types = {"name": "short_text", "cv": "file", "score": "nps"}
    elements = [{"id": name, "type": kind, "title": mark} for name, kind in types.items()]
    form = {
        "slug": "party",
        "title": f"Party {mark}",
        "definition": {"pages": [{"id": "p1", "elements": elements}]},
    }
    ids["form_id"] = (await _made(owner, "/api/v1/forms", form))["id"]
    its = f"/api/v1/forms/{ids['form_id']}"
    await _made(owner, f"{its}/publish", None)
    template = {"form_id": ids["form_id"], "title": mark, "description": mark}
    ids["template_id"] = (await _made(owner, "/api/v1/templates", template))["id"]
    ids["response_id"] = (await _made(owner, f"{its}/responses", {"answers": {"name": mark}}))["id"]
    ids["revision"] = "1"
    comments = f"/api/v1/responses/{ids['response_id']}/comments"
    ids["comment_id"] = (await _made(owner, comments, {"text": mark}))["id"]
    begun = await _made(owner, f"{its}/responses", {"answers": {"name": mark}, "status": "partial"})
    ids["resume_token"] = begun["resume_token"]
    hook = {"url": f"https://{mark}.example.com/hook", "events": ["response.submitted"]}
    ids["webhook_id"] = (await _made(owner, "/api/v1/webhooks", hook))["id"]
    ids["delivery_id"] = (await _made(owner, f"/api/v1/webhooks/{ids['webhook_id']}/test", None))["id"]
    ids["api_key_id"] = (await _made(owner, "/api/v1/api-keys", {"name": mark, "scopes": ["forms:read"]}))["id"]
    ids["job_id"] = await _import(owner, mark)
    pause = {"queue": "default", "kind": "nobody.does_it", "reason": mark}
    await _made(owner, "/api/v1/queues/pause", pause)
    plan = {"name": mark, "kind": "tenant.order_export", "cron": "0 0 1 1 *", "enabled": False}
    archive = await owner.post("/api/v1/ai/models", data={"name": mark}, files={"file": mark.encode()})
    assert archive.status_code == 202, archive.text
    ids["model_id"] = archive.json()["id"]
    ids["schedule_id"] = (await _made(owner, "/api/v1/schedules", plan))["id"]
    provider = {
        "name": mark,
        "issuer": f"https://{mark}.example.com",
        "client_id": mark,
        "client_secret": mark,
        "provisioning": {"allowed_domains": [f"{mark}.example.com"]},
    }
    ids["connection_id"] = (await _made(owner, "/api/v1/sso/connections", provider))["id"]
    await _made(owner, f"/api/v1/tenants/{tenant_id}/export", None)
    ids["export_id"] = (await owner.get(f"/api/v1/tenants/{tenant_id}/exports")).json()["data"][0]["id"]
    ids["export"] = (await _made(owner, f"{its}/exports", {"format": "csv", "where": f"name = '{mark}'"}))["export_id"]
    ids["user_id"] = (await _person(owner, "viewer", mark))["id"]
    invited = {"email": f"invited@{mark}.example", "name": mark, "role": "editor"}
    ids["invitation_id"] = (await _made(owner, "/api/v1/invitations", invited))["id"]
    search = {"subject": {"email": f"nobody@{mark}.example.org"}}
    ids["erasure_id"] = (await _made(owner, "/api/v1/erasures", search))["id"]
    ids["session_id"] = (await owner.get("/api/v1/sessions")).json()["data"][0]["id"]
    events = await owner.get("/api/v1/events", params={"entity_id": ids["response_id"]})
    ids["event_id"] = events.json()["data"][0]["id"]
    await owner.put(f"{its}/grants/{ids['user_id']}", json={"role": "viewer"})
    words = {"subject": mark, "text": mark}
    for path in ("response_notification", "response_notification/de"):
        await owner.put(f"/api/v1/mail-templates/{path}", json=words)
    ids |= {"mail_template": "response_notification", "language": "de"}
    captcha = {"provider": "turnstile", "site_key": mark, "secret": mark}
    assert (await owner.put("/api/v1/captcha", json=captcha)).status_code == 200
    blocked = {"email": f"blocked@{mark}.example", "detail": mark}
    ids["suppression_id"] = (await _made(owner, "/api/v1/suppressions", blocked))["id"]
    ids |= await _classifier(owner, ids["form_id"], mark)
    ids["snippet_id"] = (await _made(owner, "/api/v1/snippets", {"title": mark, "text": mark, "tags": [mark]}))["id"]
    ids["alarm_id"] = (await _made(owner, f"/api/v2/analytics/forms/{ids['form_id']}/alarms", {"name": mark}))["id"]
    asked = {"form_id": ids["form_id"], "measures": [{"name": "people", "op": "count"}]}
    ids["query_id"] = (await _made(owner, "/api/v2/analytics/queries", {"name": mark, "query": asked}))["id"]
    ids["summary_id"] = (await _made(owner, f"{its}/topics", {"field": "name"}))["summary_id"]
    people = {"recipients": [{"email": f"guest@{mark}.example", "name": mark}]}
    ids["mailing_id"] = (await _made(owner, f"{its}/mailings", people))["mailing_id"]
    ids["report"] = (await _made(owner, "/api/v1/reports", {"form_id": ids["form_id"]}))["report_id"]
    mailed = {"name": f"report {mark}", "form_id": ids["form_id"], "cron": "0 0 1 1 *", "enabled": False}
    mailed["recipients"] = [f"boss@{mark}.example"]
    ids["report_schedule"] = (await _made(owner, "/api/v1/report-schedules", mailed))["id"]
    return ids


async def _classifier(owner: httpx.AsyncClient, form_id: str, mark: str) -> dict[str, str]:
    labels = [{"name": mark, "examples": [mark]}, {"name": "other", "description": mark}]
    new = {"name": mark, "form_id": form_id, "field": "name", "labels": labels}
    classifier_id = (await _made(owner, "/api/v1/classifiers", new))["id"]
    examples = await owner.get(f"/api/v1/classifiers/{classifier_id}/examples")
    return {"classifier_id": classifier_id, "example_id": examples.json()["data"][0]["id"]}


async def _dead_letter(platform: OneProcess, mark: str) -> str:
    """A real event that a consumer is said to have given up."""
    database = Database(platform.settings.database())
    async with database.write("acme") as unit:
        event = (await unit.session.scalars(select(Event).where(col(Event.tenant_id) == "acme").limit(1))).one()
        letter = DeadLetter(
            tenant_id="acme",
            id=new_id("dlq"),
            consumer="webhooks",
            event_id=event.id,
            event_type=event.type,
            reason=mark,
            attempts=8,
            envelope=event.envelope,
            created_at=utc_now(),
        )
        unit.session.add(letter)
    await database.close()
    return letter.id


async def _worthless(platform: OneProcess, owner: httpx.AsyncClient, anybody: httpx.AsyncClient) -> dict[str, str]:
    """Each would be the owner's or the viewer's own credential but for the one thing that it is named for."""
    genuine = owner.headers["Authorization"].removeprefix("Bearer ")
    said = jwt.decode(genuine, options={"verify_signature": False})
    tokens = AccessTokens(platform.settings.identity(), KeyRing(platform.settings.identity(), Vault("v" * 32)))
    claims = Claims(said["sub"], "acme", "owner", said["fam"])
    kept, ended = await _session(anybody, "viewer"), await _session(anybody, "viewer")
    # By another session: the edge remembers a credential for a second, so that of the ended one must not be used.
    bearer = {"Authorization": f"Bearer {kept['access_token']}"}
    logout = {"refresh_token": ended["refresh_token"]}
    assert (await anybody.post("/api/v1/auth/logout", json=logout, headers=bearer)).status_code == 204
    revoked = await _made(owner, "/api/v1/api-keys", {"name": "revoked", "scopes": ["forms:read"]})
    assert (await owner.delete(f"/api/v1/api-keys/{revoked['id']}")).status_code == 204
    return {
        "expired": tokens.issue(claims, utc_now() - timedelta(days=2)),
        "of a session that never was": tokens.issue(replace(claims, family_id="fam_0"), utc_now()),
        "forged": jwt.encode(said, "f" * 64, "HS256", jwt.get_unverified_header(genuine)),
        "unsigned": jwt.encode(said, None, "none", jwt.get_unverified_header(genuine) | {"alg": "none"}),
        "revoked": ended["access_token"],
        "revoked key": revoked["key"],
        "refresh token": kept["refresh_token"],
        "garbage": "garbage",
    }


async def _made(client: httpx.AsyncClient, path: str, body: Any) -> Any:
    answer = await client.post(path, json=body)
    assert answer.status_code < 300, (path, answer.text)
    return answer.json()


async def _person(owner: httpx.AsyncClient, role: str, mark: str) -> Any:
    new = {"email": f"{role}@{mark}.example", "password": PASSWORD, "name": f"{role} {mark}", "role": role}
    return await _made(owner, "/api/v1/users", new)


async def _session(anybody: httpx.AsyncClient, role: str) -> Any:
    login = {"tenant": "acme", "email": f"{role}@{CANARY}.example", "password": PASSWORD}
    return await _made(anybody, "/api/v1/auth/login", login)


async def _strangers_files(platform: OneProcess, stranger: httpx.AsyncClient) -> dict[str, str]:
    database = Database(platform.settings.database())
    form_id = await ask_for_files(database, tenant_id="other", slug="files")
    await database.close()
    return await _files(stranger, form_id, "strangers-own")


async def _make_export(platform: OneProcess, export_id: str) -> None:
    database = Database(platform.settings.database())
    objects = ObjectStore(platform.settings.object_store())
    make = MakeExport(database, objects, Responses(database), timedelta(days=1))
    await make.run(attempt("acme", {"export_id": export_id}))
    await database.close()


async def _make_report(platform: OneProcess, report_id: str, form_id: str) -> None:
    """What its job would have made."""
    database = Database(platform.settings.database())
    file = f"{FILES.folder('acme', form_id, report_id)}/made.pdf"
    await ObjectStore(platform.settings.object_store()).put(file, CANARY.encode())
    async with database.write("acme") as unit:
        await finish(unit, report_id, file, sha256="0" * 64, size=len(CANARY), title=CANARY, responses=1)
    await database.close()


async def _files(owner: httpx.AsyncClient, form_id: str, mark: str) -> dict[str, str]:
    sent = await send(owner, mark.encode(), f"{mark}.txt", path=f"/api/v1/forms/{form_id}/files")
    link = await _made(owner, f"/api/v1/files/{sent.json()['id']}/link", {})
    upload = await begin(owner, 5, f"{mark}.txt", f"/api/v1/forms/{form_id}/uploads")
    return {
        "file_id": sent.json()["id"],
        "link": link["url"].rpartition("/")[2],
        "upload_id": upload.headers["location"].rpartition("/")[2],
    }


async def _import(owner: httpx.AsyncClient, mark: str) -> str:
    answer = await owner.post(
        "/api/v1/imports",
        data={"format": "surveymonkey_csv", "slug": "imported", "title": mark, "dry_run": "true"},
        files={"file": (f"{mark}.csv", f"Respondent ID,{mark}\n1,yes\n".encode(), "text/csv")},
    )
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"].rpartition("/")[2])
