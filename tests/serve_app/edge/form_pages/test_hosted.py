"""Y1: the hosted form page over plain HTTP, as a browser without JavaScript uses it."""

import re
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest

from deployments.kit.errors import TenantSuspended
from deployments.kit.principal import Principal
from deployments.responses.contracts import SubmitResponse, SubmittedResponse
from deployments.responses.errors import (
    FormClosed,
    FormFull,
    IdempotencyMismatch,
    SubmissionConflict,
)
from deployments.responses.life_contracts import MAX_PAGE_MS
from serve_app.edge.form_pages.assets import FORM_ASSETS, content
from serve_app.edge.form_pages.spent import spent
from serve_app.edge.form_pages.texts import LANGUAGES, catalogue
from tests.serve_app.edge.fakes import Fakes
from tests.serve_app.edge.form_pages.conftest import ADDRESS, Hosted
from tests.serve_app.edge.form_pages.definitions import ANSWERS, ELEMENTS, EVIL, every_type, three_pages
from tests.serve_app.edge.form_pages.reading import Html, page_of


async def test_every_type_is_shown_with_a_label(visitor: httpx.AsyncClient) -> None:
    """F1: whatever may be asked can be answered; each control has a name that a screen reader says."""
    page = page_of(await visitor.get(ADDRESS))
    for kind in ELEMENTS:
        if kind not in ("statement", "hidden"):
            assert page.with_id(f"q-the_{kind}")["data-type"] == kind
            page.with_id(f"f-the_{kind}")
    labelled = {label.get("for") for label in page.all("label")}
    for tag, control in page.elements:
        if tag in ("select", "textarea") or (tag == "input" and control["type"] not in ("hidden", "radio", "checkbox")):
            assert control["id"] in labelled
    assert page.one("html", lang="en")["dir"] == "ltr"
    assert {"the_matrix.food", "the_ranking.corn", "the_choice.other", "the_datetime.offset"} <= page.names()


async def test_it_is_small_and_asks_nobody_else(visitor: httpx.AsyncClient) -> None:
    """Y1: below 50 kB with everything that it loads, all of it from the platform."""
    answer = await visitor.get(ADDRESS)
    page = page_of(answer)
    addresses = [page.one("script", type="module")["src"], page.one("link", rel="stylesheet")["href"]]
    assert all(address.startswith("/form/") for address in addresses)
    loaded = [answer, *[await visitor.get(address) for address in addresses]]
    assert len(answer.content) < 20_000
    assert sum(int(each.headers["content-length"]) for each in loaded) < 40_000
    assert "style=" not in answer.text
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


async def test_the_time_on_each_page_is_kept_without_scripts(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    """R2: from one request to the next; nobody is believed more than a month."""
    hosted.publish(three_pages())
    page = page_of(await visitor.get(ADDRESS))
    assert page.one("input", name="_shown")["value"] == page.one("input", name="_started")["value"]
    opened = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    entries = {"_key": page.key(), "_page": "p1", "_shown": opened, "_go": "next", "name": "Ada"}
    page = page_of(await visitor.post(ADDRESS, data=entries))
    carried = {name: page.one("input", name=name)["value"] for name in ("_timings", "_shown", "_key")}
    assert 5_000 <= orjson.loads(carried["_timings"])["p1"] < 60_000
    entries = {**carried, "_page": "p2", "_go": "next", "name": "Ada", "town": "Ulm"}
    page = page_of(await visitor.post(ADDRESS, data=entries))
    carried = {name: page.one("input", name=name)["value"] for name in ("_timings", "_shown", "_key")}
    entries = {**carried, "_page": "p3", "_go": "submit", "name": "Ada", "town": "Ulm", "_shown": ""}
    assert (await visitor.post(ADDRESS, data=entries)).status_code == 303
    timings = orjson.loads(hosted.commands[0].body)["timings"]
    assert timings.keys() == {"p1", "p2"}


@pytest.mark.parametrize(
    ("given", "shown", "expected"),
    [
        ("", "", {}),
        ("[]", "yesterday", {}),
        ('{"p1": -1, "p2": true, "p3": 1.5, "p9": 4}', "2099-01-01T00:00:00+00:00", {}),
        ('{"p1": 7}', "2026-03-01T00:00:00", {"p1": 7}),
        ('{"p1": 7}', "2026-03-01T00:00:00+00:00", {"p1": 1_007}),
        ("{}", "0001-01-01T00:00:00+00:00", {"p1": MAX_PAGE_MS}),
    ],
)
def test_what_is_no_measure_is_left_out(given: str, shown: str, expected: dict[str, int]) -> None:
    now = datetime(2026, 3, 1, 0, 0, 1, tzinfo=UTC)
    assert spent({"_timings": [given], "_shown": [shown]}, "p1", ("p1", "p2", "p3"), now) == expected


async def test_answers_are_stored_and_the_visitor_is_thanked(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    page = page_of(await visitor.get(ADDRESS))
    sent = await visitor.post(page.one("form")["action"], data=ANSWERS | {"_key": page.key(), "the_nps": "9"})
    assert (sent.status_code, sent.headers["location"], sent.content) == (303, f"{ADDRESS}/sent", b"")
    assert hosted.stored == [ANSWERS | {"the_nps": 9}]
    assert orjson.loads(hosted.commands[0].body)["meta"] == {"language": "en"}

    thanks = page_of(await visitor.get(sent.headers["location"]))
    assert "Your answers have been sent." in thanks.text
    assert thanks.all("a", href=ADDRESS)


async def test_the_owner_says_what_follows(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    """F7: a text in the visitor's language, or another page, where the policy lets the form lead."""
    hosted.state["languages"] = ["en", "de"]
    hosted.state["confirmation"] = {"message": {"en": "See you on Friday.", "de": "Bis Freitag."}}
    for language, text in (("en", "See you on Friday."), ("de", "Bis Freitag.")):
        sent = await visitor.post(f"{ADDRESS}?lang={language}", data=ANSWERS)
        assert text in page_of(await visitor.get(sent.headers["location"])).text

    there = "https://shop.example/thanks?a=b"
    hosted.state["confirmation"] = {"redirect_url": there}
    assert "form-action 'self' https://shop.example;" in (await visitor.get(ADDRESS)).headers["content-security-policy"]
    sent = await visitor.post(ADDRESS, data=ANSWERS)
    assert (sent.status_code, sent.headers["location"]) == (303, there)
    told = await visitor.post(ADDRESS, data=ANSWERS, headers={"accept": "application/json"})
    assert told.json() == {"location": there}


async def test_a_multipart_form_is_the_same(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    files = {name: (None, value) for name, value in ANSWERS.items()}
    assert (await visitor.post(ADDRESS, files=files)).status_code == 303
    assert hosted.stored == [ANSWERS]


async def test_every_view_has_a_key_of_its_own(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    """R1: what is sent twice from one view is one response; another view is another response."""
    keys = [page_of(await visitor.get(ADDRESS)).key() for _ in range(2)]
    assert len(set(keys)) == 2
    for key in (keys[0], keys[0], keys[1]):
        await visitor.post(ADDRESS, data=ANSWERS | {"_key": key})
    named = [command.idempotency_key for command in hosted.commands]
    assert named == [f"page-{keys[0]}", f"page-{keys[0]}", f"page-{keys[1]}"]
    assert hosted.commands[0].body == hosted.commands[1].body
    assert (await visitor.get(ADDRESS)).headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("key", ["a b" * 9, "", "short", "ä" * 20, "x" * 300, "x" * 16 + "\n"])
async def test_a_key_that_anybody_could_have_is_none(visitor: httpx.AsyncClient, hosted: Hosted, key: str) -> None:
    await visitor.post(ADDRESS, data=ANSWERS | {"_key": key})
    assert hosted.commands[0].idempotency_key is None


async def test_another_answer_from_the_same_view_is_asked_about(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    """R1: back, changed, sent again: nothing is lost and nothing is stored unasked."""
    hosted.failure = IdempotencyMismatch()
    page = page_of(await visitor.post(ADDRESS, data=ANSWERS | {"_key": "already-used-once"}), 422)
    assert "already sent" in page.text
    assert page.one("input", name="the_short_text")["value"] == "Ada"
    assert page.key() not in ("", "already-used-once")


async def test_the_second_of_two_clicks_waits_for_the_first(
    visitor: httpx.AsyncClient, hosted: Hosted, fakes: Fakes
) -> None:
    """R1: its answer is the one that the browser shows."""
    asked: list[SubmitResponse] = []

    async def submit(principal: Principal, command: SubmitResponse) -> SubmittedResponse:
        asked.append(command)
        if len(asked) < 3:
            raise SubmissionConflict
        return await hosted.submit(principal, command)

    fakes.responses.submit = submit  # type: ignore[method-assign]
    assert (await visitor.post(ADDRESS, data=ANSWERS | {"_key": "0123456789abcdef"})).status_code == 303
    assert (len(asked), len(hosted.stored)) == (3, 1)
    asked.clear()
    assert (await visitor.post(ADDRESS, data=ANSWERS)).status_code == 409
    assert len(asked) == 1


async def test_every_fault_is_summarised_and_placed(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    """F2, WCAG 3.3.1: at the top with links, at the fields, with what was entered."""
    data = {
        "the_short_text": "x" * 81,
        "the_email": "nobody",
        "the_integer": "21",
        "the_multi_choice": ["corn", "yams", "rice"],
        "the_choice": "other",
        "the_choice.other": "beans & peas",
        "the_matrix.food": "fair",
        "the_consent": "true",
        "the_long_text": "a <b>\r\nc",
        "_key": "0123456789abcdef",
    }
    answer = await visitor.post(ADDRESS, data=data)
    page = page_of(answer, 422)
    assert hosted.stored == []
    summary = page.with_id("problems")
    assert ("autofocus" in summary, "hidden" in summary, summary["role"]) == (True, False, "alert")
    linked = [link["href"].removeprefix("#f-") for link in page.all("a") if link["href"].startswith("#f-")]
    assert linked == ["the_short_text", "the_email", "the_integer", "the_multi_choice"]
    for name in linked:
        question, control = page.with_id(f"q-{name}"), page.with_id(f"f-{name}")
        assert control["aria-invalid"] == "true"
        describing = question if question.get("aria-describedby") else control
        assert f"e-{name}" in describing["aria-describedby"].split()
        page.with_id(f"e-{name}")
    for said in ("Enter at most 80 characters.", "Enter an e-mail address", "Enter 20 or less.", "Choose at most 2."):
        assert answer.text.count(said) == 2
    assert "Error: The feast" in page.text
    # Everything is where it was.
    assert page.with_id("f-the_short_text")["value"] == "x" * 81
    assert [box["value"] for box in page.all("input", name="the_multi_choice") if "checked" in box] == data[
        "the_multi_choice"
    ]
    assert page.one("input", name="the_choice.other")["value"] == "beans & peas"
    assert "checked" in page.one("input", name="the_matrix.food", value="fair")
    assert "checked" in page.one("input", name="the_consent")
    assert "a &lt;b&gt;\r\nc</textarea>" in answer.text
    assert page.key() == "0123456789abcdef"


async def test_pages_are_turned_without_a_script(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    """Y1: each page is checked before the next; what was entered goes along; the last one sends everything."""
    hosted.publish(three_pages())
    page = page_of(await visitor.get(ADDRESS))
    assert page.shown() == ["p1"]
    assert "Page 1 of 3" in page.text
    assert [button["id"] for button in page.all("button", name="_go") if "id" in button and "hidden" not in button] == [
        "next"
    ]

    refused = page_of(await visitor.post(ADDRESS, data={"_page": "p1", "_go": "next", "name": ""}), 422)
    assert (refused.shown(), "e-name" in refused.ids(), "e-town" in refused.ids()) == (["p1"], True, False)

    second = page_of(await visitor.post(ADDRESS, data={"_page": "p1", "_go": "next", "name": "Ada"}))
    assert (second.shown(), second.one("input", name="name")["value"]) == (["p2"], "Ada")

    entered = {"name": "Ada", "town": "Ulm"}
    back = page_of(await visitor.post(ADDRESS, data=entered | {"_page": "p2", "_go": "back"}))
    assert (back.shown(), back.one("input", name="town")["value"]) == (["p1"], "Ulm")

    last = page_of(await visitor.post(ADDRESS, data=entered | {"_page": "p2", "_go": "next"}))
    assert last.shown() == ["p3"]
    assert [button["id"] for button in last.all("button", name="_go") if "id" in button and "hidden" not in button] == [
        "submit",
        "back",
    ]
    assert hosted.commands == []
    # The button that Enter presses comes first.
    assert last.all("button")[0] == {"class": "default", "name": "_go", "value": "submit", "tabindex": "-1"} | {
        "aria-hidden": "true"
    }
    sent = await visitor.post(ADDRESS, data=entered | {"reason": "why not", "_page": "p3", "_go": "submit"})
    assert sent.status_code == 303
    assert hosted.stored == [entered | {"reason": "why not"}]


async def test_a_fault_on_an_earlier_page_leads_there(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    hosted.publish(three_pages())
    page = page_of(await visitor.post(ADDRESS, data={"_page": "p3", "_go": "submit", "town": "Ulm"}), 422)
    assert page.shown() == ["p1"]
    assert page.with_id("f-name")["aria-invalid"] == "true"


@pytest.mark.parametrize("current", ["", "nowhere", "p9"])
async def test_a_page_that_is_none_is_the_first(visitor: httpx.AsyncClient, hosted: Hosted, current: str) -> None:
    hosted.publish(three_pages())
    assert page_of(await visitor.post(ADDRESS, data={"_page": current, "_go": "back"})).shown() == ["p1"]


async def test_the_script_gets_the_same_as_json(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    """Y1: the server's rules and words, for the page that is shown and for all."""
    hosted.publish(three_pages())
    visitor.headers["accept"] = "application/json"
    refused = await visitor.post(ADDRESS + "?lang=xx", data={"_page": "p1", "_go": "next"})
    problem = {"place": "name", "title": "Your name", "text": "Please answer this question.", "page": "p1"}
    assert (refused.status_code, refused.json()) == (422, {"problems": [problem], "key": ""})
    fine = await visitor.post(ADDRESS, data={"_page": "p1", "_go": "next", "name": "Ada"})
    assert (fine.status_code, fine.json()["problems"]) == (200, [])
    every = await visitor.post(ADDRESS, data={"_page": "p3", "_go": "submit"})
    assert [each["page"] for each in every.json()["problems"]] == ["p1", "p2"]
    sent = await visitor.post(ADDRESS, data={"name": "Ada", "town": "Ulm", "_go": "submit"})
    assert (sent.status_code, sent.json()) == (200, {"location": f"{ADDRESS}/sent"})
    hosted.failure = FormClosed()
    closed = await visitor.post(ADDRESS, data={"_go": "submit"})
    assert (closed.status_code, closed.json()["code"]) == (403, "form.closed")


async def test_languages(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    """F8: by the address, else by the browser; the switch keeps what was entered."""
    hosted.publish(every_type() | {"languages": ["en", "de", "ar"]})
    german = page_of(await visitor.get(ADDRESS, headers={"accept-language": "de-CH, en;q=0.5"}))
    assert german.one("html")["lang"] == "de"
    assert "Absenden" in german.text
    arabic = page_of(await visitor.get(ADDRESS + "?lang=ar"))
    assert arabic.one("html", lang="ar")["dir"] == "rtl"
    assert arabic.one("form")["action"] == ADDRESS + "?lang=ar"
    buttons = [button["value"] for button in arabic.all("button") if "lang" in button]
    assert buttons == ["language:en", "language:de", "language:ar"]

    data = ANSWERS | {"_go": "language:de", "_page": "p1"}
    switched = page_of(await visitor.post(ADDRESS + "?lang=ar", data=data))
    assert switched.one("html")["lang"] == "de"
    assert switched.with_id("f-the_short_text")["value"] == "Ada"
    assert switched.one("form")["action"] == ADDRESS + "?lang=de"
    assert hosted.commands == []
    told = await visitor.post(ADDRESS + "?lang=de", data={"_go": "submit"})
    assert "Bitte beantworten Sie diese Frage." in told.text
    assert "Accept-Language" in told.headers["vary"]


async def test_an_address_can_begin_the_answers(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    """Y1: a campaign, a name from a mail; only for fields of the form, and only as text."""
    query = {"the_hidden": "spring", "the_short_text": EVIL, "the_multi_choice": "corn", "_key": "mine", "x": "y"}
    answer = await visitor.get(ADDRESS, params=query)
    page = page_of(answer)
    assert page.one("input", name="the_hidden")["value"] == "spring"
    assert page.with_id("f-the_short_text")["value"] == EVIL
    assert "checked" in page.one("input", name="the_multi_choice", value="corn")
    assert page.key() != "mine"
    assert "x=y" not in answer.text
    assert page_of(await visitor.get(ADDRESS)).one("input", name="the_hidden")["value"] == ""


@pytest.mark.parametrize("language", LANGUAGES)
async def test_why_there_is_no_form(visitor: httpx.AsyncClient, hosted: Hosted, fakes: Fakes, language: str) -> None:
    """Y1: in the visitor's language, with the status that says the same to programs."""
    texts = catalogue(language)
    headers = {"accept-language": language}
    hosted.definition["languages"] = list(LANGUAGES)

    def said(answer: httpx.Response, status: int, kind: str) -> None:
        page = page_of(answer, status)
        assert texts[f"{kind}_title"] in page.text
        assert page.one("html")["lang"] == language

    said(await visitor.get("/f/acme/none", headers=headers), 404, "missing")
    said(await visitor.get("/f/nobody/party", headers=headers), 404, "missing")
    said(await visitor.get("/f/ACME%00/party", headers=headers), 404, "missing")
    for failure, kind in ((FormFull(), "full"), (FormClosed(), "closed"), (TenantSuspended(), "suspended")):
        hosted.failure = failure
        said(await visitor.post(ADDRESS, data=ANSWERS, headers=headers), 403, kind)
    hosted.failure = RuntimeError("a defect")  # type: ignore[assignment]
    said(await visitor.post(ADDRESS, data=ANSWERS, headers=headers), 500, "failed")
    said(await visitor.post(ADDRESS, data={"the_long_text": "x" * 2_000_000}, headers=headers), 413, "large")
    said(await visitor.post(ADDRESS, json={}, headers=headers), 415, "failed")
    hosted.state |= {"open": False, "closed_reason": "closed"}
    said(await visitor.get(ADDRESS, headers=headers), 403, "closed")
    hosted.state |= {"closed_reason": "not_open_yet", "opens_at": datetime.now(UTC) + timedelta(days=2)}
    answer = await visitor.get(ADDRESS, headers=headers)
    said(answer, 403, "waiting")
    assert Html(answer.text).one("time")["datetime"] == hosted.state["opens_at"].isoformat()


async def test_signs_of_spam_are_passed_on(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    """R6: when the page was opened, and what was put into the field that nobody sees."""
    page = page_of(await visitor.get(ADDRESS))
    opened = page.one("input", name="_started")["value"]
    assert page.one("input", name="_website")["tabindex"] == "-1"
    await visitor.post(ADDRESS, data=ANSWERS | {"_started": opened, "_website": ""})
    await visitor.post(ADDRESS, data=ANSWERS | {"_started": "yesterday", "_website": "http://spam.example"})
    person, bot = (orjson.loads(command.body) for command in hosted.commands)
    assert datetime.fromisoformat(person["started_at"]) == datetime.fromisoformat(opened)
    assert "honeypot" not in person
    assert "started_at" not in bot
    assert bot["honeypot"] == "http://spam.example"


async def test_a_closed_form_thanks_without_offering_more(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    hosted.state["open"] = False
    page = page_of(await visitor.get(ADDRESS + "/sent"))
    assert page.all("a") == []


async def test_the_files_are_kept_by_their_content(visitor: httpx.AsyncClient) -> None:
    for operation in FORM_ASSETS:
        plain = await visitor.get(operation.path, headers={"accept-encoding": "identity"})
        fresh = await visitor.get(operation.path, headers={"accept-encoding": "gzip, br"})
        assert ("content-encoding" in plain.headers, fresh.headers["content-encoding"]) == (False, "gzip")
        assert plain.content == fresh.content
        assert plain.headers["etag"] != fresh.headers["etag"]
        name = operation.path.rpartition("/")[2]
        assert fresh.content == content(name)
        assert (fresh.status_code, fresh.headers["cache-control"]) == (200, "public, no-cache")
        assert fresh.headers["cross-origin-resource-policy"] == "cross-origin"
        kept = await visitor.get(operation.path, headers={"if-none-match": fresh.headers["etag"]})
        assert (kept.status_code, kept.content) == (304, b"")
    page = page_of(await visitor.get(ADDRESS))
    address = page.one("script", type="module")["src"]
    assert "immutable" in (await visitor.get(address)).headers["cache-control"]
    assert "immutable" not in (await visitor.get(address + "0")).headers["cache-control"]


async def test_what_is_kept_of_a_page_is_not_shown_to_others(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    """C2: another version, title, language, frame and theme are other pages."""
    seen: set[str] = set()

    def timeless(text: str) -> str:
        # When a page was opened stands in it, and a second may begin between two of them.
        return re.sub(r"\d{4}-\d\d-\d\dT[\d:.+Z]*", "", text)

    async def different(path: str = ADDRESS, **headers: str) -> None:
        answer = await visitor.get(path, headers=headers)
        page = timeless(answer.text.replace(page_of(answer).key(), ""))
        assert page not in seen
        seen.add(page)
        again = await visitor.get(path, headers=headers)
        assert timeless(again.text.replace(Html(again.text).key(), "")) == page

    await different()
    hosted.title = "Another feast"
    hosted.publish(three_pages(languages=["en", "de"]))
    await different()
    hosted.title = "A third"
    await different()
    await different(**{"accept-language": "de"})
    await different(ADDRESS + "?embed=1")
    hosted.version += 1
    await different()
