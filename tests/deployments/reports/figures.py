"""Figures of forms, computed from answers, for documents to be made of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import mean, median, stdev
from typing import Any

from deployments.analytics.contracts import FieldFigures, FormMetrics, SeriesPoint, TimeSeries
from deployments.analytics.metric_contracts import (
    MatrixRow,
    NpsFigures,
    NumberBin,
    NumberFigures,
    OptionCount,
    PageFigures,
)

AS_OF = datetime(2026, 3, 8, 12, 30, 15, tzinfo=UTC)
TEXTS: Mapping[str, Mapping[str, Any]] = {
    "en": {
        "title": "Thanksgiving dinner: who eats what, and with whom",
        "tenant": "Acme Surveys",
        "side": ("Which sides are usually served?", ["Mashed potatoes", "Stuffing", "Green beans", "Cornbread"]),
        "age": "How old are you?",
        "nps": "Would you recommend the dinner?",
        "matrix": ("How much do you agree?", ["It was tasty", "There was enough", "I would come again"]),
        "scale": ["Not at all", "A little", "Mostly", "Fully"],
        "text": "What should be different next time?",
    },
    "de": {
        "title": "Befragung der Beschäftigten: Zufriedenheit in Küche & Außendienst",
        "tenant": "Müller & Söhne GmbH",
        "side": ("Welche Beilagen gibt es üblicherweise?", ["Kartoffelpüree", "Füllung", "Grüne Bohnen", "Maisbrot"]),
        "age": "Wie alt sind Sie?",
        "nps": "Würden Sie das Essen weiterempfehlen?",
        "matrix": ("Wie sehr stimmen Sie zu?", ["Es hat geschmeckt", "Es war genug da", "Ich käme wieder"]),
        "scale": ["Gar nicht", "Ein wenig", "Überwiegend", "Völlig"],
        "text": "Was sollte beim nächsten Mal anders sein?",
    },
    "ar": {
        "title": "استبيان رضا الموظفين لعام 2026",
        "tenant": "شركة النور",
        "side": ("ما الأطباق الجانبية المعتادة؟", ["بطاطا مهروسة", "حشوة", "فاصوليا خضراء", "خبز الذرة"]),
        "age": "كم عمرك؟",
        "nps": "هل توصي بهذا العشاء؟",
        "matrix": ("إلى أي مدى توافق؟", ["كان لذيذًا", "كانت الكمية كافية", "سآتي مرة أخرى"]),
        "scale": ["لا أوافق", "قليلاً", "غالبًا", "تمامًا"],
        "text": "ما الذي ينبغي تغييره؟",
    },
}


def options(labels: Sequence[str], chosen: Sequence[Sequence[int]]) -> list[OptionCount]:
    """How often each label was chosen by those who chose any."""
    counts = Counter(each for answer in chosen for each in answer)
    answered = sum(1 for answer in chosen if answer) or 1
    return [
        OptionCount(value=f"o{n}", label=label, count=counts[n], share=counts[n] / answered)
        for n, label in enumerate(labels)
    ]


def numbers(values: Sequence[float], bins: int = 8) -> NumberFigures:
    """Figures of numbers, with bins of equal width."""
    if not values:
        return NumberFigures(count=0, sum=0, mean=None, stdev=None, minimum=None, median=None, maximum=None)
    low, high = min(values), max(values)
    width = (high - low) / bins or 1
    counts = Counter(min(int((value - low) / width), bins - 1) for value in values)
    return NumberFigures(
        count=len(values),
        sum=sum(values),
        mean=mean(values),
        stdev=stdev(values),
        minimum=low,
        median=median(values),
        maximum=high,
        bins=[NumberBin(lower=low + n * width, upper=low + (n + 1) * width, count=counts[n]) for n in range(bins)],
    )


def metrics(language: str = "en", responses: int = 200) -> FormMetrics:
    """The figures of a survey of every kind of field, from answers that follow from their number."""
    said = TEXTS[language]
    every = range(responses)
    sides = [[k for k in range(4) if (n * 7 + k * k) % (k + 2) == 0] for n in every]
    ages = [float(18 + (n * 37) % 60) for n in every]
    scores = [(n * 7) % 11 for n in every]
    promoters, detractors = sum(s > 8 for s in scores), sum(s < 7 for s in scores)
    answered = sum(1 for side in sides if side)
    title, labels = said["side"]
    rows_title, rows = said["matrix"]
    common: dict[str, Any] = {"personal": False, "answered": responses, "skipped": 0}
    fields = [
        FieldFigures(
            **{**common, "answered": answered, "skipped": responses - answered},
            field="side", type="multi_choice", kind="options", title=title, options=options(labels, sides),
        ),
        FieldFigures(**common, field="age", type="number", kind="numbers", title=said["age"], numbers=numbers(ages)),
        FieldFigures(
            **common, field="nps", type="nps", kind="nps", title=said["nps"],
            nps=NpsFigures(
                promoters=promoters, detractors=detractors, passives=responses - promoters - detractors,
                score=100 * (promoters - detractors) / responses if responses else None,
            ),
        ),
        FieldFigures(
            **common, field="agree", type="matrix", kind="matrix", title=rows_title,
            rows=[
                MatrixRow(
                    row=f"r{r}", label=label, answered=responses,
                    options=options(said["scale"], [[(n * (r + 3) + r) % 5 % 4] for n in every]),
                )
                for r, label in enumerate(rows)
            ],
        ),
        FieldFigures(
            field="free", type="long_text", kind="texts", title=said["text"], personal=True,
            answered=responses // 3, skipped=responses - responses // 3,
        ),
    ]  # fmt: skip
    return FormMetrics(
        form_id="form_1", since=None, until=None, as_of=AS_OF, views=responses * 3, starts=responses * 2,
        submissions=responses, partials=responses // 10, completion_rate=0.5 if responses else None,
        median_seconds=184.0 if responses else None, fields=fields,
        pages=[
            PageFigures(page="p1", title="1", reached=responses * 2, left=responses // 2),
            PageFigures(page="p2", title="2", reached=responses * 2 - responses // 2, left=responses // 2),
        ],
    )  # fmt: skip


def series(days: int = 30) -> TimeSeries:
    """A measure day by day."""
    first = AS_OF.replace(hour=0, minute=0, second=0) - timedelta(days=days - 1)
    points = [SeriesPoint(start=first + timedelta(days=n), value=float((n * 11) % 17)) for n in range(days)]
    return TimeSeries(form_id="form_1", measure="submissions", bucket="day", timezone="UTC", points=points)
