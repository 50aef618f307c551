"""A form from a prompt: by a generating model where one is asked for, else by rules, else from a template."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from deployments.forms.contracts import FormsApi, TemplateSummary
from deployments.inference.drafting.building import definition_of, valid
from deployments.inference.drafting.kinds import DESCRIBED, Question, question_of
from deployments.inference.drafting.reading import Reading, read, title_of
from deployments.inference.errors import InvalidGeneration
from deployments.inference.generate_contracts import GeneratedForm, GenerateForm
from deployments.inference.naming import language_of
from deployments.inference.summarising import embedded
from deployments.kit.errors import DeadlineExceeded, Unavailable
from deployments.kit.principal import Principal
from deployments.models.contracts import ModelsApi, Prompt

# Of a topic and the template that is meant; of others it is below.
_FITS: Final = 0.35
# Of a question and the type that is meant.
_LIKELY: Final = 0.3
_TEMPLATES: Final = 100
_MODEL_TOKENS: Final = 2_000
# The encoder knows English; these are the topics of templates as German names them.
_TOPICS: Final = {
    "kundenzufrieden": "customer satisfaction",
    "zufriedenheit": "satisfaction",
    "bewerbung": "job application",
    "stellenangebot": "job application",
    "veranstaltung": "event registration",
    "anmeld": "registration for an event",
    "kontakt": "contact form",
    "bestell": "order form",
    "termin": "appointment request",
    "mitarbeiter": "employee engagement",
    "schulung": "course feedback",
    "kurs": "course feedback",
    "seminar": "course feedback",
    "unfall": "incident report",
    "fehler": "bug report",
    "einladung": "invitation reply",
    "hochzeit": "invitation reply",
    "ehrenamt": "volunteer sign-up",
    "helfer": "volunteer sign-up",
    "weiterempfehl": "net promoter score",
}
_TITLES: Final = {"en": "Form", "de": "Formular"}
_MESSAGE: Final = {"en": "Your message", "de": "Ihre Nachricht"}
_EXAMPLE: Final = {
    "title": "…",
    "pages": [
        {
            "id": "page1",
            "elements": [
                {"id": "name", "type": "short_text", "title": "Your name", "required": True},
                {"id": "side", "type": "choice", "title": "Side", "options": [{"id": "corn", "label": "Corn"}]},
            ],
        }
    ],
}
_INSTRUCTION: Final = (
    f"Write the definition of a form as JSON and nothing else: {json.dumps(_EXAMPLE, ensure_ascii=False)}. "
    "Types are short_text, long_text, email, phone, url, address, country, integer, number, date, time, datetime, "
    "yes_no, choice, multi_choice, dropdown, ranking, rating, scale, nps, file, image, signature, consent. The "
    "material says what the form is to ask."
)


async def drafted(principal: Principal, models: ModelsApi, forms: FormsApi, command: GenerateForm) -> GeneratedForm:
    """A valid definition. Raises InvalidGeneration for a prompt without words."""
    if not re.search(r"[^\W_]", command.prompt):
        raise InvalidGeneration.at("/prompt", "prompt.blank", "the prompt has no words")
    reason: str | None = None
    if command.method == "model":
        written, reason = await _written(models, command)
        if written is not None:
            return written
    reading = await asyncio.to_thread(read, command.prompt)
    language = command.language or language_of(command.prompt) or "en"
    if reading.asked:
        form = await _ruled(models, reading, command, language)
    else:
        form = await _chosen(principal, models, forms, reading, command, language)
    return form.model_copy(update={"fallback_reason": reason})


async def _ruled(models: ModelsApi, reading: Reading, command: GenerateForm, language: str) -> GeneratedForm:
    questions = await asyncio.to_thread(lambda: [question_of(asked) for asked in reading.asked])
    notes = [note for question in questions for note in question.lost]
    notes += await _decided(models, questions)
    if reading.cut:
        notes.append(f"{reading.cut} questions are left out: there are too many.")
    if reading.all_required:
        for question in questions:
            question.required = question.required is not False
    elif all(question.required is None for question in questions):
        notes.append("Nothing is required, since the prompt does not say what is.")
    document, assumed = definition_of(questions, language, command.pages)
    definition, lost = await asyncio.to_thread(valid, document)
    if definition is None:
        raise InvalidGeneration.at("/prompt", "prompt.unusable", "no form can be made of this prompt")
    return GeneratedForm(
        title=title_of(reading.about) or _TITLES.get(language[:2], "Form"),
        definition=definition,
        method="rules",
        notes=[*notes, *assumed, *lost],
    )


async def _decided(models: ModelsApi, questions: Sequence[Question]) -> list[str]:
    """Give a type to the questions whose words do not say it; what was assumed."""
    open_ones = [question for question in questions if not question.type]
    if not open_ones:
        return []
    words = [(kind, text) for kind, texts in DESCRIBED.items() for text in texts]
    try:
        _, vectors = await embedded(models, [question.title for question in open_ones] + [text for _, text in words])
    except Unavailable:
        for question in open_ones:
            question.type = "long_text" if question.title.endswith("?") else "short_text"
        return [f"“{question.title}” is taken for a text." for question in open_ones]
    likeness = vectors[: len(open_ones)] @ vectors[len(open_ones) :].T
    notes: list[str] = []
    for question, row in zip(open_ones, likeness, strict=True):
        best = int(row.argmax())
        if row[best] >= _LIKELY:
            question.type = words[best][0]
        else:
            question.type = "long_text" if question.title.endswith("?") else "short_text"
        notes.append(f"“{question.title}” is taken for {question.type}.")
    return notes


async def _chosen(
    principal: Principal,
    models: ModelsApi,
    forms: FormsApi,
    reading: Reading,
    command: GenerateForm,
    language: str,
) -> GeneratedForm:
    """The template that is about the same, else a form with one question."""
    page = await forms.list_templates(principal, None, _TEMPLATES)
    likeness = await _likeness(models, reading.about, page.data)
    best = int(likeness.argmax()) if len(likeness) else -1
    title = title_of(reading.about)
    if best < 0 or likeness[best] < _FITS:
        message = Question(_MESSAGE.get(language[:2], _MESSAGE["en"]), "long_text")
        document, _ = definition_of([message], language, None)
        note = "The prompt names no questions, and no template is about it; list what is to be asked."
        return GeneratedForm(
            title=title or _TITLES.get(language[:2], "Form"), definition=document, method="rules", notes=[note]
        )
    template = await forms.get_template(principal, page.data[best].id)
    notes = [f"The prompt names no questions; these are from the template “{template.title}”."]
    spoken = (template.definition.get("languages") or ["en"])[0]
    if spoken.partition("-")[0] != language.partition("-")[0]:
        notes.append(f"The template is written in {spoken}, not in {language}.")
    if command.pages is not None and command.pages != len(template.definition["pages"]):
        notes.append(f"The template has {len(template.definition['pages'])} pages.")
    return GeneratedForm(
        title=title or template.title,
        definition=template.definition,
        method="template",
        template_id=template.id,
        notes=notes,
    )


async def _likeness(models: ModelsApi, about: str, templates: Sequence[TemplateSummary]) -> "np.ndarray[Any, Any]":
    words = [f"{template.title}. {template.description}" for template in templates]
    known = [english for german, english in _TOPICS.items() if german in about.casefold()]
    about = known[0] if known else about
    try:
        _, vectors = await embedded(models, [about[:1_000], *words])
    except Unavailable:
        asked = _words(about)
        shares = [len(asked & _words(text)) / max(1, len(_words(text.partition(".")[0]))) for text in words]
        return np.array(shares)
    found: np.ndarray[Any, Any] = vectors[1:] @ vectors[0]
    return found


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w{4,}", text.casefold())) - {"form", "survey", "formular", "umfrage"}


async def _written(models: ModelsApi, command: GenerateForm) -> tuple[GeneratedForm | None, str | None]:
    """What a model makes of the prompt, else why there is nothing."""
    instruction = _INSTRUCTION + (f" Write it in the language {command.language}." if command.language else "")
    prompt = Prompt(instruction=instruction, material=(command.prompt,), max_tokens=_MODEL_TOKENS)
    try:
        answer = await models.generate(prompt)
    except DeadlineExceeded:
        return None, "model.too_slow"
    except Unavailable as error:
        return None, error.code
    document = await asyncio.to_thread(_document, answer.text)
    if document is None:
        return None, "model.no_json"
    title = document.pop("title", None)
    document.setdefault("languages", [command.language or language_of(command.prompt) or "en"])
    definition, notes = await asyncio.to_thread(valid, document)
    if definition is None:
        return None, "model.invalid_definition"
    return (
        GeneratedForm(
            title=title[:300] if isinstance(title, str) and title.strip() else title_of(command.prompt) or "Form",
            definition=definition,
            method="model",
            model=answer.model,
            notes=notes,
        ),
        None,
    )


def _document(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text, its likely slips put right."""
    start = text.find("{")
    if start < 0:
        return None
    for candidate in (text[start:], re.sub(r",\s*([}\]])", r"\1", text[start:])):
        try:
            found, _ = json.JSONDecoder().raw_decode(candidate)
        except (ValueError, RecursionError):
            continue
        inner = found.get("definition", found) if isinstance(found, Mapping) else None
        if isinstance(inner, dict) and isinstance(inner.get("pages"), list):
            return _tidied(inner)
    return None


def _tidied(document: dict[str, Any]) -> dict[str, Any]:
    """Options that are plain texts, and ids that are missing, are what models often leave."""
    pages = [page for page in document["pages"] if isinstance(page, dict) and isinstance(page.get("elements"), list)]
    for number, page in enumerate(pages, 1):
        page.setdefault("id", f"page{number}")
        for place, element in enumerate(page["elements"], 1):
            if not isinstance(element, dict):
                continue
            element.setdefault("id", f"question{number}_{place}")
            if isinstance(options := element.get("options"), list):
                element["options"] = [
                    {"id": f"option{index}", "label": option} if isinstance(option, str) else option
                    for index, option in enumerate(options, 1)
                ]
    return {**document, "pages": pages}
