"""Definitions of every kind, for the properties of what reads and writes them."""

from typing import Any

from hypothesis import strategies as st

from deployments.imports.draft import inside
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
    if kind == "calculated":
        element["value"] = f"if({draw(_condition(known))}, 1, 2)" if known and draw(st.booleans()) else draw(_FORMULAS)
    elif kind != "statement":
        element |= draw(st.sampled_from([{}, {"required": True}, {"personal": True}]))
        if known and draw(st.booleans()):
            element["required_if"] = draw(_condition(known))
    return element


@st.composite
def _holding(draw: st.DrawFn, kind: str, names: list[str], known: list[dict[str, Any]]) -> dict[str, Any]:
    """A section, or a group, whose elements speak of one another; what comes after may speak of those of a section."""
    name, *inner = names
    whole: dict[str, Any] = {"id": name, "type": kind, "title": draw(TEXTS), "elements": []}
    if draw(st.booleans()):
        whole["description"] = draw(TEXTS)
    if known and draw(st.booleans()):
        whole[draw(st.sampled_from(["visible_if", "required_if"]))] = draw(_condition(known))
    if kind == "group":
        whole |= draw(_ITEMS)
    near = list(known)
    for each in inner:
        element = draw(_element(each, near))
        whole["elements"].append(element)
        if element["type"] != "statement":
            near.append({**element, "own": True} if kind == "group" else element)
    if kind == "section":
        known[:] = near
    return whole


def _validated(rules: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return rules.map(lambda found: {"validation": found} if found else {})


_TEXT_RULES = st.one_of(_LENGTHS, PATTERNS.map(lambda pattern: {"pattern": pattern}))
_ENDS = st.sampled_from([{}, {"min_label": "bad"}, {"min_label": "bad", "max_label": "good"}])
_OTHER = st.sampled_from([{}, {"allow_other": True}])


def _chosen(extra: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(_options("options"), extra).map(lambda found: {"options": found[0], **found[1]})


def _merged(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(lambda found: {name: value for part in found for name, value in part.items()})


_ITEMS = st.sampled_from(
    [
        {},
        {"required": True},
        {"min_items": 2, "max_items": 2},
        {"max_items": 100, "item_title": "Dog"},
        {"min_items": 20},
    ]
)
_FORMULAS = st.sampled_from(["1 + 2 * 3", "today()", "concat('a', \"it's\")", "if(true, 1, 2)"])
_FILES = st.sampled_from([{}, {"max_size": 1_000_000}, {"accept": ["image/*", "application/pdf"]}])
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
    "country": st.just({}),
    "location": st.just({}),
    "address": st.sampled_from([{}, {"required_parts": ["city"], "default_country": "DE"}]),
    "file": _FILES,
    "image": st.sampled_from([{}, {"max_files": 5, "accept": ["image/png"]}]),
    "signature": st.just({}),
    "calculated": st.just({}),
}


@st.composite
def _condition(draw: st.DrawFn, known: list[dict[str, Any]]) -> str:
    """An expression over fields that come before, so that there is no circle."""
    parts = [draw(_comparison(draw(st.sampled_from(known)))) for _ in range(draw(st.integers(1, 3)))]
    sign = draw(st.sampled_from([" and ", " or ", "  and not "]))
    return draw(st.sampled_from(["", "not "])) + f"({sign.join(parts)})"


def _comparison(field: dict[str, Any]) -> st.SearchStrategy[str]:
    name, kind = f"{'item' if 'own' in field else 'answers'}.{field['id']}", field["type"]
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
def _translation(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """Some of the texts in another language."""

    def some(item: dict[str, Any], *names: str) -> dict[str, Any]:
        texts: dict[str, Any] = {name: draw(TEXTS) for name in names if name in item and draw(st.booleans())}
        for name in ("options", "rows", "columns"):
            labels = {each["id"]: draw(TEXTS) for each in item.get(name, ()) if draw(st.booleans())}
            texts |= {name: labels} if labels else {}
        return texts

    pages = {page["id"]: some(page, "title", "description") for page in document["pages"]}
    own = ("title", "description", "min_label", "max_label", "item_title")
    elements = {element["id"]: some(element, *own) for page in document["pages"] for element in inside(page)}
    known = {
        name: {key: texts for key, texts in found.items() if texts}
        for name, found in (("pages", pages), ("elements", elements))
    }
    return {**some(document, "title"), **{name: found for name, found in known.items() if found}}


@st.composite
def _page(draw: st.DrawFn, page_id: str, names: list[str], known: list[dict[str, Any]]) -> dict[str, Any]:
    """A page with these names on it; what it asks for comes to what is known."""
    page: dict[str, Any] = {"id": page_id, "elements": []}
    if known and draw(st.integers(0, 3)) == 0:
        page["visible_if"] = draw(_condition(known))
    for text in ("title", "description"):
        if draw(st.booleans()):
            page[text] = draw(TEXTS)
    while names:
        kind = draw(st.sampled_from(["section", "group", *["field"] * 6]))
        # What is in a group is no answer of its own: nothing outside speaks of it.
        taken = 1 if kind == "field" else min(len(names), draw(st.integers(2, 4)))
        mine, names = names[:taken], names[taken:]
        if kind == "section" or mine[1:]:
            page["elements"].append(draw(_holding(kind, mine, known)))
            continue
        element = draw(_element(mine[0], list(known)))
        page["elements"].append(element)
        if element["type"] != "statement":
            known.append(element)
    return page


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    """A canonical document of any shape that the engine takes."""
    page_ids = draw(st.lists(IDS, min_size=1, max_size=3, unique=True))
    known: list[dict[str, Any]] = []
    used: set[str] = set()
    pages: list[dict[str, Any]] = []
    for page_id in page_ids:
        names = draw(st.lists(IDS.filter(lambda name: name not in used), max_size=7, unique=True))
        used.update(names)
        pages.append(draw(_page(page_id, names, known)))
    if pages[1:] and draw(st.booleans()):
        pages[0]["next"] = [{"if": "today() > '2026-01-01'", "to": "end"}, {"to": page_ids[-1]}]
    document: dict[str, Any] = {"pages": pages}
    document["languages"] = draw(st.sampled_from([["en"], ["de"], ["pt-BR", "en"]]))
    if known and draw(st.booleans()):
        document["rules"] = [{"id": "r", "check": draw(_condition(known)), "message": draw(TEXTS)}]
    if draw(st.booleans()):
        document["buttons"] = {"next": draw(TEXTS)}
    if draw(st.booleans()):
        document["title"] = draw(TEXTS)
    if document["languages"][1:] and draw(st.booleans()):
        document["translations"] = {"en": texts} if (texts := draw(_translation(document))) else {}
    return parse_definition(document).document()
