"""What somebody answered, as people read it: questions and answers in the words of the version they answered."""

from collections import OrderedDict
from typing import Final

from deployments.forms.contracts import Form, FormsApi
from deployments.kit.engine import CompiledForm, compile_form, stored_definition
from deployments.kit.principal import Principal
from deployments.responses.contracts import Response

_KEPT: Final = 256


class Answers:
    """Reads responses by the rules of their versions, which it keeps, since they never change."""

    def __init__(self, forms: FormsApi) -> None:
        self._forms = forms
        self._compiled: OrderedDict[tuple[str, str, int], CompiledForm] = OrderedDict()

    async def pairs(self, principal: Principal, form: Form, response: Response) -> list[tuple[str, str]]:
        """Each question that was answered, with the answer."""
        rules = await self.rules(principal, form, response.version)
        cells = ((column.title, column.cell(response.answers)) for column in rules.columns)
        return [(title, cell) for title, cell in cells if cell]

    async def rules(self, principal: Principal, form: Form, version: int) -> CompiledForm:
        """The rules of a version."""
        key = (principal.tenant_id, form.id, version)
        if key not in self._compiled:
            published = await self._forms.get_version(principal, form.id, version)
            self._compiled[key] = compile_form(stored_definition(published.definition))
            if len(self._compiled) > _KEPT:
                self._compiled.popitem(last=False)
        return self._compiled[key]
