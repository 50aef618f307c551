"""The shape of what crosses a context's door: frozen, closed, framework-free."""

from typing import Any, Generic, TypeVar

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

    def __reduce__(self) -> tuple[Any, ...]:
        # The class of a parametrised generic is made at run time: another process knows it by its parameter only.
        args = type(self).__pydantic_generic_metadata__["args"]
        return _page_of, (args[0] if args else None, self.data, self.meta)


def _page_of(row: Any, data: list[Any], meta: PageMeta) -> Page[Any]:
    page: type[Page[Any]] = Page[row] if row is not None else Page
    return page.model_construct(data=data, meta=meta)
