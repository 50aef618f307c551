"""A3 over HTTP: what is told reaches the models, what is found comes back."""

from pathlib import Path

import pytest

from db.settings import DatabaseSettings
from tests.serve_app.one_process import one_process, settings_for

TEXT = "👍 My name is Ada Lovelace, call 020 7946 0958 tomorrow at 5 pm about order no. 20318, I paid $20."


async def test_entities_over_http(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch, works=False) as platform:
        owner = await platform.sign_up()
        told = {"texts": [TEXT, ""], "moment": "2026-12-31T22:00:00+01:00", "languages": ["en-GB"], "country": "GB"}
        answer = await owner.post("/api/v1/ai/extract", json=told)
        only = await owner.post("/api/v1/ai/extract", json=told | {"types": ["phone"]})
        bare = await owner.post("/api/v1/ai/extract", json={"texts": ["+44 20 7946 0958"]})
        wrong = await owner.post(
            "/api/v1/ai/extract",
            json={"texts": [], "moment": "2026-01-01T00:00:00", "country": "gb", "languages": ["?"], "types": ["zip"]},
        )
        long = await owner.post("/api/v1/ai/extract", json={"texts": ["x" * 20_001]})
        together = await owner.post("/api/v1/ai/extract", json={"texts": ["x" * 20_000] * 21})
    assert answer.status_code == 200, answer.text
    found, nothing = answer.json()["results"]
    assert nothing == {"entities": []}
    assert [(each["type"], each["text"], each["value"]) for each in found["entities"]] == [
        ("person", "Ada Lovelace", None),
        ("phone", "020 7946 0958", "+442079460958"),
        ("datetime", "tomorrow at 5 pm", "2027-01-01T17:00"),
        ("order_number", "20318", "20318"),
        ("money", "$20", "USD 20"),
    ]
    assert all(TEXT[each["start"] : each["end"]] == each["text"] for each in found["entities"])
    assert answer.json()["model"].startswith("entities@")
    assert [each["type"] for each in only.json()["results"][0]["entities"]] == ["phone"]
    assert [each["type"] for each in bare.json()["results"][0]["entities"]] == ["phone"]
    assert wrong.status_code == 422
    assert {error["pointer"] for error in wrong.json()["errors"]} == {
        *("/texts", "/moment", "/country", "/languages/0", "/types/0")
    }
    assert long.status_code == 422
    assert [error["code"] for error in together.json()["errors"]] == ["texts.too_long"]
