"""Two tenants on a running platform: what the first one has, and every credential that must not reach it."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from db.session import Database
from db.types import utc_now
from deployments.identity.settings import IdentitySettings
from deployments.identity.signing_keys import KeyRing
from deployments.identity.tokens import AccessTokens, Claims
from deployments.kit.vault import Vault
from tests.deployments.files.scene import ask_for_files, send
from tests.deployments.files.test_uploads import begin
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
            "/api/v1/invitations",
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
    anybody = platform.client()
    session = await _session(anybody, "viewer")
    return Scene(
        owner=owner,
        viewer=platform.client(session["access_token"]),
        stranger=stranger,
        anybody=anybody,
        ids=ids,
        strangers_files=await _strangers_files(platform, stranger),
        worthless=await _worthless(platform, owner, anybody),
    )


async def furnish(owner: httpx.AsyncClient, tenant_id: str, mark: str) -> dict[str, str]:
    """Give a tenant one of everything, with `mark` in each text; the values of all path parameters for it."""
    ids = {"tenant_id": tenant_id, "tenant": tenant_id, "slug": "party", "version": "1"}
    elements = [{"id": "name", "type": "short_text", "title": mark}, {"id": "cv", "type": "file", "title": mark}]
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
    ids["user_id"] = (await _person(owner, "viewer", mark))["id"]
    invited = {"email": f"invited@{mark}.example", "name": mark, "role": "editor"}
    ids["invitation_id"] = (await _made(owner, "/api/v1/invitations", invited))["id"]
    ids["session_id"] = (await owner.get("/api/v1/sessions")).json()["data"][0]["id"]
    await owner.put(f"{its}/grants/{ids['user_id']}", json={"role": "viewer"})
    return ids


def _tokens(settings: IdentitySettings) -> AccessTokens:
    return AccessTokens(settings, KeyRing(settings, Vault("v" * 32)))


async def _worthless(platform: OneProcess, owner: httpx.AsyncClient, anybody: httpx.AsyncClient) -> dict[str, str]:
    me = (await owner.get("/api/v1/me")).json()["subject"]
    settings = platform.settings.identity()
    foreign = IdentitySettings(signing_key="f" * 64, hash_concurrency=1)  # type: ignore[arg-type]
    claims = Claims(me, "acme", "owner", "fam_0")
    ended = await _session(anybody, "viewer")
    bearer = {"Authorization": f"Bearer {ended['access_token']}"}
    logout = {"refresh_token": ended["refresh_token"]}
    assert (await anybody.post("/api/v1/auth/logout", json=logout, headers=bearer)).status_code == 204
    # The edge remembers a credential for a second; the session that was just used must not count as alive.
    revoked = await _made(owner, "/api/v1/api-keys", {"name": "revoked", "scopes": ["forms:read"]})
    assert (await owner.delete(f"/api/v1/api-keys/{revoked['id']}")).status_code == 204
    return {
        "expired": _tokens(settings).issue(claims, utc_now() - timedelta(days=2)),
        "of a session that never was": _tokens(settings).issue(claims, utc_now()),
        "forged": _tokens(foreign).issue(claims, utc_now()),
        "revoked key": revoked["key"],
        "refresh token": ended["refresh_token"],
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
