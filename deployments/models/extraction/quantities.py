"""Numbers with a unit of measure, and durations."""

from functools import lru_cache
from typing import Any, Final

from babel import Locale

from deployments.models.extraction import numbers
from deployments.models.extraction.reading import folded
from deployments.models.extraction.rules import Groups, Meaning, Rule
from deployments.models.extraction.words import FULL, words_of

# The symbol of the value for each unit of CLDR that answers of forms speak of.
_UNITS: Final[dict[str, str]] = {
    "length-kilometer": "km",
    "length-meter": "m",
    "length-centimeter": "cm",
    "length-millimeter": "mm",
    "length-mile": "mi",
    "length-yard": "yd",
    "length-foot": "ft",
    "length-inch": "in",
    "mass-tonne": "t",
    "mass-kilogram": "kg",
    "mass-gram": "g",
    "mass-milligram": "mg",
    "mass-pound": "lb",
    "mass-ounce": "oz",
    "volume-liter": "L",
    "volume-deciliter": "dL",
    "volume-centiliter": "cL",
    "volume-milliliter": "mL",
    "volume-gallon": "gal",
    "volume-pint": "pt",
    "volume-cubic-meter": "m3",
    "area-square-meter": "m2",
    "area-square-kilometer": "km2",
    "area-hectare": "ha",
    "area-acre": "acre",
    "area-square-foot": "ft2",
    "speed-kilometer-per-hour": "km/h",
    "speed-mile-per-hour": "mph",
    "temperature-celsius": "Cel",
    "temperature-fahrenheit": "degF",
    "digital-kilobyte": "kB",
    "digital-megabyte": "MB",
    "digital-gigabyte": "GB",
    "digital-terabyte": "TB",
    "energy-kilowatt-hour": "kWh",
    "energy-kilocalorie": "kcal",
    "power-watt": "W",
    "power-kilowatt": "kW",
    "electric-volt": "V",
    "electric-ampere": "A",
    "frequency-hertz": "Hz",
    "concentr-percent": "%",
}
_OTHERWISE: Final[dict[str, str]] = {
    "kilo": "kg",
    "kilos": "kg",
    "lbs": "lb",
    "mins": "min",
    "litros": "L",
    "ltr": "L",
    "sqm": "m2",
    "qm": "m2",
    "metre": "m",
    "metres": "m",
    "kilometres": "km",
    "kilometre": "km",
    "litre": "L",
    "litres": "L",
    "tonnes": "t",
    "m2": "m2",
    "m3": "m3",
    "kmh": "km/h",
    "km/h": "km/h",
    "percent": "%",
    "per cent": "%",
    "prozent": "%",
    "por ciento": "%",
    "pour cent": "%",
    "%": "%",
    "feet": "ft",
    "inches": "in",
    "grad": "Cel",
    "\x7fc": "Cel",
    "\x7ff": "degF",
    "degrees celsius": "Cel",
    "degrees fahrenheit": "degF",
}
# Of the short forms only these: others are words ("2 go"), or say nothing without the letter's size.
_SHORT: Final = frozenset(
    [
        "km",
        "m",
        "cm",
        "mm",
        "mi",
        "yd",
        "ft",
        "kg",
        "g",
        "mg",
        "lb",
        "oz",
        "l",
        "dl",
        "cl",
        "ml",
        "ha",
        "kb",
        "mb",
        "gb",
        "tb",
        "w",
        "kw",
        "v",
        "hz",
        "h",
        "%",
        "m2",
        "m3",
        "\x7fc",
        "\x7ff",
    ]
)
_LASTING: Final = {"h", "wk", "mo", "y", "night"}
# "Twice a day" is no duration.
_RATE: Final = (
    r"\b(?:times?|once|twice|thrice|mal|einmal|zweimal|fois|vez|veces|per|pro|par|por|each|every"
    r"|such|what|which|half) +"
)


class Quantities:
    """What quantities mean in some languages."""

    def __init__(self, languages: tuple[str, ...]) -> None:
        self._languages = languages

    def spelled(self, groups: Groups) -> Meaning | None:
        """A number in words; of what there is one of only hours, weeks, months and years count: "a week", "a foot"."""
        meaning = self.measured(groups)
        if groups["amount"] == "one" and _names(self._languages)[groups["unit"]] == "d":
            return None
        one = meaning is not None and str(meaning.value).startswith("1 ")
        single = groups["amount"] not in ("one", "eins", "uno")
        return None if one and single and _names(self._languages)[groups["unit"]] not in _LASTING else meaning

    def measured(self, groups: Groups) -> Meaning | None:
        """A number with its unit, as "5 kg"; a duration too, as "3 d"."""
        written, name = groups["amount"], " ".join(groups["unit"].split())
        number = numbers.from_digits(written) if written[:1].isdigit() else numbers.from_words(written, self._languages)
        unit = _names(self._languages).get(name)
        if number is None or unit is None:
            return None
        if not groups.get("gap", " ") and (name == "day" or (name == "g" and len(written) == 1)):
            return None  # "2day" is today, and "5g" a network
        number *= numbers.SCALES.get(groups.get("scale", ""), 1)
        if unit == "fortnight":
            number, unit = number * 2, "wk"
        return Meaning("quantity", f"{numbers.plain(number)} {unit}", 0.9 if written[:1].isdigit() else 0.8)


@lru_cache(maxsize=16)
def _names(languages: tuple[str, ...]) -> dict[str, str]:
    """Every way to write a unit in these languages, as `folded`, with its symbol."""
    names: dict[str, str] = {}
    for language in languages:
        patterns: Any = Locale(language)._data["unit_patterns"]  # the only way that babel gives to the words alone
        for unit, symbol in _UNITS.items():
            forms = patterns.get(unit, {})
            for width in ("long", "short", "narrow"):
                for pattern in forms.get(width, {}).values():
                    if isinstance(pattern, str) and "{0}" in pattern:
                        names.setdefault(" ".join(folded(pattern.replace("{0}", "")).split()), symbol)
    names.update(words_of(languages).units)
    names.update(_OTHERWISE)
    for symbol in _UNITS.values():
        names.setdefault(symbol.lower(), symbol)
    return {name: symbol for name, symbol in names.items() if len(name) > 2 or name in _SHORT or name in _SHORT}


@lru_cache(maxsize=16)
def quantity_rules(languages: tuple[str, ...]) -> tuple[Rule[Quantities], ...]:
    """The rules of quantities in these languages, for a `Quantities` of the same."""
    names = sorted(_names(languages), key=lambda each: (-len(each), each))
    units = "|".join(each.replace(".", r"\.").replace("/", "/").replace(" ", " +") for each in names)
    long = "|".join(each for each in names if len(each) > 2 and each.replace(" ", "").isalpha())
    scale = rf"(?: ?(?P<scale>{'|'.join(sorted(numbers.SCALES, key=len, reverse=True))})\b)?"
    spelled = numbers.spelled(tuple(each for each in languages if each in FULL) or FULL)
    return (
        Rule(
            rf"(?P<amount>{numbers.DIGITS}){scale}(?P<gap> ?-?)(?P<unit>{units})",
            Quantities.measured,
            before=r"(?:^|[^\w.,:#/-]|[^\w][.,:-]|[(\x7f-])",
            after=r"[^\w/]|$|\.(?:\D|$)",
        ),
        Rule(rf"\b(?P<amount>{spelled}){scale}[ -](?P<unit>{long})\b", Quantities.spelled, not_before=_RATE),
    )
