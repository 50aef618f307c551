"""Personal data is for those who may see it: which answers are, and how they look to everybody else."""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from db.repositories.published_forms import PublishedFormRepository
from db.session import UnitOfWork
from deployments.kit.engine import Definition, stored_definition
from deployments.kit.principal import Principal

READ_PERSONAL: Final = "responses:read_personal"
NOTHING: Final[frozenset[str]] = frozenset()

_KEPT: Final = 1024


def personal_fields(definitions: Iterable[Definition]) -> frozenset[str]:
    """The fields with personal data in any of a form's versions: what was personal once stays so."""
    return frozenset(
        field.id
        for definition in definitions
        for field in definition.fields
        if _is_marked(field.model_dump(mode="json"))
    )


def masked(answers: Mapping[str, Any], personal: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    """The answers with null in the place of personal ones, and the fields where that happened."""
    hidden = [name for name in answers if name in personal]
    return {**answers, **dict.fromkeys(hidden)}, sorted(hidden)


class PersonalFields:
    """What of a form a reader must not see. Keeps what it has found out: published versions never change."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[int, frozenset[str]]] = OrderedDict()

    async def hidden(self, unit: UnitOfWork, principal: Principal, form_id: str) -> frozenset[str]:
        """The fields whose answers the principal does not get to see."""
        if principal.may(READ_PERSONAL, form_id):
            return NOTHING
        repository = PublishedFormRepository(unit.session, unit.tenant)
        newest = await repository.newest(form_id) or 0
        key = (unit.tenant, form_id)
        known = self._known.get(key)
        if known is None or known[0] != newest:
            versions = await repository.versions(form_id, newest)
            known = (newest, personal_fields(stored_definition(version.definition) for version in versions))
            self._known[key] = known
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return known[1]


def _is_marked(part: Any) -> bool:
    """Whether an element is marked, or anything inside of it: an answer is shown whole or not at all."""
    if isinstance(part, dict):
        return part.get("personal") is True or any(_is_marked(inner) for inner in part.values())
    return isinstance(part, list) and any(_is_marked(inner) for inner in part)
