"""What changed from one definition to another: items by their ids, then their properties."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deployments.forms.contracts import DefinitionChange
from deployments.kit.problems import pointer

Path = tuple[str | int, ...]
Key = tuple[str | None, str, str]
"""The item that it is part of, the list it is in, and its id. Elements move between pages, so they are part of none."""

_KINDS: Final = {"pages": "page", "elements": "element", "options": "option", "rows": "row", "columns": "column"}
_FREE: Final = frozenset({"pages", "elements"})


@dataclass(frozen=True, slots=True)
class _Item:
    """A page, an element, an option: where it is, which list it is in, and its own properties."""

    path: Path
    home: str
    own: Mapping[str, Any]


def compare(older: Mapping[str, Any], newer: Mapping[str, Any]) -> list[DefinitionChange]:
    """Every difference between two definition documents: first of the form, then of items in the order of the newer
    one, then what was removed. Of what moved no more is named than has to be."""
    before, after = _items(older), _items(newer)
    changes = list(_properties("form", None, None, (), _own(older), _own(newer)))
    moved = _moved(before, after)
    for key, item in after.items():
        known = before.get(key)
        kind, owner = _KINDS.get(key[1], key[1]), key[0]
        if known is None:
            changes.append(_change("added", kind, key, item.path, None, item.own))
            continue
        if key in moved:
            changes.append(_change("moved", kind, key, item.path, pointer(known.path), pointer(item.path)))
        changes.extend(_properties(kind, key[2], owner, item.path, known.own, item.own))
    for key, item in before.items():
        if key not in after:
            changes.append(_change("removed", _KINDS.get(key[1], key[1]), key, item.path, item.own, None))
    return changes


def _change(change: Any, kind: str, key: Key, path: Path, before: Any, after: Any) -> DefinitionChange:
    return DefinitionChange(
        change=change, kind=kind, id=key[2], of=key[0], pointer=pointer(path), before=before, after=after
    )


def _properties(
    kind: str, item_id: str | None, owner: str | None, path: Path, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[DefinitionChange]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield DefinitionChange(
                change="changed",
                kind=kind,
                id=item_id,
                of=owner,
                pointer=pointer((*path, name)),
                before=before.get(name),
                after=after.get(name),
            )


def _items(document: Mapping[str, Any]) -> dict[Key, _Item]:
    found: dict[Key, _Item] = {}
    _collect(document, (), "", None, found)
    return found


def _collect(node: Mapping[str, Any], path: Path, home: str, owner: str | None, found: dict[Key, _Item]) -> None:
    for name, value in node.items():
        if not _is_list_of_items(name, value):
            continue
        for index, item in enumerate(value):
            key: Key = (None if name in _FREE else owner, name, item["id"])
            place = (*path, name, index)
            found.setdefault(key, _Item(place, f"{home}/{name}", _own(item)))
            _collect(item, place, f"{name}/{item['id']}", item["id"], found)


def _own(node: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in node.items() if not _is_list_of_items(name, value)}


def _is_list_of_items(name: str, value: Any) -> bool:
    if not isinstance(value, list) or not (value or name in _KINDS):
        return False
    return all(isinstance(item, dict) and "id" in item for item in value)


def _moved(before: Mapping[Key, _Item], after: Mapping[Key, _Item]) -> set[Key]:
    """What is in another list than before, or stands elsewhere among those that stayed in theirs."""
    moved = {key for key, item in after.items() if key in before and before[key].home != item.home}
    lists: dict[str, list[Key]] = {}
    for key, item in after.items():
        if key in before and key not in moved:
            lists.setdefault(item.home, []).append(key)
    for keys in lists.values():
        stayed = _longest_rise([before[key].path[-1] for key in keys])
        moved.update(key for place, key in enumerate(keys) if place not in stayed)
    return moved


def _longest_rise(numbers: Sequence[Any]) -> set[int]:
    """The places of a longest rising subsequence: what need not be moved when the rest is."""
    ends: list[int] = []
    tails: list[Any] = []
    previous: list[int] = []
    for place, number in enumerate(numbers):
        length = bisect_left(tails, number)
        previous.append(ends[length - 1] if length else -1)
        if length == len(ends):
            ends.append(place)
            tails.append(number)
        else:
            ends[length], tails[length] = place, number
    return set(_chain(previous, ends[-1] if ends else -1))


def _chain(previous: Sequence[int], last: int) -> Iterable[int]:
    while last >= 0:
        yield last
        last = previous[last]
