"""R2, Y1: begun in one browser, gone on with in another."""

from pathlib import Path

from tests.accessibility import barriers
from tests.chromium import chromium
from tests.serve_app.edge.form_pages.definitions import three_pages
from tests.serve_app.edge.form_pages.test_browser import READY, SENT, Scene, scene

__all__ = ["scene"]


async def test_a_link_leads_to_the_answers(scene: Scene, tmp_path: Path) -> None:
    """The token stands in no address that a server or a log gets; what is sent is one response."""
    page = scene.page
    await scene.publish(three_pages())
    await scene.open("?name=Ada")
    await page.value("document.getElementById('next').click()")
    await page.until("!document.getElementById('page-p2').hidden")
    await scene.focus("f-town")
    await page.type("Ulm")
    await page.value("document.getElementById('save').click()")
    await page.until("document.getElementById('saved') !== null")
    await page.focuses("saved")
    assert await barriers(page) == []
    link = await page.value("document.getElementById('saved').value")
    token = link.partition("#resume=")[2]
    assert len(token) > 16

    async with chromium(tmp_path / "phone") as phone:
        await phone.screen(320)
        await phone.open(link)
        await phone.until(f"{READY} && document.getElementById('f-town').value === 'Ulm'")
        assert await phone.value("document.getElementById('page-p2').hidden") is False
        assert "are here again" in await phone.value("document.getElementById('notice').textContent")
        assert token not in await phone.value("location.href")
        assert not [request for request in phone.requests if token in request]
        await phone.value("document.getElementById('next').click()")
        await phone.until("!document.getElementById('page-p3').hidden")
        await phone.value("document.getElementById('submit').click()")
        await phone.until(SENT)
    assert await scene.stored() == [{"name": "Ada", "town": "Ulm"}]
    await page.open(link)
    await page.until("document.getElementById('problems')?.hidden === false")
    assert "not there any more" in await page.value("document.getElementById('problems').textContent")
    assert not [request for request in page.requests if token in request]
