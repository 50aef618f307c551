"""Whether a form still admits a response that its team changes or brings back (F2, F7, R9)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from db.models.responses import Response
from db.repositories.admission import Wish, refusals
from db.repositories.responses import ResponseRepository
from db.session import UnitOfWork
from deployments.kit.errors import DomainError
from deployments.kit.principal import Principal
from deployments.responses.admission import Admission

OVERRIDE: Final = "forms:write"
"""Who may say how many answers a form takes may also take one more."""


def require_override(principal: Principal, form_id: str, override_quotas: bool) -> None:
    """Raise Forbidden when somebody sets quotas aside who may not change the form."""
    if override_quotas:
        principal.require(OVERRIDE, form_id)


@dataclass(frozen=True, slots=True)
class Readmission:
    """The rules of a form for responses that are there; `override_quotas`: none of them is too many."""

    admission: Admission | None
    override_quotas: bool = False

    async def require(
        self, unit: UnitOfWork, row: Response, answers: Mapping[str, Any], before: Mapping[str, Any] | None
    ) -> None:
        """Raise InvalidAnswers, AlreadyAnswered or QuotaReached unless the locked row may have these answers.

        `before` are those that it counts with already; None when it does not count. Holds the form's counter, so what
        is found stays true until the commit. Raises RegimeOutdated.
        """
        (error,) = await self.refusals(unit, [(row, answers, before)])
        if error is not None:
            raise error

    async def refusals(
        self, unit: UnitOfWork, wanted: Sequence[tuple[Response, Mapping[str, Any], Mapping[str, Any] | None]]
    ) -> list[DomainError | None]:
        """The same for rows of one form, one after the other: what each of them would be refused with."""
        admission = self.admission
        if admission is None or admission.regime is None:
            return [None] * len(wanted)
        wishes = [admission.more(row.submitted_by, answers, before) for row, answers, before in wanted]
        if self.override_quotas:
            wishes = [Wish(wish.claims) for wish in wishes]
        if not any(wish.claims or wish.quotas for wish in wishes):
            return [None] * len(wanted)
        form_id = wanted[0][0].form_id
        counted = await ResponseRepository(unit.session, unit.tenant).next_changes(form_id, 0)
        connection = await unit.session.connection()
        found = await connection.run_sync(refusals, unit.tenant, form_id, admission.regime, wishes, counted.last)
        return [None if error is None else admission.refusal_of_change(error) for error in found]
