"""What a form admits once or so often, decided while its counter is held: exact, whoever writes (R9).

Everything here needs the form's counter to be held by the open transaction: what it reads then stays true until the
commit, because all who write responses of the form hold the counter first.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, tuple_, update
from sqlmodel import col

from db.models.admission import FormAdmission, QuotaCounter, ResponseClaim
from db.models.responses import Response

QUOTA: Final = "quota."
"""The kind of a claim on a place in a quota begins so; its id follows."""

_BATCH: Final = 500

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a response needs to be admitted: values nobody else of the form holds, and places in quotas.

    `claims` are pairs of kind and digest; `quotas` maps the id of each quota that the response counts towards to its
    limit. `gates` are quotas that close the form once they are full, whatever a response says.
    """

    claims: tuple[tuple[str, str], ...] = ()
    quotas: Mapping[str, int] = field(default_factory=dict)
    gates: Mapping[str, int] = field(default_factory=dict)


NO_WISH: Final = Wish()


@dataclass(frozen=True, slots=True)
class Regime:
    """The rules of a form at a revision of it. `digest` is the same as long as they ask the same of every response.

    `held` says what a stored response holds by them, from who submitted it and its answers.
    """

    revision: int
    digest: str
    held: Callable[[str, Mapping[str, Any]], Wish]


class ClaimTaken(Exception):
    """Another response of the form holds what these kinds claim."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        super().__init__(kinds)
        self.kinds = kinds


class QuotaFull(Exception):
    """A quota has no place left."""

    def __init__(self, quota_id: str) -> None:
        super().__init__(quota_id)
        self.quota_id = quota_id


class RegimeOutdated(Exception):
    """The form has newer rules than those that the submission was made by."""


class Admissions:
    """Decides wishes of one form, one after the other; each that is granted counts for the next.

    Claims and places are an index of the form's responses. It is brought up to date first: `seen` is the number of the
    last change that is in it, so edits, the trash and rules that are new need nothing but their change number.
    Raises RegimeOutdated.
    """

    def __init__(self, connection: Connection, tenant_id: str, form_id: str, regime: Regime, changes: int) -> None:
        self._connection = connection
        self._form = {"tenant_id": tenant_id, "form_id": form_id}
        self._taken: set[tuple[str, str]] = set()
        self._counts: Counter[str] = Counter()
        self._granted: list[tuple[Wish, str]] = []
        self._catch_up(regime, changes)

    def expect(self, wishes: Collection[Wish]) -> None:
        """Read what is needed to decide these wishes."""
        self._read_claims({claim for wish in wishes for claim in wish.claims})
        self._read_counts({quota for wish in wishes for quota in (*wish.quotas, *wish.gates)})

    def refusal(self, wish: Wish) -> ClaimTaken | QuotaFull | None:
        """Why the wish cannot be granted now."""
        if taken := tuple(kind for kind, value in wish.claims if (kind, value) in self._taken):
            return ClaimTaken(taken)
        for quota_id, limit in (*wish.gates.items(), *wish.quotas.items()):
            if self._counts[quota_id] >= limit:
                return QuotaFull(quota_id)
        return None

    def grant(self, wish: Wish, response_id: str) -> None:
        """Keep what the response wishes for it. Of two that claim the same value, the first holds it."""
        claims = tuple(claim for claim in wish.claims if claim not in self._taken)
        self._taken.update(claims)
        self._counts.update(wish.quotas.keys())
        self._granted.append((Wish(claims, wish.quotas), response_id))

    def write(self, changes: int) -> None:
        """Write what was granted up to this change of the form; the responses must be stored already."""
        rows = [
            {**self._form, "kind": kind, "value": value, "response_id": response_id}
            for wish, response_id in self._granted
            for kind, value in _claimed(wish, response_id)
        ]
        if rows:
            self._connection.execute(insert(ResponseClaim), rows)
        self._add(Counter(quota for wish, _ in self._granted for quota in wish.quotas))
        self._granted.clear()
        seen = update(FormAdmission).where(*self._mine(FormAdmission)).values(seen=changes)
        self._connection.execute(seen)

    def _catch_up(self, regime: Regime, changes: int) -> None:
        state = self._connection.execute(
            select(col(FormAdmission.digest), col(FormAdmission.revision), col(FormAdmission.seen)).where(
                *self._mine(FormAdmission)
            )
        ).one_or_none()
        if state is None:
            new = {**self._form, "digest": regime.digest, "revision": regime.revision, "seen": 0}
            self._connection.execute(insert(FormAdmission), new)
            seen = 0
        elif state.digest == regime.digest:
            seen = state.seen
        elif state.revision > regime.revision:
            raise RegimeOutdated
        else:
            self._start_over(regime)
            seen = 0
        while seen < changes:
            seen = self._index(regime, seen, changes)

    def _start_over(self, regime: Regime) -> None:
        self._connection.execute(delete(ResponseClaim).where(*self._mine(ResponseClaim)))
        self._connection.execute(delete(QuotaCounter).where(*self._mine(QuotaCounter)))
        values = {"digest": regime.digest, "revision": regime.revision}
        self._connection.execute(update(FormAdmission).where(*self._mine(FormAdmission)).values(values))

    def _index(self, regime: Regime, seen: int, changes: int) -> int:
        """Take the next responses that have changed into the index; the change up to which it has come."""
        rows = self._connection.execute(
            select(
                col(Response.id),
                col(Response.change),
                col(Response.status),
                col(Response.deleted_at),
                col(Response.submitted_by),
                col(Response.answers),
            )
            .where(*self._mine(Response), col(Response.change) > seen)
            .order_by(col(Response.change))
            .limit(_BATCH)
        ).all()
        self._release([row.id for row in rows])
        counted = [row for row in rows if row.status == "complete" and row.deleted_at is None]
        held = [(regime.held(row.submitted_by, row.answers), row.id) for row in counted]
        self._read_claims({claim for wish, _ in held for claim in wish.claims})
        for wish, response_id in held:
            self.grant(wish, response_id)
        reached = int(rows[-1].change) if len(rows) == _BATCH else changes
        self.write(reached)
        self._taken.clear()
        self._counts.clear()
        return reached

    def _release(self, response_ids: Sequence[str]) -> None:
        release_claims(self._connection, self._form, response_ids)

    def _read_claims(self, wanted: set[tuple[str, str]]) -> None:
        if not wanted:
            return
        kind, value = col(ResponseClaim.kind), col(ResponseClaim.value)
        found = self._connection.execute(
            select(kind, value).where(*self._mine(ResponseClaim), tuple_(kind, value).in_(list(wanted)))
        )
        self._taken.update((row.kind, row.value) for row in found)

    def _read_counts(self, wanted: set[str]) -> None:
        if not wanted:
            return
        quota_id = col(QuotaCounter.quota_id)
        found = self._connection.execute(
            select(quota_id, col(QuotaCounter.responses)).where(*self._mine(QuotaCounter), quota_id.in_(list(wanted)))
        )
        self._counts.update({row.quota_id: row.responses for row in found})

    def _add(self, more: Mapping[str, int]) -> None:
        _add_places(self._connection, self._form, more)

    def _mine(self, table: Any) -> tuple[ColumnElement[bool], ...]:
        return _of(table, self._form)


def release_claims(connection: Connection, form: Mapping[str, str], response_ids: Collection[str]) -> None:
    """Give back what these responses of a form (`tenant_id` and `form_id`) hold; its counter must be held."""
    gone = connection.scalars(
        delete(ResponseClaim)
        .where(*_of(ResponseClaim, form), col(ResponseClaim.response_id).in_(response_ids))
        .returning(col(ResponseClaim.kind))
    )
    places = Counter(kind.removeprefix(QUOTA) for kind in gone if kind.startswith(QUOTA))
    _add_places(connection, form, {quota_id: -count for quota_id, count in places.items()})


def _add_places(connection: Connection, form: Mapping[str, str], more: Mapping[str, int]) -> None:
    for quota_id in sorted(more):
        changed = connection.execute(
            update(QuotaCounter)
            .where(*_of(QuotaCounter, form), col(QuotaCounter.quota_id) == quota_id)
            .values(responses=col(QuotaCounter.responses) + bindparam("more")),
            {"more": more[quota_id]},
        )
        if changed.rowcount == 0:
            new: Row = {**form, "quota_id": quota_id, "responses": more[quota_id]}
            connection.execute(insert(QuotaCounter), new)


def _of(table: Any, form: Mapping[str, str]) -> tuple[ColumnElement[bool], ...]:
    return col(table.tenant_id) == form["tenant_id"], col(table.form_id) == form["form_id"]


def refusals(
    connection: Connection, tenant_id: str, form_id: str, regime: Regime, wishes: Sequence[Wish], changes: int
) -> list[ClaimTaken | QuotaFull | None]:
    """Why each of the wishes of responses that are there cannot be granted, one after the other. Nothing is kept: the
    change of the response will tell. Raises RegimeOutdated."""
    admissions = Admissions(connection, tenant_id, form_id, regime, changes)
    admissions.expect(wishes)
    found: list[ClaimTaken | QuotaFull | None] = []
    for wish in wishes:
        found.append(admissions.refusal(wish))
        if found[-1] is None:
            admissions.grant(wish, "")
    return found


def _claimed(wish: Wish, response_id: str) -> Iterable[tuple[str, str]]:
    yield from wish.claims
    for quota_id in wish.quotas:
        yield QUOTA + quota_id, response_id
