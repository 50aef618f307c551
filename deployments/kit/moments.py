"""Moments as clients write them: RFC 3339, with a zone. A bare number would be taken for seconds since 1970."""

from typing import Annotated, Any, TypeAlias

from pydantic import AwareDatetime, BeforeValidator
from pydantic_core import PydanticCustomError


def written(value: Any) -> Any:
    """The value, unless it is a number."""
    if isinstance(value, int | float):
        raise PydanticCustomError("datetime_type", "a time is written as RFC 3339 has it")
    return value


WrittenMoment: TypeAlias = Annotated[AwareDatetime, BeforeValidator(written)]
