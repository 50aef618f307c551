"""Quotas of a form by its answers: how many responses may say a certain thing (F7)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, model_validator

from deployments.kit.contract import Contract
from deployments.kit.texts import Passage

ONE_OPTION: Final = frozenset({"choice", "dropdown"})
SOME_OPTIONS: Final = frozenset({"multi_choice"})

OptionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$")]


class AnswerQuota(Contract):
    """At most `limit` complete responses that choose one of `options` in `field`, or that meet `condition`.

    A response counts once, whatever else it says; it may count for several quotas. What happens to the next one is
    `action`: `refuse` refuses that response, `close` closes the form for everybody as soon as the limit is reached.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="Stays the same while the count is to go on.")
    field: str | None = Field(
        default=None, max_length=64, description="A choice, dropdown or multi_choice field; goes with `options`."
    )
    options: list[OptionId] = Field(
        default_factory=list, max_length=100, description="Ids of options, any of which counts."
    )
    condition: str | None = Field(
        default=None, min_length=1, max_length=2_000, description="In the expression language, instead of `field`."
    )
    limit: int = Field(ge=0, le=2**31 - 1)
    action: Literal["refuse", "close"] = "refuse"
    message: Passage | None = Field(default=None, description="What the visitor is told.")

    @model_validator(mode="after")
    def _one_way(self) -> "AnswerQuota":
        if (self.field is None) == (self.condition is None):
            raise ValueError("a quota has either a field with options or a condition")
        if (self.field is not None) != bool(self.options):
            raise ValueError("a field and options go together")
        return self

    def expression(self, field_type: str | None) -> str:
        """The condition in the expression language; `field_type` is the type of `field`, where there is one."""
        if self.condition is not None:
            return self.condition
        if field_type in SOME_OPTIONS:
            return " or ".join(f"answers.{self.field} contains '{option}'" for option in self.options)
        chosen = ", ".join(f"'{option}'" for option in self.options)
        return f"answers.{self.field} in [{chosen}]"


def elements_of(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every element of a definition document, those inside of others too, in the order of the form."""
    for container in document.get("pages", ()):
        yield from _inside(container)


def _inside(container: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for element in container.get("elements") or ():
        yield element
        yield from _inside(element)
