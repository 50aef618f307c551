"""R6: captchas before answers are stored, and no more responses from an address than a form wants."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import update

from db.models.visits import AddressCount, CaptchaPass
from db.session import Database
from db.types import utc_now
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.identity.contracts import PutCaptcha
from deployments.identity.deployment import Identity
from deployments.identity.errors import CaptchaNotFound
from deployments.identity.settings import IdentitySettings
from deployments.kit.egress import Egress
from deployments.kit.errors import Forbidden, Invalid
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from deployments.responses import pruning
from deployments.responses.contracts import ListResponses, SubmitResponse, SubmittedResponse
from deployments.responses.deployment import Responses
from deployments.responses.errors import AddressBusy, CaptchaDown, CaptchaPending, IdempotencyRunning, InvalidAnswers
from deployments.responses.screening import Screening
from eventing.events.envelope import Origin
from tests.deployments.responses.captchas import SECRET, Provider, provider
from tests.eventing.harness import eventually, rows
from tests.factories import ANSWERS, make_form, make_tenant

PLATFORM = "0123456789abcdef0123456789abcdef"
VISITOR = Principal.anonymous("acme", Origin(address="203.0.113.7"))


class Scene:
    """A form, and replicas that take its responses."""

    def __init__(self, database: Database, owner: Principal, form_id: str, captchas: Provider) -> None:
        self.database, self.owner, self.form_id, self.captchas = database, owner, form_id, captchas
        settings = IdentitySettings(signing_key="k" * 32)  # type: ignore[arg-type]
        self.identity = Identity(database, settings, Vault(PLATFORM))
        self.replicas = [self._replica() for _ in range(2)]

    def _replica(self) -> Responses:
        screening = Screening(self.database, PLATFORM, Egress(("127.0.0.0/8",), timeout_s=5))
        return Responses(self.database, screening=screening)

    async def configure(self, **spam: Any) -> None:
        await Forms(self.database).update(self.owner, self.form_id, UpdateForm(settings={"spam": spam}))

    async def account(self, **more: Any) -> None:
        values = {"provider": "turnstile", "site_key": "0x4AAA", "secret": SECRET, "verify_url": self.captchas.url}
        await self.identity.put_captcha(self.owner, PutCaptcha.model_validate({**values, **more}))

    async def submit(
        self, *, key: str | None = None, replica: int = 0, by: Principal = VISITOR, **more: Any
    ) -> SubmittedResponse:
        """As the edge does: once more where it may take longer."""
        body = orjson.dumps({"answers": ANSWERS, **more})
        command = SubmitResponse(body=body, slug="party", idempotency_key=key)
        try:
            return await self.replicas[replica].submit(by, command)
        except CaptchaPending:
            return await self.replicas[replica].submit_screened(by, command)

    async def suspicion(self, submitted: SubmittedResponse) -> list[str]:
        return (await self.replicas[0].get(self.owner, submitted.id)).suspicion

    async def count(self) -> int:
        return len((await self.replicas[0].list_responses(self.owner, ListResponses(form_id=self.form_id))).data)

    async def refused(self, **more: Any) -> list[tuple[str, str]]:
        with pytest.raises(InvalidAnswers) as caught:
            await self.submit(**more)
        return [(fault.pointer, fault.code) for fault in caught.value.faults]


@pytest.fixture
async def scene(database: Database) -> AsyncIterator[Scene]:
    owner = await make_tenant(database)
    form = await make_form(database, owner)
    async with provider() as captchas:
        scene = Scene(database, owner, form.id, captchas)
        yield scene
        for replica in scene.replicas:
            await replica.close()


class TestCaptcha:
    async def test_a_solved_one_is_needed(self, scene: Scene) -> None:
        """R6: before that nothing is stored; the provider gets secret, token and address."""
        await scene.configure(captcha={})
        await scene.account()
        await asyncio.sleep(0.6)  # what is remembered of a published form is at most half a second old
        assert await scene.refused() == [("/captcha_token", "captcha.required")]
        assert await scene.refused(captcha_token="bad") == [("/captcha_token", "captcha.failed")]
        assert await scene.count() == 0
        stored = await scene.submit(captcha_token="good-1")
        assert await scene.suspicion(stored) == []
        assert await scene.refused(captcha_token="good-1") == [("/captcha_token", "captcha.failed")]
        assert scene.captchas.asked[1] == {"secret": SECRET, "response": "good-1", "remoteip": "203.0.113.7"}
        assert b"good-1" not in orjson.dumps((await scene.replicas[0].get(scene.owner, stored.id)).model_dump())

    async def test_wrong_answers_are_told_before_a_token_is_used_up(self, scene: Scene) -> None:
        await scene.configure(captcha={})
        await scene.account()
        body = orjson.dumps({"answers": {}, "captcha_token": "good-1"})
        with pytest.raises(InvalidAnswers):
            await scene.replicas[0].submit_screened(VISITOR, SubmitResponse(body=body, slug="party"))
        assert scene.captchas.asked == []

    async def test_only_visitors_are_asked_and_only_where_the_form_says_so(self, scene: Scene) -> None:
        """R6: a form without it, and people of the tenant, never wait for a provider."""
        await scene.account()
        await scene.submit()
        await scene.configure(captcha={})
        member = Principal("acme", "usr_1", "user", "viewer", frozenset())
        await scene.submit(by=member)
        assert scene.captchas.asked == []

    async def test_a_repeated_call_is_not_verified_again(self, scene: Scene) -> None:
        """R6: not when the first call was answered, not when its answer was lost before it was stored, whichever
        replica it reaches; and a key does not make a used token good for another call."""
        await scene.configure(captcha={})
        await scene.account()
        first = await scene.submit(key="k1", captcha_token="good-1")
        again = await scene.submit(key="k1", captcha_token="good-1", replica=1)
        assert (again.id, again.replayed) == (first.id, True)
        await scene.configure(captcha={}, max_per_address={"responses": 1})
        await asyncio.sleep(0.6)
        await scene.submit(key="k2", captcha_token="good-2")
        with pytest.raises(AddressBusy):  # verified, and not stored
            await scene.submit(key="k3", captcha_token="good-3")
        await scene.configure(captcha={})
        await asyncio.sleep(0.6)
        await scene.submit(key="k3", captcha_token="good-3", replica=1)
        assert [each["response"] for each in scene.captchas.asked] == ["good-1", "good-2", "good-3"]
        assert await scene.refused(key="k4", captcha_token="good-3") == [("/captcha_token", "captcha.failed")]
        assert len(scene.captchas.asked) == 3

    async def test_of_two_at_once_one_asks(self, scene: Scene) -> None:
        await scene.configure(captcha={})
        await scene.account()
        scene.captchas.gate.clear()
        first = asyncio.create_task(scene.submit(key="k1", captcha_token="good-1"))
        await eventually(lambda: _true(scene.captchas.asked))
        with pytest.raises(IdempotencyRunning):
            await scene.submit(key="k1", captcha_token="good-1", replica=1)
        scene.captchas.gate.set()
        assert (await first).status == "complete"
        assert len(scene.captchas.asked) == 1
        # One whose worker died while it asked is asked about once more.
        async with scene.database.unscoped_write() as unit:
            past = utc_now() + timedelta(minutes=9)
            await unit.session.execute(update(CaptchaPass).values(verdict="", call="x", expires_at=past))
        assert await scene.refused(key="k1", captcha_token="good-1", meta={"a": 1})

    @pytest.mark.parametrize("mode", ["broken", "odd", "another secret", "away", "no account"])
    async def test_while_nobody_can_be_asked_the_policy_decides(self, scene: Scene, mode: str) -> None:
        """R6: what a visitor cannot help is not held against them; a suspect can be released."""
        await scene.configure(captcha={})
        if mode != "no account":
            changes = {"another secret": {"secret": "x"}, "away": {"verify_url": "http://127.0.0.1:9/siteverify"}}
            await scene.account(**changes.get(mode, {}))
        scene.captchas.mode = mode
        kept = await scene.submit(captcha_token="good-1", key="k1")
        assert await scene.suspicion(kept) == ["captcha_unchecked"]
        assert await scene.count() == 0
        await scene.configure(captcha={"when_down": "accept"})
        await asyncio.sleep(0.6)
        assert await scene.suspicion(await scene.submit(captcha_token="good-2")) == []
        await scene.configure(captcha={"when_down": "refuse"})
        await asyncio.sleep(0.6)
        with pytest.raises(CaptchaDown) as caught:
            await scene.submit(captcha_token="good-3", key="k3")
        assert caught.value.status == 503
        assert caught.value.retry_after
        if mode == "broken":  # and when it works again, the same call goes through
            scene.captchas.mode = "works"
            scene.captchas.asked.clear()
            assert await scene.suspicion(await scene.submit(captcha_token="good-3", key="k3")) == []

    async def test_a_partial_response_needs_it_when_it_is_completed(self, scene: Scene) -> None:
        await scene.configure(captcha={})
        await scene.account()
        begun = await scene.submit(status="partial")
        token = begun.resume_token or ""
        responses = scene.replicas[0]
        await responses.save_partial(VISITOR, token, orjson.dumps({"answers": {"name": "Ada"}}), None)
        unsolved = orjson.dumps({"status": "complete"})
        with pytest.raises(InvalidAnswers):
            await responses.save_partial(VISITOR, token, unsolved, None)
        solved = orjson.dumps({"status": "complete", "captcha_token": "good-1"})
        with pytest.raises(CaptchaPending):
            await responses.save_partial(VISITOR, token, solved, None)
        done = await responses.save_screened(VISITOR, token, solved, None)
        again = await scene.replicas[1].save_partial(VISITOR, token, solved, None)
        assert (done.status, again.replayed, len(scene.captchas.asked)) == ("complete", True, 1)


class TestAccount:
    async def test_belongs_to_a_tenant_and_shows_no_secret(self, scene: Scene) -> None:
        """U3: sealed at rest, another tenant has its own or none."""
        await scene.account()
        found = await scene.identity.get_captcha(scene.owner)
        assert SECRET not in found.model_dump_json()
        other = await make_tenant(scene.database, "other")
        with pytest.raises(CaptchaNotFound):
            await scene.identity.get_captcha(other)
        viewer = Principal("acme", "usr_1", "user", "viewer", frozenset({"tenant:read"}))
        with pytest.raises(Forbidden):
            await scene.identity.remove_captcha(viewer)
        with pytest.raises(Invalid) as caught:
            await scene.account(verify_url="ftp://example.org")
        assert [fault.pointer for fault in caught.value.faults] == ["/verify_url"]
        await scene.account(verify_url=None, provider="hcaptcha")
        assert (await scene.identity.get_captcha(scene.owner)).verify_url == "https://api.hcaptcha.com/siteverify"
        await scene.identity.remove_captcha(scene.owner)
        with pytest.raises(CaptchaNotFound):
            await scene.identity.remove_captcha(scene.owner)

    async def test_is_shown_to_visitors_of_forms_that_ask_for_it(self, scene: Scene) -> None:
        await scene.account()
        assert (await Forms(scene.database).get_published(VISITOR, "party")).captcha is None
        await scene.configure(captcha={})
        shown = (await Forms(scene.database).get_published(VISITOR, "party")).captcha
        assert shown is not None
        assert shown.model_dump() == {"provider": "turnstile", "site_key": "0x4AAA"}


class TestAddress:
    async def test_so_many_and_no_more_whatever_comes_at_once(self, scene: Scene) -> None:
        """R6: exact over replicas; a neighbour, another form and people of the tenant are not counted."""
        await scene.configure(max_per_address={"responses": 3, "per_seconds": 600})
        found = await asyncio.gather(*(scene.submit(replica=n % 2) for n in range(10)), return_exceptions=True)
        refused = [each for each in found if isinstance(each, AddressBusy)]
        assert (len(found) - len(refused), await scene.count()) == (3, 3)
        assert all(0 < (error.retry_after or 0) <= 600 for error in refused)
        assert refused[0].status == 429
        neighbour = replace(VISITOR, origin=Origin(address="203.0.113.8"))
        await scene.submit(by=neighbour)
        await scene.submit(by=Principal("acme", "usr_1", "user", "viewer", frozenset(), VISITOR.origin))
        assert await scene.count() == 5

    async def test_a_household_is_one_address_and_is_not_told(self, scene: Scene) -> None:
        await scene.configure(max_per_address={"responses": 1})
        await scene.submit(by=replace(VISITOR, origin=Origin(address="2001:db8:1:2::3")))
        with pytest.raises(AddressBusy):
            await scene.submit(by=replace(VISITOR, origin=Origin(address="2001:db8:1:2:ffff::1")))
        (row,) = await rows(scene.database, AddressCount)
        assert "2001" not in row.caller
        assert len(row.caller) == 64

    async def test_a_period_ends(self, scene: Scene) -> None:
        """R6: and nothing is remembered of it."""
        await scene.configure(max_per_address={"responses": 1})
        await scene.submit()
        await scene.submit(by=replace(VISITOR, origin=Origin(address="203.0.113.8")))
        async with scene.database.unscoped_write() as unit:
            await unit.session.execute(update(AddressCount).values(expires_at=utc_now()))
        await scene.submit()
        assert [row.responses for row in await rows(scene.database, AddressCount)] == [1]
        async with scene.database.unscoped_write() as unit:
            await unit.session.execute(update(AddressCount).values(expires_at=utc_now()))
        assert (await pruning.prune(scene.database, lambda: False))["visits"] == 1
        assert await rows(scene.database, AddressCount) == []

    async def test_one_too_many_can_be_kept_apart(self, scene: Scene) -> None:
        await scene.configure(max_per_address={"responses": 1, "action": "quarantine"})
        assert await scene.suspicion(await scene.submit()) == []
        assert await scene.suspicion(await scene.submit()) == ["address"]

    async def test_a_repeated_call_counts_once(self, scene: Scene) -> None:
        await scene.configure(max_per_address={"responses": 1})
        first = await scene.submit(key="k1")
        assert (await scene.submit(key="k1", replica=1)).id == first.id


async def _true(thing: object) -> bool:
    return bool(thing)
