"""The filter on payloads: what it lets through, and what is no filter."""

from typing import Any

import pytest

from deployments.webhooks.filters import filter_faults, matches

PAYLOAD = {
    "type": "response.submitted",
    "data": {
        "status": "complete",
        "answers": {"score": 9, "country": "DE", "sides": ["corn", "yams"], "member": True, "note": None},
    },
}


def answers(**wanted: Any) -> dict[str, Any]:
    return {"data": {"answers": wanted}}


@pytest.mark.parametrize(
    "document",
    [
        {"data": {"status": "complete"}},
        {"data": {"status": "complete", "answers": {"score": {"$gte": 9, "$lt": 10}}}},
        answers(score={"$gt": 8.5}),
        answers(score={"$in": [1, 9]}),
        answers(score={"$ne": 8}),
        answers(country={"$in": ["AT", "DE"]}),
        answers(country={"$startsWith": "D"}),
        answers(country={"$endsWith": "E"}),
        answers(country={"$contains": "D"}),
        answers(sides="corn"),
        answers(sides={"$in": ["peas", "yams"]}),
        answers(sides={"$eq": ["corn", "yams"]}),
        answers(sides={"$nin": ["peas"]}),
        answers(member=True),
        answers(note=None),
        answers(missing=None),
        answers(missing={"$exists": False}),
        answers(missing={"$ne": "x"}),
        answers(score={"$exists": True}),
        answers(score={"$not": {"$lt": 9}}),
        {"$or": [{"type": "form.published"}, answers(score=9)]},
        {"$and": [{"type": "response.submitted"}, answers(country="DE")]},
        {"$not": answers(country="FR")},
    ],
)
def test_what_fits_is_let_through(document: dict[str, Any]) -> None:
    """W1."""
    assert filter_faults(document) == []
    assert matches(document, PAYLOAD)


@pytest.mark.parametrize(
    "document",
    [
        {"data": {"status": "partial"}},
        answers(score={"$gte": 9, "$lt": 9}),
        answers(score="9"),
        answers(score={"$gt": "8"}),
        answers(member=1),
        answers(member={"$gte": 0}),
        answers(country={"$gt": 1}),
        answers(sides="peas"),
        answers(sides={"$nin": ["corn"]}),
        answers(sides={"$ne": "corn"}),
        answers(missing="x"),
        answers(missing={"$exists": True}),
        answers(missing={"deeper": {"$gt": 1}}),
        answers(score={"deeper": 9}),
        {"$or": [{"type": "form.published"}, answers(score=8)]},
        {"$and": [{"type": "response.submitted"}, answers(country="FR")]},
        {"$not": answers(country="DE")},
    ],
)
def test_what_does_not_fit_is_kept_back(document: dict[str, Any]) -> None:
    """W1."""
    assert filter_faults(document) == []
    assert not matches(document, PAYLOAD)


def deep(levels: int) -> Any:
    return {"a": deep(levels - 1)} if levels else 1


@pytest.mark.parametrize(
    ("document", "faults"),
    [
        ({}, [("/filter", "filter.empty")]),
        ({"data": {}}, [("/filter/data", "filter.empty")]),
        ({"a": {"$regex": "x"}}, [("/filter/a/$regex", "filter.operator")]),
        ({"a": [1]}, [("/filter/a", "filter.list")]),
        ({"a": {"$in": 1}}, [("/filter/a/$in", "filter.operand")]),
        ({"a": {"$gt": True}}, [("/filter/a/$gt", "filter.operand")]),
        ({"a": {"$startsWith": 1}}, [("/filter/a/$startsWith", "filter.operand")]),
        ({"a": {"$exists": "yes"}}, [("/filter/a/$exists", "filter.operand")]),
        ({"$or": {}}, [("/filter/$or", "filter.operand")]),
        (
            {"$or": [{"a": {"$x": 1}}, {}]},
            [("/filter/$or/0/a/$x", "filter.operator"), ("/filter/$or/1", "filter.empty")],
        ),
        ({"a/b": {"$x": 1}}, [("/filter/a~1b/$x", "filter.operator")]),
        (deep(13), [("/filter" + "/a" * 12, "filter.depth")]),
        ({"a": "x" * 9000}, [("/filter", "filter.size")]),
        (deep(500), [("/filter", "filter.size")]),
        ({"a": {"$eq": deep(500)}}, [("/filter", "filter.size")]),
    ],
)
def test_what_is_no_filter_is_refused_with_every_fault(document: Any, faults: list[tuple[str, str]]) -> None:
    """W1: at save, so that nothing unknown is silently let through or kept back."""
    assert [(fault.pointer, fault.code) for fault in filter_faults(document)] == faults
