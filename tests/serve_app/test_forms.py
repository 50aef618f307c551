"""Forms over HTTP: what clients see of revisions, of bodies that may be left out, and of the trash."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.settings import DatabaseSettings
from tests.factories import PARTY
from tests.serve_app.one_process import OneProcess, one_process, settings_for

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def platform(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch, works=False) as found:
        yield found


@pytest.fixture
async def owner(platform: OneProcess) -> httpx.AsyncClient:
    return await platform.sign_up()


async def made(owner: httpx.AsyncClient, slug: str = "party", *, publish: bool = True) -> str:
    """The address of a new form."""
    body = {"slug": slug, "title": "Party", "definition": PARTY}
    answer = await owner.post("/api/v1/forms", json=body)
    assert answer.status_code == 201, answer.text
    path: str = answer.headers["location"]
    if publish:
        assert (await owner.post(f"{path}/publish")).status_code == 200
    return path


def code(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()["code"]


async def test_a_body_that_may_be_left_out(owner: httpx.AsyncClient) -> None:
    """H: nothing, an empty object and an object say what they say; anything else is refused as everywhere."""
    path = await made(owner, publish=False)
    publish = f"{path}/publish"
    assert (await owner.post(publish)).json()["notes"] is None
    await owner.patch(path, json={"title": "Second"})
    assert (await owner.post(publish, json={"notes": "Better"})).json()["notes"] == "Better"
    await owner.patch(path, json={"title": "Third"})
    assert (await owner.post(publish, json={})).json()["version"] == 3
    assert code(await owner.post(publish, content="notes", headers={"Content-Type": "text/plain"})) == (
        415,
        "unsupported_media_type",
    )
    assert code(await owner.post(publish, content="{", headers=JSON)) == (400, "json.syntax")
    assert code(await owner.post(publish, json={"surprise": 1})) == (422, "invalid")


async def test_revisions_guard_changes_and_spare_answers(owner: httpx.AsyncClient) -> None:
    """H: ETag, If-Match and If-None-Match on forms and drafts."""
    path = await made(owner)
    shown = await owner.get(path)
    tag = shown.headers["etag"]
    assert (await owner.get(f"{path}/draft")).headers["etag"] == tag
    for address in (path, f"{path}/draft"):
        same = await owner.get(address, headers={"If-None-Match": tag})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    changed = await owner.patch(path, json={"title": "Feast"}, headers={"If-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
    assert (await owner.get(path, headers={"If-None-Match": tag})).status_code == 200
    late = {"If-Match": tag}
    for refused in (
        await owner.patch(path, json={"title": "Late"}, headers=late),
        await owner.post(f"{path}/publish", headers=late),
        await owner.delete(f"{path}/draft", headers=late),
    ):
        assert code(refused) == (412, "form.revision_outdated")
    current = {"If-Match": changed.headers["etag"]}
    assert (await owner.delete(f"{path}/draft", headers=current)).json()["title"] == "Party"


async def test_the_public_forms_tag_changes_with_what_is_shown(platform: OneProcess, owner: httpx.AsyncClient) -> None:
    """F7: settings that a page shows are new at once, others change nothing."""
    path = await made(owner)
    visitor, public = platform.client(), "/api/v1/public/acme/party"
    tag = (await visitor.get(public)).headers["etag"]

    async def status() -> int:
        return (await visitor.get(public, headers={"If-None-Match": tag})).status_code

    assert await status() == 304
    await owner.patch(path, json={"settings": {"notification_recipients": ["ada@example.org"]}})
    assert await status() == 304
    await owner.patch(path, json={"settings": {"theme": {"primary": "#102030"}}})
    assert await status() == 200


async def test_a_visitor_gets_the_form_in_a_language(platform: OneProcess, owner: httpx.AsyncClient) -> None:
    """F8: by `lang`, else by Accept-Language; caches keep the languages apart, and problems stay in English codes."""
    texts = {"de": {"title": "Fest", "elements": {"name": {"title": "Ihr Name"}}}}
    definition = {**PARTY, "title": "Party", "languages": ["en", "de", "fr"], "translations": texts}
    body = {"slug": "party", "title": "Party", "definition": definition}
    created = await owner.post("/api/v1/forms", json=body)
    assert created.status_code == 201, created.text
    assert (await owner.post(f"{created.headers['location']}/publish")).status_code == 200
    visitor, public = platform.client(), "/api/v1/public/acme/party"

    async def shown(address: str, accepts: str | None = None) -> tuple[str, str, str]:
        answer = await visitor.get(address, headers={"Accept-Language": accepts} if accepts else {})
        assert "Accept-Language" in answer.headers["vary"]
        form = answer.json()
        assert form["languages"] == ["en", "de", "fr"]
        assert ("translations" in form["definition"]) is not (accepts is not None or "lang" in address)
        title = form["definition"]["pages"][0]["elements"][0]["title"]
        return answer.headers["content-language"], form["title"], title

    assert await shown(public) == ("en", "Party", "Your name")
    assert await shown(f"{public}?lang=de") == ("de", "Fest", "Ihr Name")
    assert await shown(public, "xx, de-AT;q=0.8, en;q=0.5") == ("de", "Fest", "Ihr Name")
    assert await shown(f"{public}?lang=fr", "de") == ("fr", "Party", "Your name")
    assert await shown(f"{public}?lang=zz") == ("en", "Party", "Your name")
    tags = {(await visitor.get(f"{public}?lang={tag}")).headers["etag"] for tag in ("en", "de", "fr")}
    assert len(tags) == 3
    same = await visitor.get(f"{public}?lang=de", headers={"If-None-Match": ", ".join(tags)})
    assert (same.status_code, same.headers["content-language"]) == (304, "de")
    refused = await visitor.post(f"{public}/responses?lang=de", json={"answers": {}, "language": "de"})
    assert {error["code"] for error in refused.json()["errors"]} == {"required"}


async def test_the_language_of_an_answer_is_kept(platform: OneProcess, owner: httpx.AsyncClient) -> None:
    """F8, R4: as the client names it, and one can ask for it."""
    path = await made(owner)
    visitor, public = platform.client(), "/api/v1/public/acme/party/responses"
    answers = {"name": "Ada", "email": "ada@example.org"}
    for language in ({"language": "de-AT"}, {"meta": {"language": "de"}}, {"meta": {"a": 1}, "language": "de"}, {}):
        assert (await visitor.post(public, json={"answers": answers, **language})).status_code == 201
    odd = await visitor.post(public, json={"answers": answers, "language": "no such thing"})
    assert [error["pointer"] for error in odd.json()["errors"]] == ["/language"]
    found = (await owner.get(f"{path}/responses", params={"filter[language]": "de"})).json()["data"]
    assert sorted(map(len, (each["meta"] for each in found))) == [1, 2]
    begun = await visitor.post(public, json={"answers": {}, "status": "partial", "language": "en"})
    saved = f"/api/v1/public/responses/{begun.json()['resume_token']}"
    assert (await visitor.patch(saved, json={"language": "fr"})).json()["meta"] == {"language": "fr"}


async def test_from_the_trash_and_back_and_to_the_end(platform: OneProcess, owner: httpx.AsyncClient) -> None:
    """F5: the codes that tell a client how to go on."""
    path = await made(owner)
    assert code(await owner.post(f"{path}/purge")) == (409, "form.not_in_trash")
    assert (await owner.delete(path)).status_code == 204
    assert code(await owner.get(path)) == (404, "form.not_found")
    await made(owner)
    assert code(await owner.post(f"{path}/restore")) == (409, "form.slug_taken")
    restored = await owner.post(f"{path}/restore", json={"slug": "first"})
    assert (restored.status_code, restored.json()["slug"], restored.json()["status"]) == (200, "first", "published")
    assert (await owner.delete(path)).status_code == 204
    listed = (await owner.get("/api/v1/forms?status=trashed&include_total=true")).json()
    assert ([form["slug"] for form in listed["data"]], listed["meta"]["total"]) == (["first"], 1)
    purge = await owner.post(f"{path}/purge")
    assert purge.status_code == 202
    job = (await owner.get(purge.headers["location"])).json()
    assert (job["kind"], job["state"]) == ("forms.purge", "queued")
    assert code(await owner.post(f"{path}/restore")) == (404, "form.not_found")


async def test_who_may_write_forms_may_not_end_them(platform: OneProcess, owner: httpx.AsyncClient) -> None:
    """U5: an editor moves a form to the trash, and only an owner deletes it for good."""
    key = (await owner.post("/api/v1/api-keys", json={"name": "ci", "scopes": ["forms:read", "forms:write"]})).json()
    path = await made(owner)
    editor = platform.client(key["key"])
    assert (await editor.delete(path)).status_code == 204
    assert code(await editor.post(f"{path}/purge")) == (403, "forbidden")
    assert (await editor.post(f"{path}/restore")).status_code == 200


async def test_a_diff_names_where_and_what(owner: httpx.AsyncClient) -> None:
    """F4: over HTTP, with the version to compare with in the query."""
    path = await made(owner)
    shorter = {**PARTY, "pages": [{"id": "p1", "elements": PARTY["pages"][0]["elements"][:3]}]}
    await owner.patch(path, json={"definition": shorter})
    for address in (f"{path}/draft/diff", f"{path}/draft/diff?from=1"):
        (change,) = (await owner.get(address)).json()["changes"]
        assert (change["change"], change["kind"], change["id"]) == ("removed", "element", "score")
    assert code(await owner.get(f"{path}/draft/diff?from=0")) == (422, "invalid")
    assert code(await owner.get(f"{path}/versions/1/diff?from=2")) == (404, "form.version_not_found")
    assert code(await owner.get(f"{path}/versions/x/diff")) == (404, "not_found")


async def test_a_report_has_warnings_beside_errors(owner: httpx.AsyncClient) -> None:
    """F9: what is allowed but hardly meant."""
    elements = [
        {"id": "a", "type": "choice", "title": "Which?", "options": [{"id": "x", "label": "X"}]},
        {"id": "b", "type": "short_text", "title": "which? ", "required": True, "required_if": "answers.a == 'x'"},
        {
            "id": "c",
            "type": "ranking",
            "title": "Order",
            "options": [{"id": "x", "label": "Same"}, {"id": "y", "label": "same"}],
        },
    ]
    definition = {"pages": [{"id": "p1", "elements": elements}, {"id": "p2", "elements": []}]}
    report = (await owner.post("/api/v1/forms/validate", json={"definition": definition})).json()
    assert report["valid"]
    assert {(warning["pointer"], warning["code"]) for warning in report["warnings"]} == {
        ("/pages/1", "warning.empty_page"),
        ("/pages/0/elements/0/options", "warning.no_choice"),
        ("/pages/0/elements/1/title", "warning.duplicate_title"),
        ("/pages/0/elements/1/required_if", "warning.pointless_condition"),
        ("/pages/0/elements/2/options/1/label", "warning.duplicate_label"),
    }
    nothing = {"pages": [{"id": "p1", "elements": [{"id": "s", "type": "statement", "title": "Hello"}]}]}
    report = (await owner.post("/api/v1/forms/validate", json={"definition": nothing})).json()
    assert [warning["code"] for warning in report["warnings"]] == ["warning.no_fields"]
    report = (await owner.post("/api/v1/forms/validate", json={"definition": {}})).json()
    assert (report["valid"], report["warnings"]) == (False, [])
