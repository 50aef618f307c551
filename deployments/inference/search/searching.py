"""Looking for responses by meaning, and for those that say nearly the same."""

from collections.abc import Collection, Sequence
from typing import Final

from db.repositories.answer_vectors import AnswerVectorRepository, Directed
from db.repositories.published_forms import PublishedFormRepository
from db.session import Database
from deployments.inference.enrichment_contracts import (
    Duplicate,
    DuplicateGroup,
    Duplicates,
    Hit,
    Hits,
    SearchResponses,
)
from deployments.inference.errors import FormNotFound
from deployments.inference.search.keeping import Indexes
from deployments.inference.search.vectors import rows_of
from deployments.kit.engine import stored_definition
from deployments.kit.personal import personal_fields
from deployments.kit.principal import Principal
from deployments.kit.vectors import Bytes, small, unpacked
from deployments.models.contracts import ModelsApi
from deployments.responses.contracts import ListResponses, Response, ResponsesApi, Selection

READ: Final = "responses:read"
_PERSONAL: Final = "responses:read_personal"
_FIRST: Final = 4
_MORE: Final = 5
_FARTHEST: Final = 2_000
_NARROW: Final = 5_000
_PAGE: Final = 1_000
_NEIGHBOURS: Final = 20
_ALL: Final = Selection()


class Searching:
    """Answers from the indexes of this process; each response that is told was read from the database just then."""

    def __init__(self, database: Database, models: ModelsApi, responses: ResponsesApi, indexes: Indexes) -> None:
        self._database = database
        self._models = models
        self._responses = responses
        self._indexes = indexes

    async def search(self, principal: Principal, form_id: str, command: SearchResponses) -> Hits:
        """What is found. Raises FormNotFound, Invalid, IndexBehind and what the models raise."""
        selection = Selection(filter=command.filter, where=command.where)
        hidden = await self._hidden(principal, form_id)
        # What is wrong with the filter is said before anything is computed.
        await self._responses.pick(principal, form_id, [], selection)
        embedded = await self._models.embed([command.query])
        vector = small(unpacked(embedded.vectors, embedded.dimensions))
        hits, is_exact = await self._hits(
            principal, form_id, embedded.model, vector, selection, hidden, command.field, command.limit
        )
        return Hits(data=hits, model=embedded.model, exact=is_exact)

    async def similar(self, principal: Principal, response_id: str, field: str | None, limit: int) -> Hits:
        """Responses that are near to one. Raises what reading that one raises, IndexBehind."""
        form_id = (await self._responses.get(principal, response_id)).form_id
        hidden = await self._hidden(principal, form_id)
        async with self._database.read(principal.tenant_id) as unit:
            own = await AnswerVectorRepository(unit.session, unit.tenant, form_id).of_responses([response_id])
        found: dict[str, Hit] = {}
        is_exact = True
        mine = [each for each in own if each.field not in hidden and field in (None, each.field)]
        for each in mine:
            vector = rows_of([each.vector])
            hits, exact = await self._hits(principal, form_id, each.model, vector, _ALL, hidden, each.field, limit + 1)
            is_exact &= exact
            for hit in hits:
                known = found.get(hit.response.id)
                if hit.response.id != response_id and (known is None or known.score < hit.score):
                    found[hit.response.id] = hit
        data = sorted(found.values(), key=lambda hit: (-hit.score, hit.response.id))[:limit]
        return Hits(data=data, model=mine[0].model if mine else None, exact=is_exact)

    async def duplicates(
        self, principal: Principal, form_id: str, field: str | None, at_least: float, among: int, limit: int
    ) -> Duplicates:
        """Groups of answers to one field that are near to each other. Raises FormNotFound, IndexBehind."""
        hidden = await self._hidden(principal, form_id)
        async with self._database.read(principal.tenant_id) as unit:
            vectors = AnswerVectorRepository(unit.session, unit.tenant, form_id)
            latest = await vectors.latest(field, hidden, among)
        if not latest:
            return Duplicates(data=[], compared=0)
        model = latest[0].model
        latest = [each for each in latest if each.model == model]
        held = await self._indexes.current(principal.tenant_id, form_id, model)
        near = await held.nearest(rows_of([each.vector for each in latest]), _NEIGHBOURS)
        pairs = [
            (each.number, other.number, other.score)
            for each, others in zip(latest, near, strict=True)
            for other in others
            if other.number != each.number and other.score >= at_least
        ]
        async with self._database.read(principal.tenant_id) as unit:
            vectors = AnswerVectorRepository(unit.session, unit.tenant, form_id)
            there = await _named(vectors, sorted({number for first, second, _ in pairs for number in (first, second)}))
        groups = _groups(pairs, there, hidden)
        return Duplicates(data=groups[:limit], compared=len(latest))

    async def _hits(
        self,
        principal: Principal,
        form_id: str,
        model: str,
        vector: Bytes,
        selection: Selection,
        hidden: Collection[str],
        field: str | None,
        limit: int,
    ) -> tuple[list[Hit], bool]:
        """The nearest that are meant: more and more are looked at until there are enough. Where a filter leaves few,
        these are compared one by one."""
        held = await self._indexes.current(principal.tenant_id, form_id, model)
        count, narrowed = limit * _FIRST, False
        while True:
            (near,) = await held.nearest(vector, count)
            async with self._database.read(principal.tenant_id) as unit:
                vectors = AnswerVectorRepository(unit.session, unit.tenant, form_id)
                there = await _named(vectors, [each.number for each in near])
            scored = [(there[each.number], each.score) for each in near if each.number in there]
            hits = await self._told(principal, form_id, scored, selection, hidden, field, limit)
            if len(hits) >= limit or len(near) < count:
                return hits, held.index.is_exact
            if not narrowed and (selection.filter or selection.where):
                narrowed = True
                few = await self._few(principal, form_id, selection, model)
                if few is not None:
                    return await self._told(
                        principal, form_id, _scored(few, vector), selection, hidden, field, limit
                    ), True
            if count >= _FARTHEST:
                return hits, False
            count *= _MORE

    async def _told(
        self,
        principal: Principal,
        form_id: str,
        scored: Sequence[tuple[Directed, float]],
        selection: Selection,
        hidden: Collection[str],
        field: str | None,
        limit: int,
    ) -> list[Hit]:
        """The best answer of each response that the principal may see and that is meant."""
        best: dict[str, tuple[Directed, float]] = {}
        for each, score in scored:
            if each.field not in hidden and field in (None, each.field):
                best.setdefault(each.response_id, (each, score))
        found: list[Response] = await self._responses.pick(principal, form_id, list(best), selection) if best else []
        by_id = {response.id: response for response in found}
        meant = [pair for id_, pair in best.items() if id_ in by_id]
        ordered = sorted(meant, key=lambda pair: (-pair[1], pair[0].response_id))[:limit]
        return [Hit(response=by_id[each.response_id], field=each.field, score=score) for each, score in ordered]

    async def _few(self, principal: Principal, form_id: str, selection: Selection, model: str) -> list[Directed] | None:
        """The vectors of all that are meant, None when these are many."""
        ids: list[str] = []
        cursor: str | None = None
        while len(ids) < _NARROW:
            query = ListResponses(
                form_id=form_id,
                filter=selection.filter,
                where=selection.where,
                fields=[],
                cursor=cursor,
                limit=_PAGE,
            )
            page = await self._responses.list_responses(principal, query)
            ids += [response.id for response in page.data]
            cursor = page.meta.next_cursor
            if cursor is None:
                async with self._database.read(principal.tenant_id) as unit:
                    vectors = AnswerVectorRepository(unit.session, unit.tenant, form_id)
                    return [each for each in await vectors.of_responses(ids) if each.model == model]
        return None

    async def _hidden(self, principal: Principal, form_id: str) -> frozenset[str]:
        """The fields that the principal does not get to see. Raises Forbidden, FormNotFound."""
        principal.require(READ, form_id)
        async with self._database.read(principal.tenant_id) as unit:
            forms = PublishedFormRepository(unit.session, unit.tenant)
            if not await forms.exists(form_id):
                raise FormNotFound
            if principal.may(_PERSONAL, form_id):
                return frozenset()
            versions = await forms.versions(form_id)
        return personal_fields(stored_definition(version.definition) for version in versions)


async def _named(vectors: AnswerVectorRepository, numbers: Sequence[int]) -> dict[int, Directed]:
    found: dict[int, Directed] = {}
    for start in range(0, len(numbers), _PAGE):
        found.update(await vectors.named(numbers[start : start + _PAGE]))
    return found


def _scored(few: Sequence[Directed], vector: Bytes) -> list[tuple[Directed, float]]:
    """With their cosines, the nearest first."""
    if not few:
        return []
    rows, one = rows_of([each.vector for each in few]).astype("float32"), vector.reshape(-1).astype("float32")
    cosines = rows @ one / ((rows * rows).sum(axis=1) ** 0.5 * (one @ one) ** 0.5)
    found = [(each, round(float(cosine), 4)) for each, cosine in zip(few, cosines, strict=True)]
    return sorted(found, key=lambda pair: -pair[1])


def _groups(
    pairs: Sequence[tuple[int, int, float]], there: dict[int, Directed], hidden: Collection[str]
) -> list[DuplicateGroup]:
    """What is joined by pairs within one field, the largest groups first."""
    leader: dict[int, int] = {}
    lowest: dict[int, float] = {}

    def find(number: int) -> int:
        while leader.setdefault(number, number) != number:
            leader[number] = leader[leader[number]]
            number = leader[number]
        return number

    for first, second, score in pairs:
        one, other = there.get(first), there.get(second)
        if one is None or other is None or one.field != other.field or one.field in hidden:
            continue
        if one.response_id == other.response_id:
            continue
        left, right = find(first), find(second)
        least = min(score, lowest.pop(left, 1.0), lowest.pop(right, 1.0))
        leader[right] = left
        lowest[left] = least
    members: dict[int, list[Directed]] = {}
    for number in leader:
        members.setdefault(find(number), []).append(there[number])
    groups = [
        DuplicateGroup(
            answers=[
                Duplicate(response_id=each.response_id, field=each.field)
                for each in sorted(each_group, key=lambda each: each.response_id)
            ],
            score=lowest[head],
        )
        for head, each_group in members.items()
    ]
    return sorted(groups, key=lambda group: (-len(group.answers), group.answers[0].response_id))
