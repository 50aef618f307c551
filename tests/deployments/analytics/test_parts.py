"""L1: pieces of changes in any order, size and repetition, and everything that may happen to a response, give what a
recount gives."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from db.repositories.metrics import MetricPiece
from deployments.analytics.metrics.cells import EVER
from deployments.analytics.metrics.keeping import _counted
from deployments.analytics.metrics.parts import NOTHING, CountedVersion, Part, unpacked
from deployments.analytics.metrics.tally import Tally
from deployments.kit.engine import compile_form, parse_definition
from tests.deployments.responses.query import survey

BEGAN = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)
VERSIONS = {1: CountedVersion(compile_form(parse_definition(survey.SURVEY)))}
STATES = ("complete", "partial", "trashed", "quarantined", "purged")


def row(response_id: str, change: int, state: str, seed: int) -> SimpleNamespace:
    dice = random.Random(seed)
    submitted_at = BEGAN + timedelta(minutes=dice.randint(0, 300))
    seconds = dice.choice([None, 0.2, 12.5, 3_600.0])
    return SimpleNamespace(
        id=response_id,
        version=dice.choice([1, 1, 1, 2]),  # of the other nothing is known any more
        change=change,
        status="complete" if state == "trashed" else state,
        answers={} if state == "purged" else survey.answers_by(dice) | {"amount": dice.choice([0.1, 1e300, -7, 12345])},
        meta={},
        timings=None,
        seconds=seconds,
        started_at=submitted_at - timedelta(seconds=seconds or 0),
        submitted_at=submitted_at,
        deleted_at=submitted_at if state in ("trashed", "purged") else None,
    )


class Kept:
    """Figures as they are kept, without a database."""

    def __init__(self) -> None:
        self.change = 0
        self.counts: dict[tuple[int, str], int] = {}
        self.parts: dict[str, bytes] = {}
        self.sums: Mapping[str, Any] = {}

    def advance(self, rows: Mapping[str, SimpleNamespace], limit: int) -> None:
        changed = sorted((each for each in rows.values() if each.change > self.change), key=lambda each: each.change)
        changed = changed[:limit]
        earlier = {each.id: self.parts[each.id] for each in changed if each.id in self.parts}
        ends = changed[-1].change if changed else self.change
        piece = MetricPiece(1, self.change, ends, ends, self.sums, changed, earlier)
        changes, parts, self.sums = _counted(piece, VERSIONS)
        for moment, name, count in changes:
            total = self.counts.pop((moment, name), 0) + count
            assert total >= 0
            if total:
                self.counts[moment, name] = total
        for response_id in earlier:
            del self.parts[response_id]
        self.parts |= parts
        self.change = ends


@given(
    st.lists(
        st.one_of(
            st.tuples(st.integers(0, 5), st.sampled_from(STATES), st.integers(0, 10_000)),
            st.integers(1, 4),  # somebody hears that there are changes, and counts so many
        ),
        max_size=40,
    )
)
def test_any_history_and_any_notifications_give_the_recount(steps: list[Any]) -> None:
    rows: dict[str, SimpleNamespace] = {}
    kept, change = Kept(), 0
    for step in steps:
        if isinstance(step, int):
            kept.advance(rows, step)
        else:
            number, state, seed = step
            change += 1
            rows[f"rsp_{number}"] = row(f"rsp_{number}", change, state, seed)
    while kept.change < change:
        kept.advance(rows, 2)
    kept.advance(rows, 2)
    tally = Tally()
    for each in rows.values():
        version = VERSIONS.get(each.version)
        tally.add(NOTHING if version is None else version.part(each))
    assert sorted((moment, name, count) for (moment, name), count in kept.counts.items()) == tally.changes()
    assert kept.sums == tally.added_to({})


@given(
    st.lists(
        st.tuples(st.one_of(st.just(EVER), st.integers(-10, 10**7)), st.text("az09_:*+E.-", min_size=1, max_size=9))
    ),
    st.dictionaries(
        st.sampled_from(["a", "b_2", "c"]),
        st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)),
    ),
)
def test_a_part_is_stored_whole(cells: list[tuple[int, str]], numbers: dict[str, float]) -> None:
    part = Part(tuple(cells), numbers)
    assert unpacked(part.packed()) == part
    assert {name: type(value) for name, value in unpacked(part.packed()).numbers.items()} == {
        name: type(value) for name, value in numbers.items()
    }


def test_a_partial_counts_the_pages_up_to_the_furthest_sign_of_the_visitor() -> None:
    """L1: where visitors leave; pages that their answers skip are not reached."""
    field = {"type": "short_text", "title": "?"}
    pages = [
        {"id": "one", "elements": [{**field, "id": "a"}]},
        {"id": "two", "visible_if": "answers.a == 'x'", "elements": [{**field, "id": "b"}]},
        {"id": "three", "elements": [{**field, "id": "c"}]},
        {"id": "four", "elements": [{**field, "id": "d"}]},
    ]
    version = CountedVersion(compile_form(parse_definition({"pages": pages})))

    def pages_of(status: str, answers: dict[str, Any], **more: Any) -> list[str]:
        each = row("rsp_1", 1, status, 1)
        each.answers, each.meta, each.timings = answers, more.get("meta", {}), more.get("timings")
        return [name for moment, name in version.part(each).cells if name.startswith("page:") and moment == EVER]

    assert pages_of("partial", {}) == ["page:one:reached", "page:one:left"]
    skipped = ["page:one:reached", "page:three:reached", "page:three:left"]
    assert pages_of("partial", {"a": "y", "c": "z"}) == skipped
    assert pages_of("partial", {"a": "y"}, meta={"page": "three"}) == skipped
    assert pages_of("partial", {}, timings={"one": 5, "three": 7}) == skipped
    assert pages_of("complete", {"a": "x"}) == [f"page:{page}:reached" for page in ("one", "two", "three", "four")]
    assert pages_of("complete", {"a": "y"}) == [f"page:{page}:reached" for page in ("one", "three", "four")]
