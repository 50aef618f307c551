"""F7: how a form behaves and looks, and whether that fits what it asks."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import orjson
import pytest
from pydantic import ValidationError
from sqlalchemy import update
from sqlmodel import col

from db.models.identity import Tenant
from db.session import Database
from deployments.forms.contracts import CreateForm, FormSettings, UpdateForm
from deployments.forms.deployment import Forms
from deployments.forms.errors import InvalidSettings
from deployments.forms.fitting import misfits
from deployments.kit.answer_quotas import AnswerQuota
from deployments.kit.engine import compile_form, parse_definition
from deployments.kit.enrichment import BuiltInHead
from deployments.kit.principal import Principal
from deployments.kit.texts import text_in
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from eventing.events.envelope import Origin
from tests.factories import ANSWERS, PARTY, make_form, make_tenant

VISITOR = Principal.anonymous("acme", Origin())
QUOTA = {"id": "corn", "field": "side", "options": ["corn"], "limit": 5}


def faults(**settings: Any) -> set[tuple[str, str]]:
    """Where settings do not fit the party, and why."""
    found = misfits(FormSettings.model_validate(settings), parse_definition(PARTY).document())
    return {(fault.pointer, fault.code) for fault in found}


class TestQuotas:
    def test_by_options_or_by_a_condition(self) -> None:
        conditional = {"id": "fans", "condition": "answers.score >= 9", "limit": 3, "action": "close"}
        assert faults(quotas=[QUOTA, conditional]) == set()

    @pytest.mark.parametrize(
        "changes",
        [
            {"condition": "answers.score > 1"},
            {"field": None, "options": []},
            {"options": []},
            {"field": None},
            {"limit": -1},
            {"action": "explode"},
            {"id": "Not An Id"},
            {"options": ["x' or true"]},
        ],
    )
    def test_of_another_shape_are_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            AnswerQuota.model_validate({**QUOTA, **changes})

    @pytest.mark.parametrize(
        ("changes", "fault"),
        [
            ({"field": "nobody"}, ("/settings/quotas/1/field", "settings.unknown_field")),
            ({"field": "score"}, ("/settings/quotas/1/field", "settings.field_type")),
            ({"options": ["corn", "rice"]}, ("/settings/quotas/1/options/1", "settings.unknown_option")),
            (
                {"field": None, "options": [], "condition": "answers.nobody == 1"},
                ("/settings/quotas/1/condition", "definition.expression"),
            ),
            (
                {"field": None, "options": [], "condition": "answers.score >"},
                ("/settings/quotas/1/condition", "definition.expression"),
            ),
            ({"id": "other"}, ("/settings/quotas/1/id", "settings.duplicate_id")),
        ],
    )
    def test_have_to_fit_the_definition(self, changes: dict[str, Any], fault: tuple[str, str]) -> None:
        """F7: every fault at its place, in the engine's own words for conditions."""
        before = {"id": "other", "condition": "answers.score >= 9", "limit": 3}
        assert faults(quotas=[before, {**QUOTA, **changes}]) == {fault}

    def test_count_what_they_say(self) -> None:
        """The conditions mean the same to the engine: of one option and of several, with a free text beside them."""
        definition = parse_definition(
            {
                "pages": [
                    {
                        "id": "p",
                        "elements": [
                            {"id": "one", "type": "choice", "title": "?", "options": [{"id": "a", "label": "A"}]},
                            *({**element} for element in PARTY["pages"][0]["elements"] if element["id"] == "side"),
                            {
                                "id": "shown",
                                "type": "short_text",
                                "title": "?",
                                "visible_if": AnswerQuota.model_validate(
                                    {**QUOTA, "options": ["corn", "yams"]}
                                ).expression("multi_choice"),
                            },
                            {
                                "id": "chosen",
                                "type": "short_text",
                                "title": "?",
                                "visible_if": AnswerQuota.model_validate(
                                    {**QUOTA, "field": "one", "options": ["a", "b"]}
                                ).expression("choice"),
                            },
                        ],
                    }
                ]
            }
        )
        check = compile_form(definition).check
        for side, counts in ((["yams"], True), ([], False), ({"options": ["corn"], "other": "x"}, True)):
            answers, found = check({"one": "a", "side": side, "shown": "x", "chosen": "y"})
            assert found == ()
            assert ("shown" in answers, answers["chosen"]) == (counts, "y")
        assert "chosen" not in check({"chosen": "y"})[0]

    async def test_are_checked_when_the_form_changes(self, database: Database) -> None:
        """F7: an option that a quota counts cannot go away under it."""
        acme = await make_tenant(database)
        forms = Forms(database)
        with pytest.raises(InvalidSettings):
            await make_form(database, acme, quotas=[{**QUOTA, "field": "nobody"}])
        form = await make_form(database, acme, quotas=[QUOTA])
        without = copy.deepcopy(PARTY)
        del without["pages"][0]["elements"][2]
        with pytest.raises(InvalidSettings) as caught:
            await forms.update(acme, form.id, UpdateForm(definition=without))
        assert [fault.pointer for fault in caught.value.faults] == ["/settings/quotas/0/field"]
        await forms.update(acme, form.id, UpdateForm(definition=without, settings={"quotas": []}))
        with pytest.raises(InvalidSettings):
            await forms.update(acme, form.id, UpdateForm(settings={"quotas": [QUOTA]}))


class TestTexts:
    def test_in_languages_of_the_definition_only(self) -> None:
        assert faults(
            languages=["en", "fr"],
            confirmation={"message": {"en": "Thanks", "de": "Danke"}},
            messages={"full": {"es": "Lleno"}, "closed": "Closed"},
            quotas=[{**QUOTA, "message": {"it": "No"}}],
        ) == {
            ("/settings/languages/1", "settings.unknown_language"),
            ("/settings/confirmation/message/de", "settings.unknown_language"),
            ("/settings/messages/full/es", "settings.unknown_language"),
            ("/settings/quotas/0/message/it", "settings.unknown_language"),
        }

    def test_are_chosen_by_what_is_wanted(self) -> None:
        text = {"en": "Hello", "de": "Hallo"}
        assert text_in(text, ["de-AT", "en"]) == "Hallo"
        assert text_in(text, ["fr"]) == "Hello"
        assert text_in("Always", ["fr"]) == "Always"

    def test_the_reply_goes_to_an_e_mail_field(self) -> None:
        reply = {"subject": "S", "text": "T"}
        assert faults(autoresponder={**reply, "email_field": "email"}) == set()
        place = "/settings/autoresponder/email_field"
        assert faults(autoresponder={**reply, "email_field": "name"}) == {(place, "settings.field_type")}
        assert faults(autoresponder={**reply, "email_field": "nobody"}) == {(place, "settings.unknown_field")}


class TestLooks:
    @pytest.mark.parametrize(
        "theme",
        [
            {"primary": "red; background: url(https://evil.example)"},
            {"primary": "#12345"},
            {"primary": "#123456;}"},
            {"font": "Comic Sans"},
            {"radius": 33},
            {"logo_url": "javascript:alert(1)"},
            {"logo_url": "http://example.org/logo.png"},
            {"logo_url": "https://example.org/a'b.png"},
            {"logo_url": "https://example.org/a).png"},
            {"logo_url": 'https://example.org/"><script>'},
            {"logo_url": "https://example.org/a\nb"},
            {"logo_url": "https://user:secret@example.org/logo.png"},
            {"logo_url": "https://"},
            {"logo_url": "https://example.org:port/"},
            {"css": "body{}"},
        ],
    )
    def test_nothing_that_is_put_into_a_page_can_leave_its_place(self, theme: dict[str, Any]) -> None:
        """F7: no way to write CSS, markup or script."""
        with pytest.raises(ValidationError):
            FormSettings.model_validate({"theme": theme})

    def test_colours_a_logo_and_a_font(self) -> None:
        theme = {
            "primary": "#0A7cff",
            "logo_url": "https://example.org/logo%20big.png?v=2",
            "font": "serif",
            "radius": 0,
        }
        assert FormSettings.model_validate({"theme": theme}).model_dump(exclude_unset=True) == {"theme": theme}

    @pytest.mark.parametrize(
        "url", ["javascript:alert(1)", "data:text/html,x", "//example.org", "ftp://example.org", "x"]
    )
    def test_only_the_web_is_gone_on_to(self, url: str) -> None:
        with pytest.raises(ValidationError):
            FormSettings.model_validate({"confirmation": {"redirect_url": url}})


class TestWindow:
    async def test_a_time_without_a_zone_is_utc(self, database: Database) -> None:
        """H: times are UTC; the form can still be shown and answered."""
        acme = await make_tenant(database)
        form = await make_form(database, acme, opens_at="2020-01-01T00:00:00", closes_at="2999-01-01T02:00:00+02:00")
        assert form.settings.opens_at == datetime(2020, 1, 1, tzinfo=UTC)
        assert form.settings.closes_at == datetime(2999, 1, 1, tzinfo=UTC)
        body = orjson.dumps({"answers": ANSWERS})
        await Responses(database).submit(VISITOR, SubmitResponse(body=body, slug="party"))
        assert (await Forms(database).get_published(VISITOR, "party")).open


class TestVisitors:
    async def test_see_what_a_page_shows_and_nothing_else(self, database: Database) -> None:
        """F7: no recipients, no limits, no quotas."""
        acme = await make_tenant(database)
        await make_form(
            database,
            acme,
            definition={**PARTY, "languages": ["en", "de", "fr"]},
            send_notification=True,
            notification_recipients=["secret@example.org"],
            max_responses=77,
            quotas=[{**QUOTA, "message": "secret"}],
            theme={"primary": "#123456"},
            confirmation={"message": "Thanks", "redirect_url": "https://example.org/next"},
            languages=["de", "en"],
            show_progress=False,
        )
        shown = await Forms(database).get_published(VISITOR, "party")
        assert (shown.open, shown.closed_reason, shown.message) == (True, None, None)
        assert shown.languages == ["de", "en"]
        assert shown.theme is not None
        assert shown.theme.primary == "#123456"
        assert shown.confirmation is not None
        assert shown.confirmation.redirect_url == "https://example.org/next"
        assert not shown.show_progress
        shape = {"id", "slug", "title", "version", "definition", "open", "closed_reason", "message", "opens_at"}
        shape |= {"closes_at", "languages", "confirmation", "theme", "show_progress", "login_required", "captcha"}
        assert shown.model_dump().keys() == shape
        assert "secret" not in shown.model_dump_json()

    async def test_are_told_why_it_is_closed(self, database: Database) -> None:
        acme = await make_tenant(database)
        forms = Forms(database)
        messages = {"not_open_yet": "Soon", "closed": {"en": "Over"}, "full": "Full"}
        form = await make_form(database, acme, messages=messages)
        later, earlier = (datetime.now(UTC) + timedelta(days=sign) for sign in (1, -1))
        body = orjson.dumps({"answers": ANSWERS})
        await Responses(database).submit(VISITOR, SubmitResponse(body=body, slug="party"))
        open_again = {"opens_at": None, "closes_at": None, "max_responses": None}
        for settings, reason, message in (
            ({"opens_at": later.isoformat()}, "not_open_yet", "Soon"),
            ({"closes_at": earlier.isoformat()}, "closed", {"en": "Over"}),
            ({"max_responses": 1}, "full", "Full"),
            ({"max_responses": 2}, None, None),
        ):
            await forms.update(acme, form.id, UpdateForm(settings={**open_again, **settings}))
            shown = await forms.get_published(VISITOR, "party")
            assert (shown.closed_reason, shown.message, shown.open) == (reason, message, reason is None)
        async with database.unscoped_write() as unit:
            await unit.session.execute(update(Tenant).where(col(Tenant.id) == "acme").values(status="suspended"))
        shown = await forms.get_published(VISITOR, "party")
        assert (shown.closed_reason, shown.message) == ("suspended", {"en": "Over"})

    async def test_are_offered_languages_of_the_published_version(self, database: Database) -> None:
        """A language that only the draft has yet is none of the version that visitors see."""
        acme = await make_tenant(database)
        forms = Forms(database)
        form = await make_form(database, acme)
        change = UpdateForm(definition={**PARTY, "languages": ["en", "de"]}, settings={"languages": ["de"]})
        await forms.update(acme, form.id, change)
        assert (await forms.get_published(VISITOR, "party")).languages == ["en"]
        await forms.publish(acme, form.id)
        assert (await forms.get_published(VISITOR, "party")).languages == ["de"]


async def test_a_part_that_is_null_is_gone(database: Database) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme, theme={"radius": 2})
    changed = await Forms(database).update(acme, form.id, UpdateForm(settings={"theme": None}))
    assert changed.settings.theme is None


async def test_every_fault_of_settings_is_named_at_once(database: Database) -> None:
    acme = await make_tenant(database)
    settings = {"theme": {"primary": "red", "radius": -1}, "quotas": [{"id": "x", "limit": 1}]}
    with pytest.raises(InvalidSettings) as caught:
        await Forms(database).create(acme, CreateForm(slug="party", title="Party", definition=PARTY, settings=settings))
    assert {(fault.pointer, fault.code) for fault in caught.value.faults} == {
        ("/settings/theme/primary", "pattern"),
        ("/settings/theme/radius", "range.min"),
        ("/settings/quotas/0", "invalid"),
    }


class TestEnrichment:
    def test_names_texts_that_the_form_asks_for(self) -> None:
        """A5: every fault at once."""
        heads = [{"head": head, "fields": ["name"]} for head in get_args(BuiltInHead)]
        assert faults(ai={"classify": heads, "embed": {"fields": ["name"]}}) == set()
        wrong = {
            "classify": [{"head": "spam", "fields": ["score", "nobody"]}, {"head": "spam", "fields": ["name", "name"]}],
            "extract": {"fields": ["side"]},
        }
        assert faults(ai=wrong) == {
            ("/settings/ai/classify/0/fields/0", "settings.field_type"),
            ("/settings/ai/classify/0/fields/1", "settings.unknown_field"),
            ("/settings/ai/classify/1/fields/1", "settings.duplicate"),
            ("/settings/ai/extract/fields/0", "settings.field_type"),
        }

    @pytest.mark.parametrize(
        "classification",
        [
            {"fields": ["name"]},
            {"head": "spam", "classifier_id": "clf_0190", "fields": ["name"]},
            {"head": "astrology", "fields": ["name"]},
            {"head": "spam", "name": "entities", "fields": ["name"]},
            {"head": "spam", "fields": []},
        ],
    )
    def test_of_another_shape_is_refused(self, classification: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            FormSettings.model_validate({"ai": {"classify": [classification]}})
