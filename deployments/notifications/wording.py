"""The language that tenants write mails in: a small part of Jinja, checked when saved and bounded when used.

There is text, `{{ variable }}` with filters, `{% if %}`, and `{% for question, answer in answers %}`. Nothing calls,
computes, assigns, includes or reaches into values: no template gets at more than it is given, and none runs for long.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from html import escape
from html.parser import HTMLParser
from typing import Any, Final

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from deployments.kit.errors import Fault
from deployments.notifications.catalogue import MailKind, Variable

MAX_SUBJECT: Final = 500
MAX_TEXT: Final = 20_000
MAX_HTML: Final = 60_000
MAX_RENDERED: Final = 1_000_000
"""Most characters of a rendered part."""

_LOOPS: Final = 5
_DEPTH: Final = 20
_MARK: Final = "\ue000"
_EDGE: Final = "\ue001"
_BROKEN: Final = re.compile(f"<[/!?]?[{_MARK}{_EDGE}]")
_FORBIDDEN_TAGS: Final = frozenset(
    {"script", "iframe", "object", "embed", "form", "base", "meta", "link", "svg", "math"}
)
_RAW_TAGS: Final = frozenset({"style", "title", "textarea", "xmp", "noscript", "noembed", "noframes", "plaintext"})
_ADDRESSES: Final = frozenset({"href", "src"})


def _date_time(value: datetime | None) -> str:
    return value.strftime("%Y-%m-%d %H:%M %Z") if value is not None else ""


def _date(value: datetime | None) -> str:
    return value.strftime("%Y-%m-%d") if value is not None else ""


def _sentence(value: object) -> str:
    text = str(value)
    return text[:1].upper() + text[1:]


def _indented(value: object) -> str:
    return "\n".join("    " + line for line in str(value).splitlines())


FILTERS: Final[Mapping[str, Any]] = {
    "upper": lambda value: str(value).upper(),
    "lower": lambda value: str(value).lower(),
    "trim": lambda value: str(value).strip(),
    "sentence": _sentence,
    "indented": _indented,
    "date": _date,
    "date_time": _date_time,
}
"""What may stand behind a variable; none takes arguments. `sentence` begins with a capital."""

_OF_MOMENTS: Final = frozenset({"date", "date_time"})


class TooLong(ValueError):
    """A part came out longer than a mail may be."""


def environment(**options: Any) -> ImmutableSandboxedEnvironment:
    """Jinja with these filters beside its own, HTML escaped where the name says so."""
    made = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, **options)
    made.filters.update(FILTERS)
    return made


_plain = environment(autoescape=False)
_markup = environment(autoescape=True)


@dataclass(frozen=True, slots=True)
class Wording:
    """What a mail says, as it was written; without `html` the text stands for it."""

    subject: str
    text: str
    html: str | None = None

    def parts(self) -> Iterator[tuple[str, str]]:
        """The parts there are, by name."""
        yield "subject", self.subject
        yield "text", self.text
        if self.html is not None:
            yield "html", self.html


def faults_of(wording: Wording, mail: MailKind) -> tuple[Fault, ...]:
    """Everything wrong with the wording for this mail, each with the line and column it stands at."""
    faults: list[Fault] = []
    used: set[str] = set()
    for part, source in wording.parts():
        check = _Check(part, source, mail.variables)
        faults += check.run()
        if part == "text":
            used = check.used
    for name, variable in mail.variables.items():
        if variable.required and name not in used:
            faults.append(Fault("/text", "template.missing_variable", f"the text has to say {{{{ {name} }}}}"))
    return tuple(faults)


def fill(source: str, values: Mapping[str, object], *, html: bool = False) -> str:
    """The rendered part. Raises TooLong, jinja2.TemplateError for what `faults_of` would have named."""
    written: list[str] = []
    length = 0
    for piece in _compiled(source, html).generate(values):
        length += len(piece)
        if length > MAX_RENDERED:
            raise TooLong("the mail is too long")
        written.append(piece)
    return "".join(written)


@lru_cache(maxsize=256)
def _compiled(source: str, html: bool) -> Template:
    return (_markup if html else _plain).from_string(source)


def as_html(text: str, link: object = None) -> str:
    """A text as HTML that looks like it, with the mail's own link to click on; what people typed becomes no link."""
    body = escape(text.strip())
    if isinstance(link, str) and link:
        address = escape(link)
        body = body.replace(address, f'<a href="{address}">{address}</a>')
    return f'<p style="margin: 0; white-space: pre-wrap; overflow-wrap: anywhere">{body}</p>'


@dataclass
class _Check:
    """Looks through one part of a wording."""

    part: str
    source: str
    variables: Mapping[str, Variable]
    used: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    said: list[tuple[str, int]] = field(default_factory=list)
    loops: int = 0

    def run(self) -> Sequence[Fault]:
        if _MARK in self.source or _EDGE in self.source:
            return [Fault(f"/{self.part}", "template.syntax", "U+E000 and U+E001 have no place in a text")]
        try:
            tree = _plain.parse(self.source)
        except TemplateSyntaxError as error:
            return [self._fault("template.syntax", error.message or "this cannot be read", error.lineno)]
        except RecursionError:
            return [Fault(f"/{self.part}", "template.syntax", "this is nested too deeply")]
        self._body(tree.body, {}, 0)
        if self.part == "html" and not self.faults:
            self._check_markup()
        return self.faults

    def _body(self, body: Sequence[nodes.Node], inner: Mapping[str, Variable], depth: int) -> None:
        if depth > _DEPTH:
            self._refuse(body[0], "this is nested too deeply")
            return
        self.written.append(_EDGE)
        for node in body:
            if isinstance(node, nodes.Output):
                for child in node.nodes:
                    if isinstance(child, nodes.TemplateData):
                        self.written.append(child.data)
                    else:
                        self._said(child, inner)
            elif isinstance(node, nodes.If):
                self._condition(node.test, inner)
                self._body(node.body, inner, depth + 1)
                for branch in node.elif_:
                    self._condition(branch.test, inner)
                    self._body(branch.body, inner, depth + 1)
                self._body(node.else_, inner, depth + 1)
            elif isinstance(node, nodes.For):
                self._loop(node, inner, depth)
            else:
                self._refuse(node, "only if and for are allowed here")
        self.written.append(_EDGE)

    def _loop(self, node: nodes.For, inner: Mapping[str, Variable], depth: int) -> None:
        self.loops += 1
        target = node.target.items if isinstance(node.target, nodes.Tuple) else ()
        names = [item.name for item in target if isinstance(item, nodes.Name)]
        pairs = isinstance(node.iter, nodes.Name) and self._kind(node.iter, inner) == "pairs"
        if inner or node.test is not None or node.recursive or not pairs or len(names) != 2 or len(target) != 2:
            self._refuse(node, "a loop is written {% for question, answer in answers %}, and holds no other")
            return
        if self.loops > _LOOPS:
            self._refuse(node, f"there may be {_LOOPS} loops")
            return
        self._body(node.body, {name: Variable("", "") for name in names}, depth + 1)
        self._body(node.else_, inner, depth + 1)

    def _condition(self, node: nodes.Node, inner: Mapping[str, Variable], depth: int = 0) -> None:
        if depth > _DEPTH:
            self._refuse(node, "this is nested too deeply")
        elif isinstance(node, nodes.Name):
            self._kind(node, inner)
        elif isinstance(node, nodes.Not):
            self._condition(node.node, inner, depth + 1)
        elif isinstance(node, nodes.And | nodes.Or):
            self._condition(node.left, inner, depth + 1)
            self._condition(node.right, inner, depth + 1)
        elif isinstance(node, nodes.Compare) and all(operand.op in ("eq", "ne") for operand in node.ops):
            for side in (node.expr, *(operand.expr for operand in node.ops)):
                if not isinstance(side, nodes.Const):
                    self._condition(side, inner, depth + 1)
        else:
            self._refuse(node, "a condition is a variable, with and, or, not, == and !=")

    def _said(self, node: nodes.Node, inner: Mapping[str, Variable]) -> None:
        """A variable, with filters; noted in what is written with a mark that the HTML is searched for."""
        filters: list[str] = []
        at = node
        while isinstance(at, nodes.Filter) and at.node is not None and len(filters) < _DEPTH:
            if at.name not in FILTERS or at.args or at.kwargs or at.dyn_args or at.dyn_kwargs:
                known = ", ".join(sorted(FILTERS))
                self._refuse(at, f"there is no such filter {at.name!r}; there are {known}", "template.filter", at.name)
                return
            filters.append(at.name)
            at = at.node
        if not isinstance(at, nodes.Name):
            self._refuse(node, "only variables can be said, as in {{ name }}")
            return
        kind = self._kind(at, inner)
        if kind == "pairs":
            self._refuse(node, "answers are said one by one: {% for question, answer in answers %}", word=at.name)
        elif kind is not None and (kind == "moment") != (bool(filters) and filters[-1] in _OF_MOMENTS):
            rule = "needs the filter date or date_time" if kind == "moment" else "is no moment"
            self._refuse(node, f"{at.name} {rule}", "template.filter", at.name)
        self.used.add(at.name)
        self.written.append(f"{_MARK}{len(self.said)}{_MARK}")
        self.said.append((at.name if not filters else "", node.lineno))

    def _kind(self, node: nodes.Name, inner: Mapping[str, Variable]) -> str | None:
        found = inner.get(node.name) or self.variables.get(node.name)
        if found is None:
            known = ", ".join(sorted({*self.variables, *inner}))
            self._refuse(node, f"there is no variable {node.name!r}; there are {known}", "template.variable", node.name)
            return None
        return found.kind

    def _refuse(self, node: nodes.Node, sentence: str, code: str = "template.syntax", word: str = "") -> None:
        self.faults.append(self._fault(code, sentence, node.lineno, word))

    def _fault(self, code: str, sentence: str, line: int, word: str = "") -> Fault:
        place = f"line {line}"
        lines = self.source.splitlines()
        if word and 0 < line <= len(lines) and (found := re.search(rf"\b{re.escape(word)}\b", lines[line - 1])):
            place += f", column {found.start() + 1}"
        return Fault(f"/{self.part}", code, f"{place}: {sentence}")

    def _check_markup(self) -> None:
        text = "".join(self.written)
        reader = _Markup(self)
        # What is open at the end keeps the last tag from being seen.
        reader.feed(f"{text}<p>")
        if reader.rawdata or _BROKEN.search(text):
            self.markup_fault("a tag is not whole", 1)

    def markup_fault(self, sentence: str, line: int) -> None:
        self.faults.append(self._fault("template.markup", sentence, line))


class _Markup(HTMLParser):
    """Where variables stand in the HTML: as text, or as the whole of an address; nowhere else is escaping enough."""

    def __init__(self, check: _Check) -> None:
        super().__init__(convert_charrefs=True)
        self._check = check
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _FORBIDDEN_TAGS:
            self._refuse(f"<{tag}> has no place in a mail")
        if _MARK in tag:
            self._refuse("the name of a tag may not be a variable")
        if tag in _RAW_TAGS:
            self._within.append(tag)
        self._require_whole(tag)
        for name, value in attrs:
            self._attribute(name, value or "")

    def _attribute(self, name: str, value: str) -> None:
        marks = self._take(name + value)
        self._require_whole(name + value)
        bare = "".join(value.split()).lower()
        if name.startswith("on") or re.match(r"[^a-z]*(javascript|vbscript|data):", bare):
            self._refuse(f"the attribute {name} runs something")
        for number in marks:
            variable, line = self._check.said[number]
            known = self._check.variables.get(variable)
            whole = value == f"{_MARK}{number}{_MARK}"
            if name not in _ADDRESSES or not whole or known is None or known.kind != "url":
                self._check.markup_fault('in a tag only an address may be a variable, as in href="{{ link }}"', line)

    def handle_endtag(self, tag: str) -> None:
        self._require_whole(tag)
        if tag in self._within:
            self._within.remove(tag)

    def handle_data(self, data: str) -> None:
        for number in self._take(data):
            if self._within:
                self._check.markup_fault(f"<{self._within[-1]}> may not say a variable", self._check.said[number][1])

    def handle_comment(self, data: str) -> None:
        self._hidden(data)

    def handle_decl(self, decl: str) -> None:
        self._hidden(decl)

    def handle_pi(self, data: str) -> None:
        self._hidden(data)

    def unknown_decl(self, data: str) -> None:
        self._hidden(data)

    def _require_whole(self, text: str) -> None:
        if _EDGE in text:
            self._refuse("if and for stand around whole tags, not within one")

    def _hidden(self, text: str) -> None:
        for number in self._take(text):
            self._check.markup_fault("a comment may not say a variable", self._check.said[number][1])

    def _take(self, text: str) -> list[int]:
        return [int(number) for number in re.findall(f"{_MARK}([0-9]+){_MARK}", text)]

    def _refuse(self, sentence: str) -> None:
        self._check.markup_fault(sentence, 1)
