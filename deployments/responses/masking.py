"""Personal data is for those who may see it: which answers are, and how they look to everybody else."""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Any, Final

from db.repositories.published_forms import PublishedFormRepository
from db.session import UnitOfWork
from deployments.kit.engine import stored_definition
from deployments.kit.personal import personal_fields
from deployments.kit.principal import Principal

READ_PERSONAL: Final = "responses:read_personal"
NOTHING: Final[frozenset[str]] = frozenset()

_KEPT: Final = 1024


def masked(answers: Mapping[str, Any], personal: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    """The answers with null in the place of personal ones, and the fields where that happened."""
    hidden = [name for name in answers if name in personal]
    return {**answers, **dict.fromkeys(hidden)}, sorted(hidden)


def seen_verdicts(inference: Mapping[str, Any] | None, hidden: Collection[str]) -> dict[str, Any]:
    """What models say, without the answers that are hidden: it would tell of them."""
    return {field: verdicts for field, verdicts in (inference or {}).items() if field not in hidden}


class PersonalFields:
    """What of a form a reader must not see. Keeps what it has found out: published versions never change."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[int, frozenset[str]]] = OrderedDict()

    async def hidden(
        self, unit: UnitOfWork, principal: Principal, form_id: str, newest: int | None = None
    ) -> frozenset[str]:
        """The fields whose answers the principal does not get to see. `newest` is the form's newest version, where it
        is known."""
        if principal.may(READ_PERSONAL, form_id):
            return NOTHING
        if newest is None:
            newest = await PublishedFormRepository(unit.session, unit.tenant).newest(form_id) or 0
        key = (unit.tenant, form_id)
        known = self._known.get(key)
        if known is None or known[0] != newest:
            versions = await PublishedFormRepository(unit.session, unit.tenant).versions(form_id, newest)
            known = (newest, personal_fields(stored_definition(version.definition) for version in versions))
            self._known[key] = known
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return known[1]
