"""What a form's responses can be filtered and sorted by: metadata, and the answers of all published versions."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, get_args

from db.repositories.answer_sql import Path
from db.repositories.answer_values import Kind, series_of, text_of
from db.repositories.response_filters import TAGS_BETWEEN, Answer, Column, Mark, Target, Value
from deployments.kit.engine import Definition, answer_types
from deployments.kit.engine.fields import Field
from deployments.kit.engine.fields.country import normal_country
from deployments.kit.enrichment import ENTITIES, VERDICTS
from deployments.kit.review import ReviewState

MAX_TEXT: Final = 2_000
_PREFIX: Final = "answers."

Operand = Callable[[Any], Value | None]
"""The value that an operand means, None when it has the wrong type. A text may stand for any type."""

Options: TypeAlias = dict[str, dict[str, None]]
"""The ids of options by field, oldest first, over the versions."""

COMPARING: Final = frozenset({"eq", "ne", "in", "nin", "exists", "empty"})
ORDERING: Final = COMPARING | {"lt", "lte", "gt", "gte", "between"}
TEXTS: Final = ORDERING | {"contains", "starts_with"}
MEMBERS: Final = frozenset({"any", "all", "nin", "exists", "empty"})
PRESENCE: Final = frozenset({"exists", "empty"})
_FLAG: Final = frozenset({"eq", "ne"})

_REVIEWS: Final = get_args(ReviewState)
_SIGNS: Final = ("honeypot", "too_fast", "links", "duplicate", "by_hand", "ai")


@dataclass(frozen=True, slots=True)
class QueryField:
    """One thing to filter by. `wanted` says in words which operands it takes; `absent` stands for no value."""

    name: str
    target: Target
    operators: frozenset[str]
    operand: Operand
    wanted: str
    is_text: bool = False
    absent: str | None = None

    @property
    def is_set(self) -> bool:
        return isinstance(self.target, Answer | Mark) and self.target.kind is Kind.SET

    @property
    def is_flag(self) -> bool:
        """Whether it is there or not: its opposite has no value of its own."""
        return isinstance(self.target, Mark) and self.target.kind is Kind.BOOLEAN

    @property
    def is_sortable(self) -> bool:
        is_of_items = isinstance(self.target, Answer) and self.target.each is not None
        return not (self.is_set or self.is_flag or is_of_items) and self.operators != PRESENCE


def text(raw: Any) -> str | None:
    """Any text."""
    return raw if isinstance(raw, str) and 0 < len(raw) <= MAX_TEXT and "\0" not in raw else None


def number(raw: Any) -> float | None:
    """A finite number."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        return None
    try:
        value = float(raw)
    except (ValueError, OverflowError):
        return None
    return value if abs(value) < float("inf") and not (isinstance(raw, str) and "_" in raw) else None


def boolean(raw: Any) -> bool | None:
    """true or false."""
    return raw if isinstance(raw, bool) else {"true": True, "false": False}.get(raw) if isinstance(raw, str) else None


def moment(raw: Any) -> datetime | None:
    """A time with its offset (RFC 3339), or a date, which is its first moment in UTC."""
    if not isinstance(raw, str) or not 10 <= len(raw) <= 40:
        return None
    try:
        at = datetime.fromisoformat(raw)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC) if len(raw) == 10 else None
    except (ValueError, OverflowError):
        return None


def one_of(ids: Iterable[str]) -> Operand:
    """One of these ids."""
    known = frozenset(ids)
    return lambda raw: raw if isinstance(raw, str) and raw in known else None


# What else is known of a response is one line here.
METADATA: Final = (
    QueryField("submitted_at", Column("submitted_at"), ORDERING - PRESENCE, moment, "a date or a time with offset"),
    QueryField(
        "status",
        Column("status"),
        COMPARING - PRESENCE,
        one_of(("complete", "partial", "quarantined")),
        "complete, partial or quarantined",
    ),
    QueryField("version", Column("version"), ORDERING - PRESENCE, number, "a number"),
    QueryField("submitted_by", Column("submitted_by"), COMPARING - PRESENCE, text, "a text"),
    QueryField(
        "review",
        Mark("review", Kind.TEXT),
        COMPARING - PRESENCE,
        one_of(_REVIEWS),
        " or ".join(_REVIEWS),
        absent=_REVIEWS[0],
    ),
    QueryField("assignee", Mark("assignee", Kind.TEXT), COMPARING, text, "the id of a person"),
    QueryField("language", Mark("language", Kind.TEXT), COMPARING, text, "a language"),
    QueryField("tags", Mark("tags", Kind.SET), MEMBERS, text, "tags"),
    QueryField("suspicion", Mark("suspicion", Kind.SET), MEMBERS, one_of(_SIGNS), f"one of {', '.join(_SIGNS)}"),
    QueryField("commented", Mark("commented", Kind.BOOLEAN), _FLAG, boolean, "true or false"),
    QueryField("has_files", Mark("has_files", Kind.BOOLEAN), _FLAG, boolean, "true or false"),
)

_TEXTS: Final = frozenset({"short_text", "long_text", "email", "url", "phone", "hidden"})
_NORMALISED: Final = frozenset({"email", "phone"})
_NUMBERS: Final = frozenset({"number", "currency", "integer", "rating", "scale", "nps"})
_TEMPORAL: Final = frozenset({"date", "time", "datetime"})
_BOOLEANS: Final = frozenset({"yes_no", "consent"})


class Fields:
    """The fields of one form by name. A name means metadata first; `answers.<name>` is always the answer."""

    def __init__(self, versions: Sequence[Definition], inferred: Sequence[tuple[str, str]] = ()) -> None:
        """`versions`: the published definitions, oldest first; `inferred`: the kinds of verdicts, as field and name."""
        self._judged = _verdict_fields(inferred)
        self._by_name: dict[str, QueryField] = {}
        every: dict[tuple[str, Kind], Answer] = {}
        searched: dict[Answer, None] = {}
        options: Options = {}
        for definition in versions:
            types = _types_of(definition)
            for field in definition.fields:
                for found in _fields_of(field, options, types):
                    target = found.target
                    if isinstance(target, Answer):
                        self._by_name[target.key] = found
                        if found.operators != PRESENCE:
                            every[target.key, target.kind] = target
                        if found.is_text:
                            searched[target] = None
        self.languages = tuple(sorted(versions[-1].languages)) if versions else ()
        self._indexed = tuple(every.values())
        self._searched = tuple(searched)
        self.answers = frozenset(field.id for definition in versions for field in definition.fields)

    def find(self, name: str) -> QueryField | None:
        """The field of this name."""
        if name.startswith(_PREFIX):
            return self._by_name.get(name.removeprefix(_PREFIX))
        return _METADATA.get(name) or self._judged.get(name) or self._by_name.get(name)

    def for_reader(self, hidden: Collection[str]) -> "Fields":
        """The same without the answers that a reader does not get to see: what can be asked for can be found out."""
        if not hidden:
            return self
        seen = copy(self)
        seen._by_name = {key: field for key, field in self._by_name.items() if key.partition(".")[0] not in hidden}
        # A verdict about a personal answer is as personal.
        seen._judged = {key: field for key, field in self._judged.items() if _judged_answer(field) not in hidden}
        return seen

    def entries(self, form_id: str, answers: Mapping[str, Any]) -> set[tuple[int, str]]:
        """What the index holds of a response's answers, full text aside."""
        return {
            (series_of(form_id, target.key, target.kind), text_of(value))
            for target in self._indexed
            for value in values_of(answers, target)
        }

    def texts(self, answers: Mapping[str, Any]) -> Iterable[str]:
        """The texts that people wrote, for the full text search."""
        for target in self._searched:
            yield from values_of(answers, target)


def marks_of(form_id: str, row: Any) -> Iterable[tuple[int, str]]:
    """What the index holds of a response beside its answers. `row`: as it was read for the index."""
    for target in _MARKS:
        value = getattr(row, target.name)
        if value:
            series = series_of(form_id, target.key, target.kind)
            for each in value.split(TAGS_BETWEEN) if target.kind is Kind.SET else (value,):
                yield series, text_of(each)


def _verdict_fields(inferred: Sequence[tuple[str, str]]) -> dict[str, QueryField]:
    """`ai.<field>.<name>`, and `ai.<name>` for the field that was judged first under this name."""
    found: dict[str, QueryField] = {}
    for field, name in inferred:
        for each in _of_verdict(field, name):
            found[each.name] = each
            short = f"{VERDICTS}{each.name.removeprefix(f'{VERDICTS}{field}.')}"
            found.setdefault(short, replace(each, name=short))
    return found


def _of_verdict(field: str, name: str) -> Iterable[QueryField]:
    key = f"{VERDICTS}{field}.{name}"
    if name == ENTITIES:
        target = Answer(key, Kind.SET, ((field, name, "types"),), column="inference")
        yield QueryField(key, target, MEMBERS, text, "types of entities")
    else:
        label = Answer(key, Kind.TEXT, ((field, name, "label"),), column="inference")
        yield QueryField(key, label, COMPARING, text, "a label")
        key = f"{key}.confidence"
        confidence = Answer(key, Kind.NUMBER, ((field, name, "confidence"),), column="inference")
        yield QueryField(key, confidence, ORDERING, number, "a number")


def _judged_answer(field: QueryField) -> str:
    return field.target.paths[0][0] if isinstance(field.target, Answer) else ""


def values_of(answers: Mapping[str, Any], target: Answer) -> Sequence[Any]:
    """The values of a target in normalised answers: none, one, the members of a set, those of the items of a list."""
    if target.each is not None:
        items = _at(answers, target.each)
        inner = Answer(target.key, target.kind, target.paths)
        return [value for item in (items if isinstance(items, list) else ()) for value in values_of(item, inner)]
    for path in target.paths:
        value = _at(answers, path)
        if target.kind is Kind.SET:
            if isinstance(value, list):
                return [item for item in value if isinstance(item, str)]
        elif isinstance(value, _TYPES[target.kind]) and (target.kind is Kind.BOOLEAN or not isinstance(value, bool)):
            return (value,)
    return ()


_METADATA: Final = {field.name: field for field in METADATA}
# Suspects are not in the index.
_MARKS: Final = tuple(
    field.target for field in METADATA if isinstance(field.target, Mark) and field.target.name != "suspicion"
)
_TYPES: Final[dict[Kind, Any]] = {Kind.TEXT: str, Kind.NUMBER: (int, float), Kind.BOOLEAN: bool}


def _at(answers: Any, path: Path) -> Any:
    for name in path:
        if not isinstance(answers, Mapping):
            return None
        answers = answers.get(name)
    return answers


def _types_of(definition: Definition) -> Mapping[str, str]:
    """What calculated fields give; reading their expressions takes long, so forms without any are spared."""
    return answer_types(definition) if any(field.type == "calculated" for field in definition.fields) else {}


def _fields_of(field: Field, options: Options, types: Mapping[str, str]) -> Iterable[QueryField]:
    """A field's values. `options` gathers the ids of options over the versions; `types` are those of calculations."""
    key, kind = field.id, field.type
    if kind in _TEXTS:
        operand = _maybe_normalised(field.normal()) if kind in _NORMALISED else text  # type: ignore[attr-defined]
        yield _scalar(key, Kind.TEXT, [(key,)], TEXTS, operand, "a text", is_text=True)
    elif kind in _NUMBERS or (kind == "calculated" and types.get(key) == "number"):
        yield _scalar(key, Kind.NUMBER, [(key,)], ORDERING, number, "a number")
    elif kind in _TEMPORAL:
        normal: Callable[[str], str | None] = field.normal  # type: ignore[attr-defined]
        yield _scalar(key, Kind.TEXT, [(key,)], ORDERING, _normalised(normal), f"a {kind} as the form takes it")
    elif kind in _BOOLEANS or (kind == "calculated" and types.get(key) == "truth"):
        yield _scalar(key, Kind.BOOLEAN, [(key,)], COMPARING - {"in", "nin"}, boolean, "true or false")
    elif kind == "calculated" and types.get(key) in ("text", *_TEMPORAL):
        yield _scalar(key, Kind.TEXT, [(key,)], TEXTS, text, "a text")
    elif kind == "country":
        yield _scalar(key, Kind.TEXT, [(key,)], COMPARING, normal_country, "the code of a country")
    else:
        yield from _PARTS.get(kind, _whole)(field, options)


def _address(field: Field, options: Options) -> Iterable[QueryField]:
    for name in sorted(field.parts()):
        key, paths = f"{field.id}.{name}", [(field.id, name)]
        if name == "country":
            yield _scalar(key, Kind.TEXT, paths, COMPARING, normal_country, "the code of a country")
        else:
            yield _scalar(key, Kind.TEXT, paths, TEXTS, text, "a text", is_text=True)
    yield from _whole(field, options)


def _location(field: Field, options: Options) -> Iterable[QueryField]:
    for name in sorted(field.parts()):
        yield _scalar(f"{field.id}.{name}", Kind.NUMBER, [(field.id, name)], ORDERING, number, "a number")
    yield from _whole(field, options)


def _items(field: Field, options: Options) -> Iterable[QueryField]:
    """What the items of a group have. Two bounds may be met by two items, so there is no `between`."""
    for inner in field.fields:  # type: ignore[attr-defined]
        for found in _fields_of(inner, options, {}):
            target = found.target
            if isinstance(target, Answer) and target.kind is not Kind.ANY:
                key = f"{field.id}.{target.key}"
                mine = Answer(key, target.kind, target.paths, (field.id,))
                yield replace(found, name=key, target=mine, operators=found.operators - {"between"})
    yield from _whole(field, options)


def _choice(field: Field, options: Options) -> Iterable[QueryField]:
    key = field.id
    known = one_of(_ids(field, key, "options", options))
    yield _scalar(key, Kind.TEXT, [(key,), (key, "option")], COMPARING, known, "the id of an option")
    yield from _other(field)


def _choices(field: Field, options: Options) -> Iterable[QueryField]:
    key = field.id
    known = one_of(_ids(field, key, "options", options))
    yield _scalar(key, Kind.SET, [(key,), (key, "options")], MEMBERS, known, "ids of options")
    yield from _other(field)


def _other(field: Field) -> Iterable[QueryField]:
    if getattr(field, "allow_other", False):
        yield _scalar(f"{field.id}.other", Kind.TEXT, [(field.id, "other")], TEXTS, text, "a text", is_text=True)


def _ranks(field: Field, options: Options) -> Iterable[QueryField]:
    key = field.id
    for option in _ids(field, key, "options", options):
        yield _scalar(f"{key}.{option}", Kind.NUMBER, [(key, option)], ORDERING, number, "a rank")
    yield from _whole(field, options)


def _rows(field: Field, options: Options) -> Iterable[QueryField]:
    key = field.id
    known = one_of(_ids(field, key, "columns", options))
    for row in _ids(field, f"{key}.", "rows", options):
        if field.type == "matrix":
            yield _scalar(f"{key}.{row}", Kind.TEXT, [(key, row)], COMPARING, known, "the id of a column")
        else:
            yield _scalar(f"{key}.{row}", Kind.SET, [(key, row)], MEMBERS, known, "ids of columns")
    yield from _whole(field, options)


def _whole(field: Field, _: Options) -> Iterable[QueryField]:
    yield _scalar(field.id, Kind.ANY, [(field.id,)], PRESENCE, boolean, "true or false")


def _ids(field: Field, key: str, attribute: str, options: Options) -> list[str]:
    """The ids of options in this version and those before."""
    known = options.setdefault(key, {})
    known.update(dict.fromkeys(option.id for option in getattr(field, attribute)))
    return list(known)


# Types that are not named can be asked whether they are answered.
_PARTS: Final[dict[str, Callable[[Field, Options], Iterable[QueryField]]]] = {
    "choice": _choice,
    "dropdown": _choice,
    "multi_choice": _choices,
    "ranking": _ranks,
    "matrix": _rows,
    "matrix_multi": _rows,
    "address": _address,
    "location": _location,
    "group": _items,
}


def _scalar(
    key: str,
    kind: Kind,
    paths: Sequence[Path],
    operators: frozenset[str],
    operand: Operand,
    wanted: str,
    *,
    is_text: bool = False,
) -> QueryField:
    return QueryField(key, Answer(key, kind, tuple(paths)), operators, operand, wanted, is_text)


def _maybe_normalised(normal: Callable[[str], str | None]) -> Operand:
    """A text in the form in which answers are stored, where it is whole."""
    return lambda raw: found if (found := text(raw)) is None else normal(found) or found


def _normalised(normal: Callable[[str], str | None]) -> Operand:
    return lambda raw: normal(raw) if isinstance(raw, str) else None
