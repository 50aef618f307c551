"""F4: what changed from one definition to another."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deployments.forms.comparison import compare
from deployments.forms.contracts import DefinitionChange
from tests.factories import PARTY


def changed(edit: Any) -> list[DefinitionChange]:
    """What `compare` says about an edit of the party."""
    newer = copy.deepcopy(PARTY)
    edit(newer)
    return compare(PARTY, newer)


def brief(changes: list[DefinitionChange]) -> list[tuple[str, str, str | None, str]]:
    return [(change.change, change.kind, change.id, change.pointer) for change in changes]


def elements(definition: dict[str, Any]) -> Any:
    return definition["pages"][0]["elements"]


class TestCompare:
    def test_nothing_changed(self) -> None:
        assert compare(PARTY, copy.deepcopy(PARTY)) == []

    def test_a_property(self) -> None:
        """The value before and after, at the place of the property."""

        def edit(new: dict[str, Any]) -> None:
            elements(new)[0]["title"] = "Full name"
            del elements(new)[3]["visible_if"]

        title, condition = changed(edit)
        assert (title.pointer, title.before, title.after) == ("/pages/0/elements/0/title", "Your name", "Full name")
        assert (condition.pointer, condition.after) == ("/pages/0/elements/3/visible_if", None)

    def test_elements_come_and_go(self) -> None:
        def edit(new: dict[str, Any]) -> None:
            del elements(new)[0]
            elements(new).append({"id": "more", "type": "long_text", "title": "More?"})

        added, removed = changed(edit)
        assert brief([added]) == [("added", "element", "more", "/pages/0/elements/3")]
        assert brief([removed]) == [("removed", "element", "name", "/pages/0/elements/0")]
        assert added.after == {"id": "more", "type": "long_text", "title": "More?"}
        assert removed.before["title"] == "Your name"

    def test_options_belong_to_their_element(self) -> None:
        def edit(new: dict[str, Any]) -> None:
            elements(new)[2]["options"][0]["label"] = "Maize"
            elements(new)[2]["options"].append({"id": "peas", "label": "Peas"})

        label, added = changed(edit)
        assert (label.of, label.id, label.pointer) == ("side", "corn", "/pages/0/elements/2/options/0/label")
        assert brief([added]) == [("added", "option", "peas", "/pages/0/elements/2/options/2")]
        assert added.of == "side"

    def test_no_more_is_said_to_have_moved_than_has(self) -> None:
        """One element taken to the front: the others stand where they stood."""

        def edit(new: dict[str, Any]) -> None:
            elements(new).insert(0, elements(new).pop())

        assert brief(changed(edit)) == [("moved", "element", "score", "/pages/0/elements/0")]

    def test_to_another_page(self) -> None:
        def edit(new: dict[str, Any]) -> None:
            new["pages"].append({"id": "p2", "elements": [elements(new).pop(1)]})

        page, element = changed(edit)
        assert brief([page, element]) == [
            ("added", "page", "p2", "/pages/1"),
            ("moved", "element", "email", "/pages/1/elements/0"),
        ]
        assert element.before == "/pages/0/elements/1"

    def test_the_form_itself(self) -> None:
        (change,) = changed(lambda new: new.update(languages=["en", "de"]))
        assert (change.kind, change.id, change.pointer, change.after) == ("form", None, "/languages", ["en", "de"])

    def test_from_nothing_all_is_added(self) -> None:
        changes = compare({}, PARTY)
        assert {change.change for change in changes} == {"changed", "added"}
        assert sum(change.kind == "element" for change in changes) == 4

    def test_lists_that_the_comparison_does_not_know_are_compared_by_id_too(self) -> None:
        older = {**PARTY, "rules": [{"id": "r1", "check": "1 == 1"}]}
        newer = {**PARTY, "rules": [{"id": "r1", "check": "2 == 2"}, {"id": "r2", "check": "true"}]}
        assert brief(compare(older, newer)) == [
            ("changed", "rules", "r1", "/rules/0/check"),
            ("added", "rules", "r2", "/rules/1"),
        ]


def _form(ids: list[str], titles: dict[str, str]) -> dict[str, Any]:
    return {"pages": [{"id": "p1", "elements": [{"id": name, "title": titles.get(name, "")} for name in ids]}]}


NAMES = st.lists(st.sampled_from("abcdefgh"), unique=True)
TITLES = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["x", "y"]))


@given(NAMES, NAMES, TITLES, TITLES)
def test_each_difference_is_told_once(
    before: list[str], after: list[str], old: dict[str, str], new: dict[str, str]
) -> None:
    """Applying what is told to the older definition gives the newer one."""
    changes = compare(_form(before, old), _form(after, new))
    of = {kind: [change.id for change in changes if change.change == kind] for kind in ("added", "removed", "moved")}
    assert set(of["added"]) == set(after) - set(before)
    assert set(of["removed"]) == set(before) - set(after)
    stayed = [name for name in after if name in before and name not in of["moved"]]
    assert stayed == [name for name in before if name in stayed]
    titles = {change.id: change.after for change in changes if change.pointer.endswith("/title")}
    assert titles == {
        name: new.get(name, "") for name in set(before) & set(after) if old.get(name, "") != new.get(name, "")
    }
    assert len({(change.change, change.pointer) for change in changes}) == len(changes)
