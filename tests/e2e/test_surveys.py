"""F6, X1: three real surveys through the HTTP API, and every cell out again."""

import csv
import io
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.platform import ROOT, Platform, finished_job

SURVEYS = {
    "thanksgiving": (ROOT / "examples" / "thanksgiving-2015.csv", 1058, 1),
    "star-wars": (ROOT / "tests" / "fixtures" / "surveys" / "StarWars.csv", 1186, 2),
    "flying": (ROOT / "tests" / "fixtures" / "surveys" / "flying-etiquette.csv", 1040, 1),
}


def cells(row: list[str]) -> Counter[str]:
    return Counter(cell for cell in row if cell.strip())


def unprefixed(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:2] in "=+-@\t\r" else cell


@pytest.mark.cluster
@pytest.mark.parametrize("name", SURVEYS)
async def test_every_person_and_every_cell_survive(platform: Platform, name: str) -> None:
    path, people, headers = SURVEYS[name]
    client = await platform.sign_up(f"survey-{name}")
    upload = {"format": "surveymonkey_csv", "slug": name, "title": name}

    async def start(key: str, **fields: str) -> dict[str, object]:
        answer = await client.post(
            "/api/v1/imports",
            files={"file": (path.name, path.read_bytes(), "text/csv")},
            data={**upload, **fields},
            headers={"Idempotency-Key": key},
        )
        assert answer.status_code == 202, answer.text
        job = await finished_job(client, answer.headers["location"])
        assert job["state"] == "succeeded", job
        return job

    rehearsal = await start("rehearsal", dry_run="true")
    assert (await client.get("/api/v1/forms")).json()["data"] == [], rehearsal

    job = await start("once")
    result = job["result"]
    assert isinstance(result, dict)
    assert (result["imported"], result["skipped"], result["errors"]) == (people, 0, [])
    assert job["progress"] == {"done": people, "total": people}

    repeated = await start("once")
    assert repeated["id"] == job["id"]
    again = (await start("twice"))["result"]
    assert isinstance(again, dict)
    assert (again["imported"], again["skipped"]) == (0, people)

    form_id = result["form_id"]
    page = await client.get(f"/api/v1/forms/{form_id}/responses", params={"include_total": "true", "limit": 1})
    assert page.json()["meta"]["total"] == people

    exported = await client.get(f"/api/v1/forms/{form_id}/responses.csv")
    assert exported.headers["content-type"].startswith("text/csv")
    found = [cells([unprefixed(cell) for cell in row]) for row in csv.reader(io.StringIO(exported.text))][1:]
    assert len(found) == people
    by_key = {key: row for row in found for key in row if key.isdigit() and len(key) == 10}
    source = list(csv.reader(io.StringIO(_text(path))))[headers:]
    for row in source:
        if not any(row):
            continue
        missing = cells(row) - by_key[row[0]]
        assert not missing, (row[0], missing)
    await client.aclose()


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig", errors="replace")
