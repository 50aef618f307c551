"""One response as a document, with what its reader may see of it."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from db.session import Database
from deployments.forms.contracts import Form, FormsApi
from deployments.kit.engine import Style, compile_form, stored_definition, table_columns
from deployments.kit.principal import Principal
from deployments.reports.brand import brand_of
from deployments.reports.contracts import ResponseDocument
from deployments.reports.document import Look, Said, response
from deployments.reports.errors import TypesettingFailed
from deployments.reports.typesetting import NotTypeset, typeset
from deployments.reports.wording import Wording
from deployments.responses.contracts import Response, ResponsesApi

_AT_ONCE: Final = 2
_DEADLINE_S: Final = 8.0
_STYLE: Final = Style(lists=True)


class Responses:
    """Makes documents of single responses, a few at a time."""

    def __init__(self, database: Database, forms: FormsApi, responses: ResponsesApi, fonts: Sequence[Path]) -> None:
        self._database = database
        self._forms = forms
        self._responses = responses
        self._fonts = fonts
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def document(self, principal: Principal, response_id: str, language: str) -> ResponseDocument:
        """The PDF. Raises ResponseNotFound, TypesettingFailed."""
        found = await self._responses.get(principal, response_id)
        # The titles are read by the platform: who may read a response may read what was asked.
        system = Principal.system(principal.tenant_id, "reports")
        form = await self._forms.get(system, found.form_id)
        brand = await brand_of(self._database, principal.tenant_id, form)
        wording = Wording(language)
        data = response(
            form.title,
            found.updated_at or found.submitted_at,
            _about(found, wording),
            await self._said(system, form, found),
            Look(brand.tenant, brand.colour),
            wording,
        )
        try:
            async with asyncio.timeout(_DEADLINE_S), self._slots:
                content = await typeset("response", data, found.updated_at or found.submitted_at, fonts=self._fonts)
        except (NotTypeset, TimeoutError) as error:
            raise TypesettingFailed from error
        return ResponseDocument(
            content=content, name=f"response-{found.id}.pdf", etag=hashlib.sha256(content).hexdigest()
        )

    async def _said(self, system: Principal, form: Form, found: Response) -> list[Said]:
        version = await self._forms.get_version(system, form.id, found.version)
        definition = compile_form(stored_definition(version.definition)).definition
        titles = {field.id: field for field in definition.fields}
        hidden = set(found.masked) & titles.keys()
        answers = {name: value for name, value in found.answers.items() if name not in hidden}
        said: list[Said] = []
        for column in table_columns([definition], _STYLE):
            if column.field_id in hidden:
                hidden.discard(column.field_id)
                said.append(Said(column.title, "", hidden=True))
            elif text := column.cell(answers):
                said.append(Said(column.title, text))
        return said


def _about(found: Response, w: Wording) -> list[tuple[str, str]]:
    about = [
        (w.words["id"], found.id),
        (w.words["status"], w.words[found.status]),
        (w.words["submitted_at"], w.moment(found.submitted_at)),
        (w.words["version"], str(found.version)),
    ]
    language = found.meta.get("language")
    return [*about, (w.words["language"], language)] if isinstance(language, str) else about
