"""Definitions, expressions and answers that Hypothesis thinks of."""

from typing import Any

from hypothesis import strategies as st

from tests.deployments.kit.engine.forms import COLUMNS, ROWS, make_element

OPTIONS = [{"id": "corn", "label": "Corn", "score": 0.1}, {"id": "yams", "label": "Yams", "score": -2}]
MORE = [*OPTIONS, {"id": "peas", "label": "Peas"}]
FILES = [f"fil_{number:032x}" for number in range(3)]

FIELDS: dict[str, dict[str, Any]] = {
    "n1": {"type": "number"},
    "n2": {"type": "integer"},
    "n3": {"type": "rating"},
    "t1": {"type": "short_text"},
    "t2": {"type": "long_text"},
    "b1": {"type": "yes_no"},
    "b2": {"type": "consent", "required": True},
    "d1": {"type": "date"},
    "d2": {"type": "datetime"},
    "c1": {"type": "choice", "options": OPTIONS, "allow_other": True},
    "m1": {"type": "multi_choice", "options": MORE, "allow_other": True},
    "r1": {"type": "ranking", "options": OPTIONS},
    "x1": {"type": "matrix", "rows": ROWS, "columns": COLUMNS},
    "y1": {"type": "matrix_multi", "rows": ROWS, "columns": COLUMNS},
    "o1": {"type": "country"},
    "l1": {"type": "location"},
    "a1": {"type": "address"},
    "f1": {"type": "file", "max_files": 3},
}

characters = st.sampled_from("aAzZ äßΣσİıŉ\t\n '\\\"0.1é\uffff🎈𐐀ﬀ") | st.characters(
    exclude_characters="\0", exclude_categories=("Cs",)
)
texts = st.text(characters, min_size=1, max_size=8).filter(lambda text: not text.isspace())
integers = st.integers(-5, 60) | st.integers(-(2**63), 2**63 - 1)
numbers = (
    st.integers(-5, 60)
    | st.sampled_from([0.1, 0.2, 1.005, 2.675, 2.5, -0.5, 1e21, 1e-7, 1e300, -1e300, 5e-324, 0.014999999999999999])
    | st.floats(allow_nan=False, allow_infinity=False)
    | integers
)
dates = st.dates().map(lambda day: day.isoformat()) | st.sampled_from(["2000-02-29", "1900-02-28", "9999-12-31"])
moments = st.datetimes().map(lambda moment: moment.replace(microsecond=0).isoformat() + "Z")
sets = st.lists(st.sampled_from(["corn", "yams", "peas"]), min_size=1, unique=True)
columns = st.sampled_from(["good", "bad"])

ANSWERS: dict[str, st.SearchStrategy[Any]] = {
    "n1": numbers,
    "n2": integers,
    "n3": st.integers(1, 5),
    "t1": texts,
    "t2": texts,
    "b1": st.booleans(),
    "b2": st.booleans(),
    "d1": dates,
    "d2": moments,
    "c1": st.sampled_from(["corn", "yams"])
    | texts.map(lambda text: {"other": text})
    | texts.map(lambda text: {"option": "corn", "other": text}),
    "m1": sets | st.builds(lambda chosen, text: {"options": chosen, "other": text}, sets, texts),
    "r1": st.sampled_from([{"corn": 1}, {"corn": 2, "yams": 1}, {"yams": 2}]),
    "x1": st.dictionaries(st.sampled_from(["han", "leia"]), columns, min_size=1),
    "y1": st.dictionaries(st.sampled_from(["han", "leia"]), st.lists(columns, min_size=1, unique=True), min_size=1),
    "o1": st.sampled_from(["DE", "AT", "US"]),
    "l1": st.builds(
        lambda north, east: {"latitude": north, "longitude": east}, st.floats(-90, 90), st.integers(-180, 180)
    ),
    "a1": st.dictionaries(st.sampled_from(["city", "street"]), texts, min_size=1),
    "f1": st.lists(st.sampled_from(FILES), min_size=1, unique=True),
}
item_answers = st.fixed_dictionaries({}, optional={"gn": numbers, "gt": texts, "gb": st.booleans()})
form_answers = st.fixed_dictionaries({}, optional={**ANSWERS, "g1": st.lists(item_answers, min_size=1, max_size=4)})

READS: dict[str, list[str]] = {
    "number": [
        "answers.n1", "answers.n2", "answers.n3", "answers.r1.corn", "answers.l1.latitude", "answers.k1", "answers.s1",
        "score(answers.c1)", "score(answers.m1)", "score(answers.n3)", "sum(answers.g1.gn)", "avg(answers.g1.gk)",
        "max(answers.g1.gn)", "count(answers.g1)", "count(answers.m1)", "score(answers.x1)", "score(answers.y1)",
    ],
    "text": ["answers.t1", "answers.t2", "answers.c1", "answers.c1.other", "answers.x1.han", "answers.a1.city",
             "answers.o1", "answers.k2", "join(answers.m1, '+')", "join(answers.g1.gt, ' ')", "min(answers.g1.gt)"],
    "truth": ["answers.b1", "answers.b2", "answers.k3", "(answers.g1.gb contains true)"],
    "date": ["answers.d1", "today()", "answers.d2", "now()"],
    "list": ["answers.m1", "answers.y1.leia", "answers.g1.gt", "['corn', 'a', null]", "answers.f1"],
}  # fmt: skip
INSIDE: dict[str, list[str]] = {
    "number": ["item.gn", "item.gk", "answers.n1", "answers.n3"],
    "text": ["item.gt", "answers.t1", "answers.c1"],
    "truth": ["item.gb", "answers.b1"],
    "date": ["answers.d1", "now()"],
    "list": ["answers.m1", "['a']"],
}


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


literals: dict[str, st.SearchStrategy[str]] = {
    "number": st.sampled_from(["0", "1", "2.5", "-3", "0.1", "1.005", "999999999999999", "100.25"]),
    "text": st.sampled_from(["''", "'corn'", "'a'", "'2000-02-29'", "'12.5'"]) | texts.map(_literal),
    "truth": st.sampled_from(["true", "false"]),
    "date": st.sampled_from(["'2000-02-29'", "'2024-12-31'", "'0001-01-01'"]),
    "list": st.just("[]"),
}
CALLS: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "number": [
        *((f"({{}} {sign} {{}})", ("number", "number")) for sign in "+-*/%"),
        ("-{}", ("number",)), ("round({})", ("number",)), ("round({}, 2)", ("number",)), ("floor({})", ("number",)),
        ("ceil({})", ("number",)), ("abs({})", ("number",)), ("min({}, {})", ("number", "number")),
        ("sum({}, {}, {})", ("number", "number", "number")), ("avg({}, {})", ("number", "number")),
        ("length({})", ("text",)), ("count({})", ("list",)), ("number({})", ("text",)), ("year({})", ("date",)),
        ("weekday({})", ("date",)), ("days({}, {})", ("date", "date")), ("years({}, {})", ("date", "date")),
        ("if({}, {}, {})", ("truth", "number", "number")), ("coalesce({}, {})", ("number", "number")),
    ],
    "text": [
        ("concat({}, {}, {})", ("text", "number", "truth")), ("lower({})", ("text",)), ("upper({})", ("text",)),
        ("trim({})", ("text",)), ("left({}, {})", ("text", "number")), ("right({}, 2)", ("text",)),
        ("text({})", ("number",)), ("join({}, '-')", ("list",)), ("if({}, {}, {})", ("truth", "text", "text")),
        ("coalesce({}, {})", ("text", "text")), ("max({}, {})", ("text", "text")),
    ],
    "truth": [
        *((f"({{}} {sign} {{}})", ("number", "number")) for sign in ("==", "!=", "<", "<=", ">", ">=")),
        *((f"({{}} {sign} {{}})", ("text", "text")) for sign in ("==", "!=", "<", ">=", "in", "contains")),
        *((f"({{}} {sign} {{}})", ("truth", "truth")) for sign in ("and", "or", "==", "!=")),
        ("({} contains {})", ("list", "text")), ("({} == {})", ("list", "list")), ("(not {})", ("truth",)),
        ("({} == null)", ("number",)), ("(null != {})", ("text",)), ("empty({})", ("list",)), ("empty({})", ("text",)),
        ("starts_with({}, {})", ("text", "text")), ("ends_with({}, {})", ("text", "text")),
        ("({} and {} or {})", ("number", "text", "list")),
    ],
    "date": [("add_days({}, {})", ("date", "number"))],
    "list": [],
}  # fmt: skip


def expressions(kind: str, reads: dict[str, list[str]], depth: int = 2) -> st.SearchStrategy[str]:
    """Expressions of a type that read some of `reads`."""
    leaf = st.sampled_from(reads[kind]) | literals[kind]
    calls = CALLS[kind] if depth else []
    if not calls:
        return leaf

    @st.composite
    def call(draw: st.DrawFn) -> str:
        template, kinds = draw(st.sampled_from(calls))
        return template.format(*(draw(expressions(each, reads, depth - 1)) for each in kinds))

    return call() | leaf


conditions = expressions("truth", READS)
inside = expressions("truth", INSIDE)


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:  # noqa: C901 - each draw is one decision
    """A form with logic everywhere; some go in a circle."""
    maybe = st.booleans()
    rarely = st.integers(0, 5).map(lambda number: number == 0)

    def element(name: str, properties: dict[str, Any]) -> dict[str, Any]:
        made = make_element(properties["type"], name, **{key: properties[key] for key in properties if key != "type"})
        if draw(rarely):
            made["visible_if"] = draw(conditions)
        if properties["type"] != "calculated" and draw(rarely):
            made["required_if"] = draw(conditions)
        return made

    elements = [element(name, properties) for name, properties in FIELDS.items()]
    group = element("g1", {"type": "group"})
    group["elements"] = [
        make_element("number", "gn", **({"visible_if": draw(inside)} if draw(rarely) else {})),
        make_element("short_text", "gt", required_if=draw(inside)),
        make_element("yes_no", "gb"),
        make_element("calculated", "gk", value=draw(expressions("number", INSIDE))),
        make_element("statement", "gs", visible_if=draw(inside)),
    ]
    elements.append(group)
    elements = draw(st.permutations(elements))
    calculated = [
        element("s1", {"type": "calculated", "value": "score(answers.m1) + score(answers.c1)"}),
        element("k1", {"type": "calculated", "value": draw(expressions("number", READS, 3))}),
        element("k2", {"type": "calculated", "value": draw(expressions("text", READS, 3))}),
        element("k3", {"type": "calculated", "value": draw(expressions("truth", READS, 3))}),
    ]
    cut = draw(st.integers(0, len(elements)))
    section = make_element("section", "sec", elements=elements[cut : cut + 3])
    if draw(maybe):
        section["visible_if"] = draw(conditions)
    if draw(rarely):
        section["required_if"] = draw(conditions)
    rest = elements[cut + 3 :]
    pages: list[dict[str, Any]] = [
        {"id": "p1", "elements": elements[:cut]},
        {"id": "p2", "elements": [section, make_element("statement", "st", visible_if=draw(conditions))]},
        {"id": "p3", "elements": rest},
        {"id": "p4", "elements": calculated},
    ]
    for page in pages[1:3]:
        if draw(rarely):
            page["visible_if"] = draw(conditions)
        if draw(rarely):
            page["required_if"] = draw(conditions)
    for index, page in enumerate(pages[:3]):
        if draw(maybe):
            target = draw(st.sampled_from([*(f"p{number}" for number in range(index + 2, 5)), "end"]))
            page["next"] = [{"if": draw(conditions), "to": target}]
    names = st.lists(st.sampled_from([*FIELDS, "g1", "k1"]), max_size=2, unique=True)
    rules = [
        {"id": f"rule{number}", "check": draw(conditions), "message": "No", "fields": draw(names)}
        for number in range(draw(st.integers(0, 2)))
    ]
    return {"pages": pages, "rules": rules}
