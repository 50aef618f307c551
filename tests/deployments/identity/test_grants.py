"""U5: grants for single forms."""

from pathlib import Path

import httpx
import pytest

from db.settings import DatabaseSettings
from tests.serve_app.one_process import OneProcess, one_process, settings_for

PASSWORD = "correct horse battery"
PARTY = {"pages": [{"id": "p1", "elements": [{"id": "name", "type": "short_text", "title": "Your name"}]}]}


async def _form(owner: httpx.AsyncClient, slug: str) -> str:
    made = await owner.post("/api/v1/forms", json={"slug": slug, "title": slug, "definition": PARTY})
    form_id: str = made.json()["id"]
    assert (await owner.post(f"/api/v1/forms/{form_id}/publish")).status_code == 200
    answer = await owner.post(f"/api/v1/forms/{form_id}/responses", json={"answers": {"name": slug}})
    assert answer.status_code == 201, answer.text
    return form_id


async def _person(platform: OneProcess, owner: httpx.AsyncClient, role: str) -> tuple[str, httpx.AsyncClient]:
    new = {"email": f"{role}@acme.example", "password": PASSWORD, "name": role.title(), "role": role}
    made = await owner.post("/api/v1/users", json=new)
    assert made.status_code == 201, made.text
    async with platform.client() as anybody:
        login = {"tenant": "acme", "email": new["email"], "password": PASSWORD}
        session = await anybody.post("/api/v1/auth/login", json=login)
    return made.json()["id"], platform.client(session.json()["access_token"])


async def test_a_guest_uses_the_shared_form_and_nothing_else(
    database_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U5: a grant opens one form to a guest; another form is as closed as before."""
    settings = settings_for(tmp_path, database_settings)
    async with one_process(settings, monkeypatch, works=False) as platform:
        owner = await platform.sign_up()
        shared, private = await _form(owner, "shared"), await _form(owner, "private")
        guest_id, guest = await _person(platform, owner, "guest")
        grant = f"/api/v1/forms/{shared}/grants/{guest_id}"

        for path in ("/api/v1/forms", f"/api/v1/forms/{shared}", f"/api/v1/forms/{shared}/responses"):
            assert (await guest.get(path)).status_code == 403, path

        await _put(owner, grant, "viewer")
        _, guest = await _again(platform, guest_id)
        listed = (await guest.get("/api/v1/forms")).json()["data"]
        assert [form["id"] for form in listed] == [shared]
        responses = (await guest.get(f"/api/v1/forms/{shared}/responses")).json()["data"]
        assert [row["answers"] for row in responses] == [{"name": "shared"}]
        own = f"/api/v1/responses/{responses[0]['id']}"
        assert (await guest.get(own)).status_code == 200
        assert (await guest.delete(own)).status_code == 403
        assert (await guest.patch(f"/api/v1/forms/{shared}", json={"title": "Mine"})).status_code == 403

        hidden = (await owner.get(f"/api/v1/forms/{private}/responses")).json()["data"][0]["id"]
        assert (await guest.get(f"/api/v1/responses/{hidden}")).json()["code"] == "response.not_found"
        for path in (f"/api/v1/forms/{private}", f"/api/v1/forms/{private}/responses", "/api/v1/users"):
            assert (await guest.get(path)).status_code == 403, path

        await _put(owner, grant, "editor")
        _, guest = await _again(platform, guest_id)
        assert (await guest.patch(f"/api/v1/forms/{shared}", json={"title": "Ours"})).status_code == 200
        assert (await guest.patch(f"/api/v1/forms/{private}", json={"title": "Ours"})).status_code == 403
        assert (await guest.delete(f"/api/v1/responses/{hidden}")).json()["code"] == "response.not_found"
        assert (await guest.put(grant, json={"role": "viewer"})).status_code == 403

        assert (await owner.delete(grant)).status_code == 204
        assert (await owner.delete(grant)).json()["code"] == "grant.not_found"
        _, guest = await _again(platform, guest_id)
        assert (await guest.get(f"/api/v1/forms/{shared}")).status_code == 403


async def test_grants_stay_inside_the_tenant(
    database_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T5: neither another tenant's form nor another tenant's person can be named."""
    settings = settings_for(tmp_path, database_settings)
    async with one_process(settings, monkeypatch, works=False) as platform:
        owner, stranger = await platform.sign_up(), await platform.sign_up("other")
        form = await _form(owner, "party")
        foreign = (await stranger.get("/api/v1/me")).json()["subject"]
        role = {"role": "editor"}

        answer = await owner.put(f"/api/v1/forms/{form}/grants/{foreign}", json=role)
        assert (answer.status_code, answer.json()["code"]) == (404, "user.not_found")
        answer = await stranger.put(f"/api/v1/forms/{form}/grants/{foreign}", json=role)
        assert (answer.status_code, answer.json()["code"]) == (404, "form.not_found")
        assert (await stranger.get(f"/api/v1/forms/{form}/grants")).json()["code"] == "form.not_found"
        assert (await owner.get(f"/api/v1/forms/{form}/grants")).json()["data"] == []


async def _put(owner: httpx.AsyncClient, grant: str, role: str) -> None:
    answer = await owner.put(grant, json={"role": role})
    assert (answer.status_code, answer.json()["role"]) == (200, role)


async def _again(platform: OneProcess, user_id: str) -> tuple[str, httpx.AsyncClient]:
    """A new session: the edge remembers the rights of a token for a second."""
    async with platform.client() as anybody:
        login = {"tenant": "acme", "email": "guest@acme.example", "password": PASSWORD}
        session = await anybody.post("/api/v1/auth/login", json=login)
    return user_id, platform.client(session.json()["access_token"])
