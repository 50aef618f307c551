"""How well entities are found in real requests: folds of NLU++ (PolyAI, CC BY 4.0) that nothing was trained on."""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from time import process_time
from typing import Any, Final

from benchmarks.machine import describe
from deployments.models.contracts import Entity, Frame
from deployments.models.extraction.extractor import Extractor

DOMAINS: Final = ("banking", "hotels")
# The rule of the split, fixed before anything was trained: the last three of the ten folds of each domain.
TRAINING: Final = tuple(range(7))
HELD_OUT: Final = (7, 8, 9)

# The moment against which the data's own values were written: "today" is 15 March 2022 and "now" is nine o'clock.
FRAME: Final = Frame(moment=datetime(2022, 3, 15, 9, tzinfo=UTC), languages=("en",), country="GB")

SLOTS: Final = {
    "date": "date",
    "date_from": "date",
    "date_to": "date",
    "time": "time",
    "time_from": "time",
    "time_to": "time",
    "date_period": "period",
    "time_period": "period",
    "amount_of_money": "money",
    "person_name": "person",
    "company_name": "organisation",
}
PERIODS: Final = frozenset({"date", "time", "datetime", "quantity"})
TYPES: Final = ("date", "time", "period", "money", "person", "organisation")


@dataclass(frozen=True)
class Slot:
    """What the data says a text names."""

    slot: str
    type: str
    start: int
    end: int
    value: Any


@dataclass
class Count:
    """Spans found rightly, wrongly and not at all; of the right ones with a value, how many have the right value."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    valued: int = 0
    values_right: int = 0

    @property
    def precision(self) -> float:
        return self.right / max(self.right + self.wrong, 1)

    @property
    def recall(self) -> float:
        return self.right / max(self.right + self.missed, 1)

    @property
    def f1(self) -> float:
        return 2 * self.right / max(2 * self.right + self.wrong + self.missed, 1)


@dataclass
class Score:
    """What was measured."""

    texts: int = 0
    counts: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: list[tuple[str, str, str]] = field(default_factory=list)


def read(data: Path, folds: Iterable[int]) -> list[tuple[str, list[Slot]]]:
    """Texts and what they name, of the folder `nlupp`."""
    rows: list[tuple[str, list[Slot]]] = []
    for domain in DOMAINS:
        for fold in folds:
            for row in json.loads((data / domain / f"fold{fold}.json").read_text(encoding="utf-8")):
                slots = [
                    Slot(name, SLOTS[name], *slot["span"], slot.get("value"))
                    for name, slot in row.get("slots", {}).items()
                    if name in SLOTS
                ]
                rows.append((row["text"], slots))
    return rows


def judge(rows: Sequence[tuple[str, list[Slot]]], found: Sequence[Sequence[Entity]]) -> Score:
    """Compare. A moment ("tomorrow at 5") counts as its date and its time where the data has both in just its span."""
    score = Score(texts=len(rows))
    for (text, slots), entities in zip(rows, found, strict=True):
        open_slots = list(slots)
        for entity in entities:
            matched = _matched(entity, open_slots)
            for slot in matched:
                open_slots.remove(slot)
                count = score.counts[slot.type]
                count.right += 1
                score.confusion[slot.type, entity.type] += 1
                if slot.value is not None and slot.type not in ("person", "organisation"):
                    count.valued += 1
                    right = _same_value(slot, entity.value or "")
                    count.values_right += right
                    if not right:
                        score.errors.append(("value", f"{entity.text!r} {entity.value} != {slot.value}", text))
            if not matched:
                score.counts[entity.type if entity.type != "datetime" else "time"].wrong += 1
                near = [slot for slot in slots if slot.start < entity.end and entity.start < slot.end]
                score.confusion[near[0].type if near else "nothing", entity.type] += 1
                score.errors.append(("wrong", f"{entity.type} {entity.text!r}", text))
        for slot in open_slots:
            score.counts[slot.type].missed += 1
            score.confusion[slot.type, "nothing"] += 1
            score.errors.append(("missed", f"{slot.slot} {text[slot.start : slot.end]!r}", text))
    return score


def _matched(entity: Entity, slots: list[Slot]) -> list[Slot]:
    same = [slot for slot in slots if (slot.start, slot.end) == (entity.start, entity.end)]
    if same:
        slot = same[0]
        fits = entity.type == slot.type or (slot.type == "period" and entity.type in PERIODS)
        return same[:1] if fits or (slot.type == "time" and entity.type == "datetime") else []
    if entity.type != "datetime":
        return []
    inside = [slot for slot in slots if entity.start <= slot.start and slot.end <= entity.end]
    whole = inside and (min(s.start for s in inside), max(s.end for s in inside)) == (entity.start, entity.end)
    return inside if whole and sorted(s.type for s in inside) == ["date", "time"] else []


def _same_value(slot: Slot, value: str) -> bool:
    if slot.type == "money":
        currency, _, amount = value.partition(" ")
        return float(amount or -1) == slot.value["amount"] and slot.value["currency"] in (currency, "ambiguous")
    if slot.type == "time":
        clock = value.partition("T")[2] or value
        return clock[:5] == f"{slot.value['hour']:02d}:{slot.value['minute']:02d}"
    if slot.type == "date":
        # A month or a week counts as its first day, and as its last where the slot is an end.
        first, _, last = value.partition("T")[0].partition("/")
        day = date(slot.value["year"], slot.value["month"], slot.value["day"]).isoformat()
        if len(first) == len("2022-03"):
            return day.startswith(first) and (slot.slot == "date_to" or slot.value["day"] == 1)
        return day == (last or first if slot.slot == "date_to" else first)
    return False


def measured(data: Path, folds: Iterable[int] = HELD_OUT) -> tuple[Score, float]:
    """The score on folds, and texts in a second of processor time."""
    rows = read(data, folds)
    extractor = Extractor()
    extractor.extract(
        [text for text, _ in rows[:20]], FRAME
    )  # what is loaded when first needed is no part of the speed
    began = process_time()
    found = extractor.extract([text for text, _ in rows], FRAME).entities
    return judge(rows, found), len(rows) / (process_time() - began)


def tables(score: Score) -> str:
    """What was measured, as tables of Markdown."""
    lines = [
        "| type | in the data | precision | recall | F1 | values right |",
        "|---|---|---|---|---|---|",
    ]
    for kind in TYPES:
        count = score.counts[kind]
        values = f"{count.values_right} of {count.valued}" if count.valued else ""
        lines.append(
            f"| {kind} | {count.right + count.missed} | {count.precision:.1%} | {count.recall:.1%} | {count.f1:.1%} "
            f"| {values} |"
        )
    every = Count(
        sum(score.counts[kind].right for kind in TYPES),
        sum(count.wrong for kind, count in score.counts.items() if kind != "place"),
        sum(score.counts[kind].missed for kind in TYPES),
    )
    lines.append(
        f"| all | {every.right + every.missed} | {every.precision:.1%} | {every.recall:.1%} | {every.f1:.1%} | |"
    )
    found = sorted({kind for _, kind in score.confusion} - {"nothing"})
    lines += ["", f"| in the data | {' | '.join(found)} | nothing |", "|---|" + "---|" * (len(found) + 1)]
    for kind in (*TYPES, "nothing"):
        numbers = [score.confusion[kind, other] or "" for other in (*found, "nothing")]
        lines.append(f"| {kind} | {' | '.join(map(str, numbers))} |")
    return "\n".join(lines)


PAGE: Final = """# How well entities are found

[`python -m benchmarks.ai.entities <data> docs/ai/entities.md`](../../benchmarks/ai/entities.py) measured this; how
they are found is told in [decision 0030](../decisions/0030-finding-entities.md).

**Data.** [NLU++](https://github.com/PolyAI-LDN/task-specific-datasets) (PolyAI, CC BY 4.0): real requests to a bank and
to hotels in English, with marked slots. Folds 7, 8 and 9 of each domain were held out by this rule before anything was
written or trained: {texts} texts. Folds 0 to 6 were read while the rules were made, and the tagger learned from them.
One exception: a list of the first dozen values of each slot was read before, and for `time_from`, `time_to` and
`time_period`, which are rare, that list reached into the folds held out.

**Measure.** A span counts only when both ends are the marked ones, its value only when it is the marked one. The data's
own "now" is 15 March 2022, nine o'clock. What a slot is called here:

| Type | Slots |
|---|---|
| date | `date`, `date_from`, `date_to` |
| time | `time`, `time_from`, `time_to`; also a `datetime` of the same span |
| period | `date_period`, `time_period`; a date, time or quantity of the same span is right |
| money | `amount_of_money` |
| person, organisation | `person_name`, `company_name` |

A `datetime` whose span is just that of a date and a time counts as both. `number`, `people`, `adults`, `kids` and
other slots are numbers and topics of a dialogue, and not asked for. Whatever else is found and not marked
counts as wrong in the line of all types, but for places, which the data never marks.

{tables}

In the second table a row is what the data has and a column is what was found there; an entity whose span is another
counts with what it overlaps, and what it overlaps counts as found nowhere.

What the figures hide and show:
* Of two ends of a range the data reads each by itself ("4th" of "4th to 9 October 2017" is a 4 April); here the first
  takes month and year from the second, which the data counts as wrong. A range with a dash is one interval here and two
  slots there.
* Vague and recurring periods ("lately", "each month", "summer") are marked in the data, and have no value to be told.
* There are few people and companies in the data ({person} and {organisation}), so that one more or less is several
  percent. Most names are in small letters and rare ("rickelle kawamoto", "eon").
* An earlier tagger had an F1 of 75.7 % for people and 53.3 % for organisations on these folds. It was given up because
  it took words of short lists ("Banana Pudding", "Rice, beans") for names, which this data does not show; no choice was
  made by these figures.
* E-mail addresses, phone numbers, URLs, places and order numbers are not marked in it, and there is no other language:
  tables of sentences in `tests/deployments/models/extraction` are what is known of them.

Speed: {speed:.0f} texts of this data in a second of processor time (one thread; the machine did other work besides).

```
{machine}
```
"""


def run(data: Path, page: Path | None = None) -> str:
    """Measure on the folds held out and print it; `data` holds nlupp/, or text/nlupp/. Also write the page, if told."""
    text = data / "text" if (data / "text").is_dir() else data
    score, speed = measured(text / "nlupp")
    report = f"{score.texts} texts\n\n{tables(score)}\n\n{speed:.0f} texts in a second of processor time"
    print(report)
    if page is not None:
        marked = {kind: score.counts[kind].right + score.counts[kind].missed for kind in ("person", "organisation")}
        told = {"texts": score.texts, "tables": tables(score), "speed": speed, "machine": describe(), **marked}
        page.write_text(PAGE.format(**told), encoding="utf-8")
    return report


if __name__ == "__main__":
    print(describe())
    run(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
