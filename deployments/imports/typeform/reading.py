"""From Typeform's JSON to a definition, and its responses to rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

from deployments.imports.draft import Clause, Draft
from deployments.imports.errors import FileUnreadable
from deployments.imports.json_answers import AnsweredForm, Misfit, Records, Taken, moment, text_of
from deployments.imports.json_values import read_values
from deployments.imports.logic import formstream
from deployments.imports.logic.subjects import Subject
from deployments.imports.logic.tree import Call, Constant, Node, Untranslatable, chain
from deployments.imports.target import FORMULA, TYPES
from deployments.imports.typeform.fields import Fields
from deployments.imports.typeform.jumps import HIDDEN, Jump, condition_of, visibility
from deployments.kit.engine import CompiledForm

SOURCE: Final = "typeform_json"

_LISTS: Final = ("items", "responses", "responses.items")
_UNITS: Final = frozenset(("", "item", *(f"{place}{name}.item" for name in _LISTS for place in ("", "item."))))
_UNSAID: Final = ("thankyou_screens", "theme", "workspace", "cui_settings", "translations")


def read_typeform(file: IO[bytes], folder: Path) -> AnsweredForm:
    """The form of a file, with the responses that come with it. Raises FileUnreadable."""
    form: Mapping[str, Any] | None = None
    with Records(folder) as records:
        for place, value in read_values(file, _UNITS):
            found = _form_in(value) if place in ("", "item") else None
            if found is not None:
                if form is not None:
                    raise FileUnreadable("The file has more than one form.")
                form = found
            elif not (place in ("", "item") and isinstance(value, dict) and _is_wrapper(value)):
                records.add(value)
    if form is None:
        raise FileUnreadable("There is no form in the file: an object with fields, as Typeform's Create API has it.")
    reading = _Reading(form)
    return AnsweredForm(reading.read(), records, reading.take, reading.draft.notices, SOURCE)


def _form_in(value: Any) -> Mapping[str, Any] | None:
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("form"), dict):
        return _form_in(value["form"])
    return value if isinstance(value.get("fields"), list) else None


def _is_wrapper(value: Mapping[str, Any]) -> bool:
    """Whether the object is a page of responses, whose items came before it."""
    return value.get("items") == [] or "responses" in value or "total_items" in value


class _Reading:
    def __init__(self, form: Mapping[str, Any]) -> None:
        self.draft = Draft()
        self._form = form
        self._fields = Fields(self.draft)
        self._hidden: dict[str, str] = {}
        self._variables: dict[str, str] = {}

    def read(self) -> CompiledForm:
        form, draft = self._form, self.draft
        settings = form.get("settings") if isinstance(form.get("settings"), dict) else {}
        draft.properties["languages"] = [str((settings or {}).get("language") or form.get("language") or "en")]
        if form.get("title"):
            draft.properties["title"] = draft.label(str(form["title"]), "/title")
        page = draft.page("page1", None, "/fields")
        for index, screen in enumerate(_listed(form.get("welcome_screens"))):
            self._fields.add({**screen, "type": "statement"}, f"/welcome_screens/{index}")
        for index, field in enumerate(_listed(form.get("fields"))):
            self._fields.add(field, f"/fields/{index}")
        page["elements"] += self._fields.elements
        page["elements"] += self._hidden_fields()
        page["elements"] += self._variable_fields()
        self._jumps()
        for name in _UNSAID:
            if form.get(name):
                draft.notices.add(f"/{name}", "property.unknown", f"{name} is left out.")
        return draft.settled()

    def _hidden_fields(self) -> list[dict[str, Any]]:
        found = []
        hidden = self._form.get("hidden")
        for index, name in enumerate(hidden if isinstance(hidden, list) else ()):
            if isinstance(name, str) and name:
                element = self.draft.element("hidden", name, name, f"/hidden/{index}")
                self._hidden[name] = element["id"]
                self._fields.subjects[HIDDEN + name] = Subject(element["id"], "hidden")
                found.append(element)
        return found

    def _variable_fields(self) -> list[dict[str, Any]]:
        """Scores, prices and other variables: calculated when all that changes them are sums under conditions."""
        found = []
        variables = self._form.get("variables")
        for name, start in variables.items() if isinstance(variables, dict) else ():
            where = f"/variables/{name}"
            element = self.draft.element("calculated", name, name, where)
            try:
                text = formstream.write(self._sum(name, start))
            except Untranslatable as error:
                self.draft.untranslated(Clause(f"{name}, from {start}", where), "variables", str(error))
                if element["type"] == "calculated":
                    element["type"] = "hidden"
            else:
                if element["type"] == "calculated":
                    element[FORMULA] = text
            if element["type"] == "hidden":
                self._variables[name] = element["id"]
            found.append(element)
        return found

    def _sum(self, name: str, start: Any) -> Node:
        if "calculated" not in TYPES or not isinstance(start, int | float):
            raise Untranslatable("Calculations are not supported.")
        parts: list[Node] = [Constant(start)]
        for action, _ in self._actions():
            details = action.get("details") if isinstance(action.get("details"), dict) else {}
            target = (details or {}).get("target")
            if not isinstance(target, dict) or target.get("value") != name:
                continue
            value = (details or {}).get("value")
            number = value.get("value") if isinstance(value, dict) else None
            if action.get("action") not in ("add", "subtract") or not isinstance(number, int | float):
                raise Untranslatable(f"'{action.get('action')}' has no counterpart.")
            signed = number if action["action"] == "add" else -number
            condition = condition_of(action.get("condition"), self._fields.subjects)
            parts.append(
                Constant(signed) if condition is None else Call("if", (condition, Constant(signed), Constant(0)))
            )
        return chain("+", parts)

    def _actions(self) -> list[tuple[dict[str, Any], tuple[str, str]]]:
        """The actions of the logic with the field after which each is taken, and their places."""
        found = []
        for index, block in enumerate(_listed(self._form.get("logic"))):
            for number, action in enumerate(_listed(block.get("actions"))):
                found.append((action, (str(block.get("ref") or ""), f"/logic/{index}/actions/{number}")))
        return found

    def _jumps(self) -> None:
        fields = self._fields
        jumps: list[Jump] = []
        for action, (ref, where) in self._actions():
            if action.get("action") != "jump":
                if not self._variables and "calculated" in TYPES:
                    continue
                self.draft.untranslated(Clause(str(action)[:1500], where), "logic", "Calculations are not supported.")
                continue
            try:
                jumps.append(self._jump(action, ref))
            except Untranslatable as error:
                self.draft.untranslated(Clause(str(action)[:1500], where), "logic", str(error))
        for element, shown in zip(fields.elements, visibility(len(fields.elements), jumps), strict=True):
            try:
                if isinstance(shown, Untranslatable):
                    raise shown
                if shown is not None:
                    element["visible_if"] = formstream.write(shown)
            except Untranslatable as error:
                self.draft.untranslated(Clause("jumps past this field", element["id"]), "logic", str(error))

    def _jump(self, action: Mapping[str, Any], ref: str) -> Jump:
        fields = self._fields
        details = action.get("details")
        to = details.get("to") if isinstance(details, dict) else None
        target = to.get("value") if isinstance(to, dict) else None
        if not isinstance(to, dict) or ref not in fields.last:
            raise Untranslatable("It does not name its fields.")
        end = to.get("type") in ("thankyou", "end", "outcome")
        if not end and target not in fields.first:
            raise Untranslatable(f"There is no field '{target}'.")
        place = len(fields.elements) if end else fields.first[str(target)]
        if place <= fields.last[ref]:
            raise Untranslatable("It jumps back.")
        return Jump(fields.last[ref], place, condition_of(action.get("condition"), fields.subjects))

    # Responses

    def take(self, record: Any) -> Taken:
        """The response of a record. Raises Misfit."""
        if isinstance(record, dict) and isinstance(record.get("form_response"), dict):
            record = record["form_response"]
        if not isinstance(record, dict) or not isinstance(record.get("answers", []), list | None):
            raise Misfit("A response must be an object with answers.")
        taken = Taken(key=str(record.get("response_id") or record.get("token") or ""))
        taken.submitted_at = moment(record.get("submitted_at")) or moment(record.get("landed_at"))
        for answer in record.get("answers") or ():
            self._answer(answer, taken)
        hidden = record.get("hidden")
        for name, value in hidden.items() if isinstance(hidden, dict) else ():
            self._put(taken, self._hidden, f"hidden.{name}", name, value)
        for name, value in _variables(record).items():
            self._put(taken, self._variables, f"variables.{name}", name, value)
        if isinstance(record.get("metadata"), dict):
            taken.unmapped["metadata"] = record["metadata"]
        return taken

    def _answer(self, answer: Any, taken: Taken) -> None:
        field = answer.get("field") if isinstance(answer, dict) else None
        if not isinstance(field, dict):
            raise Misfit("An answer does not name its field.")
        names = [str(field.get(name)) for name in ("ref", "id") if field.get(name)]
        take = next((self._fields.takes[name] for name in names if name in self._fields.takes), None)
        if take is None:
            kind = answer.get("type")
            taken.unmapped[names[0] if names else "answer"] = answer.get(kind) if isinstance(kind, str) else answer
            return
        for field_id, value in take(answer).items():
            known = taken.answers.get(field_id)
            # The rows of a matrix are answered one by one.
            taken.answers[field_id] = (
                {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
            )

    def _put(self, taken: Taken, known: Mapping[str, str], label: str, name: str, value: Any) -> None:
        if value is None or value == "":
            return
        if name in known and isinstance(value, str | int | float):
            taken.answers[known[name]] = text_of(value)
        else:
            taken.unmapped[label] = value


def _variables(record: Mapping[str, Any]) -> dict[str, Any]:
    calculated = record.get("calculated")
    found = dict(calculated) if isinstance(calculated, dict) else {}
    for variable in _listed(record.get("variables")):
        kind = variable.get("type")
        if isinstance(kind, str) and isinstance(variable.get("key"), str):
            found[variable["key"]] = variable.get(kind)
    return found


def _listed(value: Any) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
