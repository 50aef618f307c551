"""The shape of what crosses a context's door: frozen, closed, framework-free."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Row = TypeVar("Row")


class Contract(BaseModel):
    """A frozen value. Unknown properties are refused, so a typo is an error and not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PageMeta(Contract):
    """Where a page ends and how to get the next one."""

    limit: int
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last.")
    total: int | None = Field(default=None, description="Number of all matches, when `include_total=true`.")


class Page(Contract, Generic[Row]):
    """One page of a list."""

    data: list[Row]
    meta: PageMeta
