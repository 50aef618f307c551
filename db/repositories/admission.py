"""What a form admits once or so often, decided while its counter is held: exact, whoever writes (R9).

Every function here needs the form's counter to be held by the open transaction: what it reads then stays true until
the commit, because all who write responses of the form hold the counter first.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, tuple_, update
from sqlmodel import col

from db.models.admission import QuotaCounter, ResponseClaim

QUOTA: Final = "quota."
"""The kind of a claim on a place in a quota begins so; its id follows."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a response needs to be admitted: values nobody else of the form holds, and places in quotas.

    `claims` are pairs of kind and digest; `quotas` maps the id of each quota that the response counts towards to its
    limit, None when it is only counted. `gates` are quotas that close the form once they are full, whatever a
    response says.
    """

    claims: tuple[tuple[str, str], ...] = ()
    quotas: Mapping[str, int | None] = field(default_factory=dict)
    gates: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.claims or self.quotas or self.gates)


NO_WISH: Final = Wish()


class ClaimTaken(Exception):
    """Another response of the form holds what these kinds claim."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        super().__init__(kinds)
        self.kinds = kinds


class QuotaFull(Exception):
    """A quota that the response counts towards has no place left."""

    def __init__(self, quota_id: str) -> None:
        super().__init__(quota_id)
        self.quota_id = quota_id


class Admissions:
    """Decides wishes of one form, one after the other; each that is granted counts for the next."""

    def __init__(self, connection: Connection, tenant_id: str, form_id: str, wishes: Collection[Wish]) -> None:
        self._connection = connection
        self._form = {"tenant_id": tenant_id, "form_id": form_id}
        self._taken = self._read_claims({claim for wish in wishes for claim in wish.claims})
        self._counts = self._read_counts({quota for wish in wishes for quota in (*wish.quotas, *wish.gates)})
        self._granted: list[tuple[Wish, str]] = []

    def refusal(self, wish: Wish) -> ClaimTaken | QuotaFull | None:
        """Why the wish cannot be granted now."""
        if taken := tuple(kind for kind, value in wish.claims if (kind, value) in self._taken):
            return ClaimTaken(taken)
        for quota_id, limit in (*wish.gates.items(), *wish.quotas.items()):
            if limit is not None and self._counts[quota_id] >= limit:
                return QuotaFull(quota_id)
        return None

    def grant(self, wish: Wish, response_id: str) -> None:
        """Keep what the response wishes for it."""
        self._taken.update(wish.claims)
        self._counts.update(wish.quotas.keys())
        self._granted.append((wish, response_id))

    def write(self) -> None:
        """Write what was granted; the responses must be stored already."""
        rows = [
            {**self._form, "kind": kind, "value": value, "response_id": response_id}
            for wish, response_id in self._granted
            for kind, value in _rows(wish, response_id)
        ]
        if rows:
            self._connection.execute(insert(ResponseClaim), rows)
        _add(self._connection, self._form, Counter(quota for wish, _ in self._granted for quota in wish.quotas))
        self._granted.clear()

    def _read_claims(self, wanted: set[tuple[str, str]]) -> set[tuple[str, str]]:
        if not wanted:
            return set()
        kind, value = col(ResponseClaim.kind), col(ResponseClaim.value)
        found = self._connection.execute(
            select(kind, value).where(*_mine(ResponseClaim, self._form), tuple_(kind, value).in_(list(wanted)))
        )
        return {(row.kind, row.value) for row in found}

    def _read_counts(self, wanted: set[str]) -> Counter[str]:
        if not wanted:
            return Counter()
        quota_id = col(QuotaCounter.quota_id)
        found = self._connection.execute(
            select(quota_id, col(QuotaCounter.responses)).where(
                *_mine(QuotaCounter, self._form), quota_id.in_(list(wanted))
            )
        )
        return Counter({row.quota_id: row.responses for row in found})


def release(connection: Connection, tenant_id: str, form_id: str, response_ids: Sequence[str]) -> None:
    """Give back whatever these responses hold."""
    form = {"tenant_id": tenant_id, "form_id": form_id}
    gone = connection.scalars(
        delete(ResponseClaim)
        .where(*_mine(ResponseClaim, form), col(ResponseClaim.response_id).in_(response_ids))
        .returning(col(ResponseClaim.kind))
    )
    places = Counter(kind.removeprefix(QUOTA) for kind in gone if kind.startswith(QUOTA))
    _add(connection, form, {quota_id: -count for quota_id, count in places.items()})


def recount(connection: Connection, tenant_id: str, form_id: str, held: Iterable[tuple[str, Wish]]) -> None:
    """Forget what the form's responses hold and note `held` instead: pairs of a response's id and its wish.

    Of two responses that claim the same value, the first holds it.
    """
    form = {"tenant_id": tenant_id, "form_id": form_id}
    connection.execute(delete(ResponseClaim).where(*_mine(ResponseClaim, form)))
    connection.execute(delete(QuotaCounter).where(*_mine(QuotaCounter, form)))
    admissions = Admissions(connection, tenant_id, form_id, ())
    for response_id, wish in held:
        free = tuple(claim for claim in wish.claims if claim not in admissions._taken)
        admissions.grant(Wish(free, wish.quotas), response_id)
    admissions.write()


def _rows(wish: Wish, response_id: str) -> Iterable[tuple[str, str]]:
    yield from wish.claims
    for quota_id in wish.quotas:
        yield QUOTA + quota_id, response_id


def _add(connection: Connection, form: Mapping[str, str], more: Mapping[str, int]) -> None:
    for quota_id in sorted(more):
        changed = connection.execute(
            update(QuotaCounter)
            .where(*_mine(QuotaCounter, form), col(QuotaCounter.quota_id) == quota_id)
            .values(responses=col(QuotaCounter.responses) + bindparam("more")),
            {"more": more[quota_id]},
        )
        if changed.rowcount == 0:
            connection.execute(insert(QuotaCounter), {**form, "quota_id": quota_id, "responses": more[quota_id]})


def _mine(table: type[ResponseClaim] | type[QuotaCounter], form: Mapping[str, str]) -> tuple[ColumnElement[bool], ...]:
    return col(table.tenant_id) == form["tenant_id"], col(table.form_id) == form["form_id"]
