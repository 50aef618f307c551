"""Y1: a form in Arabic, filled in on a phone by keyboard alone, with scripts and without."""

import pytest

from tests.accessibility import barriers
from tests.serve_app.edge.form_pages.test_browser import SENT, Scene, scene

__all__ = ["scene"]

PARTY = {
    "languages": ["ar"],
    "pages": [
        {
            "id": "p1",
            "title": "عنك",
            "elements": [
                {"id": "name", "type": "short_text", "title": "الاسم", "required": True},
                {"id": "guests", "type": "integer", "title": "عدد الضيوف", "validation": {"max": 9}},
                {
                    "id": "dish",
                    "type": "choice",
                    "title": "الطبق",
                    "options": [{"id": "rice", "label": "أرز"}, {"id": "bread", "label": "خبز"}],
                },
            ],
        },
        {
            "id": "p2",
            "visible_if": "answers.guests > 2",
            "elements": [{"id": "score", "type": "nps", "title": "هل توصي بنا؟"}],
        },
    ],
}


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_form_in_arabic_is_filled_in_on_a_phone(scene: Scene, scripts: bool) -> None:
    """From right to left, with Arabic digits, and thanked in Arabic; the response names the language."""
    page = scene.page
    await scene.publish(PARTY)
    await page.screen(390, 844)
    await page.scripts(on=scripts)
    await (scene.open() if scripts else page.open(scene.address))
    assert await page.value("getComputedStyle(document.querySelector('#q-name label')).direction") == "rtl"
    assert await page.value("(r => r.right > 300)(document.querySelector('#q-name label').getBoundingClientRect())")

    await scene.focus("f-name")
    await page.type("سعاد")
    await page.press("Tab")
    await page.type("٣")
    await page.press("Tab")
    await page.press(" ")
    await page.press("ArrowDown")
    await page.press("Tab")
    # Without scripts nothing knows yet that the answers lead to a second page.
    assert await page.value("document.activeElement.textContent") == ("التالي" if scripts else "إرسال")
    await page.press("Enter")
    await page.until("document.getElementById('page-p2')?.hidden === false")
    await scene.focus("f-score")
    await page.press(" ")
    await page.press("ArrowLeft")  # from right to left, what follows is on the left
    assert await page.value("document.documentElement.scrollWidth") <= 390
    if scripts:  # axe-core is one
        assert await barriers(page) == []
    await scene.focus("submit")
    await page.press("Enter")
    await page.until(SENT)
    assert await page.named("heading") == ["شكرًا لك"]
    listed = (await scene.owner.get(f"/api/v1/forms/{scene.form_id}/responses")).json()["data"]
    assert [each["answers"] for each in listed] == [{"name": "سعاد", "guests": 3, "dish": "bread", "score": 1}]
    assert listed[0]["meta"]["language"] == "ar"
    scene.assert_discreet()
