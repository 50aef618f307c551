"""Definitions of every kind, for the properties of what reads and writes them."""

from typing import Any

from hypothesis import strategies as st

from deployments.kit.engine import parse_definition

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda text: text.strip()
)
IDS = st.from_regex(r"[a-z][a-z0-9_]{0,11}", fullmatch=True)
OPTION_IDS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,7}", fullmatch=True).filter(lambda text: text != "other")
PATTERNS = st.sampled_from(["[A-Z]+", "a|b", "(a|b)c", "^x$", "it's", 'say "x"', r"\d{3}", "${a}", "'\"", r"a\$"])


def _options(name: str, most: int = 4) -> st.SearchStrategy[list[dict[str, str]]]:
    option = st.fixed_dictionaries({"id": OPTION_IDS, "label": TEXTS})
    return st.lists(option, min_size=1, max_size=most, unique_by=lambda found: found["id"])


def _range(low: str, high: str, numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    pairs = st.lists(numbers, min_size=2, max_size=2).map(sorted)
    both = pairs.map(lambda pair: {low: pair[0], high: pair[1]})
    return st.one_of(st.just({}), both, numbers.map(lambda n: {low: n}), numbers.map(lambda n: {high: n}))


_DATES = st.dates().map(lambda day: day.isoformat())
_FINITE = st.floats(allow_nan=False, allow_infinity=False)
_LENGTHS = _range("min_length", "max_length", st.integers(1, 2_000))
_COUNTS = _range("min_choices", "max_choices", st.integers(1, 10))


@st.composite
def _element(draw: st.DrawFn, name: str, known: list[dict[str, Any]]) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(_PARTICULAR)))
    element: dict[str, Any] = {"id": name, "type": kind, "title": draw(TEXTS)}
    if draw(st.booleans()):
        element["description"] = draw(TEXTS)
    element |= draw(_PARTICULAR[kind])
    if draw(st.booleans()) and known:
        element["visible_if"] = draw(_condition(known))
    if kind != "statement":
        element |= draw(st.sampled_from([{}, {"required": True}, {"personal": True}]))
        if known and draw(st.booleans()):
            element["required_if"] = draw(_condition(known))
    return element


def _validated(rules: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return rules.map(lambda found: {"validation": found} if found else {})


_TEXT_RULES = st.one_of(_LENGTHS, PATTERNS.map(lambda pattern: {"pattern": pattern}))
_ENDS = st.sampled_from([{}, {"min_label": "bad"}, {"min_label": "bad", "max_label": "good"}])
_OTHER = st.sampled_from([{}, {"allow_other": True}])


def _chosen(extra: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(_options("options"), extra).map(lambda found: {"options": found[0], **found[1]})


def _merged(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(lambda found: {name: value for part in found for name, value in part.items()})


_TABLE = st.tuples(_options("rows"), _options("columns")).map(lambda found: {"rows": found[0], "columns": found[1]})
_PARTICULAR: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    **dict.fromkeys(("short_text", "long_text", "email", "url", "phone", "hidden"), _validated(_TEXT_RULES)),
    "number": _validated(_range("min", "max", _FINITE)),
    "integer": _validated(_range("min", "max", st.integers(-(2**60), 2**60))),
    "currency": st.just({"currency": "EUR"}),
    "rating": st.integers(2, 10).map(lambda most: {"max": most}),
    "scale": _merged(_range("min", "max", st.integers(-5, 12)).filter(lambda r: len(r) == 2), _ENDS),
    "nps": _ENDS,
    "date": _validated(_range("min", "max", _DATES)),
    "time": _validated(st.just({"min": "08:30"})),
    "datetime": _validated(st.just({"max": "2030-01-01T00:00:00Z"})),
    "yes_no": st.just({}),
    "consent": st.just({}),
    "choice": _chosen(_OTHER),
    "dropdown": _chosen(_OTHER),
    "multi_choice": _chosen(_merged(_OTHER, _validated(_COUNTS))),
    "ranking": _chosen(_merged(_validated(_COUNTS), st.sampled_from([{}, {"allow_ties": True}]))),
    "matrix": _TABLE,
    "matrix_multi": _TABLE,
    "statement": st.just({}),
}


@st.composite
def _condition(draw: st.DrawFn, known: list[dict[str, Any]]) -> str:
    """An expression over fields that come before, so that there is no circle."""
    parts = [draw(_comparison(draw(st.sampled_from(known)))) for _ in range(draw(st.integers(1, 3)))]
    sign = draw(st.sampled_from([" and ", " or ", "  and not "]))
    return draw(st.sampled_from(["", "not "])) + f"({sign.join(parts)})"


def _comparison(field: dict[str, Any]) -> st.SearchStrategy[str]:
    name, kind = f"answers.{field['id']}", field["type"]
    asked = [f"empty({name})", f"{name} != null", name]
    if kind in ("yes_no", "consent"):
        asked += [f"{name} == true", f"{name}==false"]
    elif kind in ("number", "integer", "currency", "rating", "scale", "nps"):
        asked += [f"{name} >= 3", f"{name} < 2.5", f"{name} != 4", f"-1 < {name}"]
    elif "options" in field and kind != "ranking":
        option = field["options"][0]["id"]
        sign = "contains" if kind == "multi_choice" else "=="
        asked += [f"{name} {sign} '{option}'", f"count({name}) > 1"]
        asked += [f"{name}.other == 'x'"] if field.get("allow_other") else []
        asked += [f"{name} in ['{option}', \"b\"]"] if kind != "multi_choice" else []
    elif kind == "matrix":
        asked.append(f"{name}.{field['rows'][0]['id']} == '{field['columns'][0]['id']}'")
    elif kind in ("short_text", "email"):
        asked += [f"{name} == 'it\\'s'", f"length({name}) > 3", f"{name} contains 'a'", f"{name} != 'b'"]
    return st.sampled_from(asked)


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    """A canonical document of any shape that the engine takes."""
    page_ids = draw(st.lists(IDS, min_size=1, max_size=3, unique=True))
    known: list[dict[str, Any]] = []
    pages = []
    used: set[str] = set()
    for page_id in page_ids:
        names = draw(st.lists(IDS.filter(lambda name: name not in used), max_size=5, unique=True))
        used.update(names)
        elements = []
        for name in names:
            element = draw(_element(name, list(known)))
            elements.append(element)
            if element["type"] != "statement":
                known.append(element)
        page: dict[str, Any] = {"id": page_id, "elements": elements}
        if draw(st.booleans()):
            page["title"] = draw(TEXTS)
        if draw(st.booleans()):
            page["description"] = draw(TEXTS)
        pages.append(page)
    document: dict[str, Any] = {"pages": pages, "languages": draw(st.sampled_from([["en"], ["de"], ["pt-BR", "en"]]))}
    if draw(st.booleans()):
        document["title"] = draw(TEXTS)
    return parse_definition(document).document()
