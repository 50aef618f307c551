"""Countries by their codes (ISO 3166-1 alpha-2)."""

from functools import cache
from typing import Annotated, Any, ClassVar, Final, Literal

import pycountry
from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

from deployments.kit.engine.fields.field import Field, Validator
from deployments.kit.errors import Fault

_UNKNOWN: Final = "This is no country of ISO 3166-1."


@cache
def country_codes() -> frozenset[str]:
    """The two-letter codes of all countries."""
    return frozenset(country.alpha_2 for country in pycountry.countries)


def _known(code: str) -> str:
    if code not in country_codes():
        raise PydanticCustomError("definition.unknown_country", "There is no country of this code.")
    return code


CountryCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$"), AfterValidator(_known)]


def normal_country(raw: Any) -> str | None:
    """The code in capitals, None when there is no such country."""
    code = raw.strip().upper() if type(raw) is str and len(raw) < 8 else None
    return code if code in country_codes() else None


class CountryField(Field):
    """A country. The answer is its two-letter code, in capitals."""

    text_like: ClassVar[bool] = True
    type: Literal["country"]

    def compile(self) -> Validator:
        not_text = self.fault("type", "This must be the two-letter code of a country.")
        unknown = self.fault("format.country", _UNKNOWN)

        def check(raw: Any, faults: list[Fault]) -> str | None:
            if type(raw) is not str:
                faults.append(not_text)
                return None
            if raw.isspace():
                return None
            code = normal_country(raw)
            if code is None:
                faults.append(unknown)
            return code

        return check


TYPES = (CountryField,)
