"""The questions of a form as elements, and how their answers are read."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from deployments.imports.draft import Draft
from deployments.imports.json_answers import number_of
from deployments.imports.legacy.reading import Members, is_object_id, list_of, moment_of, spelled, text_of, truth_of
from deployments.imports.naming import option_ids
from deployments.kit.engine.fields import ELEMENT_TYPES, Field
from deployments.kit.file_fields import FILE_TYPES

Take = Callable[[Any], Any]
"""Turns an answer as it was kept into one for the form to check; what it cannot turn stays as it is."""

_TYPES: Final = {
    **dict.fromkeys(("text", "string", "shorttext", "input", "textfield", "singleline", "varchar"), "short_text"),
    **dict.fromkeys(("textarea", "longtext", "paragraph", "multiline", "richtext", "comment"), "long_text"),
    **dict.fromkeys(("email", "mail", "emailaddress"), "email"),
    **dict.fromkeys(("phone", "tel", "telephone", "phonenumber", "mobile"), "phone"),
    **dict.fromkeys(("url", "link", "website"), "url"),
    **dict.fromkeys(("number", "float", "decimal", "double", "numeric"), "number"),
    **dict.fromkeys(("integer", "int"), "integer"),
    **dict.fromkeys(("date", "day"), "date"),
    **dict.fromkeys(("datetime", "timestamp", "datetimelocal"), "datetime"),
    **dict.fromkeys(("time",), "time"),
    **dict.fromkeys(("radio", "choice", "singlechoice", "radiogroup", "radiobuttons"), "choice"),
    **dict.fromkeys(("select", "dropdown", "combobox"), "dropdown"),
    **dict.fromkeys(
        ("checkboxes", "checkboxgroup", "multiselect", "multichoice", "multiplechoice", "tags"), "multi_choice"
    ),
    **dict.fromkeys(("checkbox",), "checkbox"),
    **dict.fromkeys(("boolean", "bool", "yesno", "toggle", "switch"), "yes_no"),
    **dict.fromkeys(("consent", "terms", "agreement", "gdpr"), "consent"),
    **dict.fromkeys(("rating", "stars"), "rating"),
    **dict.fromkeys(("scale", "linearscale", "slider", "range", "likert"), "scale"),
    **dict.fromkeys(("nps",), "nps"),
    **dict.fromkeys(("file", "fileupload", "upload", "attachment"), "file"),
    **dict.fromkeys(("image", "photo", "picture"), "image"),
    **dict.fromkeys(("signature",), "signature"),
    **dict.fromkeys(("country",), "country"),
    **dict.fromkeys(("hidden",), "hidden"),
    **dict.fromkeys(("heading", "header", "html", "content", "statement", "description", "label"), "statement"),
}
_OPTIONS: Final = ("choice", "dropdown", "multi_choice", "checkbox")
_TEXTS: Final = ("short_text", "long_text", "email", "phone", "url", "hidden", "country", "time")
_NUMBERS: Final = ("number", "integer", "rating", "scale", "nps", "currency")
_LENGTHS: Final[Mapping[str, tuple[str, ...]]] = {
    "min_length": ("minlength", "minlen"),
    "max_length": ("maxlength", "maxlen"),
}
_COUNTS: Final[Mapping[str, tuple[str, ...]]] = {
    "min_choices": ("minselected", "minchoices"),
    "max_choices": ("maxselected", "maxchoices"),
}
_BOUNDS: Final[Mapping[str, tuple[str, ...]]] = {
    "min": ("min", "minimum", "minvalue"),
    "max": ("max", "maximum", "maxvalue"),
}
_RULES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    **dict.fromkeys(("short_text", "long_text", "email", "phone", "url", "hidden"), _LENGTHS),
    **dict.fromkeys(("number", "integer", "rating", "scale", "date", "datetime"), _BOUNDS),
    "multi_choice": _COUNTS,
}
_OPERATORS: Final = {
    **dict.fromkeys(("", "equals", "equal", "eq", "==", "=", "is"), "=="),
    **dict.fromkeys(("notequals", "notequal", "ne", "!=", "<>", "isnot"), "!="),
    **dict.fromkeys(("greaterthan", "gt", ">"), ">"),
    **dict.fromkeys(("greaterorequal", "gte", ">="), ">="),
    **dict.fromkeys(("lessthan", "lt", "<"), "<"),
    **dict.fromkeys(("lessorequal", "lte", "<="), "<="),
    **dict.fromkeys(("contains", "includes"), "contains"),
}
_TEXT_LIKE: Final = frozenset(
    kind.model_fields["type"].annotation.__args__[0]  # type: ignore[union-attr]
    for kind in ELEMENT_TYPES
    if issubclass(kind, Field) and kind.text_like
)
_DOTTED: Final = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")
_MOST_OPTIONS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Question:
    """What a question became: the id of its field, its type, and how an answer is read."""

    id: str
    type: str
    take: Take

    @property
    def takes_files(self) -> bool:
        return self.type in FILE_TYPES


@dataclass(slots=True)
class FieldNames:
    """The ids that a form's questions have in all of its versions: one that changes its type gets another."""

    _given: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    _draft: Draft = field(default_factory=Draft)

    def id_for(self, source: str, kind: str) -> tuple[str, bool]:
        """The field's id, and whether it is another one than an earlier version has."""
        known = self._given.setdefault(source, [])
        for own, was in known:
            if was == kind or (was in _TEXT_LIKE and kind in ("short_text", "long_text")):
                return own, False
        own = self._draft.names.keep(source if not known else f"{known[0][0]}_{kind}", "question")
        known.append((own, kind))
        return own, len(known) > 1


class Questions:
    """The questions of one version, converted one by one. `by_name` finds them by what answers may call them."""

    def __init__(self, draft: Draft, names: FieldNames) -> None:
        self._draft = draft
        self._names = names
        self._conditions: list[tuple[dict[str, Any], Any, str]] = []
        self._options: dict[str, dict[str, str]] = {}
        self.by_name: dict[str, Question] = {}
        self._titles: dict[str, list[Question]] = {}

    def add(self, page: dict[str, Any], raw: Any, place: str) -> None:
        """Put a question on a page; what is none is a notice."""
        if not isinstance(raw, dict):
            self._draft.notices.add(place, "question.unreadable", "This is no question.")
            return
        members = Members(raw)
        called = list(filter(None, (members.text(name) for name in ("id", "fieldid", "name", "key", "uid"))))
        # What a person made up reads better in a table than what a database did.
        source = next((name for name in called if not is_object_id(name)), "".join(called[:1]))
        members.take("order", "position", "index", "width")
        title = members.text("label", "title", "question", "text", "prompt") or source
        kind = self._kind(members, place)
        options, ids = self._choices(members, kind, place)
        kind = self._settled(kind, options, place)
        if not source:
            source = title or f"question{len(self.by_name) + 1}"
            self._draft.notices.add(place, "question.without_id", "It is known by its title, for want of an id.")
        if kind != "statement" and source in self.by_name:
            self._draft.notices.add(place, "question.repeated", "Another question has the id; this one is left out.")
            return
        own, changed = self._names.id_for(source, kind)
        if changed:
            detail = f"An earlier version has another type under this id; it is the field {own} from here on."
            self._draft.notices.add(place, "type.changed", detail)
        element = self._draft.element(
            kind,
            own,
            title,
            place,
            description=members.text("description", "helptext", "help", "hint", "placeholder") or None,
            options=options if kind in _OPTIONS else None,
            required=truth_of(members.take("required", "isrequired", "mandatory")) or None,
        )
        if kind == "statement":
            element.pop("required", None)
        self._rules(element, members, place)
        condition = members.take("conditional", "conditionallogic", "showif", "condition", "visibleif", "logic")
        for name, value in members.left():
            detail = f"It is left out. It was: {str(value)[:300]}"
            self._draft.notices.add(f"{place}/{name}", "property.unknown", detail)
        page["elements"].append(element)
        if condition is not None:
            self._conditions.append((element, condition, place))
        if kind == "statement":
            return
        question = Question(own, element["type"], _take(element["type"], ids))
        self._options[own] = ids
        self.by_name[source] = question
        for name in called:
            self.by_name.setdefault(name, question)
        self._titles.setdefault(spelled(title), []).append(question)

    def conclude(self) -> None:
        """Let questions be found by their titles, too, and translate the conditions."""
        for title, questions in self._titles.items():
            if len(questions) == 1:
                self.by_name.setdefault(f"title:{title}", questions[0])
        for element, condition, place in self._conditions:
            text = self._expression(condition)
            if text is None:
                detail = f"visible_if: It has no counterpart. It was: {str(condition)[:300]}"
                self._draft.notices.add(place, "logic.untranslated", detail)
            else:
                element["visible_if"] = text

    def find(self, name: str) -> Question | None:
        """The question that an answer's name means."""
        return self.by_name.get(name) or self.by_name.get(f"title:{spelled(name)}")

    def _kind(self, members: Members, place: str) -> str:
        given = members.text("type", "fieldtype", "kind", "inputtype", "widget")
        multiple = truth_of(members.take("multiple", "allowmultiple", "ismultiple"))
        kind = _TYPES.get(spelled(given))
        if kind is None:
            self._draft.notices.add(place, "type.nearest", f"'{given[:100]}' has no counterpart; it becomes a text.")
            kind = "long_text"
        return "multi_choice" if multiple and kind in _OPTIONS else kind

    def _settled(self, kind: str, options: list[dict[str, str]], place: str) -> str:
        """The type, now that it is known whether there are options."""
        if kind == "checkbox":
            return "multi_choice" if options else "yes_no"
        if kind in _OPTIONS and not options:
            self._draft.notices.add(place, "type.nearest", f"{kind} has no options; it becomes a text.")
            return "short_text"
        return kind

    def _choices(self, members: Members, kind: str, place: str) -> tuple[list[dict[str, str]], dict[str, str]]:
        """Options, and their ids by everything that an answer may say for them."""
        labels: dict[str, str] = {}
        for item in list_of(members.take("options", "choices", "values", "items", "enum")):
            if isinstance(item, dict):
                own = Members(item)
                value, label = own.text("value", "id", "key"), own.text("label", "text", "name", "title")
            else:
                value = label = text_of(item) or ("" if item is None else str(item))
            if not (value or label):
                self._draft.notices.add(place, "choice.without_value", "An option that says nothing is left out.")
            elif kind in _OPTIONS and len(labels) < _MOST_OPTIONS:
                labels.setdefault(value or label, self._draft.label(label or value, place))
        ids = option_ids(labels)
        known = {**{spelled(label): ids[value] for value, label in labels.items()}, **_spelled_ids(ids), **ids}
        return [{"id": ids[value], "label": label} for value, label in labels.items()], known

    def _rules(self, element: dict[str, Any], members: Members, place: str) -> None:
        kind = element["type"]
        given = members.take("validation", "validations", "rules", "validators")
        inner = Members(given if isinstance(given, dict) else {})
        if given is not None and not isinstance(given, dict):
            detail = f"It is left out. It was: {str(given)[:300]}"
            self._draft.notices.add(f"{place}/validation", "property.unknown", detail)
        found: dict[str, Any] = {}
        for name, spellings in _RULES.get(kind, {}).items():
            value = inner.take(*spellings)
            value = members.take(*spellings) if value is None else value
            if value is not None:
                found[name] = _bound(kind, value)
        pattern = inner.take("pattern", "regex", "regexp") or members.take("pattern", "regex", "regexp")
        if pattern is not None and kind in ("short_text", "long_text", "hidden"):
            found["pattern"] = str(pattern)
        if truth_of(inner.take("required")):
            element["required"] = True
        inner.take("message", "errormessage")
        for name, value in inner.left():
            detail = f"It is left out. It was: {str(value)[:300]}"
            self._draft.notices.add(f"{place}/validation/{name}", "property.unknown", detail)
        if kind in ("rating", "scale"):
            names = ("min", "max") if kind == "scale" else ("max",)
            element |= {name: found[name] for name in names if isinstance(found.get(name), int)}
        elif found:
            element["validation"] = found

    def _expression(self, condition: Any) -> str | None:
        """What a condition says in the language of forms, None when that cannot be said."""
        clauses = condition if isinstance(condition, list) else [condition]
        found = [self._clause(clause) for clause in clauses]
        return None if not found or None in found else " and ".join(filter(None, found))

    def _clause(self, clause: Any) -> str | None:
        if not isinstance(clause, dict):
            return None
        members = Members(clause)
        name = members.text("field", "fieldid", "question", "questionid", "dependson", "when")
        operator = _OPERATORS.get(members.text("operator", "op", "comparison").replace("_", "").lower())
        value = members.take("value", "equals", "answer")
        action = members.text("action").lower()
        question = self.find(name)
        if question is None or operator is None or value is None or action not in ("", "show"):
            return None
        if any(True for _ in members.left()):
            return None
        written = self._written(question, value)
        if written is None:
            return None
        if question.type == "multi_choice" and operator in ("==", "contains"):
            return f"answers.{question.id} contains {written}"
        return f"answers.{question.id} {operator} {written}"

    def _written(self, question: Question, value: Any) -> str | None:
        known = self._options[question.id]
        if known:
            option = _option(known, value)
            return None if option is None else _quoted(option)
        read = question.take(value)
        if isinstance(read, bool):
            return "true" if read else "false"
        if isinstance(read, int | float):
            return str(read)
        return _quoted(read) if isinstance(read, str) else None


def _spelled_ids(ids: Mapping[str, str]) -> dict[str, str]:
    return {spelled(value): own for value, own in ids.items()}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _bound(kind: str, value: Any) -> Any:
    if kind == "date":
        return _date(value)
    if kind == "datetime":
        return _datetime(value)
    return number_of(value)


def _option(ids: Mapping[str, str], value: Any) -> str | None:
    if isinstance(value, dict):
        value = Members(value).take("value", "id", "key", "label", "text", "name")
    text = "true" if value is True else "false" if value is False else text_of(value)
    return ids.get(text) or ids.get(spelled(text))


def _take(kind: str, ids: Mapping[str, str]) -> Take:
    if kind in ("choice", "dropdown"):
        return lambda value: _one(ids, value)
    if kind == "multi_choice":
        return lambda value: _several(ids, value)
    return _READERS.get(kind, lambda value: value)


def _one(ids: Mapping[str, str], value: Any) -> Any:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return _option(ids, value) or value


def _several(ids: Mapping[str, str], value: Any) -> Any:
    if isinstance(value, dict) and value and all(truth_of(chosen) is not None for chosen in value.values()):
        value = [name for name, chosen in value.items() if truth_of(chosen)]
    if isinstance(value, str):
        value = [value] if _option(ids, value) else re.split(r"\s*[,;|]\s*", value.strip())
    if not isinstance(value, list):
        value = [value]
    return list(dict.fromkeys(_option(ids, item) or str(item) for item in value if item not in (None, "")))


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value if isinstance(value, str | list | dict) else (_datetime(value) if value is not None else None)


def _number(value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        return number_of(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    return value


def _date(value: Any) -> Any:
    if isinstance(value, str) and (match := _DOTTED.fullmatch(value.strip())):
        day, month, year = match.groups()
        return f"{year}-{month:0>2}-{day:0>2}"
    found = moment_of(value)
    return value if found is None else found.date().isoformat()


def _datetime(value: Any) -> Any:
    found = moment_of(value)
    return value if found is None else found.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def _truth(value: Any) -> Any:
    found = truth_of(value)
    return value if found is None else found


_READERS: Final[Mapping[str, Take]] = {
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_NUMBERS, _number),
    "date": _date,
    "datetime": _datetime,
    "yes_no": _truth,
    "consent": _truth,
}
