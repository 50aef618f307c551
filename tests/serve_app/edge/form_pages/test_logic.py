"""Y1, F3: what is shown, required, calculated and reached, the same on the page and on the server."""

import httpx

from tests.accessibility import barriers
from tests.serve_app.edge.form_pages.conftest import ADDRESS, Hosted
from tests.serve_app.edge.form_pages.definitions import THREE
from tests.serve_app.edge.form_pages.reading import Html
from tests.serve_app.edge.form_pages.test_browser import PROBLEMS, SENT, Scene, scene

__all__ = ["scene"]

GUESTS = {
    "title": "The feast",
    "languages": ["en", "de"],
    "buttons": {"submit": "Order"},
    "pages": [
        {
            "id": "p1",
            "title": "You",
            "next": [{"if": "answers.coming == false", "to": "p3"}],
            "elements": [
                {"id": "coming", "type": "yes_no", "title": "Are you coming?", "required": True},
                {
                    "id": "why",
                    "type": "short_text",
                    "title": "Why not?",
                    "visible_if": "answers.coming == false",
                    "required_if": "answers.coming == false",
                },
            ],
        },
        {
            "id": "p2",
            "title": "Guests",
            "elements": [
                {
                    "id": "guests",
                    "type": "group",
                    "title": "Guests",
                    "item_title": "Guest",
                    "max_items": 3,
                    "elements": [
                        {"id": "name", "type": "short_text", "title": "Name", "required": True},
                        {"id": "price", "type": "number", "title": "Price"},
                        {"id": "side", "type": "choice", "title": "Side", "options": THREE},
                        {
                            "id": "sauce",
                            "type": "yes_no",
                            "title": "With sauce?",
                            "visible_if": "item.side == 'rice'",
                        },
                    ],
                },
                {
                    "id": "total",
                    "type": "calculated",
                    "title": "Total",
                    "value": "sum(answers.guests.price) * 2",
                },
                {
                    "id": "more",
                    "type": "section",
                    "title": "More",
                    "visible_if": "answers.total > 100",
                    "elements": [{"id": "bank", "type": "short_text", "title": "Your bank", "required": True}],
                },
            ],
        },
        {
            "id": "p3",
            "title": "Last",
            "elements": [
                {"id": "country", "type": "country", "title": "Country"},
                {"id": "address", "type": "address", "title": "Address", "required_parts": ["city"]},
                {"id": "place", "type": "location", "title": "Place"},
                {"id": "low", "type": "integer", "title": "From"},
                {"id": "high", "type": "integer", "title": "To"},
            ],
        },
    ],
    "rules": [
        {
            "id": "order",
            "check": "answers.low == null or answers.high == null or answers.low <= answers.high",
            "message": "From is above to.",
            "fields": ["low"],
        }
    ],
    "translations": {"de": {"rules": {"order": "Von liegt über bis."}, "elements": {"why": {"title": "Warum nicht?"}}}},
}


def shown(page: Html, name: str) -> bool:
    return "hidden" not in page.with_id(f"q-{name}")


async def test_the_server_decides_for_browsers_without_scripts(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    """F3: jumps lead on, what depends on other pages is decided, what depends on the same page stays open."""
    hosted.publish(GUESTS)
    page = Html((await visitor.get(ADDRESS)).text)
    assert (page.shown(), shown(page, "why"), shown(page, "more")) == (["p1"], True, True)
    assert "open" in page.with_id("q-why")["class"].split()
    leaving = {"_page": "p1", "_go": "next", "coming": "false"}
    refused = Html((await visitor.post(ADDRESS, data=leaving)).text)
    assert (refused.shown(), "e-why" in refused.ids()) == (["p1"], True)
    last = Html((await visitor.post(ADDRESS, data=leaving | {"why": "ill"})).text)
    assert last.shown() == ["p3"]
    assert "Page 2 of 2" in last.text
    assert "Order" in last.text
    back = Html((await visitor.post(ADDRESS, data=leaving | {"_page": "p3", "_go": "back"})).text)
    assert back.shown() == ["p1"]
    # A page that the answers on it have made the last but one is not sent yet.
    coming = {"_page": "p1", "_go": "submit", "coming": "true"}
    assert Html((await visitor.post(ADDRESS, data=coming)).text).shown() == ["p2"]
    assert hosted.commands == []


async def test_groups_grow_and_shrink_without_scripts(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    hosted.publish(GUESTS)
    guests = {"_page": "p2", "coming": "true", "guests.0.name": "Ada", "guests.0.price": "30"}
    page = Html((await visitor.post(ADDRESS, data=guests | {"_go": "add:guests"})).text)
    assert {"guests.0.name", "guests.1.name"} <= page.names()
    assert page.with_id("f-guests.0.name")["value"] == "Ada"
    two = guests | {"guests.1.name": "Bea", "guests.1.price": "30", "guests.2.price": "x"}
    removed = Html((await visitor.post(ADDRESS, data=two | {"_go": "remove:guests.0"})).text)
    assert removed.with_id("f-guests.0.name")["value"] == "Bea"
    assert removed.with_id("f-guests.1.price")["value"] == "x"
    refused = Html((await visitor.post(ADDRESS, data=two | {"_go": "next"})).text)
    assert refused.shown() == ["p2"]
    assert {"e-guests.2.price", "e-guests.2.name"} <= set(refused.ids())
    full = two | {"guests.2.name": "Cy", "guests.2.price": "1"}
    assert not Html((await visitor.post(ADDRESS, data=full | {"_go": "show"})).text).all("button", value="add:guests")
    refused = Html((await visitor.post(ADDRESS, data=full | {"_go": "next"})).text)
    assert "e-bank" in refused.ids()
    sent = await visitor.post(
        ADDRESS, data=full | {"bank": "B", "_page": "p3", "_go": "submit", "address.city": "Ulm", "country": "DE"}
    )
    assert sent.status_code == 303, sent.text
    assert hosted.stored[0]["total"] == 122
    assert [guest["name"] for guest in hosted.stored[0]["guests"]] == ["Ada", "Bea", "Cy"]


async def test_rules_and_titles_speak_the_language(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    hosted.publish(GUESTS)
    data = {"_page": "p3", "coming": "false", "why": "x", "low": "3", "high": "2", "address.street": "S"}
    answer = await visitor.post(ADDRESS + "?lang=de", data=data | {"_go": "submit"})
    assert answer.status_code == 422
    page = Html(answer.text)
    assert "Von liegt über bis." in page.text
    assert "Ort: Bitte beantworten Sie diese Frage." in page.text
    assert {"e-low", "e-address"} <= set(page.ids())
    assert "Warum nicht?" in page.text


async def test_the_page_decides_while_answers_are_entered(scene: Scene) -> None:
    """F3, R2: shown, required, calculated and reached live; the server agrees with all of it."""
    page = scene.page
    await scene.publish(GUESTS)
    await scene.open()
    assert await page.value("document.getElementById('q-why').hidden") is True
    assert await page.value("document.getElementById('progress').textContent") == "Page 1 of 3"
    await page.value("document.getElementById('f-coming.no').click()")
    assert await page.value("document.getElementById('q-why').hidden") is False
    assert await page.value("document.querySelector('#q-why .star').hidden") is False
    assert await page.value("document.getElementById('f-why').getAttribute('aria-required')") == "true"
    assert await page.value("document.getElementById('progress').textContent") == "Page 1 of 2"
    await page.value("document.getElementById('f-coming').click()")
    assert await page.value("document.getElementById('q-why').hidden") is True
    await page.value("document.getElementById('next').click()")
    await page.until("!document.getElementById('page-p2').hidden")
    assert await barriers(page) == []

    assert await page.value("document.getElementById('q-guests.0.sauce').hidden") is True
    await scene.focus("f-guests.0.name")
    await page.type("Ada")
    await scene.focus("f-guests.0.price")
    await page.type("30")
    assert await page.value("document.getElementById('f-total').textContent") == "60"
    await page.value("document.getElementById('f-guests.0.side.2').click()")
    assert await page.value("document.getElementById('q-guests.0.sauce').hidden") is False
    await page.value("document.getElementById('f-guests').click()")
    await page.until("document.getElementById('f-guests.1.name') && 'ready' in document.getElementById('form').dataset")
    assert await page.value("document.getElementById('f-guests.0.name').value") == "Ada"
    await scene.focus("f-guests.1.name")
    await page.type("Bea")
    await scene.focus("f-guests.1.price")
    await page.type("30.5")
    assert await page.value("document.getElementById('f-total').textContent") == "121"
    assert await page.value("document.getElementById('q-more').hidden") is False
    await page.value("document.getElementById('next').click()")
    await page.until(PROBLEMS)
    assert await page.value("document.querySelector('#problems a').hash") == "#f-bank"
    await page.value("document.querySelector('#problems a').click()")
    await page.focuses("f-bank")
    await page.type("B")
    # A draft with more items than the page begins with.
    await scene.open()
    assert await page.value("document.getElementById('f-guests.1.name').value") == "Bea"
    await page.value("document.getElementById('next').click()")
    await page.until("!document.getElementById('page-p3').hidden")
    assert await barriers(page) == []
    await page.value("document.getElementById('f-country').value = 'DE'")
    await scene.focus("f-low")
    await page.type("2")
    await page.value("document.getElementById('submit').click()")
    await page.until(SENT)
    (answers,) = await scene.stored()
    assert answers == {
        "coming": True,
        "guests": [{"name": "Ada", "price": 30, "side": "rice"}, {"name": "Bea", "price": 30.5}],
        "total": 121,
        "bank": "B",
        "country": "DE",
        "low": 2,
    }
    scene.assert_discreet()
