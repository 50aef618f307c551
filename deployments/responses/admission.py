"""Which responses a form admits once or so often: unique answers, one for each person, quotas (F2, F7, R9)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple, Self

import orjson

from db.repositories.admission import NO_WISH, ClaimTaken, QuotaFull, Regime, Wish
from db.repositories.submissions import Submission
from deployments.kit.answer_quotas import AnswerQuota, elements_of
from deployments.kit.engine import AnswerCondition, CompiledForm, compile_condition
from deployments.kit.errors import DomainError, Fault
from deployments.kit.principal import Principal
from deployments.kit.texts import text_in
from deployments.responses.errors import AlreadyAnswered, FormClosed, InvalidAnswers, LoginRequired, QuotaReached

CONTENT: Final = "content"
"""The kind of the claim on being the only response with these answers."""

_PERSON: Final = "person"
_ANSWER: Final = "answer."
_USER: Final = "usr_"


class _Claimed(NamedTuple):
    """What a response claims beside its unique answers."""

    person: bool
    content: bool


@dataclass(frozen=True, slots=True)
class CountedQuota:
    """A quota with its condition compiled."""

    quota: AnswerQuota
    text: str
    counts: AnswerCondition


@dataclass(frozen=True, slots=True)
class Admission:
    """The rules of a published form as its settings are now; `regime` is None when there are none."""

    rules: CompiledForm
    quotas: tuple[CountedQuota, ...]
    gates: Mapping[str, int]
    login_required: bool
    regime: Regime | None

    @classmethod
    def of(cls, rules: CompiledForm, settings: Mapping[str, Any], revision: int) -> Self:
        """The rules that the settings of a form make for a version of it."""
        quotas = _counted(rules, settings.get("quotas") or ())
        once = settings.get("one_response_per") == "user"
        alike = bool((settings.get("spam") or {}).get("duplicates"))
        regime = None
        if quotas or once or alike or rules.unique_fields:
            asked = [[[each.quota.id, each.text] for each in quotas], sorted(rules.unique_fields), once, alike]
            digest = _digest(orjson.dumps(asked).decode())
            held = partial(_wish, rules, quotas, _Claimed(person=once, content=alike))
            regime = Regime(revision, digest, held)
        return cls(
            rules=rules,
            quotas=quotas,
            gates={each.quota.id: each.quota.limit for each in quotas if each.quota.action == "close"},
            login_required=bool(settings.get("login_required")),
            regime=regime,
        )

    def require_known(self, principal: Principal) -> None:
        """Raise LoginRequired when the form asks who answers and nobody knows."""
        if self.login_required and principal.kind == "anonymous":
            raise LoginRequired

    def applied(self, submission: Submission, subject: str) -> Submission:
        """The submission of a subject with what it needs to be admitted."""
        if self.regime is None:
            return submission
        held = self.regime.held(subject, submission.response["answers"])
        return replace(submission, regime=self.regime, wish=Wish(held.claims, held.quotas, self.gates))

    def more(self, subject: str, answers: Mapping[str, Any], before: Mapping[str, Any] | None) -> Wish:
        """What a response needs for these answers beside what it has by those `before`; None: it has nothing.

        Quotas that close a form close it for visitors only, and the team knows of answers that are alike.
        """
        if self.regime is None:
            return NO_WISH
        wish = self.regime.held(subject, answers)
        had = NO_WISH if before is None else self.regime.held(subject, before)
        claims = tuple(claim for claim in wish.claims if claim not in had.claims and claim[0] != CONTENT)
        return Wish(claims, {id_: limit for id_, limit in wish.quotas.items() if id_ not in had.quotas})

    def refusal_of_change(self, error: ClaimTaken | QuotaFull) -> DomainError:
        """What somebody of the team is told."""
        if isinstance(error, QuotaFull):
            return QuotaReached(members={"quota": error.quota_id})
        return self.refusal(error)

    def refusal(self, error: ClaimTaken | QuotaFull) -> DomainError:
        """What the caller is told."""
        if isinstance(error, QuotaFull):
            return self._full(error.quota_id)
        if _PERSON in error.kinds:
            return AlreadyAnswered()
        return InvalidAnswers(
            faults=tuple(
                Fault(f"/answers/{kind.removeprefix(_ANSWER)}", "unique", "Another response has given this answer.")
                for kind in error.kinds
                if kind.startswith(_ANSWER)
            )
        )

    def _full(self, quota_id: str) -> DomainError:
        quota = next(each.quota for each in self.quotas if each.quota.id == quota_id)
        message = None if quota.message is None else text_in(quota.message, self.rules.definition.languages)
        if quota.action == "close":
            return FormClosed(message or "the form has all the answers that it wants")
        return QuotaReached(message, members={"quota": quota.id})


def _counted(rules: CompiledForm, settings: Any) -> tuple[CountedQuota, ...]:
    quotas = [AnswerQuota.model_validate(quota) for quota in settings]
    types: dict[str, str] = {}
    if quotas:
        types = {element["id"]: element["type"] for element in elements_of(rules.definition.document())}
    texts = [quota.expression(types.get(quota.field or "")) for quota in quotas]
    return tuple(
        CountedQuota(quota, text, compile_condition(rules, text)) for quota, text in zip(quotas, texts, strict=True)
    )


def _wish(
    rules: CompiledForm, quotas: tuple[CountedQuota, ...], claimed: _Claimed, subject: str, answers: Mapping[str, Any]
) -> Wish:
    claims = tuple((_ANSWER + field_id, _digest(text)) for field_id, text in rules.unique(answers))
    if claimed.person and subject.startswith(_USER):
        claims = (*claims, (_PERSON, _digest(subject)))
    if claimed.content:
        claims = (*claims, (CONTENT, _digest(orjson.dumps(answers, option=orjson.OPT_SORT_KEYS).decode())))
    return Wish(claims, {each.quota.id: each.quota.limit for each in quotas if each.counts(answers)})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
