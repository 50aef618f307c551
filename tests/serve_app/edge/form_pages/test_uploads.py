"""Y1, R5: files on the hosted page, sent while the rest is filled in."""

from pathlib import Path
from typing import Any

from PIL import Image

from tests.accessibility import barriers
from tests.serve_app.edge.form_pages.test_browser import SENT, Scene, scene

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
