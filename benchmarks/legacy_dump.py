"""Writes a dump of an older form backend, with the dirt that real ones have; the same for the same seed.

`python -m benchmarks.legacy_dump DIR [--documents 100000] [--seed 1] [--format bson|bson.gz|json|json.gz|array]`

One document in fifty has something wrong with it. `DIR/uploads` has the files. What is wrong is listed in `KINDS`.
"""

import argparse
import gzip
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final

import bson
from bson import Decimal128, Int64, ObjectId, json_util

FORMATS: Final = ("bson", "bson.gz", "json", "json.gz", "array")
KINDS: Final = (
    "e-mails that differ in case only, and some that are none",
    "forms without a slug, and with one that another has",
    "forms that were deleted, and drafts with responses",
    "a question that changes its type from one version to the next",
    "responses of no form, for unknown questions, of unknown versions and people",
    "dates as texts, as milliseconds, and none",
    "NaN, huge texts, NUL characters, emoji, broken UTF-8",
    "files that are not on the disk, and of no response",
    "the last response of BSON is cut off",
)
_START: Final = datetime(2019, 3, 1, 8, tzinfo=UTC)
_WORDS: Final = [
    "service",
    "room",
    "breakfast",
    "late",
    "friendly",
    "booking",
    "again",
    "price",
    "clean",
    "noisy",
    "window",
    "garden",
    "station",
    "staff",
    "quick",
    "reply",
    "form",
]
_COLOURS: Final = ("red", "green", "blue", "dark grey")
_ONE_IN: Final = 50
_HUGE: Final = 120_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many documents each collection has, of so many in all."""

    users: int
    forms: int
    versions: int
    files: int
    responses: int

    @classmethod
    def of(cls, documents: int) -> "Sizes":
        users, forms = max(documents // 50, 4), max(documents // 500, 3)
        versions, files = forms * 2, max(documents // 500, 3)
        return cls(users, forms, versions, files, max(documents - users - forms - versions - files, 1))


class _Maker:
    def __init__(self, sizes: Sizes, seed: int) -> None:
        self._sizes = sizes
        self._dice = random.Random(seed)
        self._users = [self._id(number) for number in range(sizes.users)]
        self._forms = [self._id(number) for number in range(sizes.forms)]
        self.responses = [self._id(number) for number in range(sizes.responses)]

    def users(self) -> Iterator[dict[str, Any]]:
        for number, id_ in enumerate(self._users):
            document: dict[str, Any] = {
                "_id": id_,
                "email": f"person{number}@example.org",
                "password": "$2b$12$KIXbOq0t0bL8m1nS1e8b0eJ1u0b9o5m8N8xwYf0b1dJ4uQmC5rD9K",
                "firstName": "Zoë" if number % 7 == 0 else "Ada",
                "lastName": f"No. {number}",
                "roles": ["admin"] if number == 0 else ["editor"] if number % 10 == 0 else ["user"],
                "isActive": number % 23 != 0,
                "createdAt": _START + timedelta(hours=number),
                "__v": 0,
            }
            if self._dirty(number, 0):
                document["email"] = f"PERSON{max(number - 1, 0)}@Example.org"
            elif self._dirty(number, 1):
                document |= {"email": "not an address", "newsletter": {"opted_in": True}}
            elif self._dirty(number, 2):
                document["createdAt"] = "2019-05-01T10:00:00"
            yield document

    def forms(self) -> Iterator[dict[str, Any]]:
        for number, id_ in enumerate(self._forms):
            document: dict[str, Any] = {
                "_id": id_,
                "slug": f"survey-{number}",
                "title": f"Survey {number}",
                "fields": _questions(number, 2),
                "version": 2,
                "status": "published",
                "settings": {"successMessage": "Thank you!", "notifyEmails": "team@example.org", "theme": "plain"},
                "createdBy": self._users[number % len(self._users)],
                "createdAt": _START + timedelta(days=number),
                "updatedAt": (_START + timedelta(days=number + 1)).isoformat(),
            }
            if number % 10 == 1:
                del document["slug"]
            elif number % 10 == 2:
                document["slug"] = "Survey 0!" if number == 2 else f"survey-{number - 1}"
            elif number % 10 == 5:
                document["deletedAt"] = _START + timedelta(days=900)
            elif number % 10 == 6:
                document["status"] = "draft"
            elif number % 10 == 7:
                document["status"] = "closed"
            yield document

    def versions(self) -> Iterator[dict[str, Any]]:
        for number in range(self._sizes.versions):
            form, version = self._forms[number // 2], number % 2 + 1
            moment = _START + timedelta(days=number // 2 + version)
            document = {"_id": self._id(number), "form_id": form, "version": Int64(version), "created_at": moment}
            yield {**document, "fields": _questions(number // 2, version)}

    def all_responses(self) -> Iterator[dict[str, Any]]:
        for number, id_ in enumerate(self.responses):
            yield self._response(number, id_)

    def files(self) -> Iterator[dict[str, Any]]:
        for number in range(self._sizes.files):
            # One in ten is of a response that is none.
            response = _ONE_IN * 2 - 1 if number % 10 == 2 else number * 7
            name = f"note-{number}.txt"
            document = {
                "_id": self._id(number),
                "formResponseId": self.responses[response]
                if response < len(self.responses)
                else ObjectId(b"\xfe" * 12),
                "filename": name,
                "contentType": "text/plain",
                "size": len(_content(number)),
                "path": f"/uploads/{name}" if number % 4 else f"/uploads/lost-{number}.txt",
                "fieldId": "paper",
            }
            yield document

    def _response(self, number: int, id_: ObjectId) -> dict[str, Any]:
        dice, form = self._dice, number % len(self._forms)
        version = 1 + (number // len(self._forms)) % 2
        answers: dict[str, Any] = {
            "name": f"Guest {number}",
            "contact": f"guest{number}@example.com",
            "age": str(18 + number % 60) if version == 1 else 18 + number % 60,
            "colour": dice.choice(_COLOURS),
            "days": dice.sample(("mon", "tue", "wed"), 1 + number % 3),
            "visit": _START + timedelta(days=number % 900),
            "again": number % 3 == 0,
            "remark": " ".join(dice.choices(_WORDS, k=12)),
        }
        document: dict[str, Any] = {
            "_id": id_,
            "formId": self._forms[form],
            "version": version,
            "data": answers,
            "submittedBy": self._users[number % len(self._users)] if number % 4 == 0 else None,
            "submittedAt": _START + timedelta(minutes=7 * number),
            "status": "submitted",
            "ip": f"192.0.2.{number % 250}",
            "userAgent": "Mozilla/5.0",
        }
        dirt = number // _ONE_IN % len(_DIRT) if number % _ONE_IN == _ONE_IN - 1 else None
        if dirt is not None:
            _DIRT[dirt](document, answers)
        return document

    def _dirty(self, number: int, kind: int) -> bool:
        return number % _ONE_IN == 10 + kind or (number == kind + 1 and self._sizes.users < _ONE_IN)

    def _id(self, number: int) -> ObjectId:
        moment = int(_START.timestamp()) + number
        return ObjectId(moment.to_bytes(4, "big") + self._dice.randbytes(5) + (number & 0xFFFFFF).to_bytes(3, "big"))


def _unknown(document: dict[str, Any], answers: dict[str, Any]) -> None:
    answers["removed_question"] = "still here"
    document["campaign"] = "spring"


def _orphan(document: dict[str, Any], _: dict[str, Any]) -> None:
    document["formId"] = ObjectId(b"\xff" * 12)


def _text_date(document: dict[str, Any], answers: dict[str, Any]) -> None:
    document["submittedAt"] = "2020-02-30 somewhere"
    answers["visit"] = "03/04/2020"


def _mail_date(document: dict[str, Any], answers: dict[str, Any]) -> None:
    document["submittedAt"] = "Mon, 02 Mar 2020 10:00:00 +0100"
    answers["visit"] = "2020-03-02"


def _milliseconds(document: dict[str, Any], _: dict[str, Any]) -> None:
    document["submittedAt"] = Int64(1_583_000_000_000)


def _no_date(document: dict[str, Any], _: dict[str, Any]) -> None:
    del document["submittedAt"]
    document["version"] = 9


def _not_a_number(_: dict[str, Any], answers: dict[str, Any]) -> None:
    answers["age"] = float("nan")


def _huge(_: dict[str, Any], answers: dict[str, Any]) -> None:
    answers["remark"] = "x" * _HUGE


def _strange(_: dict[str, Any], answers: dict[str, Any]) -> None:
    answers["remark"] = "before\0after"
    answers["name"] = "Renée 👩‍🚀 🎉"


def _gone(document: dict[str, Any], _: dict[str, Any]) -> None:
    document["isDeleted"] = True


def _unfinished(document: dict[str, Any], _: dict[str, Any]) -> None:
    document["status"] = "draft"


def _listed(document: dict[str, Any], answers: dict[str, Any]) -> None:
    document["answers"] = [{"field_id": name, "value": value} for name, value in answers.items()]
    del document["data"]
    document["submittedBy"] = ObjectId(b"\xfd" * 12)


def _decimal(_: dict[str, Any], answers: dict[str, Any]) -> None:
    answers["age"] = Decimal128("41")
    answers["colour"] = "purple"


def _broken(_: dict[str, Any], answers: dict[str, Any]) -> None:
    answers["remark"] = BROKEN


BROKEN: Final = "broken here: ~~"
"""Its last two characters stand for bytes that are no UTF-8; in BSON these are put in their place."""

_DIRT: Final[tuple[Callable[[dict[str, Any], dict[str, Any]], None], ...]] = (
    *(_unknown, _orphan, _text_date, _milliseconds, _no_date, _not_a_number, _huge),
    *(_strange, _gone, _unfinished, _listed, _decimal, _broken, _mail_date),
)


def _questions(form: int, version: int) -> list[dict[str, Any]]:
    age = {"id": "age", "type": "text" if version == 1 else "number", "label": "Your age"}
    fields: list[dict[str, Any]] = [
        {"id": "name", "type": "text", "label": "Your name", "required": True, "validation": {"maxLength": 80}},
        {"id": "contact", "type": "email", "label": "E-mail"},
        age,
        {"id": "colour", "type": "select", "label": "Colour", "options": list(_COLOURS)},
        {
            "id": "days",
            "type": "checkboxes",
            "label": "Days",
            "options": [{"value": day, "label": day.title()} for day in ("mon", "tue", "wed")],
        },
        {"id": "visit", "type": "date", "label": "Day of the visit"},
        {"id": "again", "type": "checkbox", "label": "Would you come again?"},
        {"id": "remark", "type": "textarea", "label": "Anything else?"},
        {"id": "paper", "type": "file", "label": "A paper"},
    ]
    if form % 5 == 1:
        fields.append(
            {"id": "why", "type": "wysiwyg", "label": "Why?", "conditional": {"field": "again", "value": False}}
        )
    return fields


def _content(number: int) -> bytes:
    return f"The paper of guest {number}.\n".encode() * (1 + number % 20)


def write_dump(folder: Path, documents: int, seed: int = 1, form: str = "bson") -> Sizes:
    """Write the dump and its files; how many documents there are."""
    sizes = Sizes.of(documents)
    maker = _Maker(sizes, seed)
    folder.mkdir(parents=True, exist_ok=True)
    collections = {
        "users": maker.users(),
        "forms": maker.forms(),
        "form_versions": maker.versions(),
        "form_responses": maker.all_responses(),
        "files": maker.files(),
    }
    for name, found in collections.items():
        _write(folder, name, found, form)
    (folder / "uploads").mkdir(exist_ok=True)
    for number in range(sizes.files):
        if number % 4:
            (folder / "uploads" / f"note-{number}.txt").write_bytes(_content(number))
    return sizes


def _write(folder: Path, name: str, documents: Iterator[dict[str, Any]], form: str) -> None:
    ending = {"bson": ".bson", "bson.gz": ".bson.gz", "json": ".json", "json.gz": ".json.gz", "array": ".json"}[form]
    with _target(folder / f"{name}{ending}") as file:
        if form == "array":
            file.write(b"[\n")
        last = b""
        for number, document in enumerate(documents):
            if form.startswith("bson"):
                last = bson.encode(document).replace(BROKEN[-2:].encode(), b"\xff\xfe")
                file.write(last)
            else:
                text = json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS, ensure_ascii=False)
                separator = b",\n" if form == "array" and number else b""
                file.write(separator + text.encode() + (b"" if form == "array" else b"\n"))
        if form == "array":
            file.write(b"\n]\n")
        elif form.startswith("bson") and name == "form_responses":
            # As when the disk was full: a document that nobody has the end of.
            file.write(last[: len(last) // 2])


def _target(path: Path) -> IO[bytes]:
    if path.name.endswith(".gz"):
        return gzip.GzipFile(path, "wb", mtime=0, compresslevel=1)  # type: ignore[return-value]
    return path.open("wb")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--format", choices=FORMATS, default="bson")
    arguments = parser.parse_args()
    sizes = write_dump(arguments.folder, arguments.documents, arguments.seed, arguments.format)
    print(f"{arguments.folder}: {sizes}")


if __name__ == "__main__":
    main()
