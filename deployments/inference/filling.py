"""The language of snippets: a small part of Jinja, checked when saved and bounded when used.

There is text, `{{ answers.name }}`, `{{ form_title }}` and `{{ response_id }}`, each with filters, and `{% if %}`
around either. Nothing calls, loops, computes, assigns, includes or reaches deeper: no snippet gets at more than it is
given.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jinja2 import Template, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from deployments.kit.errors import Fault

ANSWERS: Final = "answers"
NAMES: Final = frozenset({ANSWERS, "form_title", "response_id"})
MAX_FILLED: Final = 100_000
"""Most characters of a filled snippet; what is beyond is cut off."""

_DEPTH: Final = 10
_FILTERS: Final[Mapping[str, Any]] = {
    "upper": lambda value: str(value).upper(),
    "lower": lambda value: str(value).lower(),
    "trim": lambda value: str(value).strip(),
    "first_word": lambda value: str(value).split()[0] if str(value).split() else "",
}
_DEFAULT: Final = "default"


def _or(value: object, otherwise: str = "") -> object:
    return otherwise if isinstance(value, _Missing) or str(value) == "" else value


_environment = ImmutableSandboxedEnvironment(autoescape=False, trim_blocks=True, lstrip_blocks=True)
_environment.filters.clear()
_environment.filters.update({**_FILTERS, _DEFAULT: _or})
_environment.tests.clear()
_environment.globals.clear()


class _Missing:
    """Stands for an answer that is not there: false, and shown as its name in brackets."""

    def __init__(self, name: str, missing: dict[str, None]) -> None:
        self._name = name
        self._missing = missing

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        self._missing[self._name] = None
        return f"[{self._name}]"


class _Values(dict[str, object]):
    """Answers by field; one that is not there is a `_Missing`."""

    def __init__(self, values: Mapping[str, str], missing: dict[str, None]) -> None:
        super().__init__(values)
        self._missing = missing

    def __missing__(self, name: str) -> object:
        return _Missing(name, self._missing)


@dataclass(frozen=True, slots=True)
class Filled:
    """A snippet with values in it; `missing` are the placeholders that had none, and stand in brackets."""

    text: str
    missing: tuple[str, ...]


def faults_of(text: str) -> tuple[Fault, ...]:
    """Everything that is wrong with a snippet's text, by its line."""
    try:
        tree = _environment.parse(text)
    except TemplateSyntaxError as error:
        return (_fault("snippet.syntax", error.message or "this cannot be read", error.lineno),)
    except RecursionError:
        return (_fault("snippet.syntax", "this is nested too deeply", 1),)
    return tuple(_body(tree.body, 0))


def fill(text: str, answers: Mapping[str, str], values: Mapping[str, str]) -> Filled:
    """The snippet with these values; `text` has no faults."""
    missing: dict[str, None] = {}
    given = {name: values.get(name) or _Missing(name, missing) for name in NAMES - {ANSWERS}}
    written: list[str] = []
    length = 0
    for piece in _compiled(text).generate({**given, ANSWERS: _Values(answers, missing)}):
        written.append(piece[: MAX_FILLED - length])
        length += len(written[-1])
        if length >= MAX_FILLED:
            break
    return Filled("".join(written), tuple(missing))


def plain(text: str) -> str:
    """The words of a snippet without its placeholders."""
    return " ".join(data.data for data in _environment.parse(text).find_all(nodes.TemplateData) if data.data.strip())


@lru_cache(maxsize=256)
def _compiled(text: str) -> Template:
    return _environment.from_string(text)


def _body(body: Sequence[nodes.Node], depth: int) -> Iterator[Fault]:
    for node in body:
        if depth > _DEPTH:
            yield _fault("snippet.syntax", "this is nested too deeply", node.lineno)
            return
        if isinstance(node, nodes.Output):
            for child in node.nodes:
                if not isinstance(child, nodes.TemplateData):
                    yield from _value(child)
        elif isinstance(node, nodes.If):
            yield from _value(node.test)
            yield from _body(node.body, depth + 1)
            for branch in node.elif_:
                yield from _value(branch.test)
                yield from _body(branch.body, depth + 1)
            yield from _body(node.else_, depth + 1)
        else:
            yield _fault("snippet.forbidden", "only placeholders and if are allowed here", node.lineno)


def _value(node: nodes.Node) -> Iterator[Fault]:
    if isinstance(node, nodes.Filter):
        yield from _filter(node)
    elif isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == ANSWERS:
        if node.attr.startswith("_"):
            yield _fault("snippet.forbidden", f"there is no field {node.attr}", node.lineno)
    elif not isinstance(node, nodes.Name) or node.name == ANSWERS:
        yield _fault("snippet.forbidden", "a placeholder is written {{ answers.field }}", node.lineno)
    elif node.name not in NAMES:
        yield _fault("snippet.unknown", f"there is no value {node.name}", node.lineno)


def _filter(node: nodes.Filter) -> Iterator[Fault]:
    arguments = [argument.value for argument in node.args if isinstance(argument, nodes.Const)]
    wanted = 1 if node.name == _DEFAULT else 0
    if node.name not in _environment.filters:
        yield _fault("snippet.forbidden", f"there is no filter {node.name}", node.lineno)
    elif (
        len(node.args) != wanted
        or node.kwargs
        or not all(isinstance(each, str) for each in arguments)
        or len(arguments) != wanted
        or node.dyn_args
        or node.dyn_kwargs
    ):
        yield _fault("snippet.forbidden", f"{node.name} is written otherwise", node.lineno)
    if node.node is None:
        yield _fault("snippet.forbidden", "a filter stands behind a placeholder", node.lineno)
    else:
        yield from _value(node.node)


def _fault(code: str, detail: str, line: int) -> Fault:
    return Fault("/text", code, f"line {line}: {detail}")
