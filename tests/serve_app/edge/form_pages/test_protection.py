"""Y1, H3: what strangers write is text, and a page is framed and followed by nobody whom the tenant did not name."""

import httpx
import orjson

from tests.serve_app.edge.fakes import Fakes, running
from tests.serve_app.edge.form_pages.conftest import ADDRESS, Hosted
from tests.serve_app.edge.form_pages.definitions import EVIL, every_type
from tests.serve_app.edge.form_pages.reading import Html, page_of


async def test_markup_is_text_everywhere(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    """Security: titles, options, descriptions and answers cannot become elements, attributes or templates."""
    definition = orjson.loads(
        orjson.dumps(every_type()).replace(b'"Corn"', orjson.dumps(EVIL)).replace(b'"Good"', orjson.dumps(EVIL))
    )
    for element in definition["pages"][0]["elements"]:
        element["title"] = element["description"] = EVIL
        for name in ("min_label", "max_label"):
            if name in element:
                element[name] = EVIL
    hosted.title = EVIL
    hosted.publish(definition | {"title": EVIL, "description": EVIL + " https://a.example/\"onclick='x'"})
    data = dict.fromkeys(page_of(await visitor.get(ADDRESS)).names(), EVIL)
    hosted.state["open"] = True
    answers = [await visitor.get(ADDRESS), await visitor.post(ADDRESS, data=data), await visitor.get(ADDRESS + "/sent")]
    answers.append(await visitor.get(ADDRESS + "?embed=1&lang=" + "%22%3E%3Cscript%3E"))
    hosted.state["open"] = False
    answers.append(await visitor.get(ADDRESS))
    for answer in answers:
        page = Html(answer.text)
        assert {script.get("type") for script in page.all("script")} <= {"module", "application/json"}
        assert page.all("img") == []
        assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
        assert "49" not in page.text
        assert "<script>alert" not in answer.text


async def test_data_for_the_script_cannot_end_its_element(visitor: httpx.AsyncClient, hosted: Hosted) -> None:
    answer = await visitor.get("/f/acme/party")
    data = answer.text.partition('id="data">')[2].partition("</script>")[0]
    assert orjson.loads(data)["form"] == "acme/party"
    assert not {"<", ">", "&"} & set(data)


async def test_pages_are_protected(visitor: httpx.AsyncClient, fakes: Fakes) -> None:
    """H3: only the platform's own files, nobody's frame unless the tenant says so, no cookies."""
    for path in (ADDRESS, ADDRESS + "/sent", "/f/acme/none"):
        answer = await visitor.get(path)
        policy = answer.headers["content-security-policy"]
        for rule in ("default-src 'none'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"):
            assert rule in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in answer.headers


async def test_a_tenants_origins_may_frame_it(hosted: Hosted, fakes: Fakes) -> None:
    """Y1: what may call the API from a browser may embed the form."""
    profile = fakes.identity.profiles["acme"]
    fakes.identity.profiles["acme"] = profile.model_copy(update={"allowed_origins": ["https://acme.example"]})
    async with running(fakes) as client:
        for path in (ADDRESS, ADDRESS + "?embed=1", ADDRESS + "/sent"):
            policy = (await client.get(path)).headers["content-security-policy"]
            assert policy.endswith("frame-ancestors https://acme.example")
        page = Html((await client.get(ADDRESS + "?embed=1")).text)
        assert page.one("html")["class"] == "embedded"
        assert page.one("form")["action"] == ADDRESS + "?embed=1"
