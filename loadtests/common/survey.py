"""A survey of ten questions, and people who answer it."""

import random
from typing import Any

SLUG = "visit"
TITLE = "Your visit"

_REASONS = ("work", "family", "leisure", "medical")
_EXTRAS = ("wifi", "parking", "breakfast", "late_checkout")
_WORDS = ("quiet", "friendly", "clean", "slow", "expensive", "central", "excellent", "disappointing", "again", "never")


def _options(ids: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"id": name, "label": name.replace("_", " ").capitalize()} for name in ids]


DEFINITION: dict[str, Any] = {
    "pages": [
        {
            "id": "about",
            "title": "About you",
            "elements": [
                {
                    "id": "name",
                    "type": "short_text",
                    "title": "Your name",
                    "required": True,
                    "validation": {"max_length": 80},
                },
                {"id": "email", "type": "email", "title": "E-mail", "required": True},
                {"id": "arrived", "type": "date", "title": "Day of arrival"},
                {"id": "nights", "type": "integer", "title": "Nights", "validation": {"min": 1, "max": 60}},
            ],
        },
        {
            "id": "stay",
            "title": "Your stay",
            "elements": [
                {"id": "reason", "type": "choice", "title": "Reason", "options": _options(_REASONS)},
                {
                    "id": "extras",
                    "type": "multi_choice",
                    "title": "What did you use?",
                    "options": _options(_EXTRAS),
                    "allow_other": True,
                },
                {"id": "score", "type": "nps", "title": "Would you recommend us?", "required": True},
                {"id": "room", "type": "rating", "title": "The room"},
                {"id": "comment", "type": "long_text", "title": "Anything else?"},
                {"id": "callback", "type": "yes_no", "title": "May we call you?"},
            ],
        },
    ],
    "languages": ["en"],
}


def answers(chance: random.Random) -> dict[str, Any]:
    """What one person answers; every question is answered by most."""
    number = chance.randrange(10**9)
    given: dict[str, Any] = {
        "name": f"Visitor {number}",
        "email": f"visitor{number}@example.com",
        "arrived": f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
        "nights": chance.randint(1, 14),
        "reason": chance.choice(_REASONS),
        "extras": chance.sample(_EXTRAS, chance.randint(1, len(_EXTRAS))),
        "score": min(10, max(0, round(chance.gauss(7.5, 2)))),
        "room": chance.randint(1, 5),
        "comment": " ".join(chance.choices(_WORDS, k=chance.randint(5, 40))),
        "callback": chance.random() < 0.2,
    }
    skipped = {name for name in ("arrived", "reason", "room", "comment") if chance.random() < 0.2}
    return {name: value for name, value in given.items() if name not in skipped}


def wrong_answers(chance: random.Random) -> dict[str, Any]:
    """What somebody sends who mistyped: refused with every mistake at once."""
    return {**answers(chance), "email": "visitor at example", "nights": 0}
