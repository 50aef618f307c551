"""Where something is: a point on the earth, and a postal address."""

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Strict

from deployments.kit.engine.columns import LABELLED, Answers, Column, Style, part_title
from deployments.kit.engine.expressions.types import MAP, NUMBER
from deployments.kit.engine.fields.country import CountryCode, normal_country
from deployments.kit.engine.fields.field import Field, Validator
from deployments.kit.engine.fields.text import compile_text
from deployments.kit.errors import Fault

_BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "latitude": (-90, 90),
    "longitude": (-180, 180),
    "accuracy": (0, 100_000_000),
}
_LENGTHS: Final[Mapping[str, int]] = {"street": 300, "street2": 300, "city": 200, "region": 200, "postal_code": 20}
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})

AddressPart = Literal["street", "street2", "city", "region", "postal_code", "country"]
_PARTS: Final[tuple[AddressPart, ...]] = ("street", "street2", "city", "region", "postal_code", "country")


class PartsField(Field):
    """What both share: an answer of named parts, each with a column of its own."""

    value_type: ClassVar[str] = MAP
    names: ClassVar[tuple[str, ...]]

    def parts(self) -> frozenset[str]:
        return frozenset(self.names)

    def export_columns(self, style: Style = LABELLED) -> tuple[Column, ...]:
        return tuple(self._part_column(name) for name in self.names)

    def _part_column(self, name: str) -> Column:
        field_id = self.id

        def cell(answers: Answers) -> str:
            value = answers.get(field_id)
            return str(value.get(name, "")) if type(value) is dict else ""

        title = part_title(self.title, name.replace("_", " ").capitalize())
        return Column(f"{field_id}.{name}", title, field_id, cell, "number" if self.part_type == NUMBER else "text")


class LocationField(PartsField):
    """A point: `{"latitude", "longitude", "accuracy"?}`, in degrees (WGS 84) and metres."""

    names = tuple(_BOUNDS)
    part_type = NUMBER
    type: Literal["location"]

    def compile(self) -> Validator:
        bad_type = self.fault("type", "This must be a latitude and a longitude.")
        checks = {name: self._number(name, *bounds) for name, bounds in _BOUNDS.items()}

        def check(raw: Any, faults: list[Fault]) -> dict[str, Any] | None:
            if type(raw) is not dict or not checks.keys() >= raw.keys():
                faults.append(bad_type)
                return None
            before = len(faults)
            if all(raw.get(name) in _EMPTY for name in ("latitude", "longitude")):
                return None
            found = {name: checks[name](raw.get(name), faults) for name in checks if name in raw or name != "accuracy"}
            if len(faults) != before:
                return None
            return {name: value for name, value in found.items() if value is not None}

        return check

    def _number(self, name: str, low: float, high: float) -> Validator:
        not_number = self.fault("type", "This must be a number.", name)
        too_low = self.fault("range.min", f"Enter at least {low}.", name, min=low)
        too_high = self.fault("range.max", f"Enter at most {high}.", name, max=high)

        def check(raw: Any, faults: list[Fault]) -> float | None:
            if raw is None and name == "accuracy":
                return None
            if type(raw) not in (int, float) or (type(raw) is float and not isfinite(raw)):
                faults.append(not_number)
                return None
            if not low <= raw <= high:
                faults.append(too_low if raw < low else too_high)
                return None
            number: float = raw
            return number

        return check


class AddressField(PartsField):
    """A postal address: the texts street, street2, city, region and postal_code, and country as its code.

    `required_parts` names those that an address must have. `default_country` is what the form offers first.
    """

    names = _PARTS
    type: Literal["address"]
    required_parts: Annotated[tuple[AddressPart, ...], Strict(False)] = ()
    """The parts that an address must have."""
    default_country: CountryCode | None = None
    """The country that the form offers first (ISO 3166-1 alpha-2)."""

    def faults(self) -> Iterator[Fault]:
        seen: set[str] = set()
        for index, name in enumerate(self.required_parts):
            if name in seen:
                yield Fault(f"/required_parts/{index}", "definition.duplicate_id", f"The part '{name}' is named twice.")
            seen.add(name)

    def compile(self) -> Validator:
        bad_type = self.fault("type", "This must be the parts of an address.")
        unknown = {"country": self.fault("format.country", "This is no country of ISO 3166-1.", "country")}
        checks = {name: compile_text(self.fault, name, longest=longest) for name, longest in _LENGTHS.items()}
        missing = {name: self.fault("required", "An answer is required.", name) for name in self.required_parts}

        def check_country(raw: Any, faults: list[Fault]) -> str | None:
            code = normal_country(raw)
            if code is None:
                faults.append(unknown["country"])
            return code

        checks["country"] = check_country

        def check(raw: Any, faults: list[Fault]) -> dict[str, str] | None:
            if type(raw) is not dict or not checks.keys() >= raw.keys():
                faults.append(bad_type)
                return None
            before = len(faults)
            given = {name: raw[name] for name in checks if name in raw and not _blank(raw[name])}
            found = {name: checks[name](value, faults) for name, value in given.items()}
            if given:
                faults.extend(fault for name, fault in missing.items() if name not in given)
            return found if found and len(faults) == before else None

        return check


def _blank(value: Any) -> bool:
    return value in _EMPTY or (type(value) is str and value.isspace())


TYPES = (LocationField, AddressField)
