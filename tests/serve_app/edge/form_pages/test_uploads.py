"""Y1, R5: files on the hosted page, sent while the rest is filled in."""

from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from db.settings import DatabaseSettings
from tests.accessibility import barriers
from tests.serve_app.edge.form_pages.conftest import ADDRESS
from tests.serve_app.edge.form_pages.reading import Html
from tests.serve_app.edge.form_pages.test_browser import SENT, Scene, scene
from tests.serve_app.one_process import one_process, settings_for

__all__ = ["scene"]

DEFINITION: dict[str, Any] = {
    "pages": [
        {
            "id": "p1",
            "elements": [
                {"id": "photo", "type": "image", "title": "A photo", "required": True},
                {"id": "papers", "type": "file", "title": "Papers", "max_files": 2},
                {"id": "sign", "type": "signature", "title": "Signature"},
            ],
        }
    ]
}


async def choose(scene: Scene, name: str, *files: Path) -> None:
    """Choose files as the dialogue of the browser does."""
    page = scene.page
    document = await page.command("DOM.getDocument")
    found = await page.command("DOM.querySelector", nodeId=document["root"]["nodeId"], selector=f"#f-{name}")
    await page.command("DOM.setFileInputFiles", nodeId=found["nodeId"], files=[str(file) for file in files])


async def test_files_are_sent_with_progress(scene: Scene, tmp_path: Path) -> None:
    page = scene.page
    await scene.publish(DEFINITION)
    photo, text, fake = tmp_path / "photo.png", tmp_path / "notes.txt", tmp_path / "fake.png"
    Image.new("RGB", (40, 30), "teal").save(photo)
    text.write_text("notes")
    fake.write_text("<script>alert(1)</script>")
    await scene.open()
    await choose(scene, "photo", fake)
    await page.until("document.querySelector('#q-photo .status').textContent !== ''")
    assert "could not be uploaded" in await page.value("document.querySelector('#q-photo .status').textContent")
    await choose(scene, "photo", photo)
    await page.until("document.querySelector('#q-photo .status').textContent === 'photo.png is uploaded'")
    assert await page.value("document.querySelector('#q-photo .pick').hidden") is True
    await choose(scene, "papers", text, photo)
    await page.until("document.querySelectorAll('#q-papers input[name=papers]').length === 2")
    await page.value("document.querySelector('#q-papers li:last-child button').click()")
    assert await barriers(page) == []
    # After a break the files are still there.
    await page.value("new Promise((done) => setTimeout(done, 400))")
    await scene.open()
    await page.until("document.querySelector('#q-photo li span')?.textContent === 'photo.png'")
    await page.until("'ready' in document.getElementById('form').dataset")
    await page.value("document.getElementById('submit').click()")
    await page.until(SENT)
    (answers,) = await scene.stored()
    assert [len(answers[name]) for name in ("photo", "papers")] == [1, 1]
    assert "sign" not in answers
    scene.page.complaints = [said for said in scene.page.complaints if "415" not in said]
    scene.assert_discreet()


async def test_a_signature_is_drawn(scene: Scene) -> None:
    """Y1, F1: with what points; the picture is a file like others, and choosing one needs no pointer."""
    page = scene.page
    await page.screen(390)
    await scene.publish({"pages": [{"id": "p1", "elements": [DEFINITION["pages"][0]["elements"][2]]}]})
    await scene.open()
    assert await page.value("document.querySelector('.sign .use').disabled") is True
    assert await page.value("document.querySelector('#q-sign .pick').hidden") is False
    assert await barriers(page) == []
    await draw(scene)
    await page.value("document.querySelector('.sign .clear').click()")
    assert await page.value("document.querySelector('.sign .use').disabled") is True
    await draw(scene)
    assert await barriers(page) == []
    await page.value("document.querySelector('.sign .use').click()")
    await page.until("document.querySelector('#q-sign input[name=sign]')?.value.startsWith('fil_')")
    assert await page.value("document.querySelector('.sign').hidden") is True
    assert await page.value(
        "document.querySelector('#q-sign li button').click() || !document.querySelector('.sign').hidden"
    )
    await draw(scene)
    await page.value("document.getElementById('submit').click()")
    assert await page.value("document.activeElement.className") == "quiet-button use"
    assert await scene.stored() == []
    await page.value("document.querySelector('.sign .use').click()")
    await page.until("document.querySelector('#q-sign input[name=sign]') !== null")
    await page.value("document.getElementById('submit').click()")
    await page.until(SENT)
    (answers,) = await scene.stored()
    assert len(answers["sign"]) == 1
    found = await scene.owner.get(f"/api/v1/files/{answers['sign'][0]}")
    assert found.json()["type"] == "image/png", found.text
    scene.assert_discreet()


async def draw(scene: Scene) -> None:
    """A line over the pad, with the mouse."""
    page = scene.page
    seen = await page.value(
        "(() => { const pad = document.querySelector('.sign canvas'); pad.scrollIntoView({ block: 'center' });"
        " const { left, top, width, height } = pad.getBoundingClientRect(); return [left, top, width, height]; })()"
    )
    left, top, width, height = seen
    for step, kind in enumerate(("mousePressed", "mouseMoved", "mouseMoved", "mouseReleased")):
        where = {"x": left + width * (step + 1) / 6, "y": top + height * (0.3 + 0.4 * (step % 2))}
        pressed = {"button": "left", "buttons": int(kind != "mouseReleased"), "clickCount": 1}
        await page.command("Input.dispatchMouseEvent", type=kind, **where, **pressed)
    await page.until("!document.querySelector('.sign .use').disabled")


PICTURE = Image.new("RGB", (4, 3), "teal")


def picture() -> bytes:
    content = BytesIO()
    PICTURE.save(content, "png")
    return content.getvalue()


def hidden(page: Html) -> dict[str, str]:
    """What a browser sends along without being asked."""
    return {each["name"]: each["value"] for each in page.all("input", type="hidden")}


async def test_files_are_added_without_scripts(
    tmp_path: Path, sqlite_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Y1, R5: what was chosen comes with the rest, is checked like any file, can be taken back, and is not lost."""
    settings = settings_for(tmp_path, sqlite_settings)
    async with one_process(settings, monkeypatch, works=False) as platform:
        owner = await platform.sign_up()
        body = {"slug": "party", "title": "Party", "definition": DEFINITION}
        form_id = (await owner.post("/api/v1/forms", json=body)).json()["id"]
        await owner.post(f"/api/v1/forms/{form_id}/publish")
        visitor = platform.client()
        address = "/f/acme/party"
        shown = Html((await visitor.get(address)).text)
        chooser = shown.one("input", name="photo.chosen")
        assert (chooser["type"], chooser["accept"]) == ("file", "image/*")
        adding = shown.all("button", formenctype="multipart/form-data")
        assert {each["formaction"] for each in adding} == {f"{address}/files"}
        entries = hidden(shown)

        async def add(*files: tuple[str, tuple[str, bytes, str]], given: dict[str, Any] = entries) -> httpx.Response:
            return await visitor.post(f"{address}/files", data=given, files=list(files))

        refused = await add(("photo.chosen", ("fake.png", b"<script>", "image/png")))
        assert refused.status_code == 422
        assert "fake.png could not be uploaded." in refused.text
        nothing = ("papers.chosen", ("", b"", "application/octet-stream"))
        added = await add(("photo.chosen", ("photo.png", picture(), "image/png")), nothing)
        assert added.status_code == 200, added.text
        entries = hidden(Html(added.text))
        assert entries["photo.name"] == "photo.png"
        added = await add(("papers.chosen", ("notes.txt", b"notes", "text/plain")), given=entries)
        entries = hidden(Html(added.text))

        dropped = Html((await visitor.post(address, data={**entries, "_go": f"drop:{entries['papers']}"})).text)
        assert "papers" not in hidden(dropped)
        left = await visitor.post(address, data={**entries, "sign.chosen": "me.png", "_go": "submit"})
        assert left.status_code == 422
        assert "was not added" in left.text
        sent = await visitor.post(address, data={**entries, "_go": "submit"})
        assert (sent.status_code, sent.headers["location"]) == (303, f"{address}/sent")

        listed = (await owner.get(f"/api/v1/forms/{form_id}/responses")).json()["data"]
        assert [(each["answers"]["photo"], each["answers"]["papers"]) for each in listed] == [
            ([entries["photo"]], [entries["papers"]])
        ]
        content = await owner.get(f"/api/v1/files/{entries['papers']}/content")
        assert content.content == b"notes"


async def test_what_is_no_form_is_refused(visitor: httpx.AsyncClient) -> None:
    """Y1: the address for files takes what browsers make of the page, and nothing else."""
    assert (await visitor.post(f"{ADDRESS}/files", json={})).status_code == 415
    header = {"content-type": "multipart/form-data; boundary=x"}
    assert (await visitor.post(f"{ADDRESS}/files", content=b"nonsense", headers=header)).status_code == 400
