"""Forms that the tests of the page show."""

from typing import Any

THREE = [{"id": "corn", "label": "Corn"}, {"id": "yams", "label": "Yams"}, {"id": "rice", "label": "Rice"}]
ROWS = [{"id": "food", "label": "The food"}, {"id": "music", "label": "The music"}]
COLUMNS = [{"id": "good", "label": "Good"}, {"id": "fair", "label": "Fair"}, {"id": "poor", "label": "Poor"}]

ELEMENTS: dict[str, dict[str, Any]] = {
    "short_text": {"title": "Your name", "required": True, "validation": {"max_length": 80}},
    "long_text": {"title": "Tell us more", "validation": {"max_length": 500}},
    "email": {"title": "E-mail", "required": True, "description": "We answer here. See https://example.com/privacy."},
    "url": {"title": "Your page"},
    "phone": {"title": "Telephone"},
    "hidden": {"title": "Campaign"},
    "number": {"title": "Weight in kg", "validation": {"min": 0, "max_decimals": 1}},
    "integer": {"title": "Guests", "validation": {"min": 1, "max": 20}},
    "currency": {"title": "Budget", "currency": "EUR"},
    "date": {"title": "Day", "validation": {"min": "2026-01-01"}},
    "time": {"title": "Time of day"},
    "datetime": {"title": "Moment"},
    "yes_no": {"title": "Do you dance?"},
    "consent": {"title": "You may write to me", "description": "Once a month."},
    "choice": {"title": "Main dish", "options": THREE, "allow_other": True},
    "dropdown": {"title": "Dessert", "options": THREE},
    "multi_choice": {"title": "Sides", "options": THREE, "allow_other": True, "validation": {"max_choices": 2}},
    "ranking": {"title": "Rank them", "options": THREE},
    "rating": {"title": "How was it?", "max": 5},
    "scale": {"title": "How loud?", "min": 1, "max": 7, "min_label": "silent", "max_label": "loud"},
    "nps": {"title": "Would you recommend us?", "min_label": "never", "max_label": "surely"},
    "matrix": {"title": "In detail", "rows": ROWS, "columns": COLUMNS},
    "matrix_multi": {"title": "Words for it", "rows": ROWS, "columns": COLUMNS},
    "statement": {"title": "Nearly done", "description": "Thank you so far."},
}
"""One element of every type, without id and type."""
ANSWERS = {"the_short_text": "Ada", "the_email": "ada@example.com"}
"""To what of them has to be answered."""
EVIL = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>{{ 7 * 7 }}"


_GUEST = {"elements": [{"id": "who", "type": "short_text", "title": "Who", "required": True}]}
_WALK = [{"id": "walk", "type": "yes_no", "title": "On foot?"}]
OTHERS: dict[str, dict[str, Any]] = {
    "country": {"title": "Country"},
    "location": {"title": "Where are you?"},
    "address": {"title": "Home", "required": True},
    "file": {"title": "Your papers", "max_files": 3},
    "image": {"title": "A picture"},
    "signature": {"title": "Sign here"},
    "calculated": {"title": "Together", "value": "1 + 2"},
    "group": {"title": "Guests", "item_title": "Guest", "min_items": 1, **_GUEST},
    "section": {"title": "Your way", "description": "So that we can find it.", "elements": _WALK},
}
"""Those that hold files, places or others."""


def whole() -> dict[str, Any]:
    """A form of one page with all that there is; ids as in `every_type`."""
    form = every_type()
    form["pages"][0]["elements"] += [{"id": f"the_{kind}", "type": kind, **rest} for kind, rest in OTHERS.items()]
    return form


def every_type() -> dict[str, Any]:
    """A form of one page with every type of element; their ids are `the_<type>`."""
    elements = [{"id": f"the_{kind}", "type": kind, **rest} for kind, rest in ELEMENTS.items()]
    return {"title": "The feast", "description": "Tell us all.", "pages": [{"id": "p1", "elements": elements}]}


def three_pages(**more: Any) -> dict[str, Any]:
    """A form of three pages with one question each, of which the last is optional."""
    return {
        "pages": [
            {"id": "p1", "title": "You", "elements": [_text("name", "Your name", required=True)]},
            {"id": "p2", "title": "Where", "elements": [_text("town", "Your town", required=True)]},
            {"id": "p3", "title": "Why", "elements": [_text("reason", "Your reason")]},
        ],
        **more,
    }


def _text(name: str, title: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "short_text", "title": title, **more}
