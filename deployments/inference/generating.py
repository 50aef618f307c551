"""The door to what is written from material: summaries, replies, snippets, drafts of forms."""

from collections.abc import Mapping
from typing import Any, Final

from db.repositories.published_forms import PublishedFormRepository
from db.session import Database
from deployments.forms.contracts import FormsApi
from deployments.inference import snippets, summaries
from deployments.inference.drafting.drafting import drafted
from deployments.inference.errors import FormNotFound, InvalidGeneration
from deployments.inference.generate_contracts import (
    ChangeSnippet,
    Citation,
    Generate,
    GeneratedForm,
    GenerateForm,
    Generation,
    OrderedSummary,
    OrderTopics,
    PutSnippet,
    Snippet,
    Summary,
)
from deployments.inference.replies import Replies, Subject
from deployments.inference.summarising import summarised, told
from deployments.inference.writing import written
from deployments.kit.contract import Page
from deployments.kit.engine import compile_form, stored_definition
from deployments.kit.errors import Fault
from deployments.kit.features import is_enabled, require_feature, settings_of
from deployments.kit.principal import Principal
from deployments.models.contracts import ModelsApi
from deployments.responses.contracts import ResponsesApi

_TEXTS: Final = frozenset({"short_text", "long_text"})
_OF_FORMS: Final = ("form_id", "field", "filter", "where", "q")
_OF_REPLIES: Final = ("response_id", "snippets")


class Generating:
    """Writes from material; the part of `Inference` that satisfies `GenerateApi`."""

    _database: Database
    _models: ModelsApi
    _responses: ResponsesApi
    _forms: FormsApi
    _replies: Replies

    async def generate(self, principal: Principal, command: Generate) -> Generation:
        settings = await self._allowed(principal)
        _require_material(command)
        if command.task == "summary":
            extract = await self._summary(command)
        else:
            extract = await self._reply(principal, command)
        if command.method != "model":
            return extract
        if not is_enabled(settings, "ai_generation"):
            return extract.model_copy(update={"fallback_reason": "feature.disabled"})
        messages = command.texts or []
        if command.response_id is not None:
            messages = list((await self._subject(principal, command.response_id)).texts)
        return await written(self._models, extract, messages, command.language, command.max_tokens)

    async def order_generation(self, principal: Principal, command: Generate) -> OrderedSummary:
        order = order_of(command)
        return await self.order_summary(principal, command.form_id or "", order)

    async def order_summary(self, principal: Principal, form_id: str, command: OrderTopics) -> OrderedSummary:
        await self._allowed(principal)
        # What is wrong with the order is told now and not by a job that fails.
        async with self._database.read(principal.tenant_id) as unit:
            await summaries.require_field(unit, principal, form_id, command)
        await self._responses.list_responses(principal, summaries.selection_of(form_id, command, limit=1))
        async with self._database.write(principal.tenant_id) as unit:
            return await summaries.order(unit, principal, form_id, command)

    async def get_summary(self, principal: Principal, summary_id: str) -> Summary:
        await self._allowed(principal)
        async with self._database.read(principal.tenant_id) as unit:
            row, job = await summaries.readable(unit, principal, summary_id)
        return await summaries.to_summary(principal, self._responses, row, job)

    async def delete_summary(self, principal: Principal, summary_id: str) -> None:
        await self._allowed(principal)
        async with self._database.write(principal.tenant_id) as unit:
            await summaries.delete(unit, principal, summary_id)

    async def create_snippet(self, principal: Principal, command: PutSnippet) -> Snippet:
        principal.require("ai:write")
        async with self._database.write(principal.tenant_id) as unit:
            return await snippets.create(unit, principal, command)

    async def list_snippets(self, principal: Principal, cursor: str | None, limit: int) -> Page[Snippet]:
        principal.require("ai:use")
        async with self._database.read(principal.tenant_id) as unit:
            return await snippets.page(unit, cursor, limit)

    async def get_snippet(self, principal: Principal, snippet_id: str) -> Snippet:
        principal.require("ai:use")
        async with self._database.read(principal.tenant_id) as unit:
            return await snippets.get(unit, snippet_id)

    async def change_snippet(self, principal: Principal, snippet_id: str, command: ChangeSnippet) -> Snippet:
        principal.require("ai:write")
        async with self._database.write(principal.tenant_id) as unit:
            return await snippets.change(unit, principal, snippet_id, command)

    async def delete_snippet(self, principal: Principal, snippet_id: str) -> None:
        principal.require("ai:write")
        async with self._database.write(principal.tenant_id) as unit:
            await snippets.delete(unit, principal, snippet_id)

    async def generate_form(self, principal: Principal, command: GenerateForm) -> GeneratedForm:
        principal.require("forms:write")
        async with self._database.read(principal.tenant_id) as unit:
            require_feature(await settings_of(unit), "ai_generation")
        return await drafted(principal, self._models, self._forms, command)

    async def _allowed(self, principal: Principal) -> Mapping[str, Any]:
        """The tenant's settings. Raises Forbidden, FeatureDisabled."""
        principal.require("ai:use")
        async with self._database.read(principal.tenant_id) as unit:
            settings = await settings_of(unit)
        require_feature(settings, "ai")
        return settings

    async def _summary(self, command: Generate) -> Generation:
        texts = command.texts or []
        found = await summarised(
            self._models, texts, language=command.language, topics=command.topics, quotes=command.quotes
        )
        citations = [
            (
                place,
                Citation(
                    text=quote.place,
                    start=quote.span.start,
                    end=quote.span.end,
                    quote=quote.span.of(texts[quote.place]),
                ),
            )
            for place, topic in enumerate(found.topics)
            for quote in topic.quotes
        ]
        topics = [(topic.phrases, topic.count) for topic in found.topics]
        return told(found.counts, topics, citations, model=found.model, language=command.language)

    async def _reply(self, principal: Principal, command: Generate) -> Generation:
        async with self._database.read(principal.tenant_id) as unit:
            choice = await snippets.chosen(unit, command.snippets)
        if command.response_id is None:
            subject = Subject(command.texts or [], {}, {})
        else:
            subject = await self._subject(principal, command.response_id)
        return await self._replies.reply(subject, choice, command.language)

    async def _subject(self, principal: Principal, response_id: str) -> Subject:
        """A response as its reader sees it: what is hidden is neither compared nor filled in."""
        response = await self._responses.get(principal, response_id)
        async with self._database.read(principal.tenant_id) as unit:
            versions = await PublishedFormRepository(unit.session, unit.tenant).versions(response.form_id)
        version = next((each for each in versions if each.version == response.version), None)
        if version is None:
            raise FormNotFound
        form = compile_form(stored_definition(version.definition))
        texts = [
            answer
            for field in form.definition.fields
            if field.type in _TEXTS and isinstance(answer := response.answers.get(field.id), str)
        ]
        cells: dict[str, list[str]] = {}
        for column in form.columns:
            if cell := column.cell(response.answers):
                cells.setdefault(column.field_id, []).append(cell)
        answers = {name: "; ".join(parts) for name, parts in cells.items()}
        return Subject(texts, answers, {"form_title": version.title, "response_id": response.id})


def order_of(command: Generate) -> OrderTopics:
    """The order that a request for a summary of a form's field stands for. Raises InvalidGeneration."""
    _require_material(command)
    return OrderTopics.model_validate(command.model_dump(include=set(OrderTopics.model_fields)))


def _require_material(command: Generate) -> None:
    """Raise InvalidGeneration with everything that does not fit together."""
    given = {name for name in (*_OF_FORMS, *_OF_REPLIES, "texts", "topics") if getattr(command, name)}
    faults: list[Fault] = []
    foreign: list[str]
    if command.task == "summary":
        sources = ("texts", "form_id")
        foreign = [name for name in _OF_REPLIES if name in given]
        if "form_id" in given and "field" not in given:
            faults.append(Fault("/field", "generation.missing", "the field whose answers are summarised is missing"))
        if "form_id" not in given:
            foreign += [name for name in _OF_FORMS[1:] if name in given]
    else:
        sources = ("texts", "response_id")
        foreign = [name for name in (*_OF_FORMS, "topics") if name in given]
    faults += [Fault(f"/{name}", "generation.misplaced", f"{name} has no meaning here") for name in foreign]
    if len(given & set(sources)) != 1:
        detail = f"a {command.task} is of either {' or '.join(sources)}"
        faults.append(Fault("/texts", "generation.material", detail))
    if faults:
        raise InvalidGeneration(faults=tuple(faults))
