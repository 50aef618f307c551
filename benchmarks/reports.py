"""Seconds and bytes of a report on 10,000 responses to a form as large as a survey, as its job makes it, by language.

`python -m benchmarks.reports [--responses 10000] [--fields 60] [--runs 5]`

First typesetting alone, with figures of so many fields that this program makes up; then the whole way on SQLite, with a
form of as many: stored responses are counted, a report is ordered, its job reads the figures, typesets, keeps the file.
"""

import argparse
import asyncio
import hashlib
import random
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.machine import describe
from benchmarks.queries import SURVEY, Answers, _answers, _fill
from db.migrate import upgrade
from db.session import Database
from db.settings import DatabaseSettings
from deployments.analytics.contracts import FormMetrics
from deployments.analytics.metrics.recounting import Recounting
from deployments.kit.objects import ObjectStore
from deployments.reports.document import Look, results
from deployments.reports.typesetting import typeset
from deployments.reports.wording import LANGUAGES, Wording
from tests.deployments.analytics.door import analytics
from tests.deployments.reports.figures import TEXTS, metrics, series
from tests.deployments.reports.test_making import Scene
from tests.factories import make_form, make_tenant

_SECTIONS = ("overview", "series", "pages", "summaries", "fields")


def _survey(language: str, responses: int, fields: int) -> FormMetrics:
    """Figures of a form with so many fields of all kinds."""
    figures = metrics(language, responses)
    kinds = figures.fields
    many = [
        kinds[n % len(kinds)].model_copy(update={"field": f"f{n}", "title": f"{n + 1}. {kinds[n % len(kinds)].title}"})
        for n in range(fields)
    ]
    return figures.model_copy(update={"fields": many})


async def _measure(language: str, responses: int, fields: int, runs: int, folder: Path) -> str:
    figures, seconds, digests = _survey(language, responses, fields), [], set()
    content = b""
    for _ in range(runs):
        started = time.perf_counter()
        wording, look = Wording(language), Look(TEXTS[language]["tenant"], "#0b7a75")
        data = results(
            figures, series(), [], title=TEXTS[language]["title"], look=look, wording=wording, sections=_SECTIONS
        )
        content = await typeset("results", data, figures.as_of)
        await asyncio.to_thread((folder / f"{language}.pdf").write_bytes, content)
        seconds.append(time.perf_counter() - started)
        digests.add(hashlib.sha256(content).hexdigest())
    same = "the same bytes" if len(digests) == 1 else "OTHER BYTES"
    return f"{language}: {median(seconds):.2f} s (most {max(seconds):.2f}), {len(content):,} bytes, {same} each time"


def _form(fields: int) -> dict[str, Any]:
    """The survey's elements over and over, ten on a page."""
    elements = SURVEY["pages"][0]["elements"]
    many = [
        {**elements[n % len(elements)], "id": _id(n), "title": f"{n + 1}. {elements[n % len(elements)]['title']}"}
        for n in range(fields)
    ]
    pages = [{"id": f"p{first}", "elements": many[first : first + 10]} for first in range(0, fields, 10)]
    return {"pages": pages, "languages": ["en"]}


def _answers_to(fields: int) -> Answers:
    """Answers to all of them, each for itself."""
    kinds = [each["id"] for each in SURVEY["pages"][0]["elements"]]

    def answers(dice: random.Random, place: int, rows: int) -> dict[str, Any]:
        given = [_answers(dice, place, rows) for _ in range(0, fields, len(kinds))]
        return {_id(n): given[n // len(kinds)][kinds[n % len(kinds)]] for n in range(fields)}

    return answers


def _id(number: int) -> str:
    return f"f{number}"


async def _whole_way(responses: int, fields: int) -> None:
    with TemporaryDirectory() as folder:
        settings = DatabaseSettings(url=f"sqlite:///{folder}/reports.db")
        await upgrade(settings)
        database = Database(settings)
        acme = await make_tenant(database)
        form = await make_form(database, acme, definition=_form(fields))
        await _fill(database, acme, form.id, responses, _answers_to(fields))

        async def report(_done: int, _total: int) -> None:
            return

        started = time.perf_counter()
        await Recounting(database).recount(acme.tenant_id, form.id, report)
        counted = time.perf_counter()
        scene = Scene(database, ObjectStore((Path(folder) / "objects").as_uri()), Path(folder), acme, form.id)
        scene.figures = analytics(database)  # type: ignore[assignment]
        made = await scene.make(await scene.order(language="en"))
        finished = time.perf_counter()
        await database.close()
    print(
        f"the whole way: {made['responses']:,} responses of {fields} fields counted in "
        f"{counted - started:.2f} s; from order to file {finished - counted:.2f} s, {made['bytes']:,} bytes"
    )


async def main(responses: int, fields: int, runs: int) -> None:
    """Print a line for each language."""
    print(describe())
    print(f"{responses:,} responses, {fields} fields, {runs} runs")
    with TemporaryDirectory() as folder:
        for language in LANGUAGES:
            print(await _measure(language, responses, fields, runs, Path(folder)))
    await _whole_way(responses, fields)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--responses", type=int, default=10_000)
    parser.add_argument("--fields", type=int, default=60)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    asyncio.run(main(given.responses, given.fields, given.runs))
