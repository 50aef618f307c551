"""R6: a captcha on the hosted page, over plain HTTP."""

import httpx
import orjson
import pytest

from deployments.kit.captcha import CaptchaWidget
from deployments.kit.principal import Principal
from deployments.responses.contracts import SubmitResponse, SubmittedResponse
from deployments.responses.errors import (
    CaptchaPending,
    InvalidAnswers,
)
from serve_app.edge.form_pages.texts import catalogue
from tests.serve_app.edge.fakes import Fakes
from tests.serve_app.edge.form_pages.conftest import ADDRESS, Hosted
from tests.serve_app.edge.form_pages.definitions import ANSWERS
from tests.serve_app.edge.form_pages.reading import page_of


class TestCaptcha:
    """R6: a captcha of the tenant's provider, where the form asks for one."""

    @pytest.mark.parametrize(
        ("provider", "box", "field", "source"),
        [
            ("turnstile", "cf-turnstile", "cf-turnstile-response", "https://challenges.cloudflare.com"),
            ("hcaptcha", "h-captcha", "h-captcha-response", "https://*.hcaptcha.com"),
            ("recaptcha", "g-recaptcha", "g-recaptcha-response", "https://www.gstatic.com/recaptcha/"),
        ],
    )
    async def test_is_shown_allowed_and_passed_on(
        self, visitor: httpx.AsyncClient, hosted: Hosted, provider: str, box: str, field: str, source: str
    ) -> None:
        plain = await visitor.get(ADDRESS)
        hosted.state["captcha"] = CaptchaWidget.model_validate({"provider": provider, "site_key": "0x4AAA"})
        answer = await visitor.get(ADDRESS)
        page = page_of(answer)
        (widget,) = [each for _, each in page.elements if box in each.get("class", "").split()]
        assert widget["data-sitekey"] == "0x4AAA"
        (script,) = [each["src"] for each in page.all("script") if each.get("src", "").startswith("https://")]
        policies = dict(
            part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";")
        )
        assert source in policies["script-src"].split()
        assert any(script.startswith(each.replace("*.", "js.")) for each in policies["script-src"].split())
        assert "frame-src" in policies
        assert "switch on JavaScript" in answer.text
        assert "https://" not in plain.headers["content-security-policy"]
        assert "captcha" not in plain.text
        sent = await visitor.post(ADDRESS, data=ANSWERS | {field: "solved"})
        assert sent.status_code == 303
        assert orjson.loads(hosted.commands[-1].body)["captcha_token"] == "solved"

    async def test_what_is_wrong_with_it_is_said_above_everything(
        self, visitor: httpx.AsyncClient, hosted: Hosted
    ) -> None:
        for code in ("captcha.required", "captcha.failed"):
            hosted.failure = InvalidAnswers.at("/captcha_token", code, "English.")
            page = page_of(await visitor.post(ADDRESS, data=ANSWERS), 422)
            assert catalogue("en")[f"fault.{code}"] in page.text
            assert page.one("input", name="the_short_text")["value"] == "Ada"
            told = await visitor.post(ADDRESS, data=ANSWERS, headers={"accept": "application/json"})
            assert [each["text"] for each in told.json()["problems"]] == [catalogue("en")[f"fault.{code}"]]

    async def test_waits_where_it_holds_up_nobody(
        self, visitor: httpx.AsyncClient, hosted: Hosted, fakes: Fakes
    ) -> None:
        """R6: the page and the API call once more, with the same key, when a provider has to be asked."""
        stored = hosted.submit
        hosted.failure = CaptchaPending()

        async def screened(principal: Principal, command: SubmitResponse) -> SubmittedResponse:
            hosted.failure = None
            return await stored(principal, command)

        fakes.responses.submit_screened = screened  # type: ignore[attr-defined]
        key = page_of(await visitor.get(ADDRESS)).key()
        assert (await visitor.post(ADDRESS, data=ANSWERS | {"_key": key})).status_code == 303
        assert [command.idempotency_key for command in hosted.commands] == [f"page-{key}"]
        hosted.failure = CaptchaPending()
        body = {"answers": ANSWERS, "captcha_token": "solved"}
        answer = await visitor.post("/api/v1/public/acme/party/responses", json=body)
        assert answer.status_code == 201
        assert orjson.loads(hosted.commands[-1].body) == body
