"""F5: forms to begin with, from the platform and from the tenant itself."""

import pytest

from db.session import Database
from deployments.forms.contracts import CreateTemplate, ListForms, UpdateForm, UseTemplate
from deployments.forms.deployment import Forms
from deployments.forms.errors import FormNotFound, FormQuotaReached, TemplateBuiltIn, TemplateNotFound, TooManyTemplates
from deployments.forms.fitting import misfits
from deployments.forms.service import templates
from deployments.forms.settings import FormSettings
from deployments.forms.warnings import warnings_of
from deployments.kit.engine import compile_form, parse_definition
from deployments.kit.errors import Forbidden, Invalid
from deployments.kit.principal import Principal
from tests.deployments.forms.facts import types_of
from tests.factories import make_form, make_tenant

BUILT_IN = templates.built_in()


def test_there_are_those_that_people_look_for() -> None:
    wanted = {"contact", "event-registration", "nps", "customer-satisfaction", "job-application", "order"}
    assert set(BUILT_IN) > wanted | {"course-feedback", "bug-report", "rsvp", "appointment", "incident"}
    assert len(BUILT_IN) >= 13


@pytest.mark.parametrize("name", BUILT_IN)
class TestBuiltIn:
    def test_is_a_valid_form_without_a_warning(self, name: str) -> None:
        """F5: each is accepted by the engine as it is, and says nothing that is hardly meant."""
        template = BUILT_IN[name]
        definition = parse_definition(template.definition)
        compile_form(definition)
        assert warnings_of(definition) == ()

    def test_has_settings_that_fit(self, name: str) -> None:
        template = BUILT_IN[name]
        assert misfits(FormSettings.model_validate(template.settings), template.definition) == ()

    def test_can_be_left_empty_only_where_nothing_is_required(self, name: str) -> None:
        """An empty answer is refused for the required fields and for nothing else: all conditions can be decided."""
        faults = compile_form(parse_definition(BUILT_IN[name].definition)).check({})[1]
        assert faults
        assert {fault.code for fault in faults} == {"required"}


class TestOwn:
    async def test_a_form_becomes_a_template_and_a_form_again(self, database: Database) -> None:
        """F5: definition and settings are kept, without what was for the one occasion."""
        acme = await make_tenant(database)
        forms = Forms(database)
        form = await make_form(
            database,
            acme,
            max_responses=3,
            send_notification=True,
            notification_recipients=["ada@example.org"],
            theme={"primary": "#102030"},
        )
        template = await forms.create_template(acme, CreateTemplate(form_id=form.id, title="Parties"))
        await forms.update(acme, form.id, UpdateForm(title="Changed since"))

        made = await forms.use_template(acme, template.id, UseTemplate(slug="second"))

        assert (made.title, made.slug, made.status, made.version) == ("Parties", "second", "draft", None)
        assert made.definition == form.definition
        assert made.settings == FormSettings.model_validate({"theme": {"primary": "#102030"}})
        assert await types_of(database, "template.") == ["template.created"]

    async def test_every_built_in_one_makes_a_form_that_can_be_published(self, database: Database) -> None:
        acme = await make_tenant(database)
        forms = Forms(database)
        for name in BUILT_IN:
            form = await forms.use_template(acme, name, UseTemplate(slug=name))
            assert (await forms.publish(acme, form.id)).version == 1
        page = await forms.list_forms(acme, ListForms(include_total=True, status="published"))
        assert page.meta.total == len(BUILT_IN)

    async def test_pages_hold_own_and_built_in_ones_once(self, database: Database) -> None:
        acme = await make_tenant(database)
        forms = Forms(database)
        form = await make_form(database, acme, publish=False)
        own = [(await forms.create_template(acme, CreateTemplate(form_id=form.id, title=f"T{n}"))).id for n in range(5)]
        seen: list[str] = []
        cursor = None
        while cursor or not seen:
            page = await forms.list_templates(acme, cursor, 3)
            seen += [template.id for template in page.data]
            cursor = page.meta.next_cursor
        assert seen == [*own, *BUILT_IN]
        with pytest.raises(Invalid):
            await forms.list_templates(acme, "bm9uc2Vuc2U", 3)

    async def test_a_deleted_one_is_gone_and_its_forms_stay(self, database: Database) -> None:
        acme, other = await make_tenant(database), await make_tenant(database, "other")
        forms = Forms(database)
        form = await make_form(database, acme, publish=False)
        template = await forms.create_template(acme, CreateTemplate(form_id=form.id, title="T"))
        made = await forms.use_template(acme, template.id, UseTemplate(slug="made"))
        for call in (forms.get_template(other, template.id), forms.delete_template(other, template.id)):
            with pytest.raises(TemplateNotFound):
                await call
        await forms.delete_template(acme, template.id)
        with pytest.raises(TemplateNotFound):
            await forms.get_template(acme, template.id)
        with pytest.raises(TemplateNotFound):
            await forms.delete_template(acme, template.id)
        assert (await forms.get(acme, made.id)).slug == "made"
        with pytest.raises(TemplateBuiltIn):
            await forms.delete_template(acme, "contact")

    async def test_of_another_tenants_form_is_refused(self, database: Database) -> None:
        """T5: the same answer as for a form that never was."""
        acme, other = await make_tenant(database), await make_tenant(database, "other")
        form = await make_form(database, acme)
        with pytest.raises(FormNotFound):
            await Forms(database).create_template(other, CreateTemplate(form_id=form.id, title="Mine"))

    async def test_they_are_bounded(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(templates, "MAX_TEMPLATES", 1)
        acme = await make_tenant(database)
        form = await make_form(database, acme, publish=False)
        order = CreateTemplate(form_id=form.id, title="T")
        await Forms(database).create_template(acme, order)
        with pytest.raises(TooManyTemplates):
            await Forms(database).create_template(acme, order)

    async def test_a_form_from_a_template_counts_against_the_quota(self, database: Database) -> None:
        """T6: max_forms holds however a form is made."""
        acme = await make_tenant(database, max_forms=1)
        await Forms(database).use_template(acme, "contact", UseTemplate(slug="one"))
        with pytest.raises(FormQuotaReached):
            await Forms(database).use_template(acme, "contact", UseTemplate(slug="two"))

    async def test_a_grant_for_a_form_is_no_right_to_keep_templates(self, database: Database) -> None:
        acme = await make_tenant(database)
        form = await make_form(database, acme)
        guest = Principal("acme", "usr_2", "user", grants={form.id: frozenset({"forms:read", "forms:write"})})
        with pytest.raises(Forbidden):
            await Forms(database).create_template(guest, CreateTemplate(form_id=form.id, title="T"))
