"""A definition in the making, from whatever format: ids, nearest types, conditions to translate, and what was lost."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from deployments.imports.logic import formstream, tree
from deployments.imports.logic.subjects import Subjects, adopt
from deployments.imports.logic.tree import Answer, Node, Untranslatable, rewritten
from deployments.imports.naming import Names
from deployments.imports.notices import Notices
from deployments.imports.settling import settled
from deployments.imports.target import FORMULA, nearest
from deployments.kit.engine import CompiledForm
from deployments.kit.engine.definition import MAX_PAGES

_MAX_LABEL: Final = 2_000
_MAX_PROSE: Final = 20_000


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition as the file has it, and where."""

    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A property of an element that is to become an expression: all clauses must hold. `within` is the group that the
    element is in."""

    element: dict[str, Any]
    name: str
    clauses: tuple[Clause, ...]
    within: str


class Draft:
    """The pages so far. Conditions are translated last, when all fields are known."""

    def __init__(self) -> None:
        self.notices = Notices()
        self.names = Names()
        self.page_names = Names()
        self.pages: list[dict[str, Any]] = []
        self.properties: dict[str, Any] = {}
        self.rules: list[dict[str, Any]] = []
        self.within = ""
        """The id of the repeating group whose elements are being made."""
        self._places: dict[str, str] = {}
        self._pending: list[Pending] = []
        self._of_pages: list[tuple[dict[str, Any], list[Clause]]] = []

    def page(self, name: str, title: str | None, where: str) -> dict[str, Any]:
        """A new page; the last one again when there are as many as there may be."""
        if len(self.pages) == MAX_PAGES:
            self.notices.add(where, "definition.too_many", f"A form has at most {MAX_PAGES} pages; this one is joined.")
            return self.pages[-1]
        page: dict[str, Any] = {"id": self.page_names.keep(name, f"page{len(self.pages) + 1}")}
        if title:
            page["title"] = self.label(title, where)
        page["elements"] = []
        self.pages.append(page)
        return page

    def element(self, kind: str, name: str, title: str, where: str, **extra: Any) -> dict[str, Any]:
        """A new element of that type, or of the nearest one; it is not on a page yet."""
        own, reason = nearest(kind)
        if reason is not None:
            self.notices.add(where, "type.nearest", f"{kind} becomes {own}. {reason}")
            if own == "statement":
                extra = {key: value for key, value in extra.items() if key == "description"}
        element = {
            "id": self.names.keep(name, "question"),
            "type": own,
            "title": self.label(title, where) if title.strip() else name[:_MAX_LABEL] or "-",
        }
        description = extra.pop("description", None)
        if description:
            element["description"] = self.prose(description, where)
        element |= {key: value for key, value in extra.items() if value is not None and value is not False}
        self._places[element["id"]] = where
        return element

    def label(self, text: str, where: str) -> str:
        """A text that fits a title or an option."""
        return self._cut(text, _MAX_LABEL, where)

    def prose(self, text: str, where: str) -> str:
        """A text that fits a description."""
        return self._cut(text, _MAX_PROSE, where)

    def _cut(self, text: str, most: int, where: str) -> str:
        text = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
        if len(text) > most:
            self.notices.add(where, "text.cut", f"The text has more than {most} characters; the rest is cut off.")
        return text[:most]

    def condition(self, element: dict[str, Any], name: str, clauses: list[Clause]) -> None:
        """Let the property be all of the clauses, once they can be translated."""
        if clauses:
            self._pending.append(Pending(element, name, tuple(clauses), self.within))

    def page_condition(self, page: dict[str, Any], clauses: list[Clause]) -> None:
        """Let the page be shown when all clauses hold; where they speak of its own questions, let these be."""
        if clauses:
            self._of_pages.append((page, clauses))

    def translate(self, read: Callable[[str], Node], subjects: Subjects) -> None:
        """Turn the clauses into expressions; one that cannot be becomes a notice with its text."""
        for page, clauses in self._of_pages:
            self._hold(page, clauses, read, subjects)
        for pending in self._pending:
            node: Node | None = None
            for clause in pending.clauses:
                try:
                    adopted = adopt(read(clause.text), subjects, pending.within)
                    formstream.write(adopted)
                except Untranslatable as error:
                    self.untranslated(clause, pending.name, str(error))
                else:
                    node = tree.both(node, adopted)
            if node is not None:
                self._set(pending, node)
        for page in self.pages:
            for each in inside(page):
                # A calculated field without a formula is none; what it was is reported by now.
                if each["type"] == "calculated" and FORMULA not in each:
                    each["type"] = "hidden"

    def _hold(
        self, page: dict[str, Any], clauses: list[Clause], read: Callable[[str], Node], subjects: Subjects
    ) -> None:
        own = {element["id"] for element in inside(page)}
        if not any(own & _fields_in(clause, read, subjects) for clause in clauses):
            self._pending.append(Pending(page, "visible_if", tuple(clauses), ""))
            return
        conditions = {
            id(pending.element): place for place, pending in enumerate(self._pending) if pending.name == "visible_if"
        }
        for element in page["elements"]:
            place = conditions.get(id(element))
            if place is None:
                self._pending.append(Pending(element, "visible_if", tuple(clauses), ""))
            else:
                known = self._pending[place]
                self._pending[place] = replace(known, clauses=(*clauses, *known.clauses))

    def _set(self, pending: Pending, node: Node) -> None:
        try:
            pending.element[pending.name] = formstream.write(node)
        except Untranslatable as error:
            self.untranslated(pending.clauses[0], pending.name, str(error))

    def untranslated(self, clause: Clause, name: str, reason: str) -> None:
        """Keep the text of what cannot be translated in the report."""
        self.notices.add(clause.where, "logic.untranslated", f"{name}: {reason} It was: {clause.text}")

    def document(self) -> dict[str, Any]:
        """The definition so far."""
        if not self.pages:
            self.page("page1", None, "")
        rules = {"rules": self.rules} if self.rules else {}
        return {**self.properties, "pages": self.pages, **rules}

    def settled(self) -> CompiledForm:
        """The form. Raises FileUnreadable when the engine refuses what cannot be left out."""
        return settled(self.document(), self.notices, self._places)


def inside(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The elements of a page, section or group, with those that they hold."""
    for element in whole.get("elements", ()):
        yield element
        yield from inside(element)


def _fields_in(clause: Clause, read: Callable[[str], Node], subjects: Subjects) -> set[str]:
    """The fields that a clause speaks of; none when it cannot be translated."""
    found: set[str] = set()

    def note(node: Node) -> Node:
        if isinstance(node, Answer):
            found.add(node.field)
        return node

    try:
        rewritten(adopt(read(clause.text), subjects), note)
    except Untranslatable:
        return set()
    return found
