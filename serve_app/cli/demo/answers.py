"""Answers that somebody could give to a published form, made from its definition."""

import random
from collections.abc import Callable, Iterator
from typing import Any

Element = dict[str, Any]


def answers_to(definition: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """A valid answer to every question whose type allows one to be made up."""
    return {
        element["id"]: _ANSWERS[element["type"]](element, chance)
        for element in _elements(definition)
        if element["type"] in _ANSWERS and "visible_if" not in element
    }


def _elements(definition: dict[str, Any]) -> Iterator[Element]:
    for page in definition["pages"]:
        for element in page["elements"]:
            if element["type"] == "section":
                if "visible_if" not in element:
                    yield from element["elements"]
            else:
                yield element


def _option(element: Element, chance: random.Random) -> str:
    return str(chance.choice(element["options"])["id"])


def _options(element: Element, chance: random.Random) -> list[str]:
    options = [option["id"] for option in element["options"]]
    rules = element.get("validation", {})
    fewest = max(1, rules.get("min_choices") or 1)
    most = min(len(options), rules.get("max_choices") or max(fewest, 3))
    return chance.sample(options, chance.randint(min(fewest, most), most))


def _ranking(element: Element, chance: random.Random) -> list[str]:
    options = [option["id"] for option in element["options"]]
    return chance.sample(options, len(options))


def _matrix(element: Element, chance: random.Random) -> dict[str, str]:
    return {row["id"]: chance.choice(element["columns"])["id"] for row in element["rows"]}


def _matrix_multi(element: Element, chance: random.Random) -> dict[str, list[str]]:
    return {row: [column] for row, column in _matrix(element, chance).items()}


def _number(element: Element, chance: random.Random) -> int:
    rules = element.get("validation", {})
    lowest = int(rules["min"]) if rules.get("min") is not None else None
    highest = int(rules["max"]) if rules.get("max") is not None else None
    if lowest is None:
        lowest = 0 if highest is None else highest - 10
    return chance.randint(lowest, lowest + 10 if highest is None else highest)


def _text(element: Element, chance: random.Random) -> str:
    rules = element.get("validation", {})
    text = chance.choice(("Pumpkin pie", "With the family", "As every year", "Turkey, of course"))
    return text.ljust(rules.get("min_length") or 0, ".")[: rules.get("max_length") or None]


def _items(element: Element, chance: random.Random) -> list[dict[str, Any]]:
    form = {"pages": [{"elements": element["elements"]}]}
    number = max(element.get("min_items", 0), min(2, element.get("max_items", 20)))
    items = [answers_to(form, chance) for _ in range(number)]
    return [item for item in items if item]


_ANSWERS: dict[str, Callable[[Element, random.Random], Any]] = {
    "choice": _option,
    "dropdown": _option,
    "multi_choice": _options,
    "ranking": _ranking,
    "matrix": _matrix,
    "matrix_multi": _matrix_multi,
    "number": _number,
    "integer": _number,
    "currency": _number,
    "rating": lambda element, chance: chance.randint(1, element.get("max", 5)),
    "scale": lambda element, chance: chance.randint(element.get("min", 1), element.get("max", 5)),
    "nps": lambda _, chance: chance.randint(0, 10),
    "yes_no": lambda _, chance: chance.random() < 0.5,
    "consent": lambda _element, _chance: True,
    "short_text": _text,
    "long_text": _text,
    "email": lambda _, chance: f"guest{chance.randint(1, 999)}@example.com",
    "url": lambda _element, _chance: "https://example.com/",
    "phone": lambda _element, _chance: "+1 202 555 0100",
    "country": lambda _, chance: chance.choice(("US", "CA", "DE")),
    "location": lambda _, chance: {"latitude": chance.randint(-60, 60), "longitude": chance.randint(-180, 180)},
    "address": lambda _, chance: {
        "street": f"{chance.randint(1, 99)} Elm Street",
        "street2": "Back door",
        "city": "Plymouth",
        "region": "Massachusetts",
        "postal_code": "02360",
        "country": "US",
    },
    "group": _items,
    "date": lambda _, chance: f"2015-11-{chance.randint(1, 28):02}",
    "time": lambda _, chance: f"{chance.randint(12, 20):02}:30",
    "datetime": lambda _, chance: f"2015-11-26T{chance.randint(12, 20):02}:30:00Z",
}
