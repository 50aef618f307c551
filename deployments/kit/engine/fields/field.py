"""What every element and every field of a form has: the shape, and the two things that a field type must know."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, StringConstraints

from deployments.kit.engine.columns import LABELLED, Column, Kind, Style, value_column
from deployments.kit.engine.expressions import MAX_LENGTH, View
from deployments.kit.engine.expressions.types import TEXT
from deployments.kit.engine.faults import BoundFault, pointer
from deployments.kit.errors import Fault

Validator = Callable[[Any, list[Fault]], Any]
"""Takes an answer that is not empty; returns the normalised answer, or None when it is absent or faults were added."""

Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")]
Prose = Annotated[str, StringConstraints(max_length=20_000, pattern=r"^[^\x00]*$")]
Condition = Annotated[str, StringConstraints(min_length=1, max_length=MAX_LENGTH, pattern=r"^[^\x00]*$")]


_TEXTS: Final = ("title", "description", "min_label", "max_label")
_LISTS: Final = ("options", "rows", "columns")


class Model(BaseModel):
    """Strict, closed and immutable: a definition says exactly what it means."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class Element(Model):
    """One thing on a page. `visible_if` hides it (see `expressions`)."""

    id: Id
    """Names the element; unique in the form, and the key of its answers."""
    type: str
    title: Label
    """What is asked or said."""
    description: Prose | None = None
    """More about it."""
    visible_if: Condition | None = None
    """The element is shown when this expression holds."""

    def faults(self) -> Iterator[Fault]:
        """What is wrong beyond the shape, with pointers relative to the element."""
        yield from ()

    def texts(self) -> dict[str, Any]:
        """The texts that a translation may replace: by property, options by their ids."""
        named = {name: getattr(self, name, None) for name in _TEXTS}
        lists = {name: getattr(self, name, None) for name in _LISTS}
        found: dict[str, Any] = {name: text for name, text in named.items() if text is not None}
        found.update({name: {item.id: item.label for item in items} for name, items in lists.items() if items})
        return found


class Field(Element):
    """An element with an answer. `personal` marks personal data; `required_if` requires it on a condition."""

    text_like: ClassVar[bool] = False
    """Whether every normalised answer is a text, so that a text field may take the place of this type."""
    value_type: ClassVar[str] = TEXT
    """What an answer is in expressions (`expressions.types`)."""
    part_type: ClassVar[str] = TEXT
    """What each part of an answer is in expressions."""
    column_kind: ClassVar[Kind] = "text"
    """What the values of its column are, when the answer is one text or number."""
    browser_view: ClassVar[str | None] = None
    """How the browser finds what `view` returns (`serve_app/web/form/logic.js`); None: it is the answer itself."""

    required: bool = False
    """An answer must be given."""
    required_if: Condition | None = None
    """An answer must be given when this expression holds."""
    personal: bool = False
    """The answers are personal data."""

    @abstractmethod
    def compile(self) -> Validator:
        """The validator of one answer: a closure with everything decided that does not depend on the answer."""

    def export_columns(self, style: Style = LABELLED) -> tuple[Column, ...]:
        """The columns of this field's answers; one when the answer is a single text or number."""
        return (value_column(self.id, self.title, self.column_kind),)

    def view(self, value: Any) -> Any:
        """The normalised answer as expressions see it."""
        return value

    def parts(self) -> frozenset[str]:
        """The parts of the answer that expressions may name after `answers.<id>.`."""
        return frozenset()

    def type_of_part(self, part: str) -> str:
        """What that part of an answer is in expressions."""
        return self.part_type

    def worth(self) -> View | None:
        """What a normalised answer is worth in `score(answers.<id>)`, None when the type has no scores."""
        return None

    def browser_scores(self) -> dict[str, float]:
        """The scores of options by their ids, for the browser; empty when an answer is its own score."""
        return {}

    def is_unique(self) -> bool:
        """Whether each answer may be given once in the form's responses."""
        return bool(getattr(getattr(self, "validation", None), "unique", False))

    def canonical(self, value: Any) -> str | None:
        """The text by which a unique answer is compared with others; None when the type cannot be unique."""
        return None

    def fault(self, code: str, detail: str, *tokens: object, **params: Any) -> Fault:
        """A fault of this field's answer, or of the part of it at `tokens`; `params` is the bound that it breaks."""
        place = pointer("answers", self.id, *tokens)
        return BoundFault(place, code, detail, params) if params else Fault(place, code, detail)


def bounds_fault(low: Any, high: Any, name: str = "validation/min") -> Iterator[Fault]:
    """The fault of bounds that no answer can meet; either may be None."""
    if low is not None and high is not None and low > high:
        yield Fault(f"/{name}", "definition.range", "The lower bound is above the upper bound.")
